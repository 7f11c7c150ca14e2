//! The sections `[store]`, `[requests]` and `[history]`: what is kept in NATS,
//! for how long, and how much of it.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    History, ObjectContent, Requests, StoreSettings,
    book::Book,
    fields::Fields,
    value::{Given, Text},
};
use crate::{
    check::Network,
    request::{Allowance, UrlPattern},
};

/// A stream takes messages of up to 1 MiB; its bytes go up to a petabyte, which
/// is beyond any disk.
const BYTES: RangeInclusive<u64> = 1 << 20..=1 << 50;

/// Requests that may wait: more of them could not be answered in time.
const WAITING: RangeInclusive<u32> = 1..=10_000_000;

/// Summaries of one check: 30 years of one a second.
const PER_CHECK: RangeInclusive<u32> = 1..=1_000_000_000;

/// As long as the streams know a message that is sent twice. What was recorded
/// of a request takes over from there, and NATS refuses a history that is
/// shorter.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Reads all three.
pub(super) fn read(root: &mut Fields<'_>, book: &mut Book) -> StoreSettings {
    let store = store(root.section("store", book), book);
    StoreSettings {
        requests: requests(root.section("requests", book), book),
        history: history(root.section("history", book), book),
        ..store
    }
}

fn store(mut fields: Fields<'_>, book: &mut Book) -> StoreSettings {
    let default = StoreSettings::default();
    let words = [
        ("report", ObjectContent::Report),
        ("document", ObjectContent::Document),
    ];
    let object_ttl = time_to_live(&mut fields, "object_ttl", book);
    let failure_ttl = time_to_live(&mut fields, "failure_ttl", book);
    let kv_ttl = time_to_live(&mut fields, "kv_ttl", book);
    let settings = StoreSettings {
        object_ttl_set: object_ttl.is_some(),
        object_ttl: object_ttl.unwrap_or(default.object_ttl),
        failure_ttl_set: failure_ttl.is_some(),
        failure_ttl: failure_ttl.unwrap_or(default.failure_ttl),
        kv_ttl_set: kv_ttl.is_some(),
        kv_ttl: kv_ttl.unwrap_or(default.kv_ttl),
        replicas: replicas(&mut fields, book).unwrap_or(default.replicas),
        object_content: fields
            .word("object_content", &words, book)
            .unwrap_or(default.object_content),
        ..default
    };
    fields.finish(book);
    settings
}

fn requests(mut fields: Fields<'_>, book: &mut Book) -> Requests {
    const MORE: &str = "make it `1MiB` or more; there is always a bound";
    let default = Requests::default();
    let shaping = ["max_waiting", "max_bytes", "keep", "keep_bytes"];
    let set = shaping.iter().any(|name| fields.has(name));
    let requests = Requests {
        max_waiting: fields
            .number("max_waiting", WAITING, book)
            .map_or(default.max_waiting, |number| number.value.into()),
        max_bytes: bytes(&mut fields, "max_bytes", MORE, book).unwrap_or(default.max_bytes),
        keep: keep(&mut fields, book).unwrap_or(default.keep),
        keep_bytes: bytes(&mut fields, "keep_bytes", MORE, book).unwrap_or(default.keep_bytes),
        allow: Arc::new(allowance(&mut fields, book)),
        set,
    };
    fields.finish(book);
    requests
}

/// Which URLs may be asked that no check is configured for, and where.
fn allowance(fields: &mut Fields<'_>, book: &mut Book) -> Allowance {
    let mut allow = Allowance::default();
    for found in fields.texts_at("allow_urls", book).unwrap_or_default() {
        match UrlPattern::parse(&found.value) {
            Ok(pattern) => allow.urls.push(pattern),
            Err(why) => book
                .mistake(
                    &found.at,
                    format!("{} is no set of URLs: {why}", found.said),
                )
                .hint(
                    "write such as `https://*.example.com/*`; there is `*:*` for any host and port",
                ),
        }
    }
    let networks = fields.texts_at("allow_networks", book).unwrap_or_default();
    let networks = networks.into_iter();
    let network = |found: Text| {
        let network = found.value.parse::<Network>();
        if network.is_err() {
            book.mistake(&found.at, format!("{} is no network", found.said))
                .hint("write such as `10.1.0.0/16` or `fd00:1::/32`");
        }
        network.ok()
    };
    allow.networks = networks.filter_map(network).collect();
    allow
}

fn history(mut fields: Fields<'_>, book: &mut Book) -> History {
    const MORE: &str = "make it `1MiB` or more; `enabled = false` keeps no history";
    let default = History::default();
    let shaping = ["max_age", "max_bytes", "max_per_check"];
    let set = shaping.iter().any(|name| fields.has(name));
    let history = History {
        enabled: fields.truth("enabled", book).unwrap_or(default.enabled),
        max_age: max_age(&mut fields, book).unwrap_or(default.max_age),
        max_bytes: bytes(&mut fields, "max_bytes", MORE, book).unwrap_or(default.max_bytes),
        max_per_check: fields
            .number("max_per_check", PER_CHECK, book)
            .map_or(default.max_per_check, |number| number.value.into()),
        set,
    };
    fields.finish(book);
    history
}

fn time_to_live(fields: &mut Fields<'_>, name: &'static str, book: &mut Book) -> Option<Duration> {
    let message = "what is stored must stay for a second at least";
    let hint = "make it `1s` or more";
    at_least(Duration::from_secs(1), fields, name, message, hint, book)
}

fn keep(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    let message = "results must be kept for 2 minutes at least";
    let hint = "make it `2m` or more: for so long the queue knows a request that is sent twice";
    at_least(DUPLICATE_WINDOW, fields, "keep", message, hint, book)
}

fn max_age(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    let message = "history must be kept for 2 minutes at least";
    let hint = "make it `2m` or more; `enabled = false` keeps no history";
    at_least(DUPLICATE_WINDOW, fields, "max_age", message, hint, book)
}

/// A duration that is not shorter than `least`.
fn at_least(
    least: Duration,
    fields: &mut Fields<'_>,
    name: &'static str,
    message: &str,
    hint: &str,
    book: &mut Book,
) -> Option<Duration> {
    let Given::Set(found) = fields.duration(name, book) else {
        return None;
    };
    if found.value < least {
        book.mistake(&found.at, message).hint(hint);
    }
    Some(found.value)
}

/// How many bytes a stream may take; `more` is what helps when there are too
/// few.
fn bytes(fields: &mut Fields<'_>, name: &'static str, more: &str, book: &mut Book) -> Option<i64> {
    let found = fields.bytes(name, book)?;
    if found.value < *BYTES.start() {
        let message = format!("`{name}` leaves no room for a large message");
        book.mistake(&found.at, message).hint(more);
    } else if found.value > *BYTES.end() {
        let message = format!("`{name}` is more than any server stores");
        book.mistake(&found.at, message)
            .hint("make it `1024TiB` or less");
    }
    i64::try_from(found.value).ok()
}

fn replicas(fields: &mut Fields<'_>, book: &mut Book) -> Option<usize> {
    let found = fields.number("replicas", 1..=5, book)?;
    if found.value % 2 == 0 {
        let message = format!("{} is no number of replicas", found.value);
        book.mistake(&found.at, message)
            .hint("write 1, 3 or 5: a majority must be there, so an even number adds nothing");
    }
    usize::try_from(found.value).ok()
}
