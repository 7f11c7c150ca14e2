//! One check in a list: what it is, how it is, and how it was of late.

use askama::Template;

use super::shape::{Bar, bars, latency, shape, span, spark, told};
use crate::{
    clock::Timestamp,
    report::{Status, Summary},
    runner::{Cell, Recent},
};

/// What is shown of a check everywhere.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its status now.
    pub status: Status,
    /// The status's shape.
    pub shape: &'static str,
    /// Why the status is what it is.
    pub message: String,
    /// Whether what is known is `ageing` or `stale`; else empty.
    pub ageing: &'static str,
    /// The last runs.
    pub bars: Vec<Bar>,
    /// The last runs in words.
    pub told: String,
    /// The last latencies.
    pub spark: String,
    /// The newest latency.
    pub latency: String,
    /// When it was checked, in milliseconds since the epoch; 0 when never.
    pub at: u64,
    /// Until when that holds.
    pub until: u64,
    /// When it was checked.
    pub time: String,
    /// How long ago.
    pub age: String,
}

/// What distinguishes what is shown of a check from what was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String, Status);

#[derive(Template)]
#[template(path = "row.html", config = "src/serve/page/askama.toml")]
struct RowPage<'a> {
    row: &'a Row,
}

impl Row {
    /// A check as it is at `now`.
    pub fn of(cell: &Cell, now: Timestamp) -> Self {
        cell.look(|summary, recent| Self::with(cell, summary, recent, now))
    }

    fn with(cell: &Cell, summary: Option<&Summary>, recent: &Recent, now: Timestamp) -> Self {
        let status = status(summary, now);
        let message = match (summary, status) {
            (None, _) => "not checked yet".to_owned(),
            (Some(summary), Status::Unknown) if now > summary.expires_at => {
                format!(
                    "nothing new is known; it was {}: {}",
                    summary.status, summary.message
                )
            }
            (Some(summary), _) if summary.maintenance => {
                format!("in maintenance: {}", summary.message)
            }
            (Some(summary), _) => summary.message.clone(),
        };
        let at = summary.map_or(0, |summary| summary.checked_at.as_millis());
        let until = summary.map_or(0, |summary| summary.expires_at.as_millis());
        let age = now.as_millis().saturating_sub(at);
        let ageing = match summary {
            Some(_) if now.as_millis() > until => "stale",
            Some(_) if age > (until - at) / 2 => "ageing",
            Some(_) | None => "",
        };
        Self {
            name: cell.check.name.to_string(),
            status,
            shape: shape(status),
            message,
            ageing,
            bars: bars(recent.runs()),
            told: told(recent.runs()),
            spark: spark(recent.runs()),
            latency: summary.map_or_else(String::new, |summary| latency(summary.latency_ms)),
            at,
            until,
            time: summary.map_or_else(String::new, |summary| summary.checked_at.to_string()),
            age: summary.map_or_else(|| "never".to_owned(), |_| format!("{} ago", span(age))),
        }
    }

    /// Its line in a list.
    pub fn html(&self) -> String {
        RowPage { row: self }.render().unwrap_or_default()
    }
}

/// The status at `now`, unknown when nothing is known.
pub fn status(summary: Option<&Summary>, now: Timestamp) -> Status {
    summary.map_or(Status::Unknown, |summary| summary.status_at(now))
}

impl Shown {
    /// What would be shown at `now`.
    pub fn of(cell: &Cell, now: Timestamp) -> Self {
        cell.look(|summary, _| {
            let run = summary.map_or_else(String::new, |summary| summary.run.clone());
            Self(run, status(summary, now))
        })
    }
}
