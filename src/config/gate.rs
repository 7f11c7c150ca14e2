//! The section `[gate]`: how supercheck knows that its own network is up.

use std::time::Duration;

use super::{Gate, GateUrl, book::Book, check, fields::Fields, value::Given};
use crate::check::Target;

/// More often would be a load on those who are asked.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn read(mut fields: Fields<'_>, book: &mut Book) -> Gate {
    let default = Gate::default();
    let mut urls = Vec::new();
    for url in fields.texts_at("urls", book).unwrap_or_default() {
        match check::asked_at(&url) {
            Ok(target) => urls.push(GateUrl {
                shown: url.said.trim_matches('`').to_owned(),
                // The head will do.
                target: Target {
                    method: "HEAD".to_owned(),
                    ..target
                },
            }),
            Err((message, hint)) => {
                book.mistake(&url.at, message).hint(hint);
            }
        }
    }
    let gate = Gate {
        urls,
        interval: interval(&mut fields, book).unwrap_or(default.interval),
        timeout: timeout(&mut fields, book).unwrap_or(default.timeout),
    };
    fields.finish(book);
    gate
}

fn interval(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    let Given::Set(found) = fields.duration("interval", book) else {
        return None;
    };
    if found.value < MIN_INTERVAL {
        book.mistake(&found.at, "the interval of the gate is too short")
            .hint("make it `1s` or more: the hosts that it asks are not yours to load");
    }
    Some(found.value)
}

fn timeout(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    let Given::Set(found) = fields.duration("timeout", book) else {
        return None;
    };
    if found.value.is_zero() {
        book.mistake(&found.at, "a timeout of nothing")
            .hint("such as `3s`");
    }
    Some(found.value)
}
