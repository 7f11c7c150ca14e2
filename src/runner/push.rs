//! Checks whose jobs report by themselves: a report, and its absence, become
//! runs like any other.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Cell, Runner,
    seen::{Seen, guarded},
};
use crate::{
    clock::{self, Timestamp},
    observation::{Observation, Phases, Response},
    report::{Expectation, Summary, Trigger, Verdict},
    request::Refusal,
    run::Run,
    verdict::Judgement,
};

const EXAMPLE: &str = "send nothing when all is well, `{\"status\": \"warn\", \"message\": \"…\"}` \
                       (pass, warn or fail), or a health document in a known dialect";

/// What a job says in supercheck's own words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The judge reads it: it is the IETF draft's word too.
    #[serde(rename = "status")]
    _status: Verdict,
    #[serde(default)]
    message: Option<String>,
}

impl Runner {
    /// Takes the report of a push check's job.
    ///
    /// # Errors
    /// A refusal, when it says nothing that is known.
    pub fn push(&self, cell: &Cell, body: &Bytes) -> Result<Arc<Run>, Refusal> {
        if body.len() > cell.check.target.max_body {
            return Err(Refusal::malformed(
                format!("the report has {} bytes", body.len()),
                format!(
                    "make it {} at most, or raise `max_body`",
                    cell.check.target.max_body
                ),
            ));
        }
        let _turn = self.pushes.lock();
        let at = clock::now();
        let (observation, judgement) = judge(cell, body, at)?;
        let seen = Seen {
            observation,
            judgement,
            failed: Vec::new(),
            reported_at: Some(at),
        };
        self.land(cell, seen, Trigger::Push)
            .ok_or_else(|| Refusal::new(500, "the report was not kept", "see the daemon's log"))
    }

    /// Makes a failing run of a silence that is longer than it may be; `None`
    /// when it is not.
    pub fn silence(&self, cell: &Cell, since: Timestamp, now: Timestamp) -> Option<Arc<Run>> {
        let _turn = self.pushes.lock();
        if cell.overdue_at(since) > now {
            return None;
        }
        let reported_at = cell.newest().and_then(|newest| newest.reported_at);
        let every = said(cell.check.interval);
        let message = match reported_at {
            Some(at) => format!(
                "no report for {}, expected every {every}",
                said(now.since(at))
            ),
            None => format!("no report yet, expected every {every}"),
        };
        let judgement = Judgement {
            verdict: Verdict::Fail,
            message: message.clone(),
            expectations: vec![Expectation {
                expect: format!("a report every {every}"),
                met: false,
                finding: Some(message),
            }],
            document: None,
            json: false,
        };
        let seen = Seen {
            observation: observed(now, None),
            judgement,
            failed: Vec::new(),
            reported_at,
        };
        self.land(cell, seen, Trigger::Schedule)
    }

    fn land(&self, cell: &Cell, seen: Seen, trigger: Trigger) -> Option<Arc<Run>> {
        let run = self.conclude(cell, seen, trigger, false)?;
        self.recorder.offer(&run);
        cell.put(&run);
        Some(run)
    }
}

impl Cell {
    /// When a push check fails for its silence, if nothing comes; a report may
    /// have been missed before `since`.
    pub fn overdue_at(&self, since: Timestamp) -> Timestamp {
        let (interval, grace) = (self.check.interval, self.check.grace.unwrap_or_default());
        let newest = self.newest();
        let newest = newest.as_ref();
        let heard = newest.map_or(since, |newest| newest.checked_at.max(since));
        if newest.is_some_and(is_silence) {
            // It is told again, so that what is known stays fresh.
            heard + interval
        } else {
            heard + interval + grace
        }
    }
}

fn is_silence(summary: &Summary) -> bool {
    summary.trigger == Trigger::Schedule
}

/// Judges by the check's rules, as if the report were an answer.
fn judge(cell: &Cell, body: &Bytes, at: Timestamp) -> Result<(Observation, Judgement), Refusal> {
    let own = serde_json::from_slice::<Said>(body).ok();
    let media = match body.trim_ascii().first() {
        None => "text/plain",
        Some(_) if own.is_some() => "application/health+json",
        Some(b'{' | b'[') => "application/json",
        Some(_) => "text/plain",
    };
    let content = if body.trim_ascii().is_empty() {
        Bytes::from_static(b"ok")
    } else {
        body.clone()
    };
    let observation = observed(at, Some((media, content)));
    let mut judgement = guarded(|| cell.judge.judge(&observation));
    let says = judgement
        .document
        .as_ref()
        .map(|document| document.status.verdict());
    if says.flatten().is_none() && cell.check.rules.expect.is_empty() {
        return Err(Refusal::malformed(
            "the report says no status that is known",
            EXAMPLE,
        ));
    }
    // Nobody asked over HTTP.
    judgement
        .expectations
        .retain(|row| !row.expect.starts_with("HTTP status"));
    if let Some(message) = own.and_then(|own| own.message) {
        judgement.message = crate::line::line(&message, 200);
    } else if judgement.verdict == Verdict::Pass {
        "reported".clone_into(&mut judgement.message);
    }
    Ok((observation, judgement))
}

fn observed(at: Timestamp, report: Option<(&str, Bytes)>) -> Observation {
    Observation {
        response: report.map(|(media, body)| Response {
            status: 200,
            version: "push",
            headers: vec![("content-type".to_owned(), media.to_owned())],
            body,
            truncated: false,
            remote: None,
            redirects: Vec::new(),
        }),
        started_at: at,
        latency: Duration::ZERO,
        phases: Phases::default(),
        failure: None,
        certificate: None,
        reached: None,
    }
}

/// A duration for a person: whole seconds, when there are any.
fn said(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    })
}
