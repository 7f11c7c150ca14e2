//! Where requests are answered: from memory, from what is recorded, or by a
//! run that the work queue brings about.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    clock,
    report::Summary,
    request::{Ask, Outcome, Record, Refusal, RequestId, What},
    run::Run,
    runner::{Cell, Runner},
    shares::Shares,
    store::{
        Store, StoreError, Trouble,
        queue::{Accepted, URL_TOKEN},
        read::Known,
    },
    tally::Counter,
    trial,
    triggers::Cells,
    worker::{find, unknown, visit},
};

mod got;

use got::Got;

/// What a request comes to: a body, or a refusal and the request's id.
pub type Answer = Result<Bytes, (Refusal, Option<String>)>;

/// Unless it says, a request waits for two runs, as a run in flight may have
/// begun too early for it, and so much longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nobody waits longer than this.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);
/// So many wait at once; each host has a fair share of that.
const MAX_WAITING: usize = 8192;
/// Whoever waits looks at the record so often, should he not have been told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Answers what is asked.
pub struct Desk {
    /// Where requests are queued and recorded.
    pub store: Store,
    /// The checks.
    pub cells: watch::Receiver<Arc<Cells>>,
    /// What runs them.
    pub runner: Arc<Runner>,
    /// How often a reader was answered from what was there.
    pub hits: Counter,
    /// How often a reader had to wait for a run.
    pub misses: Counter,
    /// How often a request was refused, as too many wait already.
    pub refused: Counter,
    /// Those who wait for a run, by the host that it asks.
    waiting_for: Shares,
    waiting: Mutex<Waiting>,
}

/// Who waits for which request.
#[derive(Default)]
struct Waiting {
    requests: HashMap<RequestId, Vec<(u64, oneshot::Sender<Record>)>>,
    /// Numbers those who wait.
    count: u64,
}

impl Desk {
    /// A desk with nobody waiting.
    pub fn new(store: Store, cells: watch::Receiver<Arc<Cells>>, runner: Arc<Runner>) -> Self {
        Self {
            store,
            cells,
            runner,
            hits: Counter::default(),
            misses: Counter::default(),
            refused: Counter::default(),
            waiting_for: Shares::new(MAX_WAITING),
            waiting: Mutex::default(),
        }
    }

    /// Runs a check, or finds a report young enough.
    ///
    /// # Errors
    /// A refusal, for the asker.
    pub async fn check(&self, body: &[u8], id: Option<&str>) -> Answer {
        let ask = Ask::parse(body).map_err(|refusal| (refusal, id.map(str::to_owned)))?;
        let given = match id {
            Some(id) => Some(RequestId::new(id).map_err(|refusal| (refusal, None))?),
            None => ask.id.clone(),
        };
        let explicit = given.is_some();
        let id = match given {
            Some(id) => id,
            None => RequestId::new(&nuid::next()).map_err(|refusal| (refusal, None))?,
        };
        let named = Some(id.to_string());
        self.answer(&ask, &id, explicit).await.map_err(|refusal| {
            if refusal.code == TOO_MANY {
                self.refused.count();
            }
            (refusal, named)
        })
    }

    async fn answer(&self, ask: &Ask, id: &RequestId, explicit: bool) -> Result<Bytes, Refusal> {
        let what = ask.what.clone().ok_or_else(|| {
            Refusal::malformed(
                "the request names no check",
                "send a check's name, such as `api`",
            )
        })?;
        let cell = find(&self.cells.borrow(), &what);
        let (token, body, host) = match (&cell, &what) {
            (Some(cell), _) => {
                let host = cell.check.target.asked_host().to_owned();
                (cell.check.name.to_string(), Bytes::new(), host)
            }
            // Another instance may know it, and its host.
            (None, What::Check(name)) if self.is_stored(name).await => {
                (name.clone(), Bytes::new(), name.clone())
            }
            (None, What::Check(_)) => return Err(unknown(&self.cells.borrow(), &what)),
            (None, What::Url(url)) => {
                let check = visit(url, &self.store.settings().requests.allow)?;
                let host = check.target.asked_host().to_owned();
                (URL_TOKEN.to_owned(), url.clone().into(), host)
            }
        };
        let asked = match token.as_str() {
            URL_TOKEN => what.fingerprint(),
            name => What::Check(name.to_owned()).fingerprint(),
        };
        if explicit && let Some(record) = self.store.recorded(id).await.map_err(away)? {
            return self.recorded(&record, &asked).await;
        }
        if let Some(max_age) = ask.max_age
            && let Some(run) = cell.as_ref().and_then(|cell| young(cell, max_age))
        {
            return self.cached(&run, id, explicit, asked).await;
        }
        if let Some(cell) = cell.as_ref().filter(|cell| cell.check.is_push()) {
            return Err(Refusal::of_push(cell.check.name.as_str()));
        }
        // Who asks one host for more than it can answer fills neither the desk
        // nor the queue.
        let place = self.waiting_for.take(&host);
        let _place = place
            .filter(|_| self.runner.requests.leaves(&host))
            .ok_or_else(crowded)?;
        let patience = cell
            .as_ref()
            .map_or(PATIENCE, |cell| 2 * cell.check.timeout + PATIENCE);
        let timeout = ask.timeout.unwrap_or(patience).min(MAX_TIMEOUT);
        let record = self.run(&token, body, id, Instant::now() + timeout).await?;
        self.recorded(&record, &asked).await
    }

    /// Puts the request on the queue and waits for its record.
    async fn run(
        &self,
        token: &str,
        body: Bytes,
        id: &RequestId,
        deadline: Instant,
    ) -> Result<Record, Refusal> {
        self.misses.count();
        let (tell, mut told) = oneshot::channel();
        let _leaving = self.wait_for(id, tell);
        let mut accepted = self.enqueue(token, body, id, deadline).await?;
        self.runner.learn(accepted.sequence);
        trial::step("accepted", id.as_str());
        loop {
            // A duplicate may have come to something long ago.
            if accepted.duplicate
                && let Some(record) = self.store.recorded(id).await.map_err(away)?
            {
                return Ok(record);
            }
            let look = (Instant::now() + LOOK_EVERY).min(deadline);
            if let Ok(Ok(record)) = tokio::time::timeout_at(look, &mut told).await {
                return Ok(record);
            }
            if Instant::now() >= deadline {
                return Err(Refusal::new(
                    504,
                    "no result in time",
                    "ask again with the same id: it has one result, which is kept",
                ));
            }
            // From here on the record is looked at, should the word be lost.
            accepted.duplicate = true;
        }
    }

    async fn enqueue(
        &self,
        token: &str,
        body: Bytes,
        id: &RequestId,
        deadline: Instant,
    ) -> Result<Accepted, Refusal> {
        loop {
            match self.store.enqueue(token, id, body.clone()).await {
                Ok(accepted) => return Ok(accepted),
                // Published again under the same id, it stays one request.
                Err(error) if error.trouble == Trouble::Away && Instant::now() < deadline => {}
                Err(error) => return Err(away(error)),
            }
        }
    }

    /// A report young enough; with an id of the asker's own it is recorded.
    async fn cached(
        &self,
        run: &Arc<Run>,
        id: &RequestId,
        explicit: bool,
        asked: String,
    ) -> Result<Bytes, Refusal> {
        self.hits.count();
        let answer = run.answer(self.store.max_answer());
        if !explicit {
            return Ok(answer);
        }
        let keep = || self.store.keep_answer(run.id(), answer.clone());
        run.kept.get_or_try_init(keep).await.map_err(away)?;
        let record = Record::new(asked.clone(), Outcome::Run(run.id().to_owned()));
        match self.store.record(id, &record).await.map_err(away)? {
            crate::store::ledger::Recorded::Made => Ok(answer),
            crate::store::ledger::Recorded::Found(record) => self.recorded(&record, &asked).await,
        }
    }

    /// The answer that is recorded.
    async fn recorded(&self, record: &Record, asked: &str) -> Result<Bytes, Refusal> {
        if record.asked != asked {
            return Err(Refusal::other_use(&record.asked));
        }
        let run = match &record.outcome {
            Outcome::Refused(refusal) => return Err(refusal.clone()),
            Outcome::Run(run) => run,
        };
        let name = asked.strip_prefix("check:").unwrap_or(asked);
        let cell = find(&self.cells.borrow(), &What::Check(name.to_owned()));
        if let Some(latest) = cell.and_then(|cell| cell.latest())
            && latest.id() == run
        {
            return Ok(latest.answer(self.store.max_answer()));
        }
        let kept = self.store.answer(run).await.map_err(away)?;
        kept.ok_or_else(|| {
            Refusal::new(
                500,
                "its result is no longer kept",
                "raise `requests.keep` or `requests.keep_bytes`",
            )
        })
    }

    /// The newest known report and its freshness.
    ///
    /// # Errors
    /// A refusal, for the asker.
    pub async fn get(&self, body: &[u8]) -> Answer {
        self.hits.count();
        self.got(body).await.map_err(|refusal| (refusal, None))
    }

    /// The same, where it is in memory and nothing needs to be waited for.
    pub fn at_hand(&self, body: &[u8]) -> Option<Bytes> {
        let (cell, max_age) = self.wanted(body).ok()?;
        let answer = self.in_memory(&cell, max_age)?.ok()?;
        self.hits.count();
        Some(answer)
    }

    async fn got(&self, body: &[u8]) -> Result<Bytes, Refusal> {
        let (cell, max_age) = self.wanted(body)?;
        if let Some(answer) = self.in_memory(&cell, max_age) {
            return answer;
        }
        // An earlier daemon, or another instance, may have left something.
        match self.left(&cell).await.map_err(away)? {
            Some((summary, report)) => Got::new(&summary, max_age).with(&report),
            None => Got::nothing(cell.check.name.as_str()).with(b"null"),
        }
    }

    fn wanted(&self, body: &[u8]) -> Result<(Arc<Cell>, Option<Duration>), Refusal> {
        let ask = Ask::parse(body)?;
        let what = ask.what.ok_or_else(|| {
            Refusal::malformed(
                "the request names no check",
                "send a check's name, such as `api`",
            )
        })?;
        let cells = self.cells.borrow();
        let cell = find(&cells, &what).ok_or_else(|| unknown(&cells, &what))?;
        Ok((cell, ask.max_age))
    }

    fn in_memory(&self, cell: &Cell, max_age: Option<Duration>) -> Option<Result<Bytes, Refusal>> {
        let run = cell.newest_run()?;
        let report = run.answer(self.store.max_answer());
        Some(Got::new(&run.summary, max_age).with(&report))
    }

    async fn left(&self, cell: &Cell) -> Result<Option<(Summary, Bytes)>, StoreError> {
        let known = self.store.summary(cell.check.name.as_str()).await?;
        let Some(Known::Summary(summary)) = known else {
            return Ok(None);
        };
        let whole = self.store.report(&cell.check.object).await?;
        let report =
            whole.unwrap_or_else(|| serde_json::to_vec(&*summary).unwrap_or_default().into());
        Ok(Some((*summary, report)))
    }

    async fn is_stored(&self, name: &str) -> bool {
        crate::check::CheckName::new(name).is_ok()
            && matches!(self.store.summary(name).await, Ok(Some(Known::Summary(_))))
    }

    /// Passes on what a request came to, to those who wait for it here.
    pub fn told(&self, id: &RequestId, record: &Record) {
        let waiting = self.lock().requests.remove(id);
        for (_, tell) in waiting.into_iter().flatten() {
            // Who went away does not need it.
            drop(tell.send(record.clone()));
        }
    }

    fn wait_for<'a>(&'a self, id: &'a RequestId, tell: oneshot::Sender<Record>) -> Leaving<'a> {
        let mut waiting = self.lock();
        waiting.count += 1;
        let number = waiting.count;
        waiting
            .requests
            .entry(id.clone())
            .or_default()
            .push((number, tell));
        Leaving {
            desk: self,
            id,
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets who waited, when he goes.
struct Leaving<'a> {
    desk: &'a Desk,
    id: &'a RequestId,
    number: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut waiting = self.desk.lock();
        if let Some(those) = waiting.requests.get_mut(self.id) {
            those.retain(|(number, _)| *number != self.number);
            if those.is_empty() {
                waiting.requests.remove(self.id);
            }
        }
    }
}

/// The newest run, if it is no older than `max_age`.
fn young(cell: &Cell, max_age: Duration) -> Option<Arc<Run>> {
    let run = cell.latest()?;
    (clock::now().since(run.summary.checked_at) <= max_age).then_some(run)
}

/// HTTP's Too Many Requests.
const TOO_MANY: u16 = 429;

/// Too many wait for one host.
fn crowded() -> Refusal {
    Refusal::new(
        TOO_MANY,
        "too many requests wait for this host already",
        "ask again later with the same id, or with `max_age`",
    )
}

/// NATS did not take or give something.
#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err`")]
pub(super) fn away(error: StoreError) -> Refusal {
    let text = crate::error::Chain(&error).to_string();
    if error.trouble == Trouble::Full {
        Refusal::new(
            TOO_MANY,
            "the queue of requests is full",
            "ask again later, or with `max_age`; see `requests.max_waiting`",
        )
    } else {
        Refusal::new(
            503,
            format!("NATS cannot be used now: {text}"),
            "ask again with the same id: a request has one result",
        )
    }
}
