//! Requests from the work queue: each leads to one recorded result.
//!
//! Delivered → recorded already? → run, shared with whoever waits for the same
//! check → answer kept → recorded by compare-and-set → stored → told →
//! acknowledged. A crash at any of these arrows leaves the request in the
//! queue, and the next worker goes on from what is recorded.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Semaphore, watch};

use crate::{
    clock,
    error::Chain,
    report::{Summary, Verdict},
    request::{Outcome, Record, Refusal, RequestId},
    run::Run,
    runner::{Cell, MAX_REQUESTS, Runner},
    sharing::Sharing,
    store::{
        Link, Store, StoreError, Trouble,
        ledger::Recorded,
        queue::{Delivered, Queue},
        taken::ack_wait,
        write,
    },
    tasks::Tasks,
    trial,
    triggers::Cells,
};

mod fit;
mod later;
mod visit;

pub use visit::visit;

pub use fit::{find, unknown};
use later::{Later, SUSPECT_DELIVERIES};

/// Requests fetched before they are taken up.
const AHEAD: usize = 256;
/// A run is recorded in so many attempts while NATS does not answer, or its
/// request comes again.
const ATTEMPTS: u32 = 10;
/// A finished run is stored within this time, or the request comes again.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes requests out of the queue and sees them through.
pub struct Worker {
    /// Where they come from.
    pub store: Store,
    /// What runs the checks.
    pub runner: Arc<Runner>,
    /// The checks.
    pub cells: watch::Receiver<Arc<Cells>>,
    /// What the requests' tasks are spawned on.
    pub tasks: Tasks,
}

/// Works until told to stop.
pub async fn work(worker: Worker) {
    let worker = Arc::new(worker);
    let stop = worker.tasks.stop().clone();
    let mut link = worker.store.link();
    let in_hand = Arc::new(Semaphore::new(MAX_REQUESTS));
    let mut epoch = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            ready = link.wait_for(|link| *link == Link::Ready) => if ready.is_err() { return },
        }
        // Marked as seen: any change from here on is a new connection.
        link.mark_unchanged();
        match worker.store.queue().await {
            Ok(queue) => {
                if epoch != Some(queue.epoch) {
                    worker.runner.relearn(queue.last);
                    epoch = Some(queue.epoch);
                }
                worker.take(&queue, &in_hand, &mut link).await;
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "no requests taken for now");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            // Nothing is lost by waiting: requests stay in the queue.
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
}

impl Worker {
    /// Takes requests until the connection changes: a pull that was open
    /// then stalls for its whole time otherwise.
    async fn take(
        self: &Arc<Self>,
        queue: &Queue,
        in_hand: &Arc<Semaphore>,
        link: &mut watch::Receiver<Link>,
    ) {
        let Ok(requests) = queue.requests(AHEAD).await else {
            return;
        };
        let mut requests = std::pin::pin!(requests);
        let mut forgotten = std::pin::pin!(queue.forgotten());
        let stop = self.tasks.stop();
        loop {
            let Ok(room) = Arc::clone(in_hand).acquire_owned().await else {
                return;
            };
            let next = tokio::select! {
                () = stop.cancelled() => break,
                _ = link.changed() => return,
                () = &mut forgotten => return,
                next = requests.next() => next,
            };
            let Some(Ok(request)) = next else { return };
            self.runner.learn(request.known);
            let worker = Arc::clone(self);
            self.tasks.spawn("request", async move {
                worker.handle(request).await;
                drop(room);
            });
        }
        // Others take at once what was fetched and not taken up.
        while let Some(Some(Ok(request))) = requests.next().now_or_never() {
            request.taken.release(None).await;
        }
    }

    async fn handle(&self, request: Delivered) {
        let mut beat = tokio::time::interval(ack_wait() / 3);
        beat.reset();
        let mut seen_through = std::pin::pin!(self.see_through(&request));
        loop {
            tokio::select! {
                done = &mut seen_through => {
                    if let Err(later) = done {
                        let delay = later.delay(request.deliveries);
                        request.taken.release(delay).await;
                    }
                    return;
                }
                _ = beat.tick() => request.taken.in_progress().await,
            }
        }
    }

    async fn see_through(&self, request: &Delivered) -> Result<(), Later> {
        let id = match &request.id {
            Ok(id) => id,
            Err(refusal) => {
                let place = format!("{}", request.sequence);
                self.leave_trace(&place, "", refusal).await?;
                return Ok(request.taken.done().await?);
            }
        };
        let (asked, fit) = self.asked(request).await?;
        let whose = match &fit {
            Ok(cell) => cell.check.target.asked_host(),
            Err(_) => &request.token,
        };
        let place = self.runner.requests.take(whose);
        let _place = place.ok_or(Later::Crowded)?;
        let tried = fit.is_ok() && request.deliveries > SUSPECT_DELIVERIES;
        let done = async {
            let killer = if tried {
                self.suspect(request, id).await?
            } else {
                None
            };
            let killer = killer.map(Err);
            let fit = killer.as_ref().unwrap_or(&fit);
            self.settle(request, id, asked, fit).await
        };
        let done = done.await;
        if tried && done.is_err() {
            // Its worker lives. What cannot be forgotten now counts once more.
            drop(self.store.forget_tries(id).await);
        }
        done
    }

    /// Runs the check, unless that was done or cannot be, and sees to it that
    /// everybody hears how it came out.
    async fn settle(
        &self,
        request: &Delivered,
        id: &RequestId,
        asked: String,
        fit: &Result<Arc<Cell>, Refusal>,
    ) -> Result<(), Later> {
        let record = match (self.store.recorded(id).await?, fit) {
            (Some(record), Ok(_)) => {
                self.write_again(&record).await?;
                record
            }
            (Some(record), Err(_)) => record,
            (None, Ok(cell)) => self.run(request, id, &asked, cell).await?,
            (None, Err(refusal)) => {
                self.leave_trace(id.as_str(), &asked, refusal).await?;
                let refused = Outcome::Refused(refusal.clone());
                let record = Record::new(asked.clone(), refused);
                match self.store.record(id, &record).await? {
                    Recorded::Made => record,
                    Recorded::Found(found) => found,
                }
            }
        };
        if record.asked != asked {
            let refusal = Refusal::other_use(&record.asked);
            self.leave_trace(id.as_str(), &asked, &refusal).await?;
        }
        self.store.tell(id, &record).await?;
        trial::step("told", id.as_str());
        Ok(request.taken.done().await?)
    }

    /// Runs the check and records the run under `id`.
    async fn run(
        &self,
        request: &Delivered,
        id: &RequestId,
        asked: &str,
        cell: &Arc<Cell>,
    ) -> Result<Record, Later> {
        trial::step("delivered", id.as_str());
        let ad_hoc = cell.check.is_ad_hoc();
        if self.store.settings().shared && !ad_hoc {
            Sharing::catch_up(&self.store, cell).await;
        }
        let joined = self.runner.join(cell, request.sequence);
        // A run that is cut short drops its waiters.
        let run = joined.await.map_err(|_| Later::Now)?;
        trial::step("ran", id.as_str());
        self.insist(|| self.keep_answer(&run)).await?;
        trial::step("kept", id.as_str());
        let record = Record::new(asked.to_owned(), Outcome::Run(run.id().to_owned()));
        match self.insist(|| self.store.record(id, &record)).await? {
            Recorded::Made if ad_hoc => {
                let object = write::Object {
                    name: run.check.object.to_string(),
                    body: run.encoded().report,
                };
                let checked_at = run.summary.checked_at;
                self.store_visit(object, checked_at).await?;
                Ok(record)
            }
            Recorded::Made => {
                trial::step("recorded", id.as_str());
                let stored = tokio::time::timeout(STORE_TIMEOUT, run.stored.wait());
                stored.await.map_err(|_| Later::Soon)?;
                trial::step("stored", id.as_str());
                Ok(record)
            }
            Recorded::Found(found) => Ok(found),
        }
    }

    /// Asks NATS again when it does not answer: the run is made, and given up
    /// it would cost the target a second probe. Only for what comes out the
    /// same however often it is asked.
    async fn insist<T, F>(&self, ask: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut link = self.store.link();
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let error = match ask().await {
                Err(error) if error.trouble == Trouble::Away && left > 0 => error,
                done => return done,
            };
            tracing::debug!(error = %Chain(&error), "a run is not recorded yet");
            let back = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                drop(link.wait_for(|link| *link == Link::Ready).await);
            };
            tokio::select! {
                () = self.tasks.stop().cancelled() => return Err(error),
                () = back => {}
            }
        }
    }

    /// Keeps the run's answer, once however many wait for it.
    ///
    /// # Errors
    /// When NATS does not take it.
    pub async fn keep_answer(&self, run: &Run) -> Result<(), StoreError> {
        let keep = || async {
            let answer = run.answer(self.store.max_answer());
            self.store.keep_answer(run.id(), answer).await
        };
        run.kept.get_or_try_init(keep).await.map(drop)
    }

    /// A record was found: its worker may have died before it wrote the run.
    async fn write_again(&self, record: &Record) -> Result<(), Later> {
        let Outcome::Run(run) = &record.outcome else {
            return Ok(());
        };
        let Some(answer) = self.store.answer(run).await? else {
            return Ok(());
        };
        let Ok(summary) = serde_json::from_slice::<Summary>(&answer) else {
            return Ok(());
        };
        if record.asked.starts_with("url:") {
            let name = summary.url.to_string();
            let object = write::Object { name, body: answer };
            return self.store_visit(object, summary.checked_at).await;
        }
        let known = self.store.summary(&summary.check).await?;
        if let Some(crate::store::read::Known::Summary(known)) = known
            && known.checked_at >= summary.checked_at
        {
            return Ok(());
        }
        let name = self.object(&summary.check);
        let again = write::Record {
            check: summary.check.to_string(),
            summary: serde_json::to_vec(&summary).unwrap_or_default().into(),
            run: run.clone(),
            failure: (summary.verdict == Verdict::Fail && summary.held.is_none()).then(|| {
                write::Failure {
                    report: answer.clone(),
                    second: false,
                }
            }),
            object: name
                .filter(|_| self.store.is_fresh(summary.checked_at, clock::now()))
                .map(|name| write::Object { name, body: answer }),
        };
        Ok(self.store.write(&again).await?)
    }

    fn object(&self, check: &str) -> Option<String> {
        let cells = self.cells.borrow();
        cells.get(check).map(|cell| cell.check.object.to_string())
    }

    async fn leave_trace(&self, id: &str, asked: &str, refusal: &Refusal) -> Result<(), Later> {
        tracing::info!(id, asked, code = refusal.code, reason = %refusal.error, "request refused");
        let event = serde_json::json!({
            "v": 1, "id": id, "asked": asked, "refused": refusal, "at": clock::now(),
        });
        Ok(self.store.announce_refusal(id, &event).await?)
    }
}
