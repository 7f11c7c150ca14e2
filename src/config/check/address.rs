//! Where a check asks, the name of its report, and the URL that readers see.

use std::sync::Arc;

use url::{ParseError, Url};

use super::{
    super::{
        book::Book,
        fields::Fields,
        hide::{HIDDEN, without_userinfo},
        mistake::Place,
        tree::Node,
        value::{At, Text},
    },
    request::{DEFAULT_MAX_BODY, DEFAULT_MAX_REDIRECTS},
    timing::{DEFAULT_INTERVAL, DEFAULT_TIMEOUT},
};
use crate::check::{Attempts, Check, CheckName, Target, Thresholds};

/// Object names travel as one subject token, in base64.
const MAX_OBJECT: usize = 1024;

pub(super) struct Address {
    pub(super) url: Url,
    pub(super) object: Text,
    pub(super) shown: String,
}

pub(super) fn read(fields: &mut Fields<'_>, book: &mut Book) -> Option<Address> {
    let found = fields.text("url", book);
    let object = object(fields, book);
    let Some((found, node)) = found.zip(fields.node("url")) else {
        if fields.lacks("url") {
            missing(&fields.at, book);
        }
        return None;
    };
    let url = match probeable(&found.value, &found.said) {
        Ok(url) => url,
        Err((message, hint)) => {
            book.mistake(&found.at, message).hint(hint);
            return None;
        }
    };
    if object.is_none() && !fields.has("object") {
        name_by_url(node, &url, &found, book);
    }
    let shown = shown(node.shown.as_deref().unwrap_or(&found.value), &url);
    let object = object.unwrap_or_else(|| Text {
        value: ascii(&found.value, &url),
        ..found
    });
    Some(Address { url, object, shown })
}

/// What stands for the address of a check that asks nothing.
pub(super) fn of_push(
    fields: &mut Fields<'_>,
    name: Option<&At<CheckName>>,
    book: &mut Book,
) -> Option<Address> {
    let object = object(fields, book);
    let name = name?;
    let shown = format!("push:{}", name.value);
    Some(Address {
        url: Url::parse(&shown).ok()?,
        object: object.unwrap_or_else(|| Text {
            value: name.value.to_string(),
            at: name.at.clone(),
            said: format!("`{}`", name.value),
        }),
        shown,
    })
}

fn missing(at: &Place, book: &mut Book) {
    let hint = match at {
        Place::Env(_) => "set SUPERCHECK_CHECK__<NAME>__URL, or name a check of the file",
        Place::File(..) | Place::Whole => "add `url = \"https://api.example.com/health\"`",
    };
    book.mistake(at, "a check without a `url`").hint(hint);
}

/// Judges whether the URL can be the report's name.
fn name_by_url(node: &Node, url: &Url, found: &Text, book: &mut Book) {
    let has_userinfo = !url.username().is_empty() || url.password().is_some();
    let message = if node.secret || has_userinfo {
        "the URL may hold a secret, and names of reports are public"
    } else if ascii(&found.value, url).len() > MAX_OBJECT {
        "the URL is too long to be the name of the report"
    } else {
        return;
    };
    book.mistake(&found.at, message)
        .hint("add `object = \"…\"`, the name under which the report is stored");
}

fn object(fields: &mut Fields<'_>, book: &mut Book) -> Option<Text> {
    let found = fields.text("object", book)?;
    let graphic = found.value.bytes().all(|byte| byte.is_ascii_graphic());
    if found.value.is_empty() || found.value.len() > MAX_OBJECT || !graphic {
        book.mistake(&found.at, "this is no name for a report")
            .hint(format!(
                "use 1 to {MAX_OBJECT} ASCII letters, digits and signs, without spaces: not all \
                 clients can read other names"
            ));
    }
    Some(found)
}

/// A URL that can be probed, or what is wrong and what helps.
pub(super) fn probeable(text: &str, said: &str) -> Result<Url, (String, String)> {
    let hint = || "write such as `https://api.example.com/health`".to_owned();
    let url = Url::parse(text).map_err(|error| {
        let why = if error == ParseError::RelativeUrlWithoutBase {
            "it does not start with `https://`".to_owned()
        } else {
            error.to_string()
        };
        (format!("{said} is no URL: {why}"), hint())
    })?;
    if !matches!(url.scheme(), "http" | "https" | "tcp" | "tls") {
        return Err((
            format!("supercheck cannot probe `{}` URLs", url.scheme()),
            "start it with `http://`, `https://`, `tcp://` or `tls://`".to_owned(),
        ));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err((format!("{said} names no host"), hint()));
    }
    if is_connection(&url) {
        let hint = || format!("write such as `{}://db.example.com:5432`", url.scheme());
        if url.port().is_none() {
            return Err((format!("{said} names no port"), hint()));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err((format!("{said} names more than a host and a port"), hint()));
        }
    }
    Ok(url)
}

/// Whether the target is asked for no more than a connection.
pub(super) fn is_connection(url: &Url) -> bool {
    matches!(url.scheme(), "tcp" | "tls")
}

/// The URL as written, or in its ASCII form where it was not.
fn ascii(written: &str, url: &Url) -> String {
    if written.bytes().all(|byte| byte.is_ascii_graphic()) {
        written.to_owned()
    } else {
        url.as_str().to_owned()
    }
}

/// `text` without user and password; what stood in `${…}` is hidden in it. It
/// is a URL still, so that `config show` shows a configuration.
pub(super) fn shown(text: &str, url: &Url) -> String {
    let shown = without_userinfo(text);
    if shown == url.as_str() {
        // There was nothing to hide.
        return ascii(&shown, url);
    }
    match probeable(&shown, "") {
        Ok(parsed) => ascii(&shown, &parsed),
        Err(_) => match url.port() {
            Some(port) if is_connection(url) => format!("{}://{HIDDEN}:{port}", url.scheme()),
            _ => format!("{}://{HIDDEN}", url.scheme()),
        },
    }
}

/// What is asked at a URL that is no check's, or what is wrong with it and what
/// helps.
pub(in crate::config) fn asked_at(text: &Text) -> Result<Target, (String, String)> {
    probeable(&text.value, &text.said).map(plain)
}

/// A plain GET.
fn plain(url: Url) -> Target {
    Target {
        url,
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: None,
        max_redirects: DEFAULT_MAX_REDIRECTS,
        max_body: DEFAULT_MAX_BODY,
        route: Arc::default(),
    }
}

/// A check of a URL that nobody configured, for `supercheck check URL`.
///
/// # Errors
/// When it is no URL that can be probed.
pub fn ad_hoc(url: &str) -> Result<Check, String> {
    let said = format!("`{}`", without_userinfo(url));
    let parsed = probeable(url, &said).map_err(|(message, hint)| format!("{message}; {hint}"))?;
    let shown: Arc<str> = shown(url, &parsed).into();
    let host: String = parsed
        .host_str()
        .unwrap_or_default()
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    let name: String = host.trim_matches('-').chars().take(63).collect();
    // `[::]` leaves nothing to name it by.
    let name = CheckName::new(&name).or_else(|_| CheckName::new("url"));
    Ok(Check {
        name: name.map_err(|error| error.to_string())?,
        object: Arc::clone(&shown),
        shown_url: shown,
        target: plain(parsed),
        interval: DEFAULT_INTERVAL,
        timeout: DEFAULT_TIMEOUT,
        group: None,
        tags: Vec::new(),
        rules: Arc::default(),
        thresholds: Thresholds::default(),
        attempts: Attempts::default(),
        grace: None,
    })
}
