//! A configuration as text: every default filled in, every secret hidden.

use std::{path::Path, time::Duration};

use super::{
    Config, Gate, LogFormat, Mode, Nats, ObjectContent, StoreSettings, SyncInterval,
    check::route::TRUST, hide::without_userinfo,
};
use crate::{
    check::{Check, Dialect, Disagreement, Route, Rules, Secret, Severity},
    window::{When, Window},
};

/// Writes `config` as TOML.
pub fn show(config: &Config) -> String {
    let mut out = Page(nats(&config.nats));
    out.section("http");
    out.text("listen", config.http.listen.as_deref().unwrap_or_default());
    out.secret("token", config.http.token.as_ref());
    out.secret("read_token", config.http.read_token.as_ref());
    out.path("tls_cert", config.http.tls_cert.as_deref());
    out.path("tls_key", config.http.tls_key.as_deref());
    out.section("log");
    out.text(
        "format",
        match config.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        },
    );
    out.text("filter", &config.log.filter);
    let scheduler = &config.scheduler;
    out.section("scheduler");
    let mode = match scheduler.mode {
        Mode::Local => "local",
        Mode::Shared => "shared",
    };
    out.text("mode", mode);
    out.plain("concurrency", scheduler.concurrency);
    out.plain("per_host", scheduler.per_host);
    out.duration("grace", scheduler.grace);
    out.maybe("instance", scheduler.instance.as_deref());
    out.plain("fast_start", scheduler.fast_start);
    out.duration("tick", scheduler.tick);
    show_gate(&config.gate, &mut out);
    show_store(&config.store, &mut out);
    for window in &config.maintenance {
        show_window(window, &mut out);
    }
    for check in &config.checks {
        show_check(check, &mut out);
    }
    out.0
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
    out.0
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
    let list = |items: &[String]| items.join(", ");
    if !check.tags.is_empty() {
        let tags: Vec<_> = check.tags.iter().map(|tag| quoted(tag)).collect();
        out.plain("tags", format!("[{}]", list(&tags)));
    }
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
    show_route(&check.target.route, out);
}

fn show_route(route: &Route, out: &mut Page) {
    let mut words = TRUST.iter().filter(|(_, trust)| *trust == route.trust);
    out.maybe("trust", words.next().map(|(word, _)| *word));
    out.path("ca", route.ca.as_deref());
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
struct Page(String);

impl Page {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}[{name}]"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.push_str(&line.to_string());
        self.0.push('\n');
    }

    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
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
