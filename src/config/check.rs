//! One `[[check]]`, and the `[defaults]` behind it.

use std::{sync::Arc, time::Duration};

use url::Url;

use super::{
    book::Book,
    fields::Fields,
    mistake::Place,
    tree::Node,
    value::{At, Given, Text},
};
use crate::check::{CERTIFICATE_WARN, Check, CheckName, Disagreement, Route, Secret, Thresholds};

mod address;
mod push;
mod request;
pub(super) mod route;
mod rules;
mod timing;

pub use address::ad_hoc;
pub(super) use address::asked_at;

/// What checks are when they do not say.
#[derive(Default)]
pub(super) struct Defaults {
    interval: Given<Duration>,
    timeout: Given<Duration>,
    headers: Vec<(String, Secret)>,
    thresholds: Thresholds,
    attempts: Option<At<u32>>,
    attempt_delay: Option<Duration>,
    max_redirects: Option<u32>,
    max_body: Option<usize>,
    route: Arc<Route>,
    max_latency: Option<Duration>,
    on_disagreement: Disagreement,
    certificate_warn: Duration,
    group: Option<String>,
    tags: Vec<String>,
}

impl Defaults {
    pub(super) fn read(mut fields: Fields<'_>, book: &mut Book) -> Self {
        let defaults = Self {
            interval: fields.duration("interval", book),
            timeout: fields.duration("timeout", book),
            headers: request::headers(&mut fields, &[], book),
            thresholds: rules::thresholds(&mut fields, Thresholds::default(), book),
            attempts: timing::attempts(&mut fields, book),
            attempt_delay: timing::attempt_delay(&mut fields, book),
            max_redirects: request::max_redirects(&mut fields, book),
            max_body: request::max_body(&mut fields, book),
            route: Arc::new(route::read(&mut fields, &Route::default(), book)),
            max_latency: rules::max_latency(&mut fields, book),
            on_disagreement: rules::on_disagreement(&mut fields, book).unwrap_or_default(),
            certificate_warn: rules::certificate_warn(&mut fields, book)
                .unwrap_or(CERTIFICATE_WARN),
            group: fields.text("group", book).map(|group| group.value),
            tags: fields.texts("tags", book).unwrap_or_default(),
        };
        fields.finish(book);
        defaults
    }
}

/// What was read of a check, and where what the checks must agree on was
/// written.
pub(super) struct Read {
    pub(super) name: Option<At<CheckName>>,
    pub(super) object: Option<Text>,
    pub(super) interval_at: Place,
    /// The check, unless a mistake leaves nothing to go on with.
    pub(super) check: Option<Check>,
}

/// Reads one check; `None` when it is none at all.
pub(super) fn read(node: &Node, defaults: &Defaults, book: &mut Book) -> Option<Read> {
    let Some(mut fields) = Fields::of(node) else {
        book.mistake(&node.at, format!("this is {}, not a check", node.kind()))
            .hint("write `[[check]]`, and its settings below it");
        return None;
    };
    let name = name(&mut fields, book);
    let push = push::read(&mut fields, book);
    let address = match push {
        None => address::read(&mut fields, book),
        Some(_) => address::of_push(&mut fields, name.as_ref(), book),
    };
    let timing = match push {
        None => timing::read(&mut fields, defaults, name.as_ref(), book),
        Some(_) => timing::of_push(&mut fields, defaults, book),
    };
    let grace = push.map(|grace| push::grace(grace, timing.interval));
    let url = address.as_ref().map(|address| address.url.clone());
    if let Some(url) = &url {
        refuse_what_is_for_others(&fields, url, book);
    }
    let scheme = url.as_ref().map_or("", Url::scheme).to_owned();
    let target = request::read(&mut fields, url, defaults, book);
    let rules = rules::read(&mut fields, &scheme, defaults, book);
    let thresholds = rules::thresholds(&mut fields, defaults.thresholds, book);
    let group = fields.text("group", book).map(|group| group.value);
    let tags = fields.texts("tags", book);
    fields.finish(book);
    let check = || {
        let address = address.as_ref()?;
        let shown_url: Arc<str> = address.shown.as_str().into();
        Some(Check {
            name: name.as_ref()?.value.clone(),
            target: target?,
            object: object(address, &shown_url),
            shown_url,
            interval: timing.interval,
            timeout: timing.timeout,
            group: group.or_else(|| defaults.group.clone()),
            tags: tags.unwrap_or_else(|| defaults.tags.clone()),
            rules: Arc::new(rules),
            thresholds,
            attempts: timing.attempts,
            grace,
        })
    };
    let check = check();
    Some(Read {
        check,
        name,
        object: address.map(|address| address.object),
        interval_at: timing.at.unwrap_or_else(|| node.at.clone()),
    })
}

/// The name of the report: as a rule the URL as it is shown.
fn object(address: &address::Address, shown_url: &Arc<str>) -> Arc<str> {
    match address.object.value.as_str() {
        object if object == &**shown_url => Arc::clone(shown_url),
        object => object.into(),
    }
}

/// Settings that only HTTP has a use for.
const HTTP: [&str; 13] = [
    "method",
    "headers",
    "body",
    "basic",
    "bearer",
    "http",
    "proxy",
    "max_redirects",
    "max_body",
    "status",
    "json",
    "dialect",
    "on_disagreement",
];
/// Settings that only TLS has a use for.
const TLS: [&str; 4] = ["trust", "ca", "client_cert", "client_key"];

/// Settings that mean nothing for targets of `scheme`, and for whom they are.
pub(super) const fn for_others(scheme: &str) -> [(&'static [&'static str], &'static str); 2] {
    match scheme.as_bytes() {
        b"tcp" => [(&HTTP, "`http://` or `https://`"), (&TLS, "`tls://`")],
        b"tls" => [(&HTTP, "`https://`"), (&[], "")],
        _ => [(&[], ""), (&[], "")],
    }
}

/// Tells of settings that mean nothing for a target of this kind.
fn refuse_what_is_for_others(fields: &Fields<'_>, url: &Url, book: &mut Book) {
    let scheme = url.scheme();
    for (names, hint) in for_others(scheme) {
        for name in names.iter().filter(|name| fields.has(name)) {
            let message = format!("`{name}` says nothing of a `{scheme}://` target");
            book.mistake(&fields.place(name), message).hint(format!(
                "leave it out; it is for URLs that start with {hint}"
            ));
        }
    }
}

fn name(fields: &mut Fields<'_>, book: &mut Book) -> Option<At<CheckName>> {
    let Some(found) = fields.text("name", book) else {
        if fields.lacks("name") {
            book.mistake(&fields.at, "a check without a `name`")
                .hint("add `name = \"api\"`");
        }
        return None;
    };
    let Ok(value) = CheckName::new(&found.value) else {
        book.mistake(&found.at, format!("{} is not a check name", found.said))
            .hint(
                "use 1 to 63 of `a-z`, `0-9`, `-` and `_`, starting with a letter or digit: the \
                 name is KV key, subject, path and label at once",
            );
        return None;
    };
    Some(At {
        value,
        at: found.at,
    })
}
