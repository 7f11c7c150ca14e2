//! The command line: what was typed, and the command that does it.
//!
//! Data goes to stdout, everything else to stderr. Each command returns the
//! process's [`Exit`].

use std::{io, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::Config,
    error::Exit,
    store::{self, Store},
};

pub mod check;
pub mod config;
pub mod demo_target;
pub mod doctor;
pub mod healthcheck;
pub mod history;
pub mod load;
pub mod log;
pub mod maintenance;
pub mod manual;
pub mod out;
pub mod report;
pub mod request;
pub mod serve;
pub mod status;

/// A healthcheck caching daemon on NATS JetStream.
#[derive(Debug, Parser)]
#[command(name = "supercheck", version, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The configuration file [default: ./supercheck.toml, then /etc/supercheck/supercheck.toml]
    #[arg(
        long,
        short,
        global = true,
        env = "SUPERCHECK_CONFIG",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// How the log is written [default: text on a terminal, else as `log.format` says]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log: Option<log::Format>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the daemon
    Serve(serve::Options),
    /// Probes here and now, and says why; stores nothing, needs no NATS
    Check(check::Options),
    /// Asks the running daemon for a check now, through NATS
    Request(request::Options),
    /// Shows the stored summaries as a table
    Status(status::Options),
    /// Prints the stored healthcheck JSON, exactly as stored
    Report(report::Options),
    /// Replays the stored summaries of a check
    History(history::Options),
    /// Marks what happens to a check for a time, through the running daemon
    Maintenance(maintenance::Options),
    /// Judges the configuration, or shows it with all defaults
    Config {
        /// What to do.
        #[command(subcommand)]
        verb: config::Verb,
    },
    /// Prints a JSON Schema
    Schema {
        /// Of what.
        of: config::Schema,
    },
    /// Looks at connection, JetStream, buckets and clocks, and says what helps
    Doctor(doctor::Options),
    /// Says whether the daemon on this host is ready, for container health checks
    Healthcheck(healthcheck::Options),
    /// Prints a completion script for a shell
    Completions(manual::Completions),
    /// Prints the manual page, or writes one for each command
    Man(manual::Man),
    /// Serves a target that is healthy, slow, flapping and broken, by path
    DemoTarget(demo_target::Options),
    /// Becomes the embedded nats-server (internal)
    #[command(name = crate::store::embedded::COMMAND, hide = true)]
    EmbeddedNatsServer {
        /// The daemon's process id.
        parent: u32,
        /// The nats-server binary.
        binary: PathBuf,
        /// Its configuration.
        config: PathBuf,
    },
}

/// Runs the command that was typed.
///
/// # Errors
/// Trouble of supercheck's own, to be shown by the caller.
pub fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Serve(options) => serve::run(&cli.global, &options),
        Command::Check(options) => check::run(&cli.global, &options),
        Command::Request(options) => request::run(&cli.global, &options),
        Command::History(options) => history::run(&cli.global, &options),
        Command::Status(options) => status::run(&cli.global, &options),
        Command::Report(options) => report::run(&cli.global, &options),
        Command::Maintenance(options) => maintenance::run(&cli.global, &options),
        Command::Config { verb } => config::run(&cli.global, &verb),
        Command::Schema { of } => config::schema(of),
        Command::Doctor(options) => doctor::run(&cli.global, &options),
        Command::Healthcheck(options) => healthcheck::run(&cli.global, &options),
        Command::Completions(options) => manual::completions(&options),
        Command::Man(options) => manual::man(&options),
        Command::DemoTarget(options) => demo_target::run(&options),
        Command::EmbeddedNatsServer {
            parent,
            binary,
            config,
        } => {
            let error = store::embedded::become_server(parent, &binary, &config);
            Err(Failure::new(
                Exit::Unavailable,
                anyhow::Error::new(error).context("become nats-server"),
            ))
        }
    }
}

/// Connects to the NATS that the daemon uses.
///
/// # Errors
/// When it does not answer.
pub async fn connect(config: &Config) -> Result<Store, Failure> {
    // Without a URL the daemon runs its own server, at this address.
    let url = config
        .nats
        .url
        .clone()
        .unwrap_or_else(|| format!("nats://{}", config.nats.listen));
    store::connection::connect_now(&config.nats, &url, config.store.clone())
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, error))
}

/// Connects to the NATS that the daemon uses and does `work` there. What the
/// server refuses just goes unanswered, so the first refusal ends it.
///
/// # Errors
/// When NATS does not answer or refuses something, or what `work` fails with.
pub async fn with_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = connect(config).await?;
    tokio::select! {
        done = work(&store) => done,
        refusal = store.refused() => Err(Failure::new(Exit::Unavailable, refusal)),
    }
}

/// Why a command ended, for a person, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The cause.
    pub error: anyhow::Error,
    /// What helps.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        let hint = hint(&error);
        Self { exit, error, hint }
    }
}

/// The hint of the first cause that has one.
fn hint(error: &anyhow::Error) -> Option<String> {
    use crate::store::{StoreError, embedded::EmbeddedError};
    error.chain().find_map(|cause| {
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            return store.hint().map(str::to_owned);
        }
        cause
            .downcast_ref::<EmbeddedError>()
            .map(|embedded| embedded.hint().to_owned())
    })
}

/// Whether `error` is a reader that went away, which is no trouble of ours.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
