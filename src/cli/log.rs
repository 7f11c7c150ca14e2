//! Logging to stderr: text for people, or JSON. Under systemd the text goes to
//! its journal, with each field by itself.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    EnvFilter,
    fmt::time::FormatTime,
    layer::{Layer as _, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::config::{Log, LogFormat};

mod journal;

use journal::Journal;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Timestamps as everywhere in supercheck.
struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", crate::clock::now())
    }
}

/// Begins logging. `RUST_LOG` wins over the configured filter.
pub fn begin(asked: Option<Format>, log: &Log) {
    let format = asked.unwrap_or(match log.format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    });
    let asked_for = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty());
    let asked_for = asked_for.and_then(|text| EnvFilter::try_new(text).ok());
    let filter = asked_for.unwrap_or_else(|| {
        // The client's own account of its connection repeats the keeper's, and
        // a target's bad certificate is an observation, no error of ours.
        let quiet = "async_nats=off,rustls_platform_verifier=off";
        EnvFilter::new(format!("{quiet},{}", log.filter))
    });
    if format == Format::Text
        && let Some(journal) = Journal::of_stderr()
    {
        let began = tracing_subscriber::registry()
            .with(journal.with_filter(filter))
            .try_init();
        // As below.
        drop(began);
        return;
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(Wall)
        .with_writer(io::stderr)
        // A log that nobody reads any more is no reason to panic.
        .log_internal_errors(false);
    let began = match format {
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        Format::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).with_target(false).try_init()
        }
    };
    // Only a second call in one process fails; then logging is on already.
    drop(began);
}
