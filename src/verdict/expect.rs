//! Expectations in CEL, the language of Kubernetes' validation rules.
//!
//! A condition is compiled, reference-checked and dry-run when the
//! configuration is loaded. The crate has no cost limit, so cost is bounded
//! here: nested comprehensions are refused and long lists are not judged.

use cel::{Context, ExecutionError, Program, Value};

use crate::{
    check::{Expect, Severity},
    observation::{Observation, Response},
    report::{Document, Verdict},
};

mod explain;
mod scope;
mod vet;

/// A longer condition is a program, not an expectation.
const MAX_TEXT: usize = 2048;
/// The parser recurses, on a stack that is not endless: brackets nest so deep
/// at most.
const MAX_DEPTH: usize = 8;
/// For the same reason, so many operators at most.
const MAX_OPERATORS: usize = 40;

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

impl ExpectError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            hint: None,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// One expectation, compiled.
#[derive(Debug)]
pub struct Condition {
    expect: Expect,
    program: Program,
    /// The variables that it names: only those are made.
    variables: Vec<&'static str>,
}

/// What a condition is judged on.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// What the probe saw.
    pub observation: &'a Observation,
    /// The answer.
    pub response: &'a Response,
    /// Its body, when it is JSON.
    pub body: Option<&'a serde_json::Value>,
    /// Its body as a health document, when it is one.
    pub document: Option<&'a Document>,
}

/// Refuses what the parser might not survive.
fn bounded(cel: &str) -> Result<(), ExpectError> {
    let (mut depth, mut deepest, mut operators) = (0usize, 0, 0);
    let mut quote = None;
    for c in cel.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '+' | '-' | '*' | '/' | '%' | '!' | '?' | '<' | '>' | '=' | '&' | '|') => {
                operators += 1;
            }
            (None, _) => {}
        }
        deepest = deepest.max(depth);
    }
    let what = if cel.len() > MAX_TEXT {
        format!("is {} bytes long, more than {MAX_TEXT}", cel.len())
    } else if deepest > MAX_DEPTH {
        format!("nests brackets {deepest} deep, more than {MAX_DEPTH}")
    } else if operators > MAX_OPERATORS * 2 {
        // Most operators are two characters.
        format!("has more than {MAX_OPERATORS} operators")
    } else {
        return Ok(());
    };
    Err(ExpectError::new(format!("the expectation {what}")).hint("split it in several"))
}

impl Condition {
    /// Compiles and vets `expect`.
    ///
    /// # Errors
    /// When it is not one that we take.
    pub fn new(expect: &Expect) -> Result<Self, ExpectError> {
        bounded(&expect.cel)?;
        let program =
            Program::compile(&expect.cel).map_err(|errors| vet::syntax(&expect.cel, &errors))?;
        let variables = vet::references(&program)?;
        vet::cost(program.expression())?;
        vet::literals(program.expression())?;
        let condition = Self {
            expect: expect.clone(),
            program,
            variables,
        };
        condition.dry_run()?;
        Ok(condition)
    }

    /// The condition as configured.
    pub fn text(&self) -> &str {
        &self.expect.cel
    }

    /// What it makes of the verdict when it is not met.
    pub fn verdict(&self) -> Verdict {
        self.expect.severity.into()
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// When it does not: what was found, for a person.
    pub fn judge(&self, scope: &Scope<'_>) -> Result<(), String> {
        let mut context = Context::default();
        for name in &self.variables {
            let value = scope.variable(name)?;
            context.add_variable_from_value(*name, value);
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(_) => Err(explain::unmet(self.program.expression(), &context)),
            Err(error) => Err(explain::failed(self.program.expression(), &error, &context)),
        }
    }

    /// Judges an answer that is all empty. What can only fail over missing
    /// data is fine; what gives no truth value is not.
    fn dry_run(&self) -> Result<(), ExpectError> {
        let mut context = Context::default();
        for name in &self.variables {
            context.add_variable_from_value(*name, scope::empty(name));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(_)) => Ok(()),
            Ok(other) => Err(ExpectError::new(format!(
                "the expectation gives {}, not true or false",
                explain::kind(&other)
            ))
            .hint("compare it with something: `body.status == \"UP\"`")),
            Err(ExecutionError::UndeclaredReference(name)) => {
                Err(ExpectError::new(format!("`{name}` is not known")))
            }
            Err(_) => Ok(()),
        }
    }
}

impl From<&str> for Expect {
    fn from(cel: &str) -> Self {
        Self {
            cel: cel.to_owned(),
            severity: Severity::Fail,
        }
    }
}
