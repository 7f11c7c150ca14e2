//! `supercheck report`: the stored healthcheck JSON, exactly as stored.

use std::io::IsTerminal as _;

use clap::Args;

use super::{Failure, Global, load, out, with_store};
use crate::{config::StoreSettings, error::Exit, near::nearest};

/// What `report` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// A check's name, or the URL under which the report is stored
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// The last failing report, which is kept for days
    #[arg(long)]
    last_failure: bool,
}

/// Prints the report; exit code 3 when there is none.
///
/// # Errors
/// When NATS cannot be reached.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    let target = options.target.as_str();
    let check = loaded.config.checks.iter().find(|check| {
        check.name.as_str() == target || *check.object == *target || *check.shown_url == *target
    });
    out::block_on(with_store(&loaded.config, async |store| {
        let found = if options.last_failure {
            let name = check.map_or(target, |check| check.name.as_str());
            store.last_failure(name).await
        } else {
            let object = check.map_or(target, |check| &*check.object);
            store.report(object).await
        };
        if let Some(body) = found.map_err(|error| Failure::new(Exit::Unavailable, error))? {
            out::write(&body)?;
            // A terminal's next prompt begins on a line of its own.
            if std::io::stdout().is_terminal() && !body.ends_with(b"\n") {
                out::write(b"\n")?;
            }
            return Ok(Exit::Ok);
        }
        out::tell(absent(options, &loaded.config.store));
        if check.is_none()
            && let Some(near) = nearest(
                target,
                loaded.config.checks.iter().map(|check| check.name.as_str()),
            )
        {
            out::tell(format_args!("hint: did you mean `{near}`?"));
        }
        Ok(Exit::Unknown)
    }))
}

fn absent(options: &Options, settings: &StoreSettings) -> String {
    let target = &options.target;
    let within = humantime::format_duration;
    if options.last_failure {
        let within = within(settings.failure_ttl);
        format!(
            "no failing report of `{target}` is stored: no run of it failed in the last {within}"
        )
    } else {
        let within = within(settings.object_ttl);
        format!("no report of `{target}` is stored: it was not checked in the last {within}")
    }
}
