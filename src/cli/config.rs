//! `supercheck config` and `supercheck schema`: judging a file, showing it
//! with its defaults, and the JSON Schemas.

use clap::{Subcommand, ValueEnum};

use super::{Failure, Global, load, out};
use crate::{
    config,
    error::Exit,
    report::{Report, Summary},
};

/// What `config` is told.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Says every mistake in the configuration; exit code 78 when there are any
    Check,
    /// Shows the configuration with all defaults filled in and secrets hidden
    Show,
}

/// The documents that have a schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Schema {
    /// The configuration file.
    Config,
    /// The healthcheck JSON of the object store.
    Report,
    /// The value in the KV bucket.
    Summary,
}

/// Judges or shows the configuration.
///
/// # Errors
/// When it has mistakes.
pub fn run(global: &Global, verb: &Verb) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    for warning in &loaded.warnings {
        out::tell(warning);
    }
    match verb {
        Verb::Check => {
            let checks = out::count(loaded.config.checks.len(), "check");
            let files = out::count(loaded.files.len(), "file");
            out::print(&format!("no mistakes: {checks} in {files}\n"))?;
        }
        Verb::Show => out::print(&config::show(&loaded.config))?,
    }
    Ok(Exit::Ok)
}

/// Prints a JSON Schema.
///
/// # Errors
/// When stdout is gone.
pub fn schema(of: Schema) -> Result<Exit, Failure> {
    let schema = match of {
        Schema::Config => config::schema(),
        Schema::Report => schemars::schema_for!(Report).into(),
        Schema::Summary => schemars::schema_for!(Summary).into(),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::new(Exit::Bug, anyhow::Error::new(error)))?;
    out::print(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}
