//! `supercheck serve`: the daemon.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;

use super::{Failure, Global, load, log};
use crate::{
    config::Config,
    daemon::{self, Ended, Settings},
    error::{Chain, Exit},
};

/// What `serve` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// End with exit code 69 when NATS cannot be used at the start
    #[arg(long)]
    require_nats: bool,
    /// Run every check once within 1.5 s of the start
    #[arg(long)]
    fast_start: bool,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// Mistakes in the configuration, or a socket that cannot be opened.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let named = global.config.clone();
    let mut loaded = load::load(named.as_deref())?;
    log::begin(global.log, &loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    loaded.config.scheduler.fast_start |= options.fast_start;
    let instance = loaded
        .config
        .scheduler
        .instance
        .clone()
        .unwrap_or_else(instance);
    raise_limits();
    let workers = workers(&loaded.config);
    let readers = threads(1, "readers", give_way)?;
    let settings = Settings {
        config: loaded.config,
        reload: Box::new(move || {
            let loaded = load::load_or(named.as_deref(), "nothing was changed")
                .map_err(|failure| Chain(failure.error.as_ref()).to_string())?;
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            Ok(loaded.config)
        }),
        state: state_directory(),
        instance,
        require_nats: options.require_nats,
        readers: readers.handle().clone(),
    };
    let ended = threads(workers, "checks", || {})?
        .block_on(daemon::run(settings))
        .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    Ok(match ended {
        Ended::Stopped => Exit::Ok,
        Ended::Broken => Exit::Bug,
    })
}

/// A runtime on threads of this name, each of which begins with `begin`.
fn threads(
    n: usize,
    name: &'static str,
    begin: impl Fn() + Send + Sync + 'static,
) -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(n)
        .thread_name(name)
        .on_thread_start(begin)
        .enable_all()
        .build()
        .map_err(|error| {
            let error = anyhow::Error::new(error).context("start the runtime");
            Failure::new(Exit::Bug, error)
        })
}

/// Readers have a thread of their own, to which that of the checks is
/// preferred: however many ask, checks start in time.
fn give_way() {
    if let Err(error) = rustix::process::nice(5) {
        tracing::debug!(%error, "readers have no lower priority");
    }
}

/// Every probe, reader and connection takes a file descriptor, and what a
/// shell allows by default is soon used up.
fn raise_limits() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "no more file descriptors than before");
    }
}

/// Threads that have nothing to do wake each other all the same, so there is
/// one for each so many checks a second, up to one a core.
fn workers(config: &Config) -> usize {
    const CHECKS_EACH: f64 = 2500.0;
    let rates = config
        .checks
        .iter()
        .map(|check| check.interval.as_secs_f64().recip());
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number above zero"
    )]
    let wanted = (rates.sum::<f64>() / CHECKS_EACH).ceil() as usize;
    wanted.clamp(1, cores)
}

/// `$STATE_DIRECTORY` (systemd), else the user's own by the XDG rules.
fn state_directory() -> PathBuf {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    var("STATE_DIRECTORY")
        .or_else(|| var("XDG_STATE_HOME").map(|home| home.join("supercheck")))
        .or_else(|| var("HOME").map(|home| home.join(".local/state/supercheck")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/supercheck"))
}

/// `<host>-<process id>`: unique among the daemons of a host at one time.
fn instance() -> String {
    let uname = rustix::system::uname();
    format!(
        "{}-{}",
        uname.nodename().to_string_lossy(),
        std::process::id()
    )
}
