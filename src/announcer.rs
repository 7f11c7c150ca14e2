//! Announcing status changes, each once.
//!
//! Runs are noticed as they end; one task compares them with what was
//! announced last, as the stream of events knows it, and announces what
//! differs. While NATS is away changes wait, so many of each check.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::Notify;

use crate::{
    check::CheckName,
    error::Chain,
    report::{Change, Status, Summary},
    run::Run,
    store::{Link, Store, StoreError, Trouble, events::Announced, read::Known},
    tally::Counter,
};

/// So many changes of a check wait for NATS; beyond it the oldest go, and the
/// next that is announced says from where.
const MAX_WAITING: usize = 16;
/// Checks whose changes are announced at once.
const AT_ONCE: usize = 64;
/// After a failure the next attempt waits this long.
const DELAY: Duration = Duration::from_secs(1);

/// Notices changes and announces them.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    noticed: Arc<Mutex<HashMap<CheckName, Noticed>>>,
    news: Arc<Notify>,
    announced: Arc<Notify>,
    dropped: Arc<Counter>,
}

/// What is known of a check.
#[derive(Debug, Default)]
struct Noticed {
    /// The status that the newest run left.
    status: Option<Status>,
    /// Runs that changed it and are not announced yet.
    waiting: VecDeque<Box<Summary>>,
    /// What was announced last, once it was read.
    announced: Option<Announced>,
}

impl Announcer {
    /// Takes note of a finished run, and of the status before it: another
    /// instance may have found that.
    ///
    /// The first run of a check since the start is always looked at: an
    /// earlier daemon may have ended before it announced a change. That nothing
    /// is known is no change: what comes next is compared with what was
    /// announced last, and says since when it was unknown.
    pub fn notice(&self, run: &Run, before: Option<Status>) {
        let summary = &run.summary;
        if summary.status == Status::Unknown {
            return;
        }
        let mut noticed = self.lock();
        let check = noticed.entry(run.check.name.clone()).or_default();
        if check.status == Some(summary.status) && before == check.status {
            return;
        }
        check.status = Some(summary.status);
        if check.waiting.len() == MAX_WAITING {
            check.waiting.pop_front();
            self.dropped.count();
        }
        check.waiting.push_back(Box::new(summary.clone()));
        drop(noticed);
        self.news.notify_one();
    }

    /// How many changes wait to be announced.
    pub fn waiting(&self) -> usize {
        self.lock().values().map(|check| check.waiting.len()).sum()
    }

    /// How many changes gave way to newer ones before they were announced.
    pub fn dropped(&self) -> u64 {
        self.dropped.total()
    }

    /// Waits until every change so far is announced.
    pub async fn drained(&self) {
        loop {
            // Registered before the look, so that none is missed.
            let announced = self.announced.notified();
            if self.pending().is_empty() {
                return;
            }
            announced.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CheckName, Noticed>> {
        self.noticed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The checks that have something to announce.
    fn pending(&self) -> Vec<CheckName> {
        let noticed = self.lock();
        let pending = noticed
            .iter()
            .filter(|(_, check)| !check.waiting.is_empty());
        pending.map(|(name, _)| name.clone()).collect()
    }

    /// The oldest change of `check` that waits, and what was announced last.
    fn next(&self, check: &CheckName) -> Option<(Box<Summary>, Option<Announced>)> {
        let noticed = self.lock();
        let check = noticed.get(check)?;
        Some((check.waiting.front()?.clone(), check.announced))
    }

    /// Notes what was announced; `run`'s change waits no longer.
    fn done(&self, check: &CheckName, run: Option<&str>, announced: Announced) {
        let mut noticed = self.lock();
        let check = noticed.entry(check.clone()).or_default();
        check.announced = Some(announced);
        if let Some(run) = run {
            check.waiting.retain(|summary| summary.run != run);
            check.waiting.shrink_to_fit();
        }
        drop(noticed);
        self.announced.notify_waiters();
    }

    /// Whether `summary` is another status than the one announced `last`.
    ///
    /// Another instance may have announced what came after it; but clocks
    /// differ, so what is stored decides.
    async fn is_news(
        store: &Store,
        summary: &Summary,
        last: &Announced,
    ) -> Result<bool, StoreError> {
        let announced = last.status;
        if announced == summary.status {
            return Ok(false);
        }
        if last.checked_at <= summary.checked_at {
            return Ok(true);
        }
        let stored = store.summary(&summary.check).await?;
        Ok(!matches!(stored, Some(Known::Summary(stored)) if stored.status == announced))
    }

    /// Announces everything that waits for `check`.
    async fn announce(&self, store: &Store, check: &CheckName) -> Result<(), StoreError> {
        while let Some((summary, announced)) = self.next(check) {
            let last = match announced {
                Some(last) if Self::is_news(store, &summary, &last).await? => last,
                // What is known of the last one may be out of date.
                Some(_) | None => {
                    let last = store.announced(check.as_str()).await?;
                    if !Self::is_news(store, &summary, &last).await? {
                        self.done(check, Some(&summary.run), last);
                        continue;
                    }
                    last
                }
            };
            let change = Change::to(&summary, last.status);
            match store.announce(last.sequence, &change).await {
                Ok(sequence) => {
                    let announced = Announced::as_told(sequence, &change);
                    self.done(check, Some(&summary.run), announced);
                }
                // Somebody else announced, or we did and did not hear of it.
                Err(error) if error.trouble == Trouble::Outrun => {
                    let last = store.announced(check.as_str()).await?;
                    self.done(check, None, last);
                }
                Err(error) => {
                    // It may be there all the same: look again.
                    self.lock().entry(check.clone()).or_default().announced = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Announces what `announcer` notices, until it is dropped.
pub async fn announce(announcer: Announcer, store: Store) {
    let mut link = store.link();
    loop {
        if link.wait_for(|link| *link == Link::Ready).await.is_err() {
            return;
        }
        let (announcer_, store_) = (&announcer, &store);
        let failed = stream::iter(announcer.pending())
            .map(|check| async move { announcer_.announce(store_, &check).await.err() })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect::<Vec<_>>()
            .await;
        match failed.first() {
            Some(error) => {
                tracing::debug!(error = %Chain(error), "status changes wait to be announced");
                tokio::time::sleep(DELAY).await;
            }
            None => announcer.news.notified().await,
        }
    }
}
