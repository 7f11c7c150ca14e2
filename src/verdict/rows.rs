//! The rows of a judgement, while it is made.

use crate::{
    observation::Observation,
    report::{Document, Expectation, Verdict},
    verdict::{Judgement, shown},
};

/// The rows of a judgement, while it is made.
#[derive(Default)]
pub(super) struct Rows {
    rows: Vec<Expectation>,
    /// The first of the worst findings.
    worst: Option<(Verdict, String)>,
    unmet: usize,
}

impl Rows {
    pub(super) fn met(&mut self, expect: &str) {
        self.rows.push(Expectation {
            expect: expect.to_owned(),
            met: true,
            finding: None,
        });
    }

    pub(super) fn not_met(&mut self, verdict: Verdict, expect: &str, finding: String) {
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

    /// Notes a finding that another has told of already.
    pub(super) fn not_met_either(&mut self, verdict: Verdict, expect: &str, finding: String) {
        self.not_met(verdict, expect, finding);
        self.unmet -= 1;
    }

    pub(super) fn into_judgement(
        self,
        observation: &Observation,
        document: Option<Document>,
        json: bool,
    ) -> Judgement {
        let (verdict, message) = match self.worst {
            Some((verdict, finding)) if self.unmet > 1 => {
                (verdict, format!("{finding} (+{} more)", self.unmet - 1))
            }
            Some(worst) => worst,
            None => {
                let latency = shown(observation.latency);
                let message = match &observation.response {
                    Some(response) => format!("{} in {latency}", response.status),
                    None => format!("connected in {latency}"),
                };
                (Verdict::Pass, message)
            }
        };
        Judgement {
            verdict,
            message,
            expectations: self.rows,
            document,
            json,
        }
    }
}
