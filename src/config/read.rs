//! From the tree to [`Config`], section by section.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use url::Url;

use super::{
    Config, Log, LogFormat, Mode, Nats, Scheduler, StoreSettings, SyncInterval,
    book::Book,
    check::{self, Defaults},
    fields::Fields,
    gate,
    hide::without_userinfo,
    http, maintenance,
    mistake::Place,
    streams,
    tree::{Node, Value},
    value::Text,
};
use crate::check::{Check, CheckName};

/// Reads everything; it can be used when there are no mistakes in the book.
pub(super) fn config(root: &Node, book: &mut Book) -> Config {
    let mut fields = Fields::of(root).unwrap_or_else(Fields::none);
    let nats = nats(fields.section("nats", book), book);
    let http = http::read(fields.section("http", book), book);
    let log = log(fields.section("log", book), book);
    let scheduler = scheduler(fields.section("scheduler", book), book);
    let gate = gate::read(fields.section("gate", book), book);
    let store = StoreSettings {
        shared: scheduler.mode == Mode::Shared,
        ..streams::read(&mut fields, book)
    };
    let defaults = Defaults::read(fields.section("defaults", book), book);
    let checks = checks(fields.node("check"), &defaults, &store, book);
    let named = checks.iter().map(AsRef::as_ref);
    let maintenance = maintenance::read(fields.node("maintenance"), &named, book);
    fields.finish(book);
    Config {
        nats,
        http,
        log,
        scheduler,
        gate,
        store,
        maintenance,
        checks,
    }
}

fn nats(mut fields: Fields<'_>, book: &mut Book) -> Nats {
    fields.pair("user", "password", book);
    fields.pair("tls_cert", "tls_key", book);
    let url = fields.text("url", book);
    let sync_interval = fields.text("sync_interval", book);
    let listen = fields.text("listen", book);
    let shown = listen
        .as_ref()
        .filter(|listen| !is_loopback(&listen.value))
        .map(|listen| listen.at.clone());
    let nats = Nats {
        url: url.and_then(|url| nats_url(url, book)),
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
        listen: listen
            .and_then(|listen| address(listen, book))
            .unwrap_or_else(|| "127.0.0.1:4222".to_owned()),
        sync_interval: sync_interval.and_then(|sync| read_sync_interval(&sync, book)),
        max_store: fields.bytes("max_store", book).map(|bytes| bytes.value),
    };
    if let Some(at) = shown
        && nats.url.is_none()
        && nats.token.is_none()
        && nats.user.is_none()
    {
        let hint = "set `nats.token`, or `nats.user` and `nats.password`";
        book.warn(
            &at,
            "anybody who reaches this address can read and write everything",
            hint,
        );
    }
    fields.finish(book);
    nats
}

/// Whether only programs on this host reach `address`.
fn is_loopback(address: &str) -> bool {
    let by_name = || address.starts_with("localhost:");
    let parsed = address.parse::<SocketAddr>();
    parsed.map_or_else(|_| by_name(), |address| address.ip().is_loopback())
}

/// A URL that the NATS client takes; without a scheme it is `nats://`.
fn nats_url(text: Text, book: &mut Book) -> Option<String> {
    if text.value.is_empty() {
        return None;
    }
    // Also as it is shown, without user and password, it is one.
    let wrong = |url| why_no_url(url).or_else(|| why_no_url(&without_userinfo(url)));
    let Some(why) = text.value.split(',').find_map(wrong) else {
        return Some(text.value);
    };
    book.mistake(&text.at, format!("{} is no URL of NATS: {why}", text.said))
        .hint(
            "write such as `nats://127.0.0.1:4222` or `tls://nats.example.com`; commas separate \
             the servers of a cluster",
        );
    None
}

/// What keeps `url` from being one server's URL.
fn why_no_url(url: &str) -> Option<String> {
    let url = url.trim();
    let parsed = if url.contains("://") {
        Url::parse(url)
    } else {
        Url::parse(&format!("nats://{url}"))
    };
    let odd = |c: char| !c.is_ascii_graphic() || c == '\\';
    match parsed {
        _ if url.contains(odd) => Some("it holds a character that is not for URLs".to_owned()),
        Ok(url) if !matches!(url.scheme(), "nats" | "tls") => {
            Some(format!("the scheme `{}` is not spoken", url.scheme()))
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => Some("it names no host".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

fn read_sync_interval(sync: &Text, book: &mut Book) -> Option<SyncInterval> {
    if sync.value == "always" {
        return Some(SyncInterval::Always);
    }
    match humantime::parse_duration(&sync.value) {
        Ok(every) if (1..=86_400).contains(&every.as_secs()) => Some(SyncInterval::Every(every)),
        Ok(_) | Err(_) => {
            book.mistake(&sync.at, format!("{} is no interval to sync at", sync.said))
                .hint("write `always`, or a duration from 1s to 1day such as `10s`");
            None
        }
    }
}

/// An address that can be listened on: `host:port`.
pub(super) fn address(text: Text, book: &mut Book) -> Option<String> {
    let by_name = || {
        let (host, port) = text.value.rsplit_once(':')?;
        let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
        let sound = !host.is_empty() && host.bytes().all(letter);
        (sound && port.parse::<u16>().is_ok()).then_some(())
    };
    if text.value.parse::<SocketAddr>().is_err() && by_name().is_none() {
        book.mistake(
            &text.at,
            format!("{} is no address to listen on", text.said),
        )
        .hint("write host and port, such as `127.0.0.1:8080`; port 0 takes a free one");
        return None;
    }
    Some(text.value)
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
    let modes = [("local", Mode::Local), ("shared", Mode::Shared)];
    let mut count = |name, default| {
        let number = fields.number(name, 1..=100_000, book);
        number
            .and_then(|number| usize::try_from(number.value).ok())
            .unwrap_or(default)
    };
    let concurrency = count("concurrency", 512);
    let per_host = count("per_host", 16);
    let rate = fields.number("per_host_rate", 0..=100_000, book);
    let rate = rate.map(|rate| rate.value);
    let scheduler = Scheduler {
        concurrency,
        per_host,
        per_host_rate: rate.filter(|rate| *rate > 0),
        jitter: fields.duration("jitter", book).unwrap_or(Duration::ZERO),
        grace: fields
            .duration("grace", book)
            .unwrap_or(Duration::from_secs(10)),
        instance: fields.text("instance", book).map(|text| text.value),
        fast_start: fields.truth("fast_start", book).unwrap_or(false),
        tick: fields
            .duration("tick", book)
            .unwrap_or(Duration::from_millis(50)),
        mode: fields.word("mode", &modes, book).unwrap_or(Mode::Local),
    };
    fields.finish(book);
    scheduler
}

fn checks(
    node: Option<&Node>,
    defaults: &Defaults,
    store: &StoreSettings,
    book: &mut Book,
) -> Vec<Arc<Check>> {
    let nodes = match node.map(|node| (&node.value, &node.at)) {
        None => &[],
        Some((Value::List(nodes), _)) => nodes.as_slice(),
        Some((_, at)) => {
            book.mistake(at, "`check` is not a list")
                .hint("write `[[check]]`, with two brackets");
            return Vec::new();
        }
    };
    if nodes.is_empty() {
        let hint = "add `[[check]]` with a `name` and a `url`";
        book.warn(&Place::Whole, "there are no checks", hint);
    }
    let (mut names, mut objects) = (BTreeMap::new(), BTreeMap::new());
    let mut checks = BTreeMap::new();
    let mut before: Option<Arc<Check>> = None;
    let mut gaps = Vec::new();
    for node in nodes {
        let Some(read) = check::read(node, defaults, book) else {
            continue;
        };
        if let Some(name) = &read.name
            && let Some(first) = first(&mut names, name.value.as_str(), &name.at)
        {
            let message = format!("a second check is named `{}`", name.value);
            book.mistake(&name.at, message)
                .hint("check names are keys in the store, so each must be its own");
            book.note(&first, "the first is here");
            continue;
        }
        if let Some(object) = &read.object
            && let Some(first) = first(&mut objects, &object.value, &object.at)
        {
            let message = format!("a second check stores its report as {}", object.said);
            book.mistake(&object.at, message)
                .hint("give one of them an `object` name of its own");
            book.note(&first, "the first is here");
        }
        if let Some(mut check) = read.check {
            if let Some(before) = &before {
                check.share_with(before);
            }
            if check.interval >= store.object_ttl && !check.is_push() {
                gaps.push((check.name.clone(), read.interval_at));
            }
            let check = Arc::new(check);
            before = Some(Arc::clone(&check));
            checks.insert(check.name.clone(), check);
        }
    }
    warn_of_gaps(&gaps, book);
    checks.into_values().collect()
}

/// Where `key` was seen before; else it is noted as seen at `at`.
fn first(seen: &mut BTreeMap<String, Place>, key: &str, at: &Place) -> Option<Place> {
    match seen.entry(key.to_owned()) {
        Entry::Occupied(first) => Some(first.get().clone()),
        Entry::Vacant(free) => {
            free.insert(at.clone());
            None
        }
    }
}

/// Once, however many there are: most have their interval from one place.
fn warn_of_gaps(gaps: &[(CheckName, Place)], book: &mut Book) {
    let Some(((name, at), more)) = gaps.split_first() else {
        return;
    };
    let whose = match more.len() {
        0 => format!("report of `{name}` is"),
        more => format!("reports of `{name}` and {more} more are"),
    };
    let message = format!("the {whose} absent for part of each interval");
    let hint = "make `interval` shorter than `store.object_ttl` (30s unless set); the summary \
                serves it all the time";
    book.warn(at, message, hint);
}
