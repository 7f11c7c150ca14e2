//! What must not be shown: secrets written into a file, and user and password
//! in a URL.

use std::{collections::HashMap, ops::Range};

use super::{
    mistake::Place,
    tree::{Node, Value},
};
use crate::near::nearest;

/// What stands where a secret was. It may be part of a URL.
pub(super) const HIDDEN: &str = "***";

/// Keys whose values are secrets. A misspelt one is as secret.
const SECRET_KEYS: [&str; 7] = [
    "token",
    "password",
    "nkey_seed",
    "body",
    "headers",
    "basic",
    "bearer",
];

/// Where user and password stand in a URL, in several with commas between
/// them, or in what was meant to be one.
fn userinfo(url: &str) -> Vec<Range<usize>> {
    // Readers of URLs forgive a wrong number of slashes.
    let slashes = |c: char| matches!(c, '/' | '\\' | '\t' | '\r' | '\n');
    let http = |scheme: &str| matches!(&*scheme.to_ascii_lowercase(), "http" | "https");
    let mut found = Vec::new();
    let mut rest = match url.split_once(':') {
        Some((scheme, rest)) if http(scheme) => rest,
        Some((scheme, rest)) if rest.starts_with(slashes) && !scheme.contains('@') => rest,
        // Without a scheme, the first colon may be the password's.
        Some((_, rest)) if !url.get(..host_end(url)).unwrap_or(url).contains('@') => rest,
        Some(_) | None => url,
    };
    loop {
        let host = rest.trim_start_matches(slashes);
        let start = url.len() - host.len();
        let (authority, after) = host.split_at(host_end(host));
        let prose = host.len() == rest.len() && authority.contains(' ');
        if let Some(at) = authority.rfind('@')
            && !prose
        {
            found.push(start..start + at);
        }
        // What ends in a colon goes on with the next URL's scheme.
        if !authority.ends_with(':') {
            return found;
        }
        rest = after;
    }
}

/// Where the part of a URL ends that may hold user, password, host and port.
fn host_end(text: &str) -> usize {
    text.find(['/', '\\', '?', '#']).unwrap_or(text.len())
}

/// `url` without user and password.
pub(super) fn without_userinfo(url: &str) -> String {
    let mut shown = url.to_owned();
    for range in userinfo(url).into_iter().rev() {
        shown.replace_range(range.start..=range.end, "");
    }
    shown
}

/// The parts of `text` that hold secrets, as far as its tree tells.
pub(super) fn secrets(root: &Node, text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    collect(root, false, text, &mut HashMap::new(), &mut found);
    found
}

/// Adds those of `node`; `keys` knows which keys were judged to be a secret's,
/// since all checks have the same few.
fn collect<'a>(
    node: &'a Node,
    secret: bool,
    text: &str,
    keys: &mut HashMap<&'a str, bool>,
    found: &mut Vec<Range<usize>>,
) {
    match (&node.value, &node.at) {
        (Value::Table(entries), _) => {
            for (key, entry) in entries {
                let judge = || nearest(key, SECRET_KEYS).is_some();
                let secret = secret || *keys.entry(key).or_insert_with(judge);
                collect(&entry.node, secret, text, keys, found);
            }
        }
        (Value::List(items), _) => {
            for item in items {
                collect(item, secret, text, keys, found);
            }
        }
        (_, Place::File(_, span)) => {
            let Some(inner) = within_quotes(span, text) else {
                return;
            };
            let part = text.get(inner.clone()).unwrap_or_default();
            let parts = if secret {
                literals(part)
            } else {
                userinfo(part)
            };
            let shift = |part: Range<usize>| inner.start + part.start..inner.start + part.end;
            found.extend(parts.into_iter().map(shift));
        }
        (_, Place::Env(_) | Place::Whole) => {}
    }
}

/// The parts of `text` between plain references: `${env:TOKEN}` is no secret.
fn literals(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some((before, after)) = text.get(from..).and_then(|rest| rest.split_once("${")) {
        let Some((reference, rest)) = after.split_once('}') else {
            break;
        };
        let at = from + before.len();
        from = text.len() - rest.len();
        // A default is as secret as what it stands for.
        if !reference.contains(":-") {
            found.push(start..at);
            start = from;
        }
    }
    found.push(start..text.len());
    found.retain(|part| !part.is_empty());
    found
}

/// A value's span without its quotes.
fn within_quotes(span: &Range<usize>, text: &str) -> Option<Range<usize>> {
    let written = text.get(span.clone())?;
    let open = written.trim_start_matches(['"', '\'']);
    let inner = open.trim_end_matches(['"', '\'']);
    let start = span.start + written.len() - open.len();
    Some(start..start + inner.len())
}

/// The rest of a line that could not be read, when it looks like a secret's.
pub(super) fn in_broken_line(text: &str, at: usize) -> Option<Range<usize>> {
    const TELLTALES: [&str; 11] = [
        "basic",
        "token",
        "password",
        "seed",
        "body",
        "header",
        "authorization",
        "cookie",
        "secret",
        "bearer",
        "@",
    ];
    let (before, after) = text.split_at_checked(text.floor_char_boundary(at))?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = before.len() + after.find('\n').unwrap_or(after.len());
    let line = text.get(start..end)?;
    let lower = line.to_lowercase();
    if !TELLTALES.iter().any(|telltale| lower.contains(telltale)) {
        return None;
    }
    let word = line.len() - line.trim_start().len();
    let value = line.get(word..)?.find([' ', '\t', '=', ':'])?;
    Some(start + word + value + 1..end)
}
