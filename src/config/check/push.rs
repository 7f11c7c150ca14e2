//! Checks whose jobs report by themselves.

use std::time::Duration;

use super::super::{book::Book, fields::Fields, value::Given};

/// Settings of what is asked, and how.
const ASKED: [&str; 22] = [
    "url",
    "method",
    "headers",
    "body",
    "timeout",
    "attempts",
    "attempt_delay",
    "max_redirects",
    "max_latency",
    "status",
    "trust",
    "ca",
    "client_cert",
    "client_key",
    "basic",
    "bearer",
    "http",
    "proxy",
    "ip",
    "resolve",
    "host",
    "fresh_connection",
];

/// Reads whether the job reports by itself, and how late it may be if it says.
pub(super) fn read(fields: &mut Fields<'_>, book: &mut Book) -> Option<Given<Duration>> {
    let pushes = fields.truth("push", book).unwrap_or(false);
    let grace = fields.duration("grace", book);
    if !pushes {
        if let Given::Set(grace) = &grace {
            book.mistake(
                &grace.at,
                "`grace` is for checks whose jobs report by themselves",
            )
            .hint("add `push = true`");
        }
        return None;
    }
    for name in ASKED {
        if let Some(node) = fields.node(name) {
            book.mistake(
                &node.at,
                format!(
                    "nothing is asked where a job reports by itself, so `{name}` means nothing"
                ),
            )
            .hint(format!("take `{name}` out, or `push`"));
        }
    }
    Some(grace)
}

/// Unless it says, a report may be late by a tenth of the interval.
pub(super) fn grace(given: Given<Duration>, interval: Duration) -> Duration {
    given.unwrap_or(interval / 10)
}
