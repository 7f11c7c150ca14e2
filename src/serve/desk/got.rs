//! What whoever asks for the newest report gets: how fresh it is, and the
//! report.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    clock,
    report::{Freshness, Summary, millis},
    request::Refusal,
};

/// What is got, but for the report.
#[derive(Serialize)]
pub(super) struct Got<'a> {
    check: &'a str,
    freshness: Freshness,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<f64>,
}

impl<'a> Got<'a> {
    pub(super) fn new(summary: &'a Summary, max_age: Option<Duration>) -> Self {
        let now = clock::now();
        let age = now.since(summary.checked_at);
        let freshness = match max_age {
            Some(max_age) if age > max_age => Freshness::Stale,
            Some(_) => Freshness::Fresh,
            None => summary.freshness(now),
        };
        Self {
            check: &summary.check,
            freshness,
            age_ms: Some(millis(age)),
        }
    }

    pub(super) const fn nothing(check: &'a str) -> Self {
        Self {
            check,
            freshness: Freshness::Absent,
            age_ms: None,
        }
    }

    pub(super) fn with(&self, report: &[u8]) -> Result<Bytes, Refusal> {
        const KEY: &[u8] = b",\"report\":";
        // Room for the rest.
        let mut answer = Vec::with_capacity(report.len() + 192);
        serde_json::to_writer(&mut answer, self)
            .map_err(|error| Refusal::new(500, error.to_string(), ""))?;
        answer.pop();
        answer.extend_from_slice(KEY);
        answer.extend_from_slice(report);
        answer.push(b'}');
        Ok(answer.into())
    }
}
