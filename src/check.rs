//! The configured nouns: a [`Check`] is a named question about one [`Target`].
//!
//! They are plain values. `config` makes them, everything above reads them.

use std::{borrow::Borrow, fmt, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

mod network;
mod route;

pub use network::{Network, NotANetwork};
pub use route::{ClientCertificate, Dial, Family, HttpVersion, Proxy, Route, Trust};

/// A check's name: `[a-z0-9][a-z0-9_-]{0,62}`, so that one word serves as KV
/// key, subject token, URL path and metric label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckName(Arc<str>);

/// Why a text is not a check's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a check name: use 1 to 63 of `a-z`, `0-9`, `-` and `_`, starting with a letter or digit"
)]
pub struct NameError(pub String);

impl CheckName {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// When it holds anything but `[a-z0-9][a-z0-9_-]{0,62}`.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let sound = text.len() <= 63
            && text.bytes().next().is_some_and(letter)
            && text.bytes().all(|c| letter(c) || c == b'-' || c == b'_');
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }

    /// The name as text that is shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for CheckName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that must never be shown: its `Debug` and `Display` print `…`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hidden text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A named, configured question about one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The name, unique in the configuration.
    pub name: CheckName,
    /// What is asked.
    pub target: Target,
    /// Name of the report in the object store: the URL as configured, in
    /// ASCII, unless the check sets one.
    pub object: Arc<str>,
    /// The URL as readers may see it: [`Check::object`]'s URL, with secrets cut out.
    pub shown_url: Arc<str>,
    /// Start to start.
    pub interval: Duration,
    /// One probe, connect to last byte; shorter than `interval`.
    pub timeout: Duration,
    /// The group that the check is listed under.
    pub group: Option<String>,
    /// Words to filter by.
    pub tags: Vec<String>,
    /// What a good answer is; checks with the same rules share them.
    pub rules: Arc<Rules>,
    /// How many runs in a row change the status.
    pub thresholds: Thresholds,
    /// How often one run asks, until an answer does not fail.
    pub attempts: Attempts,
    /// Set where nothing is asked and a job reports by itself, once an interval
    /// at least: how late a report may be.
    pub grace: Option<Duration>,
}

impl Check {
    /// How long the record of a run is good for: two more could have ended.
    pub fn lasts(&self) -> Duration {
        2 * self.interval + self.grace.unwrap_or(self.timeout)
    }

    /// What is as in `other` is kept once for both.
    pub fn share_with(&mut self, other: &Self) {
        if self.rules == other.rules {
            self.rules = Arc::clone(&other.rules);
        }
        if self.target.route == other.target.route {
            self.target.route = Arc::clone(&other.target.route);
        }
    }

    /// Whether nothing is asked: a job reports by itself.
    pub const fn is_push(&self) -> bool {
        self.grace.is_some()
    }
}

impl Check {
    /// Whether nobody configured it: it was asked by its URL alone.
    pub fn is_ad_hoc(&self) -> bool {
        self.target.route.guard.is_some()
    }
}

/// What is asked: one HTTP request.
#[derive(Clone, PartialEq)]
pub struct Target {
    /// Where to; `http` or `https`.
    pub url: Url,
    /// The HTTP method, in capitals.
    pub method: String,
    /// Headers to send, in order. Values are secrets.
    pub headers: Vec<(String, Secret)>,
    /// The body to send.
    pub body: Option<Secret>,
    /// How many redirects are followed; 0 makes a redirect the answer.
    pub max_redirects: u32,
    /// A response's body is read to this many bytes, then cut.
    pub max_body: usize,
    /// How it is reached; targets with the same route share it.
    pub route: Arc<Route>,
}

impl Target {
    /// The route, to change it for this target alone.
    pub fn route_mut(&mut self) -> &mut Route {
        Arc::make_mut(&mut self.route)
    }

    /// The host that is asked: what it is called may be something else.
    pub fn asked_host(&self) -> &str {
        match &self.route.dial {
            Some(dial) => &dial.host,
            None => self.url.host_str().unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold secrets, in its user or in its query.
        f.debug_struct("Target")
            .field("host", &self.url.host_str())
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What a good answer is. Everything must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// HTTP statuses that pass; empty means 200 to 299.
    pub status: Vec<u16>,
    /// A slower answer is a warning.
    pub max_latency: Option<Duration>,
    /// The body must be JSON.
    pub json: bool,
    /// The dialect that the body is read in as a health document.
    pub dialect: Dialect,
    /// Who decides when the HTTP status and the document disagree.
    pub on_disagreement: Disagreement,
    /// So long before a certificate of the target's chain expires the run
    /// warns; nothing: certificates are not watched.
    pub certificate_warn: Duration,
    /// CEL conditions, as written.
    pub expect: Vec<Expect>,
}

/// A certificate that expires sooner than this is a warning.
pub const CERTIFICATE_WARN: Duration = Duration::from_hours(14 * 24);

impl Default for Rules {
    fn default() -> Self {
        Self {
            status: Vec::new(),
            max_latency: None,
            json: false,
            dialect: Dialect::default(),
            on_disagreement: Disagreement::default(),
            certificate_warn: CERTIFICATE_WARN,
            expect: Vec::new(),
        }
    }
}

/// The dialect that a body is read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The one that it is recognised to be in, if any.
    #[default]
    Recognised,
    /// None: it is not read as a health document.
    None,
    /// This one; an answer in any other fails.
    Named(&'static str),
}

/// Who decides when the HTTP status and the health document disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disagreement {
    /// The worse of the two.
    #[default]
    Worse,
    /// The HTTP status; the document is shown.
    Http,
    /// The document, when it says how things are.
    Document,
}

/// One CEL condition and what its failing means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The CEL text.
    pub cel: String,
    /// What the verdict becomes when it is not met.
    pub severity: Severity,
}

/// What an unmet expectation makes of the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The run warns.
    Warn,
    /// The run fails.
    #[default]
    Fail,
}

/// How often one run asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Probes in one run, at most; at least 1.
    pub most: u32,
    /// The pause before the next.
    pub delay: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            most: 1,
            delay: Duration::from_millis(500),
        }
    }
}

impl Attempts {
    /// How long a run takes, at most, whose probes take up to `timeout`.
    pub fn together(&self, timeout: Duration) -> Duration {
        timeout * self.most + self.delays()
    }

    /// The pauses between all attempts.
    pub fn delays(&self) -> Duration {
        self.delay * self.most.saturating_sub(1)
    }
}

/// How many runs in a row change the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failing runs in a row before `down`; at least 1.
    pub fail_after: u32,
    /// Runs in a row without a failure before `down` ends; at least 1.
    pub recover_after: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            fail_after: 1,
            recover_after: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_token_everywhere() {
        for good in ["a", "0", "api", "api-2_b", &"x".repeat(63)] {
            assert!(CheckName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "_a",
            "Api",
            "a.b",
            "a b",
            "ä",
            "a/b",
            "a*",
            &"x".repeat(64),
        ] {
            assert!(CheckName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "… …");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
