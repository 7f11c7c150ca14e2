//! The record of one run as readers see it: the [`Report`] (object store) and
//! the [`Summary`] (KV), with their JSON.
//!
//! Keys are only ever added. Times are RFC 3339 in UTC with milliseconds,
//! durations are numbers of milliseconds under a name that ends in `_ms`.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    check::{Check, Severity},
    clock::Timestamp,
    observation::{Certificate, Observation, Phases},
};

/// The version of the wire form, the `v` of every document.
pub const WIRE_VERSION: u32 = 1;

/// Response headers that a report may show; the rest may hold secrets.
const SHOWN_HEADERS: [&str; 12] = [
    "age",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "retry-after",
    "server",
    "via",
    "x-request-id",
];

/// Judgement of one run. Ordered: the worse is the greater.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Working, but not as it should.
    Warn,
    /// Not working.
    Fail,
}

impl Verdict {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<Severity> for Verdict {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warn => Self::Warn,
            Severity::Fail => Self::Fail,
        }
    }
}

/// Of a check now: from verdicts, thresholds and freshness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Passing.
    Up,
    /// Warning.
    Degraded,
    /// Failing, for as many runs in a row as the check asks for.
    Down,
    /// Nothing fresh is known.
    Unknown,
}

impl Status {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "up" => Ok(Self::Up),
            "degraded" => Ok(Self::Degraded),
            "down" => Ok(Self::Down),
            "unknown" => Ok(Self::Unknown),
            other => Err(format!(
                "`{other}` is no status: use up, degraded, down or unknown"
            )),
        }
    }
}

/// Why a run happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its interval came round.
    Schedule,
    /// Somebody asked.
    Request,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Schedule => "schedule",
            Self::Request => "request",
        })
    }
}

/// A report's age against what the reader accepts (RFC 9111's sense).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Young enough.
    Fresh,
    /// Older than accepted; what it says may no longer hold.
    Stale,
    /// Nothing is known.
    Absent,
}

/// How many components of the target's document are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ComponentCounts {
    /// Passing components.
    pub pass: u32,
    /// Warning components.
    pub warn: u32,
    /// Failing components.
    pub fail: u32,
}

/// The small record of the newest run: the value in the KV bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Version of this form, 1.
    pub v: u32,
    /// The check's name.
    pub check: String,
    /// The target's URL, without secrets.
    pub url: String,
    /// The check's status after this run.
    pub status: Status,
    /// Judgement of this run.
    pub verdict: Verdict,
    /// Since when the status is what it is.
    pub since: Timestamp,
    /// When the probe started.
    pub checked_at: Timestamp,
    /// After this moment the record is stale and the status reads `unknown`:
    /// `checked_at` + 2 × interval + timeout.
    pub expires_at: Timestamp,
    /// The check's interval, in milliseconds.
    pub interval_ms: u64,
    /// From the probe's start to its end, in milliseconds.
    pub latency_ms: f64,
    /// The HTTP status, when an answer came.
    #[serde(default)]
    pub http_status: Option<u16>,
    /// The verdict's reason, for a person.
    pub message: String,
    /// Components of the target's document by state.
    #[serde(default)]
    pub components: ComponentCounts,
    /// Runs in a row with this verdict.
    pub consecutive: u32,
    /// When the first certificate of the target's chain expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Timestamp>,
    /// Why the run happened.
    pub trigger: Trigger,
    /// The daemon that ran it.
    pub instance: String,
    /// The run's id.
    pub run: String,
}

impl Summary {
    /// The record's freshness at `now`.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        if now > self.expires_at {
            Freshness::Stale
        } else {
            Freshness::Fresh
        }
    }

    /// The status at `now`: a stale record says `unknown`.
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.freshness(now) {
            Freshness::Fresh => self.status,
            Freshness::Stale | Freshness::Absent => Status::Unknown,
        }
    }
}

/// The full record of one run: the healthcheck JSON of the object store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Everything that the summary says.
    #[serde(flatten)]
    pub summary: Summary,
    /// The rest.
    #[serde(flatten)]
    pub details: Details,
}

/// What a report says beyond the summary.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Details {
    /// Where the probe's time went.
    pub phases_ms: PhasesMs,
    /// How many probes the run made.
    pub attempts: u32,
    /// The target's answer, when one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ShownResponse>,
    /// The answer read as a health document, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// Each expectation, and whether it was met.
    pub expectations: Vec<Expectation>,
    /// The target's certificate, when it was asked over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// The request that triggered the run, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRef>,
    /// The program that made this.
    pub supercheck: Maker,
}

/// Phases in milliseconds; a phase that did not happen is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhasesMs {
    /// Name lookup.
    pub dns: Option<f64>,
    /// TCP connect and TLS handshake.
    pub connect: Option<f64>,
    /// From the request sent to the response's head.
    pub first_byte: Option<f64>,
    /// From the head to the last byte of the body.
    pub transfer: Option<f64>,
}

impl From<Phases> for PhasesMs {
    fn from(phases: Phases) -> Self {
        Self {
            dns: phases.dns.map(millis),
            connect: phases.connect.map(millis),
            first_byte: phases.first_byte.map(millis),
            transfer: phases.transfer.map(millis),
        }
    }
}

/// The target's answer, as far as readers may see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ShownResponse {
    /// The HTTP status code.
    pub status: u16,
    /// `HTTP/1.1`, `HTTP/2.0`, …
    pub version: String,
    /// An allow-listed choice of headers, names in lower case.
    pub headers: Headers,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// Bytes of the body that were read.
    pub size: usize,
    /// Whether the body was longer than the limit and was cut.
    pub truncated: bool,
    /// The body: the document itself, byte for byte, when it is JSON, else text.
    #[schemars(with = "serde_json::Value")]
    pub body: Box<RawValue>,
    /// Whether `body` is the target's own JSON.
    #[serde(skip)]
    pub json: bool,
}

/// Header names and values, written as one JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
pub struct Headers(
    #[schemars(with = "std::collections::BTreeMap<String, String>")] Vec<(&'static str, String)>,
);

impl Serialize for Headers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// A health document that the target sent, in supercheck's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// Which of the known dialects it is in.
    pub dialect: Cow<'static, str>,
    /// What it says of the whole; `null` when it says that it does not know.
    pub status: Option<Verdict>,
    /// The parts that it names.
    pub components: Vec<Component>,
}

/// One part named in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// Its name; names of nested parts are joined by `/`.
    pub name: String,
    /// What the document says of it; `null` when it does not know.
    pub status: Option<Verdict>,
    /// Why, as far as the document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// An expectation and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// The condition, as configured.
    pub expect: String,
    /// Whether it was met.
    pub met: bool,
    /// What was found instead, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
}

/// The request that triggered a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestRef {
    /// The request's id.
    pub id: String,
}

/// The program that made a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Maker {
    /// supercheck's version.
    pub version: Cow<'static, str>,
}

impl Maker {
    /// This very program.
    pub const fn this() -> Self {
        Self {
            version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        }
    }
}

/// A report and its summary in their wire form, each encoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The summary's JSON.
    pub summary: Bytes,
    /// The report's JSON.
    pub report: Bytes,
}

impl Report {
    /// Writes the JSON of both. The report's object opens with the summary's
    /// keys, so the summary is written once and serves as its beginning.
    ///
    /// # Errors
    /// Never for a report made by this program: every map has string keys.
    pub fn encode(&self) -> serde_json::Result<Encoded> {
        let summary = serde_json::to_vec(&self.summary)?;
        let details = serde_json::to_vec(&self.details)?;
        let mut report = Vec::with_capacity(summary.len() + details.len());
        report.extend_from_slice(summary.strip_suffix(b"}").unwrap_or(&summary));
        report.push(b',');
        report.extend_from_slice(details.strip_prefix(b"{").unwrap_or(&details));
        Ok(Encoded {
            summary: summary.into(),
            report: report.into(),
        })
    }
}

/// A finished run: its check, its record, and the record's JSON.
#[derive(Debug)]
pub struct Run {
    /// The check that ran.
    pub check: Arc<Check>,
    /// Its record.
    pub report: Report,
    /// The record's JSON.
    pub encoded: Encoded,
}

impl Run {
    /// The target's own JSON, byte for byte, when it sent some.
    pub fn document(&self) -> Option<Bytes> {
        let response = self
            .report
            .details
            .response
            .as_ref()
            .filter(|response| response.json)?;
        Some(Bytes::copy_from_slice(response.body.get().as_bytes()))
    }
}

impl ShownResponse {
    /// The shown part of `observation`'s response; `json` says whether its
    /// body was found to be JSON.
    pub fn of(observation: &Observation, json: bool) -> Option<Self> {
        let response = observation.response.as_ref()?;
        let text = String::from_utf8_lossy(&response.body);
        let document = if json {
            RawValue::from_string(text.trim().to_owned()).ok()
        } else {
            None
        };
        let json = document.is_some();
        let body = match document {
            Some(document) => document,
            None => serde_json::value::to_raw_value(&text).ok()?,
        };
        let headers = SHOWN_HEADERS
            .iter()
            .filter_map(|name| Some((*name, response.header(name)?.to_owned())))
            .collect();
        Some(Self {
            status: response.status,
            version: response.version.to_owned(),
            headers: Headers(headers),
            content_type: response.header("content-type").map(str::to_owned),
            size: response.body.len(),
            truncated: response.truncated,
            body,
            json,
        })
    }
}

/// A duration in milliseconds, to the microsecond.
pub fn millis(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
    let micros = duration.as_micros() as f64;
    micros / 1000.0
}

#[cfg(test)]
mod tests;
