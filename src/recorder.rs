//! Storing finished runs, without ever holding up a check.
//!
//! Runs are offered; the newest of each check is kept until it is stored. One
//! task sends them in a pipeline and awaits acknowledgements in a bounded
//! window. While NATS is away everything waits in that one bounded place.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::Notify;

use crate::{
    check::CheckName,
    clock,
    config::ObjectContent,
    error::Chain,
    report::Run,
    store::{
        Link, Store, StoreError, Trouble,
        write::{Object, Record, Sent},
    },
};

/// Records that may wait for their acknowledgements at once.
const WINDOW: usize = 1024;
/// Reports that wait to be stored may hold this many bytes together; beyond
/// it only summaries are kept. Reports expire in 30 s, so little is lost.
const MAX_KEPT: usize = 64 << 20;
/// After a failed write, the next waits this long, doubling up to the maximum.
const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Takes finished runs to store.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    kept: Arc<Mutex<Kept>>,
    offered: Arc<Notify>,
    settled: Arc<Notify>,
}

/// The newest run of each check that is not stored yet, oldest first.
#[derive(Debug, Default)]
struct Kept {
    runs: HashMap<CheckName, Waiting>,
    order: VecDeque<CheckName>,
    bytes: usize,
    /// Sent and not acknowledged yet.
    under_way: usize,
    /// Runs replaced by a newer one before they were stored.
    replaced: u64,
}

#[derive(Debug)]
struct Waiting {
    run: Arc<Run>,
    /// Whether the report is kept too, or the summary alone.
    whole: bool,
}

impl Recorder {
    /// Keeps `run` until it is stored or a newer run of its check comes.
    pub fn offer(&self, run: &Arc<Run>) {
        self.lock().put(Arc::clone(run));
        self.offered.notify_one();
    }

    /// How many runs are not stored yet.
    pub fn unstored(&self) -> usize {
        let kept = self.lock();
        kept.runs.len() + kept.under_way
    }

    /// Waits until everything offered so far is stored.
    pub async fn drained(&self) {
        loop {
            // Registered before the look, so that no settling is missed.
            let settled = self.settled.notified();
            if self.unstored() == 0 {
                return;
            }
            settled.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Waiting> {
        let mut kept = self.lock();
        let waiting = kept.take()?;
        kept.under_way += 1;
        Some(waiting)
    }

    /// Puts back what could not be stored, unless a newer run has come.
    fn settle(&self, run: &Arc<Run>, stored: bool) {
        let mut kept = self.lock();
        kept.under_way -= 1;
        if !stored && !kept.runs.contains_key(&run.check.name) {
            kept.put(Arc::clone(run));
        }
        drop(kept);
        self.settled.notify_waiters();
    }
}

impl Kept {
    fn put(&mut self, run: Arc<Run>) {
        let name = run.check.name.clone();
        let size = run.encoded.report.len();
        let before = self.runs.remove(&name);
        if let Some(before) = &before {
            self.bytes -= before.size();
            self.replaced += 1;
        } else {
            self.order.push_back(name.clone());
        }
        let whole = self.bytes + size <= MAX_KEPT;
        let waiting = Waiting { run, whole };
        self.bytes += waiting.size();
        self.runs.insert(name, waiting);
    }

    fn take(&mut self) -> Option<Waiting> {
        let name = self.order.pop_front()?;
        let waiting = self.runs.remove(&name)?;
        self.bytes -= waiting.size();
        Some(waiting)
    }
}

impl Waiting {
    fn size(&self) -> usize {
        if self.whole {
            self.run.encoded.report.len()
        } else {
            0
        }
    }
}

/// Stores what `recorder` is offered, until it is dropped.
pub async fn store(recorder: Recorder, store: Store, wake_keeper: Arc<Notify>) {
    let mut link = store.link();
    let mut sent = FuturesUnordered::new();
    let mut delay = MIN_DELAY;
    let mut trouble = Telling::default();
    loop {
        let ready = *link.borrow_and_update() == Link::Ready;
        // A failure holds back new writes until the delay is over.
        let held = trouble
            .until
            .filter(|until| *until > tokio::time::Instant::now());
        let open = ready && held.is_none() && sent.len() < WINDOW;
        if open && let Some(waiting) = recorder.take() {
            let result = store.send(&record(&store, &waiting)).await;
            sent.push(acknowledged(waiting.run, result));
            continue;
        }
        tokio::select! {
            Some((run, result)) = sent.next() => {
                recorder.settle(&run, !retry(&result));
                match result {
                    Ok(()) => {
                        delay = MIN_DELAY;
                        trouble.over();
                    }
                    Err(error) => {
                        trouble.tell(&error, delay);
                        delay = (delay * 2).min(MAX_DELAY);
                        if error.trouble == Trouble::Missing {
                            wake_keeper.notify_one();
                        }
                    }
                }
            }
            () = recorder.offered.notified(), if open => {}
            () = until(held), if held.is_some() => {}
            changed = link.changed() => if changed.is_err() { return },
        }
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

async fn acknowledged(
    run: Arc<Run>,
    sent: Result<Sent, StoreError>,
) -> (Arc<Run>, Result<(), StoreError>) {
    let result = match sent {
        Ok(sent) => sent.stored().await,
        Err(error) => Err(error),
    };
    (run, result)
}

/// A report that the server will never take is not offered again.
fn retry(result: &Result<(), StoreError>) -> bool {
    result
        .as_ref()
        .is_err_and(|error| error.trouble != Trouble::TooLarge)
}

fn record(store: &Store, waiting: &Waiting) -> Record {
    let run = &waiting.run;
    let fresh = store.is_fresh(run.report.summary.checked_at, clock::now());
    let body = match store.settings().object_content {
        ObjectContent::Report => Some(run.encoded.report.clone()),
        ObjectContent::Document => run.document(),
    };
    let object = body.filter(|_| waiting.whole && fresh).map(|body| Object {
        name: run.check.object.clone(),
        body,
    });
    Record {
        check: run.check.name.to_string(),
        summary: run.encoded.summary.clone(),
        object,
    }
}

/// Tells once that storing fails and once that it works again.
#[derive(Default)]
struct Telling {
    said: Option<Trouble>,
    until: Option<tokio::time::Instant>,
}

impl Telling {
    fn tell(&mut self, error: &StoreError, delay: Duration) {
        self.until = Some(tokio::time::Instant::now() + delay);
        // The keeper tells when the connection goes.
        if error.trouble != Trouble::Away && self.said != Some(error.trouble) {
            let hint = error.hint().unwrap_or_default();
            tracing::warn!(error = %Chain(error), hint, "reports are not stored; the newest are kept");
            self.said = Some(error.trouble);
        }
    }

    fn over(&mut self) {
        self.until = None;
        if self.said.take().is_some() {
            tracing::info!("reports are stored again");
        }
    }
}
