//! The `supercheck` binary: arguments, the command, and how it ended.

use std::process::ExitCode;

use clap::Parser as _;
use supercheck::{
    cli::{self, Cli, out},
    error::{Chain, Exit},
};

/// A tenth less CPU time than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, of which a small daemon fills little.
    // Where that cannot be refused they are what they are.
    rustix::thread::disable_transparent_huge_pages(true).unwrap_or_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let told = error.print();
            let usage = error.use_stderr();
            drop(told);
            return if usage {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    match cli::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) if cli::is_closed_pipe(&failure.error) => Exit::Ok.into(),
        Err(failure) => {
            out::tell(format_args!("error: {}", Chain(failure.error.as_ref())));
            if let Some(hint) = failure.hint {
                out::tell(format_args!("hint: {hint}"));
            }
            failure.exit.into()
        }
    }
}
