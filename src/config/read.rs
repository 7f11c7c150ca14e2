//! From the tree to [`Config`], section by section.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Config, Http, Log, LogFormat, Nats, ObjectContent, Scheduler, StoreSettings, SyncInterval,
    check::{self, Defaults},
    fields::{At, Fields},
    mistake::{Book, Place},
    tree::{Node, Value},
};
use crate::check::Check;

/// Reads everything; `None` when something essential is missing, which is
/// then a mistake in the book.
pub(super) fn config(root: &Node, book: &mut Book) -> Option<Config> {
    let mut fields = Fields::of(root, book);
    let nats = nats(fields.section("nats", book), book);
    let http = http(fields.section("http", book), book);
    let log = log(fields.section("log", book), book);
    let scheduler = scheduler(fields.section("scheduler", book), book);
    let store = store(fields.section("store", book), book);
    let defaults = Defaults::read(fields.section("defaults", book), book);
    let checks = checks(fields.node("check"), &defaults, &store, book);
    fields.finish(book);
    Some(Config {
        nats,
        http,
        log,
        scheduler,
        store,
        checks,
    })
}

fn nats(mut fields: Fields<'_>, book: &mut Book) -> Nats {
    let sync = fields.text("sync_interval", book);
    let sync_interval = sync.and_then(|sync| sync_interval(&sync, book));
    let nats = Nats {
        url: fields
            .text("url", book)
            .map(|url| url.value)
            .filter(|url| !url.is_empty()),
        credentials: fields.path("credentials", book),
        token: fields.secret("token", book),
        user: fields.text("user", book).map(|user| user.value),
        password: fields.secret("password", book),
        nkey_seed: fields.secret("nkey_seed", book),
        tls_ca: fields.path("tls_ca", book),
        tls_cert: fields.path("tls_cert", book),
        tls_key: fields.path("tls_key", book),
        require_tls: fields.truth("require_tls", book).unwrap_or(false),
        inbox_prefix: fields.text("inbox_prefix", book).map(|prefix| prefix.value),
        server_binary: fields.path("server_binary", book),
        listen: address(fields.text("listen", book), book)
            .unwrap_or_else(|| "127.0.0.1:4222".to_owned()),
        sync_interval,
        max_store: fields.bytes("max_store", book),
    };
    if nats.tls_cert.is_some() != nats.tls_key.is_some() {
        book.mistake(&fields.at, "`tls_cert` and `tls_key` go together")
            .hint("set both or neither");
    }
    fields.finish(book);
    nats
}

fn sync_interval(sync: &At<String>, book: &mut Book) -> Option<SyncInterval> {
    if sync.value == "always" {
        return Some(SyncInterval::Always);
    }
    match humantime::parse_duration(&sync.value) {
        Ok(every) if every >= Duration::from_secs(1) => Some(SyncInterval::Every(every)),
        _ => {
            book.mistake(
                &sync.at,
                format!("`{}` is no interval to sync at", sync.value),
            )
            .hint("write `always`, or a duration of 1s or more such as `10s`");
            None
        }
    }
}

/// An address that can be listened on: `host:port`.
fn address(text: Option<At<String>>, book: &mut Book) -> Option<String> {
    let text = text?;
    let port = text.value.rsplit_once(':').and_then(|(host, port)| {
        (!host.is_empty())
            .then(|| port.parse::<u16>().ok())
            .flatten()
    });
    if port.is_none() {
        book.mistake(
            &text.at,
            format!("`{}` is no address to listen on", text.value),
        )
        .hint("write host and port, such as `127.0.0.1:8080`; port 0 takes a free one");
        return None;
    }
    Some(text.value)
}

fn http(mut fields: Fields<'_>, book: &mut Book) -> Http {
    let listen = match fields.text("listen", book) {
        None => Some("127.0.0.1:8080".to_owned()),
        Some(text) if text.value.is_empty() => None,
        text => address(text, book),
    };
    fields.finish(book);
    Http { listen }
}

fn log(mut fields: Fields<'_>, book: &mut Book) -> Log {
    let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = fields
        .word("format", &words, book)
        .unwrap_or(LogFormat::Text);
    let filter = fields
        .text("filter", book)
        .map_or_else(|| "info".to_owned(), |text| text.value);
    fields.finish(book);
    Log { format, filter }
}

fn scheduler(mut fields: Fields<'_>, book: &mut Book) -> Scheduler {
    let count = |number: Option<u64>, default| {
        number
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(default)
    };
    let scheduler = Scheduler {
        concurrency: count(fields.number("concurrency", 1..=100_000, book), 512),
        per_host: count(fields.number("per_host", 1..=100_000, book), 16),
        grace: fields
            .duration("grace", book)
            .map_or(Duration::from_secs(10), |grace| grace.value),
        instance: fields.text("instance", book).map(|text| text.value),
        fast_start: fields.truth("fast_start", book).unwrap_or(false),
        tick: fields
            .duration("tick", book)
            .map_or(Duration::from_millis(50), |tick| tick.value),
    };
    fields.finish(book);
    scheduler
}

fn store(mut fields: Fields<'_>, book: &mut Book) -> StoreSettings {
    let default = StoreSettings::default();
    let object_ttl = fields.duration("object_ttl", book);
    let kv_ttl = fields.duration("kv_ttl", book);
    for ttl in [&object_ttl, &kv_ttl].into_iter().flatten() {
        if ttl.value < Duration::from_secs(1) {
            book.mistake(&ttl.at, "what is stored must stay for a second at least");
        }
    }
    let words = [
        ("report", ObjectContent::Report),
        ("document", ObjectContent::Document),
    ];
    let replicas = fields.number("replicas", 1..=5, book);
    let settings = StoreSettings {
        object_ttl_set: object_ttl.is_some(),
        object_ttl: object_ttl.map_or(default.object_ttl, |ttl| ttl.value),
        kv_ttl_set: kv_ttl.is_some(),
        kv_ttl: kv_ttl.map_or(default.kv_ttl, |ttl| ttl.value),
        replicas: replicas
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default.replicas),
        object_content: fields
            .word("object_content", &words, book)
            .unwrap_or(default.object_content),
    };
    fields.finish(book);
    settings
}

fn checks(
    node: Option<&Node>,
    defaults: &Defaults,
    store: &StoreSettings,
    book: &mut Book,
) -> Vec<Arc<Check>> {
    let nodes: &[Node] = match node.map(|node| &node.value) {
        Some(Value::List(nodes)) => nodes,
        None => &[],
        Some(_) => {
            if let Some(node) = node {
                book.mistake(&node.at, "`check` is not a list")
                    .hint("write `[[check]]`, with two brackets");
            }
            return Vec::new();
        }
    };
    if nodes.is_empty() {
        book.warn(
            &Place::Whole,
            "there are no checks",
            "add `[[check]]` with a `name` and a `url`",
        );
    }
    let mut names = BTreeMap::new();
    let mut objects = BTreeMap::new();
    let mut checks = BTreeMap::new();
    for node in nodes {
        let Some(read) = check::read(node, defaults, book) else {
            continue;
        };
        let check = read.check;
        if check.interval >= store.object_ttl {
            book.warn(
                &read.interval_at,
                format!(
                    "the report of `{}` is absent for part of each cycle",
                    check.name
                ),
                "make `interval` shorter than `store.object_ttl` (30s unless set); the summary \
                 serves it all the time",
            );
        }
        if let Some(first) = names.get(&check.name) {
            book.mistake(
                &read.name_at,
                format!("a second check is named `{}`", check.name),
            )
            .hint("check names are keys in the store, so each must be its own");
            book.note(first, "the first is here");
            continue;
        }
        if let Some(first) = objects.get(&check.object) {
            book.mistake(
                &read.object_at,
                format!("a second check stores its report as `{}`", check.object),
            )
            .hint("give one of them an `object` name of its own");
            book.note(first, "the first is here");
        }
        objects.insert(check.object.clone(), read.object_at);
        names.insert(check.name.clone(), read.name_at);
        checks.insert(check.name.clone(), Arc::new(check));
    }
    checks.into_values().collect()
}

/// Numbers for thresholds.
pub(super) const AT_LEAST_ONE: std::ops::RangeInclusive<u64> = 1..=1000;
