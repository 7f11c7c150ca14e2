//! The signals that the daemon hears.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the daemon hears.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("listen for signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.hangup.recv() => Heard::Reload,
            _ = self.terminate.recv() => Heard::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Heard::Stop("SIGINT"),
        }
    }

    /// Waits for a signal that ends the daemon, and names it.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            if let Heard::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}

/// What a signal asks for.
pub(super) enum Heard {
    Reload,
    /// And the signal's name.
    Stop(&'static str),
}
