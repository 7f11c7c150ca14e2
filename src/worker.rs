//! Requests from the work queue: each leads to one recorded result.
//!
//! Delivered → recorded already? → run, shared with whoever waits for the same
//! check → answer kept → recorded by compare-and-set → stored → told →
//! acknowledged. A crash at any of these arrows leaves the request in the
//! queue, and the next worker goes on from what is recorded.

use std::{
    hash::{Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Semaphore, watch};

use crate::{
    clock,
    error::Chain,
    report::{Summary, Verdict},
    request::{Ask, Outcome, Record, Refusal, RequestId, What},
    run::Run,
    runner::{Cell, Runner},
    sharing::Sharing,
    store::{
        Link, Store, StoreError, Trouble,
        ledger::Recorded,
        queue::{Delivered, Queue, URL_TOKEN},
        taken::ack_wait,
        write,
    },
    tasks::Tasks,
    trial,
    triggers::Cells,
};

mod visit;

pub use visit::visit;

/// Requests fetched before they are taken up.
const AHEAD: usize = 256;
/// Requests in hand at once. They wait for runs and hold no permits.
const IN_HAND: usize = 4096;
/// A request that was delivered so often has killed its workers.
const MAX_DELIVERIES: u64 = 10;
/// One that was delivered so often may be what kills them: it waits for its
/// turn, so that those it would take along get theirs before it.
const SUSPECT_DELIVERIES: u64 = 2;
/// Turns come within this time.
const TURNS: Duration = Duration::from_secs(2);
/// Instances may know different checks: a request for one that this instance
/// does not know goes back so often before it is refused.
const UNKNOWN_DELIVERIES: u64 = 3;
/// A request that waited longer than this is refused.
const MAX_WAIT: Duration = Duration::from_secs(30 * 60);
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

/// The request goes back to the queue for a while.
struct Later(Duration);

impl From<StoreError> for Later {
    fn from(error: StoreError) -> Self {
        tracing::debug!(error = %Chain(&error), "request goes back to the queue");
        Self(Duration::from_secs(1))
    }
}

/// Works until told to stop.
pub async fn work(worker: Worker) {
    let worker = Arc::new(worker);
    let stop = worker.tasks.stop().clone();
    let mut link = worker.store.link();
    let in_hand = Arc::new(Semaphore::new(IN_HAND));
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
                    if let Err(Later(delay)) = done {
                        request.taken.release(Some(delay)).await;
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
        if request.deliveries > SUSPECT_DELIVERIES {
            tokio::time::sleep(turn(id, request.deliveries)).await;
        }
        let age = self.store.age(request, MAX_WAIT).await?;
        let (asked, cell) = self.asked(request, age);
        let record = match self.store.recorded(id).await? {
            Some(record) => {
                self.write_again(&record).await?;
                record
            }
            None => match cell {
                Ok(cell) => self.run(request, id, &asked, &cell).await?,
                Err(Unfit::Elsewhere(delay)) => return Err(Later(delay)),
                Err(Unfit::Refused(refusal)) => {
                    self.leave_trace(id.as_str(), &asked, &refusal).await?;
                    let record = Record::new(asked.clone(), Outcome::Refused(refusal));
                    match self.store.record(id, &record).await? {
                        Recorded::Made => record,
                        Recorded::Found(found) => found,
                    }
                }
            },
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
            Sharing::catch_up(&self.store, cell).await?;
        }
        let joined = self.runner.join(cell, request.sequence);
        let joined = joined.ok_or(Later(Duration::from_secs(1)))?;
        // A run that is cut short drops its waiters.
        let run = joined.await.map_err(|_| Later(Duration::ZERO))?;
        trial::step("ran", id.as_str());
        self.insist(|| self.keep_answer(&run)).await?;
        trial::step("kept", id.as_str());
        let record = Record::new(asked.to_owned(), Outcome::Run(run.id().to_owned()));
        match self.insist(|| self.store.record(id, &record)).await? {
            Recorded::Made if ad_hoc => {
                let object = write::Object {
                    name: run.check.object.to_string(),
                    body: run.encoded.report.clone(),
                };
                let checked_at = run.summary.checked_at;
                self.store_visit(object, checked_at).await?;
                Ok(record)
            }
            Recorded::Made => {
                trial::step("recorded", id.as_str());
                let stored = tokio::time::timeout(STORE_TIMEOUT, run.stored.wait());
                stored.await.map_err(|_| Later(Duration::from_secs(1)))?;
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

    /// What is asked, in the words of the record, and the check that it is.
    fn asked(&self, request: &Delivered, age: Duration) -> (String, Result<Arc<Cell>, Unfit>) {
        let ask = Ask::parse(request.taken.body());
        let what = match &ask {
            Ok(Ask {
                what: Some(What::Url(url)),
                ..
            }) if request.token == URL_TOKEN => What::Url(url.clone()),
            _ => What::Check(request.token.clone()),
        };
        let cells = Arc::clone(&self.cells.borrow());
        let asked = what.fingerprint();
        let cell = if let Err(refusal) = ask {
            Err(Unfit::Refused(refusal))
        } else if request.deliveries > MAX_DELIVERIES {
            Err(Unfit::Refused(Refusal::given_up(request.deliveries)))
        } else if age > MAX_WAIT {
            Err(Unfit::Refused(Refusal::too_old(age)))
        } else {
            let cell = self.cell(&cells, &what);
            if let Ok(cell) = &cell
                && cell.check.is_push()
            {
                let refusal = Refusal::of_push(cell.check.name.as_str());
                return (asked, Err(Unfit::Refused(refusal)));
            }
            cell.map_err(|refusal| {
                if request.deliveries < UNKNOWN_DELIVERIES {
                    Unfit::Elsewhere(Duration::from_secs(1))
                } else {
                    Unfit::Refused(refusal)
                }
            })
        };
        (asked, cell)
    }

    fn cell(&self, cells: &Cells, what: &What) -> Result<Arc<Cell>, Refusal> {
        match (find(cells, what), what) {
            (Some(cell), _) => Ok(cell),
            (None, What::Check(_)) => Err(unknown(cells, what)),
            (None, What::Url(url)) => {
                let check = visit(url, &self.store.settings().requests.allow)?;
                // It has no expectations, so none is wrong.
                let cell = self.runner.visit(&Arc::new(check));
                cell.map_err(|error| Refusal::malformed(error.to_string(), ""))
            }
        }
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

/// How long a suspect waits: another while at each delivery, and the same for
/// the same one, so that over several each comes before any other.
fn turn(id: &RequestId, deliveries: u64) -> Duration {
    let mut hasher = std::hash::DefaultHasher::new();
    (id, deliveries).hash(&mut hasher);
    let ms = u64::try_from(TURNS.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hasher.finish() % ms)
}

/// Why a request cannot be done here.
enum Unfit {
    /// Another instance may know the check.
    Elsewhere(Duration),
    /// Nobody can.
    Refused(Refusal),
}

/// The check that is meant: by its name, its URL, or its object's name.
pub fn find(cells: &Cells, what: &What) -> Option<Arc<Cell>> {
    let found = match what {
        What::Check(name) => cells.get(name.as_str()),
        What::Url(url) => cells
            .values()
            .find(|cell| *cell.check.object == *url || *cell.check.shown_url == *url),
    };
    found.cloned()
}

/// The refusal of what is no check.
pub fn unknown(cells: &Cells, what: &What) -> Refusal {
    match what {
        What::Check(name) => {
            let names = cells.keys().map(crate::check::CheckName::as_str);
            let hint = match crate::near::nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`supercheck.list` names all {}", cells.len()),
            };
            Refusal::new(404, format!("no check is named `{name}`"), hint)
        }
        What::Url(url) => Refusal::new(
            403,
            format!("`{url}` is the URL of no check"),
            "add a `[[check]]` for it",
        ),
    }
}
