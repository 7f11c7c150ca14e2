//! What a probe saw. A probe cannot fail: not reaching a target is an
//! [`Observation`] with a [`Failure`], not an error.

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What one probe saw.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When the probe started.
    pub started_at: Timestamp,
    /// From the start to the last byte read, or to the failure.
    pub latency: Duration,
    /// Where the time went.
    pub phases: Phases,
    /// The answer, when an HTTP head arrived; present beside a failure when
    /// the body broke off.
    pub response: Option<Response>,
    /// How far the exchange got, when no HTTP head arrived.
    pub reached: Option<Reached>,
    /// How the exchange failed, if it did.
    pub failure: Option<Failure>,
    /// The target's certificate, when the exchange was over TLS, also when it
    /// failed for it. Where redirects led over several, the one that ends first.
    pub certificate: Option<Certificate>,
}

/// Where a probe's time went; a phase that did not happen (a kept connection
/// needs no lookup) is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
    /// Name lookup.
    pub dns: Option<Duration>,
    /// TCP connect and TLS handshake.
    pub connect: Option<Duration>,
    /// From the request sent to the response's head.
    pub first_byte: Option<Duration>,
    /// From the head to the last byte of the body.
    pub transfer: Option<Duration>,
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// `HTTP/1.1`, `HTTP/2.0`, …
    pub version: &'static str,
    /// All headers, names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, decoded, up to the target's limit.
    pub body: Bytes,
    /// Whether the body was cut at the limit.
    pub truncated: bool,
    /// The address that answered.
    pub remote: Option<SocketAddr>,
    /// The redirects that were followed to get here.
    pub redirects: Vec<Redirect>,
}

impl Response {
    /// How long from `now` the target asks to be left alone: the `Retry-After`
    /// of a 429 or 503, in seconds or as a date (RFC 9110, 10.2.3).
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        if !matches!(self.status, 429 | 503) {
            return None;
        }
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
        let at = u64::try_from(date.timestamp_millis()).ok()?;
        Some(Timestamp::from_millis(at).since(now))
    }
}

/// How far an exchange got that brought no HTTP answer, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    /// The address that was connected to or, where there is one alone, dialled:
    /// the proxy's, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub remote: Option<SocketAddr>,
    /// The redirects that were followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Redirect>,
}

/// A redirect that was followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redirect {
    /// The HTTP status that said so.
    pub status: u16,
    /// Where it led, without user, password and query.
    pub to: String,
}

impl Response {
    /// The body without the byte order mark that some programs write before it.
    pub fn content(&self) -> &[u8] {
        self.body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.body)
    }

    /// The first header called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// How an exchange with a target failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name has no address.
    NameNotFound(String),
    /// The name could not be looked up (the resolver failed or hung).
    Lookup(String),
    /// Nobody listens there.
    Refused,
    /// The connection could not be made for another reason.
    Connect(String),
    /// The TLS handshake failed; the text says why.
    Tls(String),
    /// No answer within the check's timeout, and in which phase it ran out.
    Timeout {
        /// The check's timeout.
        after: Duration,
        /// What was under way.
        during: Phase,
    },
    /// The target closed or reset the connection.
    Closed {
        /// What was under way.
        during: Phase,
    },
    /// What came is not HTTP, or breaks its rules.
    Protocol(String),
    /// More redirects than allowed, or a redirect that cannot be followed.
    Redirect(String),
    /// The body could not be decoded (broken gzip).
    Decode(String),
    /// supercheck refused to send this probe (an address that is not allowed).
    Forbidden(String),
    /// supercheck lacks what a probe needs, such as file descriptors: nothing
    /// was learnt of the target.
    Lacking(String),
}

/// The part of an exchange that was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Name lookup.
    Dns,
    /// TCP connect and TLS handshake.
    Connect,
    /// Waiting for the response's head.
    FirstByte,
    /// Reading the body.
    Transfer,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "looking up the name",
            Self::Connect => "connecting",
            Self::FirstByte => "waiting for the answer",
            Self::Transfer => "reading the body",
        })
    }
}

/// Said for a person, as a finding: `connection refused`, `no answer in 3s`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound(name) => write!(f, "the name `{name}` has no address"),
            Self::Lookup(why) => write!(f, "the name could not be looked up: {why}"),
            Self::Refused => f.write_str("connection refused"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Timeout { after, during } => {
                write!(
                    f,
                    "no answer in {} ({during})",
                    humantime::format_duration(*after)
                )
            }
            Self::Closed { during } => write!(f, "connection closed while {during}"),
            Self::Protocol(why) => write!(f, "not a valid HTTP answer: {why}"),
            Self::Redirect(why) => write!(f, "redirect: {why}"),
            Self::Decode(why) => write!(f, "the body could not be decoded: {why}"),
            Self::Forbidden(why) => write!(f, "not probed: {why}"),
            Self::Lacking(why) => write!(f, "supercheck itself cannot probe: {why}"),
        }
    }
}

/// What the target's certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Whom the leaf is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// When the leaf expires.
    pub not_after: Timestamp,
    /// When the first certificate of the chain expires.
    pub chain_not_after: Timestamp,
    /// The hosts that it is for: names, and addresses.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether whom it is for signed it himself.
    #[serde(default)]
    pub self_signed: bool,
    /// Why it is not trusted, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_asks_to_be_left_alone_in_seconds_or_until_a_date() {
        let now: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let asked = |status, text: &str| {
            let response = Response {
                status,
                version: "HTTP/1.1",
                headers: vec![("retry-after".to_owned(), text.to_owned())],
                body: Bytes::new(),
                truncated: false,
                remote: None,
                redirects: Vec::new(),
            };
            response.retry_after(now)
        };
        let rest = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked(503, "120"), rest(120));
        assert_eq!(asked(429, " 5 "), rest(5));
        assert_eq!(asked(503, "Tue, 24 Nov 2026 08:01:30 GMT"), rest(90));
        assert_eq!(asked(503, "Tue, 24 Nov 2026 07:00:00 GMT"), rest(0));
        assert_eq!(asked(503, "18446744073709551616"), None);
        for nonsense in ["", "soon", "-1", "1.5", "Tue, 99 Nov 2026 07:00:00 GMT"] {
            assert_eq!(asked(503, nonsense), None, "{nonsense}");
        }
        assert_eq!(asked(200, "120"), None);
    }
}
