//! A configuration as text: every default filled in, every secret hidden.

use std::{path::Path, time::Duration};

use url::Url;

use super::{
    Config, Gate, LogFormat, Mode, Nats, ObjectContent, Scheduler, StoreSettings, SyncInterval,
    check::{
        for_others,
        route::{FAMILIES, TRUST, VERSIONS},
    },
    hide::without_userinfo,
};
use crate::{
    check::{Check, Dialect, Disagreement, Rules, Secret, Severity},
    request::UrlPattern,
    window::{When, Window},
};

/// Writes `config` as TOML.
pub fn show(config: &Config) -> String {
    let mut out = Page {
        text: nats(&config.nats),
        ..Page::default()
    };
    out.section("http");
    out.text("listen", config.http.listen.as_deref().unwrap_or_default());
    if !config.http.hosts.is_empty() {
        out.list("hosts", config.http.hosts.iter());
    }
    out.secret("token", config.http.token.as_ref());
    out.secret("read_token", config.http.read_token.as_ref());
    out.path("tls_cert", config.http.tls_cert.as_deref());
    out.path("tls_key", config.http.tls_key.as_deref());
    out.duration("drain", config.http.drain);
    out.section("log");
    out.text(
        "format",
        match config.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        },
    );
    out.text("filter", &config.log.filter);
    show_scheduler(&config.scheduler, &mut out);
    show_gate(&config.gate, &mut out);
    show_store(&config.store, &mut out);
    for window in &config.maintenance {
        show_window(window, &mut out);
    }
    for check in &config.checks {
        show_check(check, &mut out);
    }
    out.text
}

fn show_scheduler(scheduler: &Scheduler, out: &mut Page) {
    out.section("scheduler");
    let mode = match scheduler.mode {
        Mode::Local => "local",
        Mode::Shared => "shared",
    };
    out.text("mode", mode);
    out.plain("concurrency", scheduler.concurrency);
    out.plain("per_host", scheduler.per_host);
    out.plain("per_host_rate", scheduler.per_host_rate.unwrap_or(0));
    out.duration("jitter", scheduler.jitter);
    out.duration("grace", scheduler.grace);
    out.maybe("instance", scheduler.instance.as_deref());
    out.plain("fast_start", scheduler.fast_start);
    out.duration("tick", scheduler.tick);
}

fn show_gate(gate: &Gate, out: &mut Page) {
    out.section("gate");
    let urls: Vec<_> = gate.urls.iter().map(|url| quoted(&url.shown)).collect();
    out.plain("urls", format!("[{}]", urls.join(", ")));
    out.duration("interval", gate.interval);
    out.duration("timeout", gate.timeout);
}

fn show_store(store: &StoreSettings, out: &mut Page) {
    let StoreSettings {
        requests, history, ..
    } = store;
    out.section("store");
    out.duration(
        &if_set("object_ttl", store.object_ttl_set),
        store.object_ttl,
    );
    out.duration(
        &if_set("failure_ttl", store.failure_ttl_set),
        store.failure_ttl,
    );
    out.duration(&if_set("kv_ttl", store.kv_ttl_set), store.kv_ttl);
    out.plain("replicas", store.replicas);
    out.text(
        "object_content",
        match store.object_content {
            ObjectContent::Report => "report",
            ObjectContent::Document => "document",
        },
    );
    let key = |name| if_set(name, requests.set);
    out.section("requests");
    out.plain(&key("max_waiting"), requests.max_waiting);
    out.plain(&key("max_bytes"), requests.max_bytes);
    out.duration(&key("keep"), requests.keep);
    out.plain(&key("keep_bytes"), requests.keep_bytes);
    let urls = requests.allow.urls.iter().map(UrlPattern::as_str);
    out.list("allow_urls", urls);
    let networks = requests.allow.networks.iter();
    out.list("allow_networks", networks.map(ToString::to_string));
    let key = |name| if_set(name, history.set);
    out.section("history");
    out.plain("enabled", history.enabled);
    out.duration(&key("max_age"), history.max_age);
    out.plain(&key("max_bytes"), history.max_bytes);
    out.plain(&key("max_per_check"), history.max_per_check);
}

/// A comment while it is not set: set, it would change a bucket or a stream
/// that is there already.
fn if_set(key: &str, set: bool) -> String {
    if set {
        key.to_owned()
    } else {
        format!("# {key}")
    }
}

/// Writes the section `[nats]`.
pub(super) fn nats(nats: &Nats) -> String {
    let mut out = Page::default();
    out.section("nats");
    let servers = |list: &str| {
        let shown: Vec<_> = list.split(',').map(without_userinfo).collect();
        shown.join(",")
    };
    out.maybe("url", nats.url.as_deref().map(servers).as_deref());
    out.path("credentials", nats.credentials.as_deref());
    out.secret("token", nats.token.as_ref());
    out.maybe("user", nats.user.as_deref());
    out.secret("password", nats.password.as_ref());
    out.secret("nkey_seed", nats.nkey_seed.as_ref());
    out.path("tls_ca", nats.tls_ca.as_deref());
    out.path("tls_cert", nats.tls_cert.as_deref());
    out.path("tls_key", nats.tls_key.as_deref());
    out.plain("require_tls", nats.require_tls);
    out.maybe("inbox_prefix", nats.inbox_prefix.as_deref());
    out.path("server_binary", nats.server_binary.as_deref());
    out.text("listen", &nats.listen);
    match nats.sync_interval {
        None => {}
        Some(SyncInterval::Always) => out.text("sync_interval", "always"),
        Some(SyncInterval::Every(every)) => out.duration("sync_interval", every),
    }
    if let Some(bytes) = nats.max_store {
        out.plain("max_store", bytes);
    }
    out.text
}

fn show_window(window: &Window, out: &mut Page) {
    out.section("[maintenance]");
    out.text("name", &window.name);
    let selector = &window.selector;
    for (key, words) in [
        ("checks", &selector.checks),
        ("groups", &selector.groups),
        ("tags", &selector.tags),
    ] {
        if !words.is_empty() {
            let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            out.plain(key, format!("[{}]", words.join(", ")));
        }
    }
    match &window.when {
        When::Once { from, until } => {
            out.text("from", &from.to_string());
            out.text("until", &until.to_string());
        }
        When::Recurring(recurring) => {
            out.text("schedule", &recurring.schedule);
            out.duration("duration", recurring.duration);
            out.text("time_zone", recurring.zone.name());
        }
    }
}

fn show_check(check: &Check, out: &mut Page) {
    let others = for_others(check.target.url.scheme());
    out.left_out = others
        .iter()
        .flat_map(|(names, _)| *names)
        .copied()
        .collect();
    out.section("[check]");
    out.text("name", check.name.as_str());
    match check.grace {
        Some(grace) => {
            out.plain("push", true);
            out.duration("grace", grace);
        }
        None => out.text("url", &check.shown_url),
    }
    out.text("object", &check.object);
    if !check.is_push() {
        show_asked(check, out);
    }
    out.duration("interval", check.interval);
    out.maybe("group", check.group.as_deref());
    out.list("tags", check.tags.iter());
    let list = |items: &[String]| items.join(", ");
    out.plain("json", check.rules.json);
    show_reading(&check.rules, out);
    if !check.rules.expect.is_empty() {
        let conditions: Vec<_> = check
            .rules
            .expect
            .iter()
            .map(|expect| match expect.severity {
                Severity::Fail => quoted(&expect.cel),
                Severity::Warn => {
                    format!("{{ cel = {}, severity = \"warn\" }}", quoted(&expect.cel))
                }
            })
            .collect();
        out.plain("expect", format!("[{}]", list(&conditions)));
    }
    out.plain("fail_after", check.thresholds.fail_after);
    out.plain("recover_after", check.thresholds.recover_after);
    out.plain("max_body", check.target.max_body);
    out.left_out.clear();
}

/// Writes what is asked, and how.
fn show_asked(check: &Check, out: &mut Page) {
    out.text("method", &check.target.method);
    if !check.target.headers.is_empty() {
        let headers = check
            .target
            .headers
            .iter()
            .map(|(name, _)| format!("{} = \"…\"", quoted(name)));
        let headers = headers.collect::<Vec<_>>().join(", ");
        out.plain("headers", format!("{{ {headers} }}"));
    }
    out.secret("body", check.target.body.as_ref());
    out.duration("timeout", check.timeout);
    out.plain("attempts", check.attempts.most);
    out.duration("attempt_delay", check.attempts.delay);
    out.plain("max_redirects", check.target.max_redirects);
    if !check.rules.status.is_empty() {
        let codes: Vec<_> = check.rules.status.iter().map(ToString::to_string).collect();
        out.plain("status", format!("[{}]", codes.join(", ")));
    }
    if let Some(latency) = check.rules.max_latency {
        out.duration("max_latency", latency);
    }
    show_route(check, out);
}

fn show_route(check: &Check, out: &mut Page) {
    let route = &check.target.route;
    out.word("ip", &FAMILIES, &route.family);
    if let Some(dial) = &route.dial {
        let written = Url::parse(&check.shown_url).ok();
        let written = written.as_ref().and_then(Url::host_str).unwrap_or_default();
        let is_written = |host: &str| written.trim_matches(['[', ']']) == host;
        if !is_written(&dial.host) || dial.port.is_some() {
            out.text(
                "resolve",
                &match (dial.port, dial.host.contains(':')) {
                    (Some(port), true) => format!("[{}]:{port}", dial.host),
                    (Some(port), false) => format!("{}:{port}", dial.host),
                    (None, _) => dial.host.clone(),
                },
            );
        }
        if !is_written(&dial.name) {
            out.text("host", &dial.name);
        }
    }
    out.word("http", &VERSIONS, &route.http);
    out.maybe(
        "proxy",
        route.proxy.as_ref().map(|proxy| proxy.shown.as_str()),
    );
    out.word("trust", &TRUST, &route.trust);
    out.path("ca", route.ca.as_deref());
    out.plain("fresh_connection", route.fresh);
    if let Some(client) = &route.client {
        out.path("client_cert", Some(&client.certificate));
        out.path("client_key", Some(&client.key));
    }
}

fn show_reading(rules: &Rules, out: &mut Page) {
    out.text(
        "dialect",
        match rules.dialect {
            Dialect::Recognised => "auto",
            Dialect::None => "none",
            Dialect::Named(name) => name,
        },
    );
    out.text(
        "on_disagreement",
        match rules.on_disagreement {
            Disagreement::Worse => "worse",
            Disagreement::Http => "http",
            Disagreement::Document => "document",
        },
    );
    out.duration("certificate_warn", rules.certificate_warn);
}

/// The text, while it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// Settings that are not written.
    left_out: Vec<&'static str>,
}

impl Page {
    fn section(&mut self, name: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}[{name}]"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }

    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        if !self.left_out.contains(&key) {
            self.line(format_args!("{key} = {value}"));
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn list(&mut self, key: &str, values: impl Iterator<Item = impl AsRef<str>>) {
        let values: Vec<_> = values.map(|value| quoted(value.as_ref())).collect();
        if !values.is_empty() {
            self.plain(key, format!("[{}]", values.join(", ")));
        }
    }

    fn word<T: PartialEq>(&mut self, key: &str, words: &[(&str, T)], value: &T) {
        let word = words.iter().find(|(_, meant)| meant == value);
        self.maybe(key, word.map(|(word, _)| *word));
    }

    fn path(&mut self, key: &str, value: Option<&Path>) {
        self.maybe(key, value.map(Path::to_string_lossy).as_deref());
    }

    fn secret(&mut self, key: &str, value: Option<&Secret>) {
        self.maybe(key, value.map(|_| "…"));
    }

    fn duration(&mut self, key: &str, value: Duration) {
        self.text(key, &humantime::format_duration(value).to_string());
    }
}

/// Text as a TOML string in which nothing is replaced.
fn quoted(text: &str) -> String {
    toml::Value::String(text.replace("${", "$${")).to_string()
}
