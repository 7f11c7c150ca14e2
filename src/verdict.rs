//! Judging: an [`Observation`] against a check's rules makes a [`Judgement`].
//!
//! Pure: values in, values out. It knows no configuration file, no clock and
//! no network. Every rule that was judged leaves a row, met or not, and the
//! verdict is the worst of them.

use std::time::Duration;

use serde_json::Value;

use crate::{
    check::{Dialect, Disagreement, Expect, Rules},
    line::line,
    observation::{Observation, Response},
    report::{Document, Expectation, Verdict, millis},
};

pub mod document;
pub mod expect;
pub mod status;
pub mod write_up;

mod answer;
mod certificate;
mod rows;

use answer::Answer;
pub use expect::ExpectError;
use rows::Rows;

/// A check's rules, ready to judge with.
#[derive(Debug)]
pub struct Judge {
    rules: Rules,
    conditions: Vec<expect::Condition>,
}

/// The judgement of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Its reason, for a person: one line.
    pub message: String,
    /// Every rule that was judged, in the order configured.
    pub expectations: Vec<Expectation>,
    /// The answer read as a health document, when it is one.
    pub document: Option<Document>,
    /// Whether the body is JSON.
    pub json: bool,
}

impl Judge {
    /// Prepares `rules`.
    ///
    /// # Errors
    /// When a CEL text is not one that we take; the index says which.
    pub fn new(rules: &Rules) -> Result<Self, (usize, ExpectError)> {
        let conditions = rules
            .expect
            .iter()
            .enumerate()
            .map(|(index, expect)| expect::Condition::new(expect).map_err(|error| (index, error)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            rules: rules.clone(),
            conditions,
        })
    }

    /// The variables that one expectation names, or what is wrong with it, for
    /// the configuration.
    ///
    /// # Errors
    /// When the CEL text does not parse, names something unknown, or could
    /// cost too much.
    pub fn examine(expect: &Expect) -> Result<Vec<&'static str>, ExpectError> {
        expect::Condition::new(expect).map(|condition| condition.variables().collect())
    }

    /// Judges `observation`.
    pub fn judge(&self, observation: &Observation) -> Judgement {
        let body = observation
            .response
            .as_ref()
            .map_or(Err(String::new()), parse);
        let mut rows = Rows::default();
        let mut document = None;
        if let Some(failure) = &observation.failure {
            rows.not_met(Verdict::Fail, "an answer", failure.to_string());
        } else if observation.response.is_none() {
            rows.met("a connection");
        }
        if let Some(response) = &observation.response {
            document = self.judge_answer(observation, response, body.as_ref().ok(), &mut rows);
            if self.rules.json {
                match &body {
                    Ok(_) => rows.met("the body is JSON"),
                    Err(why) => rows.not_met(Verdict::Fail, "the body is JSON", why.clone()),
                }
            }
        }
        let reached = observation.response.is_some() || observation.failure.is_none();
        if let (Some(limit), true) = (self.rules.max_latency, reached) {
            judge_latency(observation.latency, limit, &mut rows);
        }
        certificate::judge(observation, self.rules.certificate_warn, &mut rows);
        if reached {
            let scope = expect::Scope {
                observation,
                response: observation.response.as_ref(),
                body: body.as_ref().ok(),
                document: document.as_ref(),
            };
            for condition in &self.conditions {
                match condition.judge(&scope) {
                    Ok(()) => rows.met(condition.text()),
                    Err(finding) => rows.not_met(condition.verdict(), condition.text(), finding),
                }
            }
        }
        rows.into_judgement(observation, document, body.is_ok())
    }

    /// Judges the HTTP status and what the document says, which may disagree.
    fn judge_answer(
        &self,
        observation: &Observation,
        response: &Response,
        body: Option<&Value>,
        rows: &mut Rows,
    ) -> Option<Document> {
        let dialect = match observation.failure {
            None => self.rules.dialect,
            // Half a document is none.
            Some(_) => Dialect::None,
        };
        let reading = document::read(dialect, response, body, observation.started_at);
        let answer = Answer {
            rules: &self.rules,
            status: response.status,
            reading: reading.as_ref().ok().and_then(Option::as_ref),
        };
        answer.judge(rows);
        let unread = matches!(reading, Ok(None)) && dialect != Dialect::None;
        if unread && response.truncated && document::is_called_so(response) {
            let cut = response.body.len();
            let finding = format!(
                "the health document was cut at {cut} bytes, and is not judged: raise `max_body`"
            );
            rows.not_met(Verdict::Warn, "a whole health document", finding);
        }
        if let Err(dialect) = reading
            && self.rules.on_disagreement != Disagreement::Http
        {
            let expect = format!("a health document in `{dialect}`");
            let finding = format!("the body is no health document in `{dialect}`");
            rows.not_met(Verdict::Fail, &expect, finding);
        }
        reading.ok().flatten().map(|reading| reading.document)
    }
}

fn judge_latency(latency: Duration, limit: Duration, rows: &mut Rows) {
    let limit_text = humantime::format_duration(limit);
    let expect = format!("an answer within {limit_text}");
    if latency <= limit {
        rows.met(&expect);
    } else {
        let finding = format!(
            "answered in {}, expected within {limit_text}",
            shown(latency)
        );
        rows.not_met(Verdict::Warn, &expect, finding);
    }
}

/// The body as JSON, or why it is none.
fn parse(response: &Response) -> Result<Value, String> {
    if response.truncated {
        return Err(format!("the body was cut at {} bytes", response.body.len()));
    }
    if response.body.is_empty() {
        return Err("the body is empty".to_owned());
    }
    serde_json::from_slice(response.content()).map_err(|error| {
        let kind = response.header("content-type").unwrap_or("no content type");
        let kind = line(kind, 80);
        format!("the body is not JSON ({kind}): {error}")
    })
}

/// A duration for a person: `12 ms`, `1.25 s`.
fn shown(duration: Duration) -> String {
    let ms = millis(duration);
    if ms >= 1000.0 {
        format!("{:.2} s", ms / 1000.0)
    } else if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

#[cfg(test)]
mod tests;
