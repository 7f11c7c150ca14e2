//! The record of one run as readers see it: the [`Report`] (object store) and
//! the [`Summary`] (KV), with their JSON.
//!
//! Keys are only ever added. Times are RFC 3339 in UTC with milliseconds,
//! durations are numbers of milliseconds under a name that ends in `_ms`.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    clock::Timestamp,
    observation::{Certificate, Reached},
};

mod details;
mod status;

pub use details::{
    Component, Document, Expectation, FailedAttempt, Headers, Maker, PhasesMs, RequestRef,
    ShownResponse, millis,
};
pub use status::{Freshness, Gate, Health, Held, Status, Trigger, Verdict};

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
    pub check: Arc<str>,
    /// The target's URL, without secrets.
    pub url: Arc<str>,
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
    /// Runs in a row on the same side of failing (all failed, or none did),
    /// which is what the thresholds count; left out where it is `consecutive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streak: Option<u32>,
    /// Set on the first run after a time in which nothing was known: since
    /// when that was so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// Set while supercheck's own network is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Set while the status is withheld because of the gate: what it was, and
    /// goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Whether the run fell into a maintenance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// What the maintenance is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_reason: Option<String>,
    /// When the job of a push check last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// When the first certificate of the target's chain expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Timestamp>,
    /// The target asked to be left alone (`Retry-After`): it is not run by
    /// schedule before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_until: Option<Timestamp>,
    /// Why the run happened.
    pub trigger: Trigger,
    /// The daemon that ran it.
    pub instance: Arc<str>,
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    /// Where the probe's time went.
    pub phases_ms: PhasesMs,
    /// How many probes the run made.
    pub attempts: u32,
    /// The attempts that failed before the one that is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_attempts: Vec<FailedAttempt>,
    /// The target's answer, when one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ShownResponse>,
    /// How far the exchange got, when no HTTP answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<Reached>,
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

/// A report and its summary in their wire form: the summary is how the report
/// begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The report's JSON.
    pub report: Bytes,
    /// How much of it is the summary, up to its closing brace.
    head: usize,
}

impl Encoded {
    /// Puts a report together of its summary and the JSON of its details. The
    /// object opens with the summary's keys, so the summary is written once.
    pub fn new(summary: &Summary, details: &[u8]) -> Self {
        /// Enough for a usual summary.
        const ROOM: usize = 1024;
        let mut report = Vec::with_capacity(ROOM + details.len());
        // Neither memory nor string keys refuse to be written.
        drop(serde_json::to_writer(&mut report, summary));
        report.pop();
        let head = report.len();
        report.extend_from_slice(details);
        // Where the details' object opens, the summary's goes on.
        if let Some(brace) = report.get_mut(head) {
            *brace = b',';
        }
        let report = report.into();
        Self { report, head }
    }

    /// The summary's JSON.
    pub fn summary(&self) -> Bytes {
        let head = self.report.get(..self.head).unwrap_or_default();
        [head, b"}"].concat().into()
    }

    /// The report in at most `limit` bytes: as much of the body as fits, as
    /// text, marked by `body_cut`.
    pub fn within(&self, limit: usize) -> Bytes {
        const MARK: &[u8] = br#","body_cut":true"#;
        if self.report.len() <= limit {
            return self.report.clone();
        }
        let Some(body) = body(&self.report) else {
            return self.report.clone();
        };
        // A character may take six bytes in JSON, and the quotes are two.
        let frame = self.report.len() - body.len() + MARK.len() + 2;
        let mut room = limit.saturating_sub(frame) / 6;
        let text = str::from_utf8(&body).unwrap_or_default();
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        let (kept, _) = text.split_at(room);
        let kept = serde_json::to_vec(kept).unwrap_or_default();
        let start = body.as_ptr().addr() - self.report.as_ptr().addr();
        let before = self.report.get(..start).unwrap_or_default();
        let after = self.report.get(start + body.len()..).unwrap_or_default();
        [before, &kept, MARK, after].concat().into()
    }
}

/// The answer's body as it stands in the JSON of a report, or of its details.
pub fn body(json: &Bytes) -> Option<Bytes> {
    let shown: Shown<'_> = serde_json::from_slice(json).ok()?;
    let body = shown.response?.body.get();
    Some(json.slice_ref(body.as_bytes()))
}

#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow)]
    response: Option<ShownBody<'a>>,
}

#[derive(Deserialize)]
struct ShownBody<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Details {
    /// Their JSON, which [`Encoded::new`] makes a report of.
    ///
    /// # Errors
    /// Never for a report made by this program: every map has string keys.
    pub fn encode(&self) -> serde_json::Result<Bytes> {
        /// Enough for those of a usual report.
        const ROOM: usize = 4096;
        let mut details = Vec::with_capacity(ROOM);
        serde_json::to_writer(&mut details, self)?;
        // Of its own size: many are kept.
        Ok(Bytes::copy_from_slice(&details))
    }
}

/// A change of a check's status: one message in the stream of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Version of this form, 1.
    pub v: u32,
    /// The check's name.
    pub check: String,
    /// What it was; `unknown` when nothing had been announced before.
    pub from: Status,
    /// What it is.
    pub to: Status,
    /// Since when.
    pub since: Timestamp,
    /// When the run that showed it started probing.
    pub checked_at: Timestamp,
    /// That run's reason, for a person.
    pub message: String,
    /// That run's id.
    pub run: String,
    /// The daemon that ran it.
    pub instance: String,
    /// Set where nothing was known for a time before: since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// Whether it fell into a maintenance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// What the maintenance is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_reason: Option<String>,
}

impl Change {
    /// The change to what `summary` says.
    pub fn to(summary: &Summary, from: Status) -> Self {
        Self {
            v: WIRE_VERSION,
            check: summary.check.to_string(),
            from,
            to: summary.status,
            since: summary.since,
            checked_at: summary.checked_at,
            message: summary.message.clone(),
            run: summary.run.clone(),
            instance: summary.instance.to_string(),
            unknown_since: summary.unknown_since,
            maintenance: summary.maintenance,
            maintenance_reason: summary.maintenance_reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
