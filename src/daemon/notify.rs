//! Telling the service manager (systemd) how the daemon is: ready, reloading,
//! stopping, a line of status, and the watchdog's pings.
//!
//! A ping is sent only when the scheduler and the recorder have answered: a
//! daemon whose process lives and whose work has stopped is started anew.
//! Without a service manager that listens, nothing here does anything.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{sync::watch, time::timeout};

use crate::{
    pulse::Pulse,
    report::Status,
    store::{Link, Store},
    triggers::Cells,
};

/// The status is looked at so often, and told when it has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A stop may take so much longer than the grace: storing, NATS, the embedded
/// server.
const BEYOND_GRACE: Duration = Duration::from_secs(15);
/// So much may wait for a service manager that does not read.
const UNHEARD: usize = 64;

/// What is watched and told.
#[derive(Clone)]
pub(super) struct Watched {
    pub(super) schedule: Pulse,
    pub(super) recorder: Pulse,
    pub(super) store: Store,
    pub(super) cells: watch::Receiver<Arc<Cells>>,
    /// Whether the newest reload was refused.
    pub(super) refused: Arc<AtomicBool>,
}

impl Watched {
    /// Tells how the daemon is, from the moment when scheduling has begun.
    pub(super) async fn tell(self) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return;
        }
        self.schedule.felt().await;
        let mut told = self.status();
        send(&[NotifyState::Ready, NotifyState::Status(&told)]);
        let pings = async {
            match sd_notify::watchdog_enabled() {
                Some(limit) => self.ping(limit / 4).await,
                None => std::future::pending().await,
            }
        };
        let changes = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let now = self.status();
                if now != told && send(&[NotifyState::Status(&now)]) {
                    told = now;
                }
            }
        };
        tokio::join!(pings, changes);
    }

    /// Pings the watchdog for as long as both loops answer.
    async fn ping(&self, every: Duration) {
        let mut away = self.store.link();
        loop {
            feel(&self.schedule, every).await;
            tokio::select! {
                () = feel(&self.recorder, every) => {}
                // Without NATS it may well wait in the middle of a write.
                _ = away.wait_for(|link| *link != Link::Ready) => {}
            }
            send(&[NotifyState::Watchdog]);
            tokio::time::sleep(every).await;
        }
    }

    /// "1,204 checks, 3 down, NATS connected".
    fn status(&self) -> String {
        let cells = Arc::clone(&self.cells.borrow());
        let (mut down, mut degraded) = (0, 0);
        for cell in cells.values() {
            match cell.status() {
                Some(Status::Down) => down += 1,
                Some(Status::Degraded) => degraded += 1,
                Some(Status::Up | Status::Unknown) | None => {}
            }
        }
        let refused = self.refused.load(Ordering::Relaxed);
        let link = self.store.standing();
        line(cells.len(), down, degraded, link, refused)
    }
}

/// Waits until the loop answers; if it takes long, says which one it is.
async fn feel(pulse: &Pulse, patience: Duration) {
    let mut felt = std::pin::pin!(pulse.felt());
    if timeout(patience, &mut felt).await.is_err() {
        let task = pulse.name();
        tracing::error!(task, "no sign of life; the watchdog's ping is held back");
        felt.await;
        tracing::warn!(task, "alive again");
    }
}

/// The configuration is being read again; [`reloaded`] must follow.
pub(super) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    send(&states);
}

/// The configuration has been read again.
pub(super) fn reloaded() {
    send(&[NotifyState::Ready]);
}

/// The daemon stops, which takes up to `grace` and a little more.
pub(super) fn stopping(grace: Duration) {
    let beyond = grace.saturating_add(BEYOND_GRACE);
    let micros = u32::try_from(beyond.as_micros()).unwrap_or(u32::MAX);
    send(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(micros),
        NotifyState::Status("stopping: runs in flight are finished and stored"),
    ]);
}

/// Whether it will be told.
fn send(states: &[NotifyState]) -> bool {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return false;
    }
    let lines: Vec<_> = states.iter().map(ToString::to_string).collect();
    let taken = TELLER.try_send(lines.join("\n")).is_ok();
    if !taken {
        tracing::debug!("the service manager was not told: it does not listen");
    }
    taken
}

/// Takes what is told to a thread of its own: a service manager that does not
/// read makes that wait, and nothing else.
static TELLER: LazyLock<SyncSender<String>> = LazyLock::new(|| {
    let (told, heard) = mpsc::sync_channel::<String>(UNHEARD);
    let tell = move || {
        for lines in heard {
            if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&lines)]) {
                tracing::debug!(%error, "the service manager was not told");
            }
        }
    };
    let begun = std::thread::Builder::new()
        .name("notify".to_owned())
        .spawn(tell);
    if let Err(error) = begun {
        tracing::warn!(%error, "the service manager is told nothing");
    }
    told
});

fn line(checks: usize, down: usize, degraded: usize, link: Link, refused: bool) -> String {
    let checked = if checks == 1 { "check" } else { "checks" };
    let mut line = format!("{} {checked}", grouped(checks));
    for (n, word) in [(down, "down"), (degraded, "degraded")] {
        if n > 0 {
            line.push_str(&format!(", {} {word}", grouped(n)));
        }
    }
    line.push_str(match link {
        Link::Ready => ", NATS connected",
        Link::Connected => ", NATS connected but not usable (see the log)",
        Link::Away => ", NATS away: results are kept until it is back",
    });
    if refused {
        line.push_str("; the newest configuration has mistakes and is not used (see the log)");
    }
    line
}

/// `1204` as `1,204`.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_a_line_for_a_person() {
        assert_eq!(
            line(1204, 3, 0, Link::Ready, false),
            "1,204 checks, 3 down, NATS connected"
        );
        assert_eq!(
            line(1, 0, 1, Link::Away, true),
            "1 check, 1 degraded, NATS away: results are kept until it is back; the newest \
             configuration has mistakes and is not used (see the log)"
        );
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }
}
