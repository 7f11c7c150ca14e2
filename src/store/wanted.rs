//! How the buckets and streams are meant to be.
//!
//! The two that readers open, reports and summaries, equal what nats.js 2.29
//! sends, so that daemon and clients may make them in either order, or both at
//! once.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::flags::MAX_FLAG;
use super::{
    EVENT_STREAM, FAILURE_BUCKET, FLAG_BUCKET, HISTORY_STREAM, KV_BUCKET, LEDGER_BUCKET,
    OBJECT_BUCKET, REQUEST_STREAM, ROLLUP_BUCKET, SLOT_STREAM,
};
use crate::config::StoreSettings;

/// A request published twice within this time is one.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Status changes are kept so long.
const EVENTS_MAX_AGE: Duration = Duration::from_secs(90 * 86_400);
/// They may take this many bytes, far more than 90 days of changes need.
const EVENTS_MAX_BYTES: i64 = 64 << 20;

/// Hours and days are kept so long.
const ROLLUPS_MAX_AGE: Duration = Duration::from_secs(40 * 86_400);
/// They may take this many bytes: a month of 1,500 checks, some 2 KB a day each.
const ROLLUPS_MAX_BYTES: i64 = 128 << 20;

/// A stream as it is meant to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its configuration.
    pub config: Config,
    /// Whether the operator said so: then an existing one is changed.
    pub explicit: bool,
}

/// The stream of an object store.
pub fn object_stream(bucket: &str) -> String {
    format!("OBJ_{bucket}")
}

/// The stream of the KV bucket of summaries.
pub fn kv_stream() -> String {
    format!("KV_{KV_BUCKET}")
}

/// The stream of the KV bucket of what requests came to.
pub fn ledger_stream() -> String {
    format!("KV_{LEDGER_BUCKET}")
}

/// Everything that supercheck keeps in NATS.
pub fn wanted(settings: &StoreSettings) -> Vec<Wanted> {
    let explicit = |config, explicit| Wanted { config, explicit };
    let mut wanted = vec![
        explicit(
            objects(settings, OBJECT_BUCKET, settings.object_ttl),
            settings.object_ttl_set,
        ),
        explicit(
            objects(settings, FAILURE_BUCKET, settings.failure_ttl),
            settings.failure_ttl_set,
        ),
        explicit(summaries(settings), settings.kv_ttl_set),
        explicit(requests(settings), settings.requests.set),
        explicit(ledger(settings), settings.requests.set),
        explicit(events(settings), false),
        explicit(flags(settings), false),
    ];
    if settings.shared {
        wanted.push(explicit(slots(settings), false));
    }
    if settings.history.enabled {
        wanted.push(explicit(history(settings), settings.history.set));
        wanted.push(explicit(rollups(settings), false));
    }
    wanted
}

fn stream(settings: &StoreSettings, name: String, subjects: Vec<String>) -> Config {
    Config {
        name,
        subjects,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        num_replicas: settings.replicas,
        allow_direct: true,
        allow_rollup: true,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        ..Config::default()
    }
}

fn objects(settings: &StoreSettings, bucket: &str, max_age: Duration) -> Config {
    let subjects = vec![format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")];
    Config {
        max_age,
        ..stream(settings, object_stream(bucket), subjects)
    }
}

fn summaries(settings: &StoreSettings) -> Config {
    Config {
        max_age: settings.kv_ttl,
        max_messages_per_subject: 1,
        ..stream(settings, kv_stream(), vec![format!("$KV.{KV_BUCKET}.>")])
    }
}

/// No age limit: what was accepted does not vanish. What does not fit is
/// refused, which the asker is told.
fn requests(settings: &StoreSettings) -> Config {
    Config {
        retention: RetentionPolicy::WorkQueue,
        max_messages: settings.requests.max_waiting,
        max_bytes: settings.requests.max_bytes,
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: false,
        allow_rollup: false,
        ..stream(
            settings,
            REQUEST_STREAM.to_owned(),
            vec!["supercheck.requests.*".to_owned()],
        )
    }
}

/// One message of each check: a newer slot takes the place of an older one.
fn slots(settings: &StoreSettings) -> Config {
    Config {
        retention: RetentionPolicy::WorkQueue,
        max_messages_per_subject: 1,
        discard: DiscardPolicy::Old,
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: false,
        allow_rollup: false,
        ..stream(
            settings,
            SLOT_STREAM.to_owned(),
            vec!["supercheck.slots.*".to_owned()],
        )
    }
}

fn ledger(settings: &StoreSettings) -> Config {
    Config {
        max_age: settings.requests.keep,
        max_messages_per_subject: 1,
        max_bytes: settings.requests.keep_bytes,
        discard: DiscardPolicy::Old,
        ..stream(
            settings,
            ledger_stream(),
            vec![format!("$KV.{LEDGER_BUCKET}.>")],
        )
    }
}

fn flags(settings: &StoreSettings) -> Config {
    Config {
        max_age: MAX_FLAG,
        max_messages_per_subject: 1,
        ..stream(
            settings,
            format!("KV_{FLAG_BUCKET}"),
            vec![format!("$KV.{FLAG_BUCKET}.>")],
        )
    }
}

fn history(settings: &StoreSettings) -> Config {
    Config {
        max_age: settings.history.max_age,
        max_bytes: settings.history.max_bytes,
        max_messages_per_subject: settings.history.max_per_check,
        discard: DiscardPolicy::Old,
        duplicate_window: DUPLICATE_WINDOW,
        allow_rollup: false,
        ..stream(
            settings,
            HISTORY_STREAM.to_owned(),
            vec!["supercheck.history.*".to_owned()],
        )
    }
}

fn events(settings: &StoreSettings) -> Config {
    Config {
        max_age: EVENTS_MAX_AGE,
        max_bytes: EVENTS_MAX_BYTES,
        discard: DiscardPolicy::Old,
        duplicate_window: DUPLICATE_WINDOW,
        allow_rollup: false,
        ..stream(
            settings,
            EVENT_STREAM.to_owned(),
            vec!["supercheck.events.>".to_owned()],
        )
    }
}

fn rollups(settings: &StoreSettings) -> Config {
    Config {
        max_age: ROLLUPS_MAX_AGE,
        max_messages_per_subject: 1,
        max_bytes: ROLLUPS_MAX_BYTES,
        discard: DiscardPolicy::Old,
        allow_rollup: false,
        ..stream(
            settings,
            format!("KV_{ROLLUP_BUCKET}"),
            vec![format!("$KV.{ROLLUP_BUCKET}.>")],
        )
    }
}
