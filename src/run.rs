//! A finished run on its way through the pipeline.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{OnceCell, SetOnce};

use crate::{
    check::Check,
    report::{Encoded, Report, Verdict},
};

/// A finished run: its check, its record, the record's JSON, and how far it
/// has come.
#[derive(Debug)]
pub struct Run {
    /// The check that ran.
    pub check: Arc<Check>,
    /// Its record.
    pub report: Report,
    /// The record's JSON.
    pub encoded: Encoded,
    /// Set when it is stored, or a newer run of its check took its place.
    pub stored: Arc<SetOnce<()>>,
    /// Set when its answer is kept for those who ask again.
    pub kept: OnceCell<()>,
    answer: OnceLock<Bytes>,
}

impl Run {
    /// A run that has just ended.
    pub fn new(check: Arc<Check>, report: Report, encoded: Encoded) -> Self {
        Self {
            check,
            report,
            encoded,
            stored: Arc::default(),
            kept: OnceCell::new(),
            answer: OnceLock::new(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.report.summary.run
    }

    /// Whether it says that its target fails.
    pub fn fails(&self) -> bool {
        let summary = &self.report.summary;
        summary.verdict == Verdict::Fail && summary.held.is_none()
    }

    /// The report in at most `limit` bytes: a longer body is cut, and marked so.
    pub fn answer(&self, limit: usize) -> Bytes {
        if self.encoded.report.len() <= limit {
            return self.encoded.report.clone();
        }
        let cut = || self.report.encode_within(limit);
        self.answer.get_or_init(cut).clone()
    }

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
