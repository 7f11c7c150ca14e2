//! The record of one run as readers see it: the [`Report`] (object store) and
//! the [`Summary`] (KV), with their JSON.
//!
//! Keys are only ever added. Times are RFC 3339 in UTC with milliseconds,
//! durations are numbers of milliseconds under a name that ends in `_ms`.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{check::Check, clock::Timestamp, observation::Certificate};

mod details;
mod status;

pub use details::{
    Component, Document, Expectation, Headers, Maker, PhasesMs, RequestRef, ShownResponse, millis,
};
pub use status::{Freshness, Status, Trigger, Verdict};

/// The version of the wire form, the `v` of every document.
pub const WIRE_VERSION: u32 = 1;

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

#[cfg(test)]
mod tests;
