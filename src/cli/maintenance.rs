//! `supercheck maintenance`: sets a check's maintenance flag, or clears it.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, Global, connect, load, out, request::refused};
use crate::{check::CheckName, error::Exit};

/// The daemon answers within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `maintenance` is told.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("order").required(true).args(["lasts", "clear"])))]
pub struct Options {
    /// The check
    #[arg(value_name = "NAME")]
    name: String,
    /// For how long, such as `2h`; at most 30 days
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    lasts: Option<Duration>,
    /// What it is for: summaries and events show it
    #[arg(long, value_name = "TEXT", requires = "lasts")]
    reason: Option<String>,
    /// End it now
    #[arg(long)]
    clear: bool,
}

/// Asks the daemon, and says what holds now.
///
/// # Errors
/// When NATS or the daemon cannot be reached, or the request is refused.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    let name = CheckName::new(&options.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let body = match options.lasts {
        Some(lasts) => json!({
            "for": humantime::format_duration(lasts).to_string(),
            "reason": options.reason.as_deref().unwrap_or_default(),
        }),
        None => json!({"clear": true}),
    };
    out::block_on(async {
        let store = connect(&loaded.config).await?;
        let subject = format!("supercheck.maintenance.{name}");
        let answer = store
            .ask(&subject, body.to_string(), None, PATIENCE)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        let answer = answer.map_err(|refusal| refused(refusal, None))?;
        let answer: Value =
            serde_json::from_slice(&answer).map_err(|error| Failure::new(Exit::Bug, error))?;
        let until = answer.get("until").and_then(Value::as_str);
        out::print(&match until {
            Some(until) => format!("`{name}` is in maintenance until {until}\n"),
            None => format!("`{name}` is not in maintenance by a flag\n"),
        })?;
        Ok(Exit::Ok)
    })
}
