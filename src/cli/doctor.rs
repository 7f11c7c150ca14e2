//! `supercheck doctor`: looks at what the daemon needs, says what is amiss and
//! what helps.

use std::time::Duration;

use clap::Args;

use super::{Failure, Global, connect, load, out};
use crate::{
    error::Exit,
    store::examine::{Asked, Finding, Level},
};

/// What `doctor` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// Make what is missing and change what can be changed
    #[arg(long)]
    fix: bool,
}

/// Examines NATS. Exit code 0: good, 1: look at it, 2: something does not
/// work, 69: NATS is not there.
///
/// # Errors
/// When NATS cannot be reached.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    let checks = out::count(loaded.config.checks.len(), "check");
    out::print(&format!(
        "ok       the configuration has no mistakes: {checks}\n"
    ))?;
    for warning in &loaded.warnings {
        out::print(&format!("warning  {warning}\n"))?;
    }
    let checks = &loaded.config.checks;
    let bodies = checks.iter().map(|check| check.target.max_body);
    let a_day = |interval: Duration| 86_400.0 / interval.as_secs_f64();
    let asked = Asked {
        largest_body: bodies.max().unwrap_or(0),
        runs_a_day: checks.iter().map(|check| a_day(check.interval)).sum(),
    };
    let findings = out::block_on(async {
        let store = connect(&loaded.config).await?;
        Ok(store.examine(asked, options.fix).await)
    })?;
    let mut worst = if loaded.warnings.is_empty() {
        Level::Good
    } else {
        Level::Warning
    };
    for Finding { level, found, hint } in findings {
        let word = match level {
            Level::Good => "ok     ",
            Level::Warning => "warning",
            Level::Bad => "bad    ",
        };
        out::print(&format!("{word}  {found}\n"))?;
        if let Some(hint) = hint {
            out::print(&format!("         hint: {hint}\n"))?;
        }
        worst = worst.max(level);
    }
    Ok(match worst {
        Level::Good => Exit::Ok,
        Level::Warning => Exit::Degraded,
        Level::Bad => Exit::Down,
    })
}
