//! The configuration: text and environment in, [`Config`] out, or every
//! mistake at once, each with its place and what helps.
//!
//! Three steps: `tree` (as written, from files and the environment) →
//! `fields` (typed, with mistakes) → [`Config`] (as meant: nothing in it is
//! optional that has a default). Pure: file texts, the environment and a way
//! to read further files are handed in.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    check::{Check, CheckName, Secret, Target},
    request::Allowance,
    window::Window,
};

pub mod mistake;
pub mod settings;

mod book;
mod check;
mod environment;
mod fields;
mod gate;
mod hide;
mod http;
mod maintenance;
mod pem;
mod read;
mod schema;
mod show;
mod streams;
mod substitute;
mod tree;
mod value;

pub use check::ad_hoc;
pub use http::Http;
pub use mistake::{Mistake, Mistakes};
pub use schema::schema;
pub use show::show;

/// What a configuration is read from.
pub struct Sources<'a> {
    /// The main file's path and text; without one the environment is all.
    pub main: Option<(PathBuf, String)>,
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// Reads a file, for `${file:…}` and `conf.d`.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Lists a folder, sorted; none when it is not there.
    pub list: &'a dyn Fn(&Path) -> io::Result<Vec<PathBuf>>,
}

/// A configuration without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is worth a word, but no mistake.
    pub warnings: Vec<Mistake>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// Everything that can be set, as meant.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// How to reach NATS, or how to run it.
    pub nats: Nats,
    /// The HTTP face.
    pub http: Http,
    /// The log.
    pub log: Log,
    /// When and how many.
    pub scheduler: Scheduler,
    /// How supercheck knows that its own network is up.
    pub gate: Gate,
    /// The buckets.
    pub store: StoreSettings,
    /// Times that are set aside.
    pub maintenance: Vec<Window>,
    /// The checks, in the order of their names.
    pub checks: Vec<Arc<Check>>,
}

/// How to reach NATS, or how to run it.
#[derive(Clone, PartialEq)]
pub struct Nats {
    /// Where it is; `None` runs an embedded server.
    pub url: Option<String>,
    /// A `.creds` file.
    pub credentials: Option<PathBuf>,
    /// A token.
    pub token: Option<Secret>,
    /// A user name.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// An nkey seed.
    pub nkey_seed: Option<Secret>,
    /// Certificates to trust, PEM.
    pub tls_ca: Option<PathBuf>,
    /// Our certificate, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Refuse to speak without TLS.
    pub require_tls: bool,
    /// In place of `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// The embedded server's binary.
    pub server_binary: Option<PathBuf>,
    /// The embedded server's address.
    pub listen: String,
    /// How often the embedded server syncs to disk.
    pub sync_interval: Option<SyncInterval>,
    /// How many bytes the embedded server may store.
    pub max_store: Option<u64>,
}

/// How often nats-server syncs to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncInterval {
    /// So often; what was acknowledged since can be lost in a power cut.
    Every(Duration),
    /// Before each acknowledgement.
    Always,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How it is written.
    pub format: LogFormat,
    /// What is written: a level, or `tracing-subscriber` directives.
    pub filter: String,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    /// Probes under way at once, in all.
    pub concurrency: usize,
    /// Probes under way at once at one target host.
    pub per_host: usize,
    /// Probes that may start at one target host in a second; `None` for any
    /// number.
    pub per_host_rate: Option<u32>,
    /// Scheduled runs start up to this long after their time, at random.
    pub jitter: Duration,
    /// How long runs in flight may take when the daemon stops.
    pub grace: Duration,
    /// The daemon's name in reports.
    pub instance: Option<String>,
    /// Run every check once right after the start.
    pub fast_start: bool,
    /// The grid on which starts are grouped; zero for none.
    pub tick: Duration,
    /// Whether instances share the schedule.
    pub mode: Mode,
}

/// Who runs a scheduled check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every instance, by itself.
    Local,
    /// One of all instances, through NATS.
    Shared,
}

/// How supercheck knows that its own network is up: while none of some URLs
/// answers, it is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// What is asked; nothing: it is taken to be up.
    pub urls: Vec<GateUrl>,
    /// How often.
    pub interval: Duration,
    /// How long one of them may take to answer.
    pub timeout: Duration,
}

/// A URL that the gate asks.
#[derive(Clone, Debug, PartialEq)]
pub struct GateUrl {
    /// As it may be shown.
    pub shown: String,
    /// What is asked.
    pub target: Target,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(3),
        }
    }
}

/// The buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// How long a report stays.
    pub object_ttl: Duration,
    /// Whether the operator said so.
    pub object_ttl_set: bool,
    /// How long the last failing report of a check stays.
    pub failure_ttl: Duration,
    /// Whether the operator said so.
    pub failure_ttl_set: bool,
    /// How long a summary stays.
    pub kv_ttl: Duration,
    /// Whether the operator said so.
    pub kv_ttl_set: bool,
    /// Copies in a cluster, decided when a bucket is made.
    pub replicas: usize,
    /// What the object store holds.
    pub object_content: ObjectContent,
    /// Whether instances share the schedule.
    pub shared: bool,
    /// The on-demand requests.
    pub requests: Requests,
    /// The history of summaries.
    pub history: History,
}

/// The bounds of on-demand requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    /// How many may wait.
    pub max_waiting: i64,
    /// How many bytes they may take together.
    pub max_bytes: i64,
    /// How long results are kept for those who ask again.
    pub keep: Duration,
    /// How many bytes the kept results may take together.
    pub keep_bytes: i64,
    /// Which URLs may be asked that no check is configured for.
    pub allow: Arc<Allowance>,
    /// Whether the operator set any of these bounds.
    pub set: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            max_waiting: 100_000,
            max_bytes: 64 << 20,
            keep: Duration::from_secs(3600),
            keep_bytes: 256 << 20,
            allow: Arc::default(),
            set: false,
        }
    }
}

/// The bounds of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether it is kept at all.
    pub enabled: bool,
    /// How long.
    pub max_age: Duration,
    /// How many bytes in all.
    pub max_bytes: i64,
    /// How many summaries of each check.
    pub max_per_check: i64,
    /// Whether the operator set any of these bounds.
    pub set: bool,
}

impl Default for History {
    fn default() -> Self {
        Self {
            enabled: true,
            max_age: Duration::from_secs(7 * 86_400),
            max_bytes: 1 << 30,
            max_per_check: 100_000,
            set: false,
        }
    }
}

/// What the object store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectContent {
    /// The report.
    Report,
    /// The target's own JSON alone, byte for byte.
    Document,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            object_ttl: Duration::from_secs(30),
            object_ttl_set: false,
            failure_ttl: Duration::from_secs(7 * 86_400),
            failure_ttl_set: false,
            kv_ttl: Duration::from_secs(86_400),
            kv_ttl_set: false,
            replicas: 1,
            object_content: ObjectContent::Report,
            shared: false,
            requests: Requests::default(),
            history: History::default(),
        }
    }
}

/// As shown: the URL may hold a password.
impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show::nats(self))
    }
}

/// As shown: URLs may hold secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self))
    }
}

/// Reads and judges a configuration.
///
/// # Errors
/// Every mistake that there is.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Mistakes> {
    let mut book = book::Book::default();
    let root = tree::plant(sources, &mut book);
    let root = root.unwrap_or_else(|| tree::Node::table(mistake::Place::Whole));
    let config = read::config(&root, &mut book);
    pem::judge(sources, &mut book);
    let files = book.files();
    let warnings = book.warnings();
    match book.mistakes() {
        None => Ok(Loaded {
            config,
            warnings,
            files,
        }),
        Some(mistakes) => Err(mistakes),
    }
}

/// What a new configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New checks.
    pub added: Vec<CheckName>,
    /// Checks of which something changed.
    pub changed: Vec<CheckName>,
    /// Checks that are gone.
    pub removed: Vec<CheckName>,
    /// Sections that only a restart changes.
    pub restart: Vec<&'static str>,
}

/// Compares two configurations.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let names = |config: &Config| -> BTreeMap<CheckName, Arc<Check>> {
        config
            .checks
            .iter()
            .map(|check| (check.name.clone(), Arc::clone(check)))
            .collect()
    };
    let (before, after) = (names(old), names(new));
    let mut changes = Changes::default();
    for (name, check) in &after {
        match before.get(name) {
            None => changes.added.push(name.clone()),
            Some(old) if old != check => changes.changed.push(name.clone()),
            Some(_) => {}
        }
    }
    changes.removed = before
        .into_keys()
        .filter(|name| !after.contains_key(name))
        .collect();
    let alone = |store: &StoreSettings| StoreSettings {
        requests: Requests::default(),
        history: History::default(),
        ..store.clone()
    };
    let sections = [
        ("nats", old.nats != new.nats),
        (
            "http",
            old.http.but_for_the_certificate() != new.http.but_for_the_certificate(),
        ),
        ("log", old.log != new.log),
        ("scheduler", old.scheduler != new.scheduler),
        ("gate", old.gate != new.gate),
        ("store", alone(&old.store) != alone(&new.store)),
        ("requests", old.store.requests != new.store.requests),
        ("history", old.store.history != new.store.history),
    ];
    changes.restart = sections
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect();
    changes
}

#[cfg(test)]
mod tests;
