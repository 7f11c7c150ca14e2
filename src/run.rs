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
    json: Json,
    /// Set when it is stored, or a newer run of its check took its place.
    pub stored: Arc<SetOnce<()>>,
    /// Set when its answer is kept for those who ask again.
    pub kept: OnceCell<()>,
    /// Its answer where the whole is too long, and the limit that it was cut to.
    cut: OnceLock<Box<(usize, Bytes)>>,
    /// Whether the target sent JSON.
    has_document: bool,
}

/// The JSON of a record. The newest run of each check is kept, and most reports
/// are short: those are put together when somebody wants them.
#[derive(Debug)]
enum Json {
    /// What the record says beyond the summary.
    Details(Bytes),
    /// All of a long one, which whoever wants it shares.
    Whole(Encoded),
}

/// Of this length details are long.
const LONG: usize = 16 << 10;

impl Run {
    /// A run that has just ended.
    ///
    /// # Errors
    /// As [`Details::encode`].
    pub fn new(check: Arc<Check>, report: Report) -> serde_json::Result<Self> {
        let details = report.details.encode()?;
        let has_document = report.details.response.is_some_and(|shown| shown.json);
        Ok(Self::of(check, report.summary, details, has_document))
    }

    /// A run with the JSON of its details, which show the target's own JSON or
    /// none.
    pub fn of(check: Arc<Check>, summary: Summary, details: Bytes, has_document: bool) -> Self {
        let json = if details.len() < LONG {
            Json::Details(details)
        } else {
            Json::Whole(Encoded::new(&summary, &details))
        };
        Self {
            check,
            summary,
            json,
            stored: Arc::default(),
            kept: OnceCell::new(),
            cut: OnceLock::new(),
            has_document,
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
        match &self.json {
            Json::Details(details) => Encoded::new(&self.summary, details),
            Json::Whole(encoded) => encoded.clone(),
        }
    }

    /// Its summary as JSON.
    pub fn encoded_summary(&self) -> Bytes {
        let summary = serde_json::to_vec(&self.summary);
        summary.unwrap_or_default().into()
    }

    /// JSON that holds its details.
    const fn json(&self) -> &Bytes {
        match &self.json {
            Json::Details(details) => details,
            Json::Whole(encoded) => &encoded.report,
        }
    }

    /// What its record says beyond the summary.
    ///
    /// # Errors
    /// Never for a report made by this program.
    pub fn details(&self) -> serde_json::Result<Details> {
        serde_json::from_slice(self.json())
    }

    /// About how many bytes it takes in memory.
    pub const fn size(&self) -> usize {
        self.json().len()
    }

    /// The report in at most `limit` bytes: a longer body is cut, and marked so.
    pub fn answer(&self, limit: usize) -> Bytes {
        let encoded = self.encoded();
        if encoded.report.len() <= limit {
            return encoded.report;
        }
        let cut = || Box::new((limit, encoded.within(limit)));
        match &**self.cut.get_or_init(cut) {
            (to, cut) if *to == limit => cut.clone(),
            // Another server takes more, or less.
            _ => encoded.within(limit),
        }
    }

    /// The answer's body as its record shows it.
    pub fn body(&self) -> Option<Bytes> {
        report::body(self.json())
    }

    /// The target's own JSON, byte for byte, when it sent some.
    pub fn document(&self) -> Option<Bytes> {
        self.has_document.then(|| self.body())?
    }
}
