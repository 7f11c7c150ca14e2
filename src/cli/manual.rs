//! `supercheck man` and `supercheck completions`: made from the command line
//! itself, for packages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failure, out};
use crate::error::Exit;

/// What `completions` is told.
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

/// What `man` is told.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each command here, instead of printing the first
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Prints a completion script.
///
/// # Errors
/// When the reader has gone.
pub fn completions(options: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut visible(), "supercheck", &mut script);
    out::write(&script)?;
    Ok(Exit::Ok)
}

/// Prints the manual page, or writes all of them.
///
/// # Errors
/// When the directory cannot be written to.
pub fn man(options: &Man) -> Result<Exit, Failure> {
    let Some(directory) = &options.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(visible())
            .render(&mut page)
            .context("write a manual page")
            .map_err(|error| Failure::new(Exit::Bug, error))?;
        out::write(&page)?;
        return Ok(Exit::Ok);
    };
    clap_mangen::generate_to(visible(), directory)
        .with_context(|| format!("write the manual pages to `{}`", directory.display()))
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(Exit::Ok)
}

/// The command line without what is internal.
fn visible() -> Command {
    let all = Cli::command();
    let shown = |command: &&Command| !command.is_hide_set();
    let commands: Vec<_> = all.get_subcommands().filter(shown).cloned().collect();
    Command::new("supercheck")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .args(all.get_arguments())
        .subcommands(commands)
}
