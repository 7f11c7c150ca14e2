//! Storing finished runs, without ever holding up a check.
//!
//! Runs are offered; the newest of each check is kept until it is stored. One
//! task sends them in a pipeline and awaits acknowledgements in a bounded
//! window. While NATS is away everything waits in that one bounded place.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, SetOnce},
    time::Instant,
};

use crate::{
    check::CheckName,
    clock::{self, Timestamp},
    config::ObjectContent,
    error::Chain,
    pulse::Pulse,
    run::Run,
    store::{
        Link, Store, StoreError, Trouble,
        read::Known,
        write::{Failure, Object, Record},
        writer::Writer,
    },
    tally::{Counter, Durations},
};

/// Records that may wait for their acknowledgements at once.
const WINDOW: usize = 1024;
/// Reports that are not stored yet may hold this many bytes together; beyond
/// it only summaries are kept. Reports expire in 30 s, so little is lost; of
/// the last failing report of a check the next one takes the place.
const MAX_KEPT: usize = 64 << 20;
/// Runs that end within this time are sent together, unless none is in flight
/// any more: one wake-up of ours and one of the server's serves all checks of a
/// slot.
const GATHER: Duration = Duration::from_millis(2);
/// After a failed write, the next waits this long, doubling up to the maximum.
const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// The same trouble is told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Takes finished runs to store.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    figures: Arc<Figures>,
    kept: Arc<Mutex<Kept>>,
    offered: Arc<Notify>,
    hurried: Arc<Notify>,
    settled: Arc<Notify>,
}

/// What became of what was offered.
#[derive(Debug, Default)]
pub struct Figures {
    /// Runs that were stored, by how long it took from sending to the last
    /// acknowledgement.
    pub stored: Durations,
    /// Writes that failed, and were tried again unless a newer run had come.
    pub failed: Counter,
}

impl Figures {
    fn note(&self, began: Instant, result: &Result<(), StoreError>) {
        match result {
            Ok(()) => self.stored.note(began.elapsed(), 1),
            Err(_) => self.failed.count(),
        }
    }
}

/// The newest run of each check that is not stored yet.
///
/// Of each check one record at most is under way, so that an older one that
/// fails cannot be sent again after a newer one.
#[derive(Debug, Default)]
struct Kept {
    waiting: HashMap<CheckName, Waiting>,
    /// What waits and is not under way, the longest waiting first.
    order: VecDeque<CheckName>,
    /// Sent and not acknowledged yet.
    under_way: HashSet<CheckName>,
    /// Of the reports that wait or are under way.
    bytes: usize,
    /// Checks whose last failing report was put in the second of its places.
    second: HashSet<CheckName>,
    /// Runs replaced by a newer one before they were stored.
    replaced: u64,
    /// Runs of which the summary alone was kept.
    bare: u64,
}

/// The run with its report, or the JSON of its summary alone.
#[derive(Debug)]
enum What {
    Whole(Arc<Run>),
    Bare(Bytes),
}

/// What is to be stored of a run.
#[derive(Debug)]
struct Waiting {
    check: CheckName,
    what: What,
    /// The newest run that failed and is not stored: this one, or an earlier.
    failure: Option<Arc<Run>>,
    /// Where its report is put.
    second: bool,
    /// The run's id.
    run: String,
    /// When it began to probe, and the check's interval.
    checked_at: Timestamp,
    interval: Duration,
    stored: Arc<SetOnce<()>>,
}

impl Recorder {
    /// Keeps `run` until it is stored or a newer run of its check comes.
    pub fn offer(&self, run: &Arc<Run>) {
        self.lock().put(Waiting {
            check: run.check.name.clone(),
            what: What::Whole(Arc::clone(run)),
            failure: run.fails().then(|| Arc::clone(run)),
            second: false,
            run: run.id().to_owned(),
            checked_at: run.summary.checked_at,
            interval: run.check.interval,
            stored: Arc::clone(&run.stored),
        });
        self.offered.notify_one();
    }

    /// What was offered is stored without waiting for more.
    pub fn hurry(&self) {
        self.hurried.notify_one();
    }

    /// What became of what was offered.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Runs that were never stored: a newer one of the check took the place.
    pub fn replaced(&self) -> u64 {
        self.lock().replaced
    }

    /// Runs whose reports were not kept, as too much waited to be stored: their
    /// summaries are.
    pub fn bare(&self) -> u64 {
        self.lock().bare
    }

    /// How many runs are not stored yet.
    pub fn unstored(&self) -> usize {
        let kept = self.lock();
        kept.waiting.len() + kept.under_way.len()
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

    /// Waits for what is about to be offered.
    async fn gather(&self) {
        // When the time is over first, that is all there is to wait for.
        drop(tokio::time::timeout(GATHER, self.hurried.notified()).await);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Waiting> {
        self.lock().take()
    }

    /// Keeps what could not be stored, unless a newer run has come.
    fn settle(&self, sent: Waiting, stored: bool) {
        self.lock().settle(sent, stored);
        self.settled.notify_waiters();
    }
}

impl Kept {
    fn put(&mut self, mut new: Waiting) {
        let check = new.check.clone();
        if let Some(mut before) = self.waiting.remove(&check) {
            self.bytes -= before.size();
            self.replaced += 1;
            new.failure = new.failure.or(before.failure.take());
            before.settled();
        } else if !self.under_way.contains(&check) {
            self.order.push_back(check.clone());
        }
        if self.bytes + new.size() > MAX_KEPT
            && let What::Whole(run) = &new.what
        {
            new.what = What::Bare(run.encoded_summary());
            self.bare += 1;
        }
        if self.bytes + new.size() > MAX_KEPT {
            new.failure = None;
        }
        self.bytes += new.size();
        self.waiting.insert(check, new);
    }

    fn take(&mut self) -> Option<Waiting> {
        let check = self.order.pop_front()?;
        let mut taken = self.waiting.remove(&check)?;
        if taken.failure.is_some() {
            taken.second = self.second.insert(check.clone());
            if !taken.second {
                self.second.remove(&check);
            }
        }
        self.under_way.insert(check);
        Some(taken)
    }

    fn settle(&mut self, mut sent: Waiting, stored: bool) {
        self.under_way.remove(&sent.check);
        self.bytes -= sent.size();
        if stored {
            sent.settled();
        }
        if let Some(newer) = self.waiting.get_mut(&sent.check) {
            if !stored && newer.failure.is_none() {
                self.bytes -= newer.size();
                newer.failure = sent.failure.take();
                self.bytes += newer.size();
            }
            self.order.push_back(sent.check);
        } else if !stored {
            self.put(sent);
        }
    }
}

impl Waiting {
    /// Says that nothing more will be done about it.
    fn settled(&self) {
        // It may have been said before: a retry that was not needed.
        drop(self.stored.set(()));
    }

    fn size(&self) -> usize {
        let whole = self.whole();
        // It is kept once.
        let failure = self
            .failure
            .as_ref()
            .filter(|failure| whole.is_none_or(|whole| !Arc::ptr_eq(failure, whole)));
        [whole, failure]
            .into_iter()
            .flatten()
            .map(|run| run.size())
            .sum()
    }

    const fn whole(&self) -> Option<&Arc<Run>> {
        match &self.what {
            What::Whole(run) => Some(run),
            What::Bare(_) => None,
        }
    }
}

/// Stores what `recorder` is offered, until it is dropped; `pulse` shows that
/// it still does.
pub async fn store(recorder: Recorder, store: Store, pulse: Pulse) {
    let mut link = store.link();
    let mut writer = match Writer::open(&store).await {
        Ok(writer) => writer,
        Err(error) => {
            tracing::error!(error = %Chain(&error), "nothing can be stored");
            return;
        }
    };
    let mut delay = MIN_DELAY;
    let mut trouble = Telling::default();
    loop {
        pulse.stall().await;
        let now = *link.borrow_and_update();
        if now == Link::Away {
            // No answer will come. It is written again when NATS is back.
            for (waiting, _) in writer.lost() {
                recorder.figures.failed.count();
                recorder.settle(waiting, false);
            }
        }
        // A failure holds back new writes until the delay is over.
        let held = trouble.until.filter(|until| *until > Instant::now());
        let open = now == Link::Ready && held.is_none() && writer.len() < WINDOW;
        if open && let Some(waiting) = recorder.take() {
            if outrun(&store, &waiting).await {
                recorder.settle(waiting, true);
            } else {
                let record = record(&store, &waiting);
                writer.send(&record, (waiting, Instant::now())).await;
            }
            continue;
        }
        tokio::select! {
            Some(((waiting, began), result)) = writer.next() => {
                recorder.figures.note(began, &result);
                recorder.settle(waiting, !retry(&result));
                match result {
                    Ok(()) => {
                        delay = MIN_DELAY;
                        trouble.over();
                    }
                    Err(error) => {
                        trouble.tell(&error, delay);
                        delay = (delay * 2).min(MAX_DELAY);
                        store.look_for(error.trouble);
                    }
                }
            }
            () = recorder.offered.notified(), if open => recorder.gather().await,
            () = pulse.beat() => {}
            () = until(held), if held.is_some() => {}
            changed = link.changed() => if changed.is_err() { return },
        }
    }
}

/// Whether another instance has stored a newer run meanwhile. Asked only of
/// runs so late that the next slot is over, by an instance that was paused.
async fn outrun(store: &Store, waiting: &Waiting) -> bool {
    let late = clock::now().since(waiting.checked_at) > waiting.interval;
    if !store.settings().shared || !late {
        return false;
    }
    match store.summary(waiting.check.as_str()).await {
        Ok(Some(Known::Summary(stored))) => stored.checked_at > waiting.checked_at,
        Ok(Some(Known::Foreign { .. }) | None) | Err(_) => false,
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// A report that the server will never take is not offered again.
fn retry(result: &Result<(), StoreError>) -> bool {
    result
        .as_ref()
        .is_err_and(|error| error.trouble != Trouble::TooLarge)
}

fn record(store: &Store, waiting: &Waiting) -> Record {
    let (summary, whole) = match &waiting.what {
        What::Bare(summary) => (summary.clone(), None),
        What::Whole(run) => {
            let encoded = run.encoded();
            (encoded.summary(), Some((run, encoded.report)))
        }
    };
    let now = clock::now();
    let object = whole.as_ref().and_then(|(run, report)| {
        if !store.is_fresh(run.summary.checked_at, now) {
            return None;
        }
        let body = match store.settings().object_content {
            ObjectContent::Report => report.clone(),
            ObjectContent::Document => run.document()?,
        };
        let name = run.check.object.to_string();
        Some(Object { name, body })
    });
    let failure = waiting.failure.as_ref().map(|failed| Failure {
        report: match &whole {
            Some((run, report)) if Arc::ptr_eq(run, failed) => report.clone(),
            Some(_) | None => failed.encoded().report,
        },
        second: waiting.second,
    });
    Record {
        check: waiting.check.to_string(),
        summary,
        run: waiting.run.clone(),
        object,
        failure,
    }
}

/// Tells once that storing fails and once that it works again.
#[derive(Default)]
struct Telling {
    said: Option<Trouble>,
    /// What was said last, and when.
    last: Option<(Trouble, Instant)>,
    until: Option<Instant>,
}

impl Telling {
    fn tell(&mut self, error: &StoreError, delay: Duration) {
        let now = Instant::now();
        self.until = Some(now + delay);
        // Into a full store small reports may still go: that comes and goes.
        let lately =
            |(trouble, at): (Trouble, Instant)| trouble == error.trouble && now - at < TELL_EVERY;
        let known = self.said == Some(error.trouble) || self.last.is_some_and(lately);
        // The keeper tells when the connection goes.
        if error.trouble != Trouble::Away && !known {
            let hint = error.hint().unwrap_or_default();
            tracing::warn!(error = %Chain(error), hint, "reports are not stored; the newest are kept");
            self.said = Some(error.trouble);
            self.last = Some((error.trouble, now));
        }
    }

    fn over(&mut self) {
        self.until = None;
        if self.said.take().is_some() {
            tracing::info!("reports are stored again");
        }
    }
}

#[cfg(test)]
mod tests;
