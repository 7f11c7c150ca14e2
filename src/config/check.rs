//! One `[[check]]`, and the `[defaults]` behind it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other kind is the same mistake"
)]

use std::time::Duration;

use url::Url;

use super::{
    fields::{At, Fields, text},
    mistake::{Book, Place},
    read::AT_LEAST_ONE,
    tree::{Node, Value},
};
use crate::{
    check::{Check, CheckName, Expect, Rules, Secret, Severity, Target, Thresholds},
    verdict::Judge,
};

/// A shorter interval is a load test, not a check.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// Object names travel as one subject token, in base64.
const MAX_OBJECT: usize = 1024;

/// What checks are when they do not say.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    interval: Option<At<Duration>>,
    timeout: Option<At<Duration>>,
    headers: Vec<(String, Secret)>,
    thresholds: Thresholds,
    max_redirects: Option<u64>,
    max_body: Option<u64>,
    max_latency: Option<Duration>,
    group: Option<String>,
    tags: Vec<String>,
}

impl Defaults {
    pub(super) fn read(mut fields: Fields<'_>, book: &mut Book) -> Self {
        let defaults = Self {
            interval: fields.duration("interval", book),
            timeout: fields.duration("timeout", book),
            headers: headers(&mut fields, book),
            thresholds: thresholds(&mut fields, Thresholds::default(), book),
            max_redirects: fields.number("max_redirects", 0..=100, book),
            max_body: fields.bytes("max_body", book),
            max_latency: fields
                .duration("max_latency", book)
                .map(|latency| latency.value),
            group: fields.text("group", book).map(|group| group.value),
            tags: fields.texts("tags", book).unwrap_or_default(),
        };
        fields.finish(book);
        defaults
    }
}

/// A check, and where what the checks must agree on was written.
pub(super) struct Read {
    pub(super) check: Check,
    pub(super) name_at: Place,
    pub(super) object_at: Place,
    pub(super) interval_at: Place,
}

/// Reads one check; `None` when a mistake leaves nothing to go on with.
pub(super) fn read(node: &Node, defaults: &Defaults, book: &mut Book) -> Option<Read> {
    let mut fields = Fields::of(node, book);
    let name = name(&mut fields, book);
    let address = address(&mut fields, book);
    let method = method(&mut fields, book);
    let mut headers = headers(&mut fields, book);
    let own = |name: &str| {
        headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let inherited: Vec<_> = defaults
        .headers
        .iter()
        .filter(|(key, _)| !own(key))
        .cloned()
        .collect();
    headers.splice(0..0, inherited);
    let body = fields.secret("body", book);
    let timing = timing(
        &mut fields,
        defaults,
        name.as_ref().map(|name| &name.value),
        book,
    );
    let rules = rules(&mut fields, defaults, book);
    let thresholds = thresholds(&mut fields, defaults.thresholds, book);
    let max_redirects = fields
        .number("max_redirects", 0..=100, book)
        .or(defaults.max_redirects);
    let max_body = fields.bytes("max_body", book).or(defaults.max_body);
    let group = fields
        .text("group", book)
        .map(|group| group.value)
        .or_else(|| defaults.group.clone());
    let tags = fields
        .texts("tags", book)
        .unwrap_or_else(|| defaults.tags.clone());
    let at = fields.at.clone();
    fields.finish(book);
    let (name, address) = (name?, address?);
    let check = Check {
        name: name.value,
        target: Target {
            url: address.url,
            method,
            headers,
            body,
            max_redirects: max_redirects
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(10),
            max_body: max_body
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(1 << 20),
        },
        object: address.object.value,
        shown_url: address.shown,
        interval: timing.interval,
        timeout: timing.timeout,
        group,
        tags,
        rules,
        thresholds,
    };
    let interval_at = timing.at.unwrap_or(at);
    Some(Read {
        check,
        name_at: name.at,
        object_at: address.object.at,
        interval_at,
    })
}

/// A check of a URL that nobody configured, for `supercheck check URL`.
///
/// # Errors
/// When it is no URL that can be probed.
pub fn ad_hoc(url: &str) -> Result<Check, String> {
    let parsed = probeable(url).map_err(|(message, hint)| format!("{message}; {hint}"))?;
    let host: String = parsed
        .host_str()
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    let name = CheckName::new(host.trim_start_matches('-')).map_err(|error| error.to_string())?;
    Ok(Check {
        name,
        object: parsed.as_str().to_owned(),
        shown_url: without_userinfo(&parsed, url),
        target: Target {
            url: parsed,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: None,
            max_redirects: 10,
            max_body: 1 << 20,
        },
        interval: DEFAULT_INTERVAL,
        timeout: DEFAULT_TIMEOUT,
        group: None,
        tags: Vec::new(),
        rules: Rules::default(),
        thresholds: Thresholds::default(),
    })
}

fn name(fields: &mut Fields<'_>, book: &mut Book) -> Option<At<CheckName>> {
    let Some(found) = fields.text("name", book) else {
        if fields.node("name").is_none() {
            book.mistake(&fields.at, "a check without a `name`")
                .hint("add `name = \"api\"`");
        }
        return None;
    };
    match CheckName::new(&found.value) {
        Ok(value) => Some(At {
            value,
            at: found.at,
        }),
        Err(_) => {
            book.mistake(&found.at, format!("`{}` is not a check name", found.value)).hint(
                "use 1 to 63 of `a-z`, `0-9`, `-` and `_`, starting with a letter or digit: the \
                 name is KV key, subject, path and label at once",
            );
            None
        }
    }
}

struct Address {
    url: Url,
    object: At<String>,
    shown: String,
}

fn address(fields: &mut Fields<'_>, book: &mut Book) -> Option<Address> {
    let object = object(fields, book);
    let node = fields.node("url");
    let Some(found) = fields.text("url", book) else {
        if node.is_none() {
            book.mistake(&fields.at, "a check without a `url`")
                .hint("add `url = \"https://api.example.com/health\"`");
        }
        return None;
    };
    let node = node?;
    let url = match probeable(&found.value) {
        Ok(url) => url,
        Err((message, hint)) => {
            let message = if node.secret {
                "this is no URL that can be probed".to_owned()
            } else {
                message
            };
            book.mistake(&found.at, message).hint(hint);
            return None;
        }
    };
    let has_userinfo = !url.username().is_empty() || url.password().is_some();
    if object.is_none() && (node.secret || has_userinfo) {
        book.mistake(
            &found.at,
            "the URL may hold a secret, and names of reports are public",
        )
        .hint("add `object = \"…\"`, the name under which the report is stored");
        return None;
    }
    let written = if found.value.is_ascii() {
        found.value.clone()
    } else {
        url.as_str().to_owned()
    };
    let shown = match &node.shown {
        // What stood in `${…}` is hidden, the rest is shown.
        Some(shown) => shown.clone(),
        None => without_userinfo(&url, &written),
    };
    let object = object.unwrap_or(At {
        value: written,
        at: found.at,
    });
    Some(Address { url, object, shown })
}

fn object(fields: &mut Fields<'_>, book: &mut Book) -> Option<At<String>> {
    let found = fields.text("object", book)?;
    let sound = !found.value.is_empty()
        && found.value.len() <= MAX_OBJECT
        && found.value.bytes().all(|byte| byte.is_ascii_graphic());
    if !sound {
        book.mistake(&found.at, "this is no name for a report")
            .hint(format!(
                "use 1 to {MAX_OBJECT} ASCII letters, digits and signs, without spaces: not all \
             clients can read other names"
            ));
    }
    Some(found)
}

/// A URL that can be probed, or what is wrong and what helps.
fn probeable(text: &str) -> Result<Url, (String, String)> {
    let hint = || "write such as `https://api.example.com/health`".to_owned();
    let url = Url::parse(text).map_err(|error| (format!("`{text}` is no URL: {error}"), hint()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err((
            format!("supercheck cannot probe `{}` URLs", url.scheme()),
            "start it with `http://` or `https://`".to_owned(),
        ));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err((format!("`{text}` names no host"), hint()));
    }
    Ok(url)
}

fn without_userinfo(url: &Url, written: &str) -> String {
    if url.username().is_empty() && url.password().is_none() {
        return written.to_owned();
    }
    let mut shown = url.clone();
    // Only URLs without a host refuse, and those are no targets.
    let cleared = shown
        .set_username("")
        .and_then(|()| shown.set_password(None));
    if cleared.is_ok() {
        shown.into()
    } else {
        url.origin().ascii_serialization()
    }
}

fn method(fields: &mut Fields<'_>, book: &mut Book) -> String {
    let Some(found) = fields.text("method", book) else {
        return "GET".to_owned();
    };
    let upper = found.value.to_ascii_uppercase();
    if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&upper.as_str()) {
        book.mistake(
            &found.at,
            format!("`{}` is no HTTP method to probe with", found.value),
        )
        .hint("there are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS");
    }
    upper
}

fn headers(fields: &mut Fields<'_>, book: &mut Book) -> Vec<(String, Secret)> {
    let Some(node) = fields.node("headers") else {
        return Vec::new();
    };
    let Value::Table(entries) = &node.value else {
        book.mistake(
            &node.at,
            format!("`headers` is {}, not a table", node.kind()),
        )
        .hint("write `headers = { Authorization = \"Bearer ${env:TOKEN}\" }`");
        return Vec::new();
    };
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    let mut headers = Vec::new();
    for (name, entry) in entries {
        if name.is_empty() || !name.bytes().all(token) {
            book.mistake(&entry.key_at, format!("`{name}` is no name of a header"))
                .hint("use letters, digits and `-`");
            continue;
        }
        match text(&entry.node) {
            Some(value)
                if value
                    .bytes()
                    .all(|c| c == b'\t' || (c >= b' ' && c != 0x7f)) =>
            {
                headers.push((name.clone(), Secret::new(value)));
            }
            Some(_) => book
                .mistake(
                    &entry.node.at,
                    format!("the header `{name}` holds a control character"),
                )
                .hint("line breaks cannot be sent in a header"),
            None => book
                .mistake(
                    &entry.node.at,
                    format!("the header `{name}` is {}", entry.node.kind()),
                )
                .hint("write its value in quotes"),
        }
    }
    headers
}

struct Timing {
    interval: Duration,
    timeout: Duration,
    at: Option<Place>,
}

fn timing(
    fields: &mut Fields<'_>,
    defaults: &Defaults,
    name: Option<&CheckName>,
    book: &mut Book,
) -> Timing {
    let interval = fields
        .duration("interval", book)
        .or_else(|| defaults.interval.clone());
    let timeout = fields
        .duration("timeout", book)
        .or_else(|| defaults.timeout.clone());
    let every = interval
        .as_ref()
        .map_or(DEFAULT_INTERVAL, |interval| interval.value);
    let at = interval.map(|interval| interval.at);
    if every < MIN_INTERVAL
        && let Some(at) = &at
    {
        book.mistake(at, "the interval is too short")
            .hint("make it `100ms` or more");
    }
    let limit = match &timeout {
        Some(timeout) => timeout.value,
        // A short interval brings a short timeout with it.
        None => DEFAULT_TIMEOUT.min(every * 4 / 5),
    };
    if let Some(timeout) = &timeout
        && timeout.value >= every
    {
        let name = name.map_or_else(|| "the check".to_owned(), |name| format!("check `{name}`"));
        let place = at.as_ref().unwrap_or(&timeout.at);
        book.mistake(
            place,
            format!("{name} may still be running when it is next due"),
        )
        .hint(format!(
            "make `interval` ({}) longer than `timeout` ({})",
            humantime::format_duration(every),
            humantime::format_duration(timeout.value)
        ));
    }
    if limit.is_zero()
        && let Some(timeout) = &timeout
    {
        book.mistake(&timeout.at, "a timeout of nothing")
            .hint("such as `3s`");
    }
    Timing {
        interval: every,
        timeout: limit,
        at,
    }
}

fn thresholds(fields: &mut Fields<'_>, default: Thresholds, book: &mut Book) -> Thresholds {
    let count = |number: Option<u64>, default| {
        number
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default)
    };
    Thresholds {
        fail_after: count(
            fields.number("fail_after", AT_LEAST_ONE, book),
            default.fail_after,
        ),
        recover_after: count(
            fields.number("recover_after", AT_LEAST_ONE, book),
            default.recover_after,
        ),
    }
}

fn rules(fields: &mut Fields<'_>, defaults: &Defaults, book: &mut Book) -> Rules {
    let mut status = Vec::new();
    for found in fields.numbers("status", book).unwrap_or_default() {
        match u16::try_from(found.value) {
            Ok(code) if (100..600).contains(&code) => status.push(code),
            _ => book
                .mistake(&found.at, format!("{} is no HTTP status", found.value))
                .hint("they are from 100 to 599"),
        }
    }
    Rules {
        status,
        max_latency: fields
            .duration("max_latency", book)
            .map(|found| found.value)
            .or(defaults.max_latency),
        json: fields.truth("json", book).unwrap_or(false),
        expect: expectations(fields, book),
    }
}

fn expectations(fields: &mut Fields<'_>, book: &mut Book) -> Vec<Expect> {
    let Some(node) = fields.node("expect") else {
        return Vec::new();
    };
    let single;
    let items: &[Node] = match &node.value {
        Value::List(items) => items,
        // A variable holds one expectation: CEL has commas of its own.
        Value::Raw(_) => {
            single = [node.clone()];
            &single
        }
        _ => {
            book.mistake(&node.at, format!("`expect` is {}, not a list", node.kind()))
                .hint("write `expect = ['body.status == \"UP\"']`");
            return Vec::new();
        }
    };
    items
        .iter()
        .filter_map(|item| expectation(item, book))
        .collect()
}

fn expectation(node: &Node, book: &mut Book) -> Option<Expect> {
    let (found, severity) = match &node.value {
        Value::Text(cel) | Value::Raw(cel) => (
            At {
                value: cel.clone(),
                at: node.at.clone(),
            },
            Severity::Fail,
        ),
        _ => {
            let mut fields = Fields::of(node, book);
            let words = [("warn", Severity::Warn), ("fail", Severity::Fail)];
            let severity = fields.word("severity", &words, book).unwrap_or_default();
            let cel = fields.text("cel", book);
            if cel.is_none() && fields.node("cel").is_none() {
                book.mistake(&node.at, "an expectation without `cel`")
                    .hint("write the condition in quotes");
            }
            fields.finish(book);
            (cel?, severity)
        }
    };
    let expect = Expect {
        cel: found.value,
        severity,
    };
    if let Err(error) = Judge::examine(&expect) {
        let at = within(&found.at, error.span.as_ref(), &expect.cel, book);
        let mistake = book.mistake(&at, error.message);
        if let Some(hint) = error.hint {
            mistake.hint(hint);
        }
    }
    Some(expect)
}

/// The place of `span` of a text, when the text stands in the file as it is.
fn within(at: &Place, span: Option<&std::ops::Range<usize>>, text: &str, book: &Book) -> Place {
    if let (Place::File(file, whole), Some(span)) = (at, span)
        && let Some(written) = book.text(at)
        && written.len() == text.len() + 2
        && written.get(1..=text.len()) == Some(text)
    {
        let start = whole.start + 1;
        return Place::File(*file, start + span.start..start + span.end);
    }
    at.clone()
}
