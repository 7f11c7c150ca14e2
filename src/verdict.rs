//! Judging: an [`Observation`] against a check's rules makes a [`Judgement`].
//!
//! Pure: values in, values out. It knows no configuration file, no clock and
//! no network. Every rule that was judged leaves a row, met or not, and the
//! verdict is the worst of them.

use std::time::Duration;

use serde_json::Value;

use crate::{
    check::{Expect, Rules},
    observation::{Observation, Response},
    report::{Document, Expectation, Verdict, millis},
};

pub mod expect;
pub mod status;
pub mod write_up;

pub use expect::ExpectError;

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

    /// Says what is wrong with one expectation, for the configuration.
    ///
    /// # Errors
    /// When the CEL text does not parse, names something unknown, or could
    /// cost too much.
    pub fn examine(expect: &Expect) -> Result<(), ExpectError> {
        expect::Condition::new(expect).map(drop)
    }

    /// Judges `observation`.
    pub fn judge(&self, observation: &Observation) -> Judgement {
        let body = observation
            .response
            .as_ref()
            .map(parse)
            .unwrap_or(Err(String::new()));
        let mut rows = Rows::default();
        if let Some(failure) = &observation.failure {
            rows.not_met(Verdict::Fail, "an answer", failure.to_string());
        }
        if let Some(response) = &observation.response {
            self.judge_status(response, &mut rows);
            if let Some(limit) = self.rules.max_latency {
                judge_latency(observation.latency, limit, &mut rows);
            }
            if self.rules.json {
                match &body {
                    Ok(_) => rows.met("the body is JSON"),
                    Err(why) => rows.not_met(Verdict::Fail, "the body is JSON", why.clone()),
                }
            }
            let scope = expect::Scope {
                observation,
                response,
                body: body.as_ref().ok(),
            };
            for condition in &self.conditions {
                match condition.judge(&scope) {
                    Ok(()) => rows.met(condition.text()),
                    Err(finding) => rows.not_met(condition.verdict(), condition.text(), finding),
                }
            }
        }
        rows.into_judgement(observation, body.is_ok())
    }

    fn judge_status(&self, response: &Response, rows: &mut Rows) {
        let status = response.status;
        let (wanted, met) = if self.rules.status.is_empty() {
            ("200 to 299".to_owned(), (200..300).contains(&status))
        } else {
            let list: Vec<_> = self.rules.status.iter().map(ToString::to_string).collect();
            (list.join(", "), self.rules.status.contains(&status))
        };
        let expect = format!("HTTP status {wanted}");
        if met {
            rows.met(&expect);
        } else {
            let finding = format!("HTTP status {status}, expected {wanted}");
            rows.not_met(Verdict::Fail, &expect, finding);
        }
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
    serde_json::from_slice(&response.body).map_err(|error| {
        let kind = response.header("content-type").unwrap_or("no content type");
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

/// The rows of a judgement, while it is made.
#[derive(Default)]
struct Rows {
    rows: Vec<Expectation>,
    /// The first of the worst findings.
    worst: Option<(Verdict, String)>,
    unmet: usize,
}

impl Rows {
    fn met(&mut self, expect: &str) {
        self.rows.push(Expectation {
            expect: expect.to_owned(),
            met: true,
            finding: None,
        });
    }

    fn not_met(&mut self, verdict: Verdict, expect: &str, finding: String) {
        self.unmet += 1;
        if self
            .worst
            .as_ref()
            .is_none_or(|(worst, _)| verdict > *worst)
        {
            self.worst = Some((verdict, finding.clone()));
        }
        let finding = Some(finding);
        self.rows.push(Expectation {
            expect: expect.to_owned(),
            met: false,
            finding,
        });
    }

    fn into_judgement(self, observation: &Observation, json: bool) -> Judgement {
        let (verdict, message) = match self.worst {
            Some((verdict, finding)) if self.unmet > 1 => {
                (verdict, format!("{finding} (+{} more)", self.unmet - 1))
            }
            Some(worst) => worst,
            None => {
                let status = observation
                    .response
                    .as_ref()
                    .map_or(0, |response| response.status);
                (
                    Verdict::Pass,
                    format!("{status} in {}", shown(observation.latency)),
                )
            }
        };
        Judgement {
            verdict,
            message,
            expectations: self.rows,
            document: None,
            json,
        }
    }
}

#[cfg(test)]
mod tests;
