//! The request that a check sends, and how much of the answer is read.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

use super::{
    super::{book::Book, fields::Fields, tree::Value, value::text},
    Defaults, route,
};
use crate::check::{Secret, Target};

pub(super) const DEFAULT_MAX_REDIRECTS: u32 = 10;
pub(super) const DEFAULT_MAX_BODY: usize = 1 << 20;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Reads what is asked, and how; `None` without a URL to ask.
pub(super) fn read(
    fields: &mut Fields<'_>,
    mut url: Option<Url>,
    defaults: &Defaults,
    book: &mut Book,
) -> Option<Target> {
    let method = method(fields, book);
    let mut headers = headers(fields, &defaults.headers, book);
    authorize(fields, &mut headers, book);
    let body = fields.secret("body", book);
    let max_redirects = max_redirects(fields, book).or(defaults.max_redirects);
    let max_body = max_body(fields, book).or(defaults.max_body);
    let mut route = route::read(fields, &defaults.route, book);
    route::direct(fields, &mut url, &mut route, book);
    Some(Target {
        url: url?,
        method,
        headers,
        body,
        max_redirects: max_redirects.unwrap_or(DEFAULT_MAX_REDIRECTS),
        max_body: max_body.unwrap_or(DEFAULT_MAX_BODY),
        route: Arc::new(route),
    })
}

pub(super) fn max_redirects(fields: &mut Fields<'_>, book: &mut Book) -> Option<u32> {
    let number = fields.number("max_redirects", 0..=100, book)?;
    Some(number.value)
}

pub(super) fn max_body(fields: &mut Fields<'_>, book: &mut Book) -> Option<usize> {
    let bytes = fields.bytes("max_body", book)?;
    Some(usize::try_from(bytes.value).unwrap_or(usize::MAX))
}

fn method(fields: &mut Fields<'_>, book: &mut Book) -> String {
    let Some(found) = fields.text("method", book) else {
        return "GET".to_owned();
    };
    let upper = found.value.to_ascii_uppercase();
    if !METHODS.contains(&upper.as_str()) {
        book.mistake(&found.at, format!("{} is no HTTP method", found.said))
            .hint(format!("there are {}", METHODS.join(", ")));
    }
    upper
}

/// The headers in the order of their names: `inherited` ones that are not set
/// anew, and the check's own.
pub(super) fn headers(
    fields: &mut Fields<'_>,
    inherited: &[(String, Secret)],
    book: &mut Book,
) -> Vec<(String, Secret)> {
    let mut headers: BTreeMap<String, Secret> = inherited.iter().cloned().collect();
    let Some(node) = fields.node("headers") else {
        return headers.into_iter().collect();
    };
    let Value::Table(entries) = &node.value else {
        book.mistake(
            &node.at,
            format!("`headers` is {}, not a table", node.kind()),
        )
        .hint("write `headers = { Authorization = \"Bearer ${env:TOKEN}\" }`");
        return Vec::new();
    };
    headers.retain(|name, _| !entries.keys().any(|own| own.eq_ignore_ascii_case(name)));
    for (name, entry) in entries.iter().filter(|(_, entry)| !entry.node.broken) {
        if !is_token(name) {
            book.mistake(&entry.key_at, format!("`{name}` is no name of a header"))
                .hint("use letters, digits and `-`");
            continue;
        }
        let at = &entry.node.at;
        match text(&entry.node) {
            Some(text) if text.value.bytes().all(can_be_sent) => {
                headers.insert(name.clone(), Secret::new(text.value));
            }
            Some(_) => book
                .mistake(at, format!("the header `{name}` holds a control character"))
                .hint("line breaks cannot be sent in a header"),
            None => book
                .mistake(at, format!("the header `{name}` is {}", entry.node.kind()))
                .hint("write its value in quotes"),
        }
    }
    headers.into_iter().collect()
}

/// `basic` and `bearer` make the header `Authorization`.
fn authorize(fields: &mut Fields<'_>, headers: &mut Vec<(String, Secret)>, book: &mut Book) {
    let (basic, bearer) = (fields.text("basic", book), fields.text("bearer", book));
    let is_header = |name: &str| name.eq_ignore_ascii_case("authorization");
    let own = fields
        .node("headers")
        .is_some_and(|node| match &node.value {
            Value::Table(entries) => entries.keys().any(|name| is_header(name)),
            Value::Text(_)
            | Value::Raw(_)
            | Value::Integer(_)
            | Value::Bool(_)
            | Value::List(_)
            | Value::Other(_) => false,
        });
    let Some(found) = bearer.as_ref().or(basic.as_ref()) else {
        return;
    };
    if own || (basic.is_some() && bearer.is_some()) {
        book.mistake(&found.at, "the header `Authorization` is set twice")
            .hint("keep one of `basic`, `bearer` and `headers`");
    }
    if bearer.is_none() && !found.value.contains(':') {
        book.mistake(&found.at, "this is no user with a password")
            .hint("write `basic = \"user:${env:PASSWORD}\"`");
    }
    if !found.value.bytes().all(can_be_sent) {
        book.mistake(&found.at, "this holds a control character")
            .hint("line breaks cannot be sent in a header");
    }
    let value = match &bearer {
        Some(token) => format!("Bearer {}", token.value),
        None => format!("Basic {}", STANDARD.encode(&found.value)),
    };
    headers.retain(|(name, _)| !is_header(name));
    headers.push(("Authorization".to_owned(), Secret::new(value)));
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
}

fn is_token(name: &str) -> bool {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    !name.is_empty() && name.bytes().all(token)
}

fn can_be_sent(c: u8) -> bool {
    c == b'\t' || (c >= b' ' && c != 0x7f)
}
