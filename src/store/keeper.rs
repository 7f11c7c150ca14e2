//! Keeping the buckets there: whenever NATS is (back) there, and when somebody
//! finds one gone.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{Link, Store, buckets::Drift, connection::MAX_DELAY};
use crate::error::Chain;

/// The keeper looks after missing streams no sooner than this.
const LOOK: Duration = Duration::from_millis(100);
/// A stream may be without a leader for so long, and nobody is told.
const ELECTION: Duration = Duration::from_secs(3);
/// It counts so often what readers leave behind.
const COUNT: Duration = Duration::from_secs(10);

/// Has the buckets made whenever NATS is there, and says so.
#[derive(Debug)]
pub struct Keeper {
    pub(super) store: Store,
    pub(super) link: watch::Sender<Link>,
    pub(super) connected: watch::Receiver<u64>,
}

impl Keeper {
    /// Runs until cancelled by dropping it.
    pub async fn run(mut self) {
        let mut delay = Duration::from_millis(50);
        let mut said: Option<String> = None;
        let mut failing: Option<Instant> = None;
        // Whether the last attempt left nothing to do.
        let mut settled = true;
        loop {
            if settled {
                tokio::select! {
                    changed = self.connected.changed() => if changed.is_err() { return },
                    // Somebody found a stream gone. They look often.
                    () = self.store.missing.wake.notified() => tokio::time::sleep(LOOK).await,
                    () = count(&self.store) => continue,
                }
            } else {
                // A new connection, or the time to try again, whichever is first.
                tokio::select! {
                    changed = self.connected.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(delay) => delay = (delay * 2).min(MAX_DELAY),
                }
            }
            if *self.link.borrow() == Link::Away {
                settled = true;
                continue;
            }
            match self.store.prepare().await {
                Ok(drift) => {
                    settled = true;
                    delay = Duration::from_millis(50);
                    said = None;
                    failing = None;
                    self.unusable(false);
                    self.ready(&drift);
                }
                // The connection was given up on purpose.
                Err(_) if self.store.closing.load(Ordering::Relaxed) => return,
                Err(error) => {
                    let since = *failing.get_or_insert_with(Instant::now);
                    self.unusable(since.elapsed() > ELECTION);
                    settled = false;
                    let text = Chain(&error).to_string();
                    if said.as_ref() != Some(&text) {
                        let hint = error.hint().unwrap_or_default();
                        tracing::warn!(error = %text, hint, "NATS cannot be used; trying again");
                        said = Some(text);
                    }
                }
            }
        }
    }

    fn unusable(&self, unusable: bool) {
        self.store
            .missing
            .unusable
            .store(unusable, Ordering::Relaxed);
    }

    fn ready(&self, drift: &[Drift]) {
        // The connection may have gone while the buckets were looked at.
        let turned = self.link.send_if_modified(|link| {
            let turn = *link == Link::Connected;
            if turn {
                *link = Link::Ready;
            }
            turn
        });
        if turned {
            let server = self.store.client.server_info();
            tracing::info!(server = %server.server_name, version = %server.version, "connected to NATS");
            for drift in drift {
                tracing::warn!(
                    hint = "`supercheck doctor --fix` changes what can be changed",
                    "{drift}"
                );
            }
        }
    }
}

/// Counts what readers leave behind, after a while.
async fn count(store: &Store) {
    tokio::time::sleep(COUNT).await;
    if *store.link.borrow() == Link::Ready {
        store.count_readers().await;
    }
}
