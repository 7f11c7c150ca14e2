//! The record of one run as readers see it: the [`Report`] (object store) and
//! the [`Summary`] (KV), with their JSON.
//!
//! Keys are only ever added. Times are RFC 3339 in UTC with milliseconds,
//! durations are numbers of milliseconds under a name that ends in `_ms`.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, observation::Certificate};

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
    /// The attempts that failed before the one that is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_attempts: Vec<FailedAttempt>,
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

    /// Writes the report's JSON in at most `limit` bytes: as much of the body
    /// as fits, as text, marked by `body_cut`.
    pub fn encode_within(&self, limit: usize) -> Bytes {
        let mut cut = self.clone();
        let Some(response) = &mut cut.details.response else {
            return self.encode().map(|whole| whole.report).unwrap_or_default();
        };
        let body = std::mem::take(&mut response.body);
        response.body_cut = true;
        let frame = cut.encode().map_or(0, |frame| frame.report.len());
        // A character may take six bytes in JSON.
        let mut room = limit.saturating_sub(frame) / 6;
        let text = body.get();
        while room > 0 && !text.is_char_boundary(room.min(text.len())) {
            room -= 1;
        }
        let (head, _) = text.split_at(room.min(text.len()));
        if let (Some(response), Ok(head)) = (
            &mut cut.details.response,
            serde_json::value::to_raw_value(head),
        ) {
            response.body = head;
        }
        cut.encode().map(|cut| cut.report).unwrap_or_default()
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
            check: summary.check.clone(),
            from,
            to: summary.status,
            since: summary.since,
            checked_at: summary.checked_at,
            message: summary.message.clone(),
            run: summary.run.clone(),
            instance: summary.instance.clone(),
            unknown_since: summary.unknown_since,
            maintenance: summary.maintenance,
            maintenance_reason: summary.maintenance_reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
