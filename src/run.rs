//! A finished run on its way through the pipeline.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{OnceCell, SetOnce};

use crate::{
    check::Check,
    report::{self, Details, Encoded, Report, Summary, Verdict},
};

/// A finished run: its check, its record, and how far it has come.
#[derive(Debug)]
pub struct Run {
    /// The check that ran.
    pub check: Arc<Check>,
    /// What its record says in short.
    pub summary: Summary,
    /// The JSON of the rest: the newest run of each check is kept, and its
    /// report is put together when somebody wants it.
    details: Bytes,
    /// Set when it is stored, or a newer run of its check took its place.
    pub stored: Arc<SetOnce<()>>,
    /// Set when its answer is kept for those who ask again.
    pub kept: OnceCell<()>,
    cut: OnceLock<Bytes>,
    /// Whether the target sent JSON.
    json: bool,
}

impl Run {
    /// A run that has just ended.
    ///
    /// # Errors
    /// As [`Details::encode`].
    pub fn new(check: Arc<Check>, report: Report) -> serde_json::Result<Self> {
        let details = report.details.encode()?;
        let json = report.details.response.is_some_and(|shown| shown.json);
        Ok(Self::of(check, report.summary, details, json))
    }

    /// A run with the JSON of its details, which show the target's own JSON or
    /// none.
    pub fn of(check: Arc<Check>, summary: Summary, details: Bytes, json: bool) -> Self {
        Self {
            check,
            summary,
            details,
            stored: Arc::default(),
            kept: OnceCell::new(),
            cut: OnceLock::new(),
            json,
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

    /// Its record as JSON.
    pub fn encoded(&self) -> Encoded {
        Encoded::new(&self.summary, &self.details)
    }

    /// What its record says beyond the summary.
    ///
    /// # Errors
    /// Never for a report made by this program.
    pub fn details(&self) -> serde_json::Result<Details> {
        serde_json::from_slice(&self.details)
    }

    /// About how many bytes it takes in memory.
    pub const fn size(&self) -> usize {
        self.details.len()
    }

    /// The report in at most `limit` bytes: a longer body is cut, and marked so.
    pub fn answer(&self, limit: usize) -> Bytes {
        if let Some(cut) = self.cut.get() {
            return cut.clone();
        }
        let encoded = self.encoded();
        if encoded.report.len() <= limit {
            return encoded.report;
        }
        self.cut.get_or_init(|| encoded.within(limit)).clone()
    }

    /// The answer's body as its record shows it.
    pub fn body(&self) -> Option<Bytes> {
        report::body(&self.details)
    }

    /// The target's own JSON, byte for byte, when it sent some.
    pub fn document(&self) -> Option<Bytes> {
        self.json.then(|| self.body())?
    }
}
