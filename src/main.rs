//! The `supercheck` binary: arguments, the command, and how it ended.

use std::process::ExitCode;

use clap::Parser as _;
use supercheck::{
    cli::{self, Cli, out},
    error::{Chain, Exit},
};

/// A seventh less memory than with the system's, at no more CPU time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Where the system gives huge pages to all who do not refuse them, a small
    // daemon fills little of its own. Where that cannot be refused they are
    // what they are.
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
