//! A finished run on its way through the pipeline.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{OnceCell, SetOnce};

use crate::{
    check::Check,
    report::{Encoded, Report, Summary, Verdict},
};

/// A finished run: its check, its record, the record's JSON, and how far it
/// has come.
#[derive(Debug)]
pub struct Run {
    /// The check that ran.
    pub check: Arc<Check>,
    /// What its record says in short.
    pub summary: Summary,
    /// The record's JSON. The rest of the record is in there alone: the newest
    /// run of each check is kept.
    pub encoded: Encoded,
    /// Set when it is stored, or a newer run of its check took its place.
    pub stored: Arc<SetOnce<()>>,
    /// Set when its answer is kept for those who ask again.
    pub kept: OnceCell<()>,
    answer: OnceLock<Bytes>,
    /// Whether the target sent JSON.
    json: bool,
}

impl Run {
    /// A run that has just ended.
    pub fn new(check: Arc<Check>, report: Report, encoded: Encoded) -> Self {
        Self {
            check,
            json: report.details.response.is_some_and(|shown| shown.json),
            summary: report.summary,
            encoded,
            stored: Arc::default(),
            kept: OnceCell::new(),
            answer: OnceLock::new(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.summary.run
    }

    /// Whether it says that its target fails.
    pub fn fails(&self) -> bool {
        self.summary.verdict == Verdict::Fail && self.summary.held.is_none()
    }

    /// The report in at most `limit` bytes: a longer body is cut, and marked so.
    pub fn answer(&self, limit: usize) -> Bytes {
        if self.encoded.report.len() <= limit {
            return self.encoded.report.clone();
        }
        let cut = || self.encoded.within(limit);
        self.answer.get_or_init(cut).clone()
    }

    /// The target's own JSON, byte for byte, when it sent some.
    pub fn document(&self) -> Option<Bytes> {
        self.json.then(|| self.encoded.body())?
    }
}
