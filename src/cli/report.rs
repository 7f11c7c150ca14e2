//! `supercheck report`: the stored healthcheck JSON, exactly as stored.

use std::io::IsTerminal as _;

use clap::Args;

use super::{Failure, Global, connect, load, out};
use crate::{error::Exit, near::nearest};

/// What `report` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// A check's name, or the URL under which the report is stored
    #[arg(value_name = "NAME|URL")]
    target: String,
}

/// Prints the report; exit code 3 when there is none.
///
/// # Errors
/// When NATS cannot be reached.
#[expect(
    clippy::print_stderr,
    reason = "data goes to stdout, what is said of it to stderr"
)]
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    let check = loaded
        .config
        .checks
        .iter()
        .find(|check| check.name.as_str() == options.target);
    let object = check.map_or(options.target.as_str(), |check| check.object.as_str());
    out::block_on(async {
        let store = connect(&loaded.config).await?;
        let found = store
            .report(object)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        if let Some(body) = found {
            out::write(&body)?;
            // A terminal's next prompt begins on a line of its own.
            if std::io::stdout().is_terminal() && !body.ends_with(b"\n") {
                out::write(b"\n")?;
            }
            return Ok(Exit::Ok);
        }
        eprintln!(
            "no report of `{}` is stored: it was not checked in the last {}",
            options.target,
            humantime::format_duration(loaded.config.store.object_ttl)
        );
        if check.is_none()
            && let Some(near) = nearest(
                &options.target,
                loaded.config.checks.iter().map(|check| check.name.as_str()),
            )
        {
            eprintln!("hint: did you mean `{near}`?");
        }
        Ok(Exit::Unknown)
    })
}
