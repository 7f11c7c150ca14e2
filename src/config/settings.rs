//! Every setting there is: name, kind, default, meaning. The JSON Schema is
//! made from this table, and tests hold it against what is really read and
//! against the annotated example.

use crate::verdict::document::NAMES;

/// Sections that hold settings.
pub(super) const SECTIONS: [&str; 9] = [
    "nats",
    "http",
    "log",
    "scheduler",
    "gate",
    "store",
    "requests",
    "history",
    "defaults",
];

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A duration with a unit: `"30s"`.
    Duration,
    /// Bytes: `65536` or `"64KiB"`.
    Bytes,
    /// A whole number.
    Number,
    /// True or false.
    Truth,
    /// A list of text.
    Texts,
    /// A list of numbers.
    Numbers,
    /// One of some words.
    Word(&'static [&'static str]),
    /// Text by name.
    Headers,
    /// CEL conditions.
    Expect,
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The section, or `check`.
    pub section: &'static str,
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it is when not set, for a person; empty: unset.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn s(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting {
        section,
        name,
        kind,
        default,
        meaning,
    }
}

const ON_DISAGREEMENT: &[&str] = &["worse", "http", "document"];
/// `auto`, `none`, and the names of [`NAMES`].
const DIALECTS: &[&str] = &{
    let mut words = ["auto"; NAMES.len() + 2];
    let (_, rest) = words.split_at_mut(1);
    let (none, names) = rest.split_at_mut(1);
    none.copy_from_slice(&["none"]);
    names.copy_from_slice(&NAMES);
    words
};

/// Every setting, in the order of the annotated example. A row to a line reads best.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    s("nats", "url", Kind::Text, "", "where NATS is; unset: run an embedded nats-server"),
    s("nats", "credentials", Kind::Text, "", "path of a .creds file"),
    s("nats", "token", Kind::Text, "", "a token"),
    s("nats", "user", Kind::Text, "", "a user name"),
    s("nats", "password", Kind::Text, "", "the user's password"),
    s("nats", "nkey_seed", Kind::Text, "", "an nkey seed"),
    s("nats", "tls_ca", Kind::Text, "", "path of the certificates to trust, PEM"),
    s("nats", "tls_cert", Kind::Text, "", "path of our certificate, PEM"),
    s("nats", "tls_key", Kind::Text, "", "path of our certificate's key, PEM"),
    s("nats", "require_tls", Kind::Truth, "false", "refuse to speak without TLS"),
    s("nats", "inbox_prefix", Kind::Text, "_INBOX", "first token of reply subjects"),
    s("nats", "server_binary", Kind::Text, "", "embedded: the nats-server binary"),
    s("nats", "listen", Kind::Text, "127.0.0.1:4222", "embedded: the address it listens on"),
    s("nats", "sync_interval", Kind::Text, "2m", "embedded: how often it syncs to disk, or `always`"),
    s("nats", "max_store", Kind::Bytes, "", "embedded: how much it may store"),

    s("http", "listen", Kind::Text, "127.0.0.1:8080", "the address of the HTTP face; empty: none"),
    s("http", "hosts", Kind::Texts, "", "the names by which it is asked; unset, and on a loopback address: this host's own"),
    s("http", "token", Kind::Text, "", "who presents it may run checks; without one, local users may"),
    s("http", "read_token", Kind::Text, "", "who presents it may read; unset: everybody who gets there"),
    s("http", "tls_cert", Kind::Text, "", "path of the certificate chain to serve with, PEM"),
    s("http", "tls_key", Kind::Text, "", "path of that certificate's key, PEM"),
    s("http", "drain", Kind::Duration, "0s", "how long readers are served, and `/readyz` says `draining`, after a stop was asked for"),

    s("log", "format", Kind::Word(&["text", "json"]), "text", "how the log is written"),
    s("log", "filter", Kind::Text, "info", "what is logged: a level, or tracing directives"),

    s("scheduler", "mode", Kind::Word(&["local", "shared"]), "local", "local: every instance runs every check; shared: one of them does"),
    s("scheduler", "concurrency", Kind::Number, "512", "probes under way at once, in all"),
    s("scheduler", "per_host", Kind::Number, "16", "probes under way at once at one target host"),
    s("scheduler", "per_host_rate", Kind::Number, "0", "probes that may start at one target host in a second; 0: any number"),
    s("scheduler", "jitter", Kind::Duration, "0s", "scheduled runs start up to this long after their time, at random, a tenth of the interval at most"),
    s("scheduler", "grace", Kind::Duration, "10s", "how long runs in flight may take at shutdown"),
    s("scheduler", "instance", Kind::Text, "<host>-<pid>", "the daemon's name in reports"),
    s("scheduler", "fast_start", Kind::Truth, "false", "run every check once within 1.5 s of the start"),
    s("scheduler", "tick", Kind::Duration, "50ms", "starts are grouped on this grid; 0s: no grid"),

    s("gate", "urls", Kind::Texts, "", "while none of them answers, supercheck's own network is down and failing runs do not count"),
    s("gate", "interval", Kind::Duration, "10s", "how often they are asked, 1s or more"),
    s("gate", "timeout", Kind::Duration, "3s", "how long one of them may take"),

    s("store", "object_ttl", Kind::Duration, "30s", "how long a report stays in the object store"),
    s("store", "failure_ttl", Kind::Duration, "7days", "how long the last failing report of a check stays"),
    s("store", "kv_ttl", Kind::Duration, "1day", "how long a summary stays in the KV bucket"),
    s("store", "replicas", Kind::Number, "1", "copies in a cluster (1, 3 or 5), decided when a bucket is made"),
    s("store", "object_content", Kind::Word(&["report", "document"]), "report", "the report, or the target's own JSON alone"),

    s("requests", "max_waiting", Kind::Number, "100000", "requests that may wait in the queue; more are refused"),
    s("requests", "max_bytes", Kind::Bytes, "64MiB", "how much they may take together"),
    s("requests", "keep", Kind::Duration, "1h", "how long results are kept for who asks again, 2m or more"),
    s("requests", "keep_bytes", Kind::Bytes, "256MiB", "how much kept results may take together"),
    s("requests", "allow_urls", Kind::Texts, "", "URLs that may be asked although no check is configured for them, such as https://*.example.com/*"),
    s("requests", "allow_networks", Kind::Texts, "", "networks where such URLs may lead, beside public addresses"),

    s("history", "enabled", Kind::Truth, "true", "keep every summary"),
    s("history", "max_age", Kind::Duration, "7days", "how long summaries are kept, 2m or more"),
    s("history", "max_bytes", Kind::Bytes, "1GiB", "how much they may take in all"),
    s("history", "max_per_check", Kind::Number, "100000", "how many are kept of each check"),

    s("defaults", "interval", Kind::Duration, "10s", "start to start, for checks that do not say"),
    s("defaults", "timeout", Kind::Duration, "3s", "one probe, connect to last byte; shorter than the interval"),
    s("defaults", "headers", Kind::Headers, "", "headers for every check"),
    s("defaults", "fail_after", Kind::Number, "1", "failing runs in a row before `down`"),
    s("defaults", "recover_after", Kind::Number, "1", "runs in a row without a failure before `down` ends"),
    s("defaults", "attempts", Kind::Number, "1", "probes in one run, until one does not fail; not for POST and PATCH"),
    s("defaults", "attempt_delay", Kind::Duration, "500ms", "the pause before the next attempt"),
    s("defaults", "max_redirects", Kind::Number, "10", "redirects followed; 0: a redirect is the answer"),
    s("defaults", "max_body", Kind::Bytes, "1MiB", "a body is read to this size, then cut"),
    s("defaults", "ip", Kind::Word(&["any", "4", "6"]), "any", "which of a name's addresses are asked"),
    s("defaults", "http", Kind::Word(&["any", "1", "2"]), "any", "which version of HTTP is spoken"),
    s("defaults", "proxy", Kind::Text, "", "the URL of a proxy; HTTP_PROXY and the like are not looked at"),
    s("defaults", "trust", Kind::Word(&["verified", "any"]), "verified", "which certificates are accepted; any: all, and what is wrong is said"),
    s("defaults", "ca", Kind::Text, "", "path of the certificates to trust in place of the system's, PEM"),
    s("defaults", "fresh_connection", Kind::Truth, "false", "make a connection for every probe, rather than keep one"),
    s("defaults", "client_cert", Kind::Text, "", "path of the certificate to show, PEM"),
    s("defaults", "client_key", Kind::Text, "", "path of its key, PEM"),
    s("defaults", "max_latency", Kind::Duration, "", "a slower answer is a warning"),
    s("defaults", "on_disagreement", Kind::Word(ON_DISAGREEMENT), "worse", "who decides when HTTP status and health document disagree"),
    s("defaults", "certificate_warn", Kind::Duration, "14days", "a certificate that expires sooner is a warning; 0s: not watched"),
    s("defaults", "group", Kind::Text, "", "the group that checks are listed under"),
    s("defaults", "tags", Kind::Texts, "", "words to filter by"),

    s("check", "name", Kind::Text, "", "KV key, metric label: 1 to 63 of a-z 0-9 - _"),
    s("check", "url", Kind::Text, "", "the target: http, https, or tcp or tls with a port; none with push"),
    s("check", "push", Kind::Truth, "false", "nothing is asked: a job reports by itself, once an interval at least"),
    s("check", "grace", Kind::Duration, "a tenth of the interval", "how late such a report may be"),
    s("check", "object", Kind::Text, "the url", "the report's name in the object store"),
    s("check", "method", Kind::Text, "GET", "the HTTP method"),
    s("check", "headers", Kind::Headers, "", "headers to send; values are never shown"),
    s("check", "body", Kind::Text, "", "the body to send"),
    s("check", "interval", Kind::Duration, "10s", "start to start, 100ms or more"),
    s("check", "timeout", Kind::Duration, "3s, or what four fifths of the interval leave to each attempt", "one probe, connect to last byte"),
    s("check", "group", Kind::Text, "", "the group that the check is listed under"),
    s("check", "tags", Kind::Texts, "", "words to filter by"),
    s("check", "status", Kind::Numbers, "200 to 299", "HTTP statuses that pass"),
    s("check", "max_latency", Kind::Duration, "", "a slower answer is a warning"),
    s("check", "json", Kind::Truth, "false", "the body must be JSON"),
    s("check", "dialect", Kind::Word(DIALECTS), "auto", "the dialect that the body is read in as a health document"),
    s("check", "on_disagreement", Kind::Word(ON_DISAGREEMENT), "worse", "who decides when HTTP status and health document disagree"),
    s("check", "certificate_warn", Kind::Duration, "14days", "a certificate that expires sooner is a warning; 0s: not watched"),
    s("check", "expect", Kind::Expect, "", "CEL conditions that must hold"),
    s("check", "fail_after", Kind::Number, "1", "failing runs in a row before `down`"),
    s("check", "recover_after", Kind::Number, "1", "runs in a row without a failure before `down` ends"),
    s("check", "attempts", Kind::Number, "1", "probes in one run, until one does not fail"),
    s("check", "attempt_delay", Kind::Duration, "500ms", "the pause before the next attempt"),
    s("check", "max_redirects", Kind::Number, "10", "redirects followed; 0: a redirect is the answer"),
    s("check", "max_body", Kind::Bytes, "1MiB", "a body is read to this size, then cut"),
    s("check", "ip", Kind::Word(&["any", "4", "6"]), "any", "which of a name's addresses are asked"),
    s("check", "resolve", Kind::Text, "", "the address to ask, whatever the URL's name leads to: 10.0.0.1 or 10.0.0.1:8443"),
    s("check", "host", Kind::Text, "", "the name to ask for, in place of the URL's: in the request, and of the certificate"),
    s("check", "basic", Kind::Text, "", "user and password, as `user:password`, for the header Authorization"),
    s("check", "bearer", Kind::Text, "", "a token for the header Authorization"),
    s("check", "http", Kind::Word(&["any", "1", "2"]), "any", "which version of HTTP is spoken"),
    s("check", "proxy", Kind::Text, "", "the URL of a proxy; HTTP_PROXY and the like are not looked at"),
    s("check", "trust", Kind::Word(&["verified", "any"]), "verified", "which certificates are accepted; any: all, and what is wrong is said"),
    s("check", "ca", Kind::Text, "", "path of the certificates to trust in place of the system's, PEM"),
    s("check", "fresh_connection", Kind::Truth, "false", "make a connection for every probe, rather than keep one"),
    s("check", "client_cert", Kind::Text, "", "path of the certificate to show, PEM"),
    s("check", "client_key", Kind::Text, "", "path of its key, PEM"),
];
