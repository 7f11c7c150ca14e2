//! The parts of a report beyond its summary.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    clock::Timestamp,
    observation::{Observation, Phases, Redirect},
    report::{ComponentCounts, Health},
};

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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShownResponse {
    /// The HTTP status code; a job's own report has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `HTTP/1.1`, `HTTP/2.0`, …
    pub version: String,
    /// An allow-listed choice of headers, names in lower case.
    pub headers: Headers,
    /// The address that answered: the proxy's, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The redirects that led there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Redirect>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// Bytes of the body that were read.
    pub size: usize,
    /// Whether the body was longer than the limit and was cut.
    pub truncated: bool,
    /// The body: the document itself, byte for byte, when it is JSON, else text.
    #[schemars(with = "serde_json::Value")]
    pub body: Box<RawValue>,
    /// Set where the body was cut further, to fit a message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub body_cut: bool,
    /// Whether `body` is the target's own JSON.
    #[serde(skip)]
    pub json: bool,
}

/// Header names and values, written as one JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
pub struct Headers(#[schemars(with = "BTreeMap<String, String>")] Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// The value of the header called so, in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Serialize for Headers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let headers = BTreeMap::<String, String>::deserialize(deserializer)?;
        let named = headers
            .into_iter()
            .map(|(name, value)| (name.into(), value));
        Ok(Self(named.collect()))
    }
}

/// A health document that the target sent, in supercheck's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// Which of the known dialects it is in.
    pub dialect: Cow<'static, str>,
    /// What it says of the whole.
    pub status: Health,
    /// Why, as far as the document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The parts that it names; of a great many, the first, and the first of
    /// those that do not pass.
    pub components: Vec<Component>,
    /// How many more parts it names.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u32,
    /// All parts by state. The summary says it.
    #[serde(skip)]
    pub counts: ComponentCounts,
}

/// One part named in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// Its name; names of nested parts are joined by `/`.
    pub name: String,
    /// What the document says of it.
    pub status: Health,
    /// Why, as far as the document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
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

/// An attempt of a run that failed, and was followed by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedAttempt {
    /// When its probe started.
    pub at: Timestamp,
    /// Why it failed, for a person.
    pub message: String,
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

impl ShownResponse {
    /// The shown part of `observation`'s response; `json` says whether its
    /// body was found to be JSON.
    pub fn of(observation: &Observation, json: bool) -> Option<Self> {
        let response = observation.response.as_ref()?;
        let text = String::from_utf8_lossy(response.content());
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
            .filter_map(|name| Some((Cow::Borrowed(*name), response.header(name)?.to_owned())))
            .collect();
        Some(Self {
            status: Some(response.status),
            version: response.version.to_owned(),
            headers: Headers(headers),
            remote: response.remote.map(|address| address.to_string()),
            redirects: response.redirects.clone(),
            content_type: response.header("content-type").map(str::to_owned),
            size: response.body.len(),
            truncated: response.truncated,
            body,
            body_cut: false,
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
