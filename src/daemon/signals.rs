//! The signals that the daemon hears.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// The same signal within this time is the same wish: timeout(1), for one,
/// signals a process and then the process's group.
const ONE_WISH: Duration = Duration::from_millis(100);

/// The signals that the daemon hears.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// The newest signal that ends the daemon, and when it came.
    newest: Option<(&'static str, Instant)>,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("listen for signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
            newest: None,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            let name = tokio::select! {
                _ = self.hangup.recv() => return Heard::Reload,
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            let before = self.newest.replace((name, Instant::now()));
            let again = |(before, at): (&str, Instant)| before == name && at.elapsed() < ONE_WISH;
            if !before.is_some_and(again) {
                return Heard::Stop(name);
            }
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
