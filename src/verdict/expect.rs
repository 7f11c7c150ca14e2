//! Expectations in CEL, the language of Kubernetes' validation rules.
//!
//! A condition is compiled, reference-checked and dry-run when the
//! configuration is loaded. The crate has no cost limit, so cost is bounded
//! here: nested comprehensions are refused and long lists are not judged.

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value};

use crate::{
    check::{Expect, Severity},
    observation::{Observation, Response},
    report::{Document, Verdict},
};

mod explain;
mod pattern;
mod render;
mod scan;
mod scope;
mod vet;
mod wanted;

use explain::Explain;
use scope::Bounds;
use wanted::{Wanted, loops};

/// The language's functions, made once.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Nothing but the language.
fn language<'v>() -> Context<'static, 'v> {
    Context::with_env(Arc::clone(&LANGUAGE))
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
    /// The variables that it names, and what it looks at of each: only that
    /// is made.
    variables: Vec<(&'static str, Wanted)>,
    bounds: Bounds,
}

/// What a condition is judged on.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// What the probe saw.
    pub observation: &'a Observation,
    /// The answer, if one was asked for.
    pub response: Option<&'a Response>,
    /// Its body, when it is JSON.
    pub body: Option<&'a serde_json::Value>,
    /// Its body as a health document, when it is one.
    pub document: Option<&'a Document>,
}

impl Condition {
    /// Compiles and vets `expect`.
    ///
    /// # Errors
    /// When it is not one that we take.
    pub fn new(expect: &Expect) -> Result<Self, ExpectError> {
        scan::bounded(&expect.cel)?;
        let program =
            Program::compile(&expect.cel).map_err(|errors| vet::syntax(&expect.cel, &errors))?;
        let expression = program.expression();
        let names = vet::references(&program)?;
        vet::fields(expression)?;
        vet::cost(expression)?;
        vet::literals(expression)?;
        let bounds = Bounds {
            loops: loops(expression),
            matched: pattern::room(pattern::weigh(expression)?),
        };
        let variables = names
            .into_iter()
            .map(|name| (name, Wanted::of(expression, name)))
            .collect();
        let condition = Self {
            expect: expect.clone(),
            variables,
            bounds,
            program,
        };
        condition.dry_run()?;
        Ok(condition)
    }

    /// The condition as configured.
    pub fn text(&self) -> &str {
        &self.expect.cel
    }

    /// The variables that it names.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.variables.iter().map(|(name, _)| *name)
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
        let mut context = language();
        for (name, wanted) in &self.variables {
            let value = scope.variable(name, wanted, self.bounds)?;
            context.add_variable_from_value(*name, value);
        }
        let (expression, explain) = (self.program.expression(), Explain { scope });
        match Value::resolve(expression, &context) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(_) => Err(explain.unmet(expression, &context)),
            Err(error) => Err(explain.failed(expression, &error, &context)),
        }
    }

    /// Judges an answer that is all empty. What can only fail over missing
    /// data is fine; what gives no truth value is not.
    fn dry_run(&self) -> Result<(), ExpectError> {
        let mut context = language();
        for (name, _) in &self.variables {
            context.add_variable_from_value(*name, scope::empty(name));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(_)) => Ok(()),
            Ok(other) => Err(ExpectError::new(format!(
                "the expectation gives {}, not true or false",
                render::kind(&other)
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

#[cfg(test)]
mod tests;
