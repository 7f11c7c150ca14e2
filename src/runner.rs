//! Running checks: permits, one probe, judgement, the report.
//!
//! A check has at most one run in flight. A probe waits for two permits, one
//! of its target's host and one of the whole daemon, host first, so that a
//! flood on one host holds back nobody else. Nothing here waits for storing.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::Semaphore;

use crate::{
    check::{Check, CheckName},
    observation::Observation,
    probe::Prober,
    recorder::Recorder,
    report::{Run, Summary, Trigger, Verdict},
    tasks::Tasks,
    verdict::{
        ExpectError, Judge, Judgement,
        status::Standing,
        write_up::{Making, write_up},
    },
};

/// Runs checks.
#[derive(Debug)]
pub struct Runner {
    prober: Prober,
    instance: String,
    permits: Arc<Semaphore>,
    per_host: usize,
    /// Semaphores of hosts that some check still asks.
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
    recorder: Recorder,
    tasks: Tasks,
}

/// A check, ready to run, and what is known of it.
#[derive(Debug)]
pub struct Cell {
    /// The check.
    pub check: Arc<Check>,
    judge: Judge,
    host: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    in_flight: bool,
    standing: Option<Standing>,
    latest: Option<Arc<Run>>,
    /// Starts that were due and did not happen.
    skipped: u64,
}

/// Whether a run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It did.
    Yes,
    /// The check's previous run is still in flight.
    InFlight,
}

/// How many probes may be under way at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub concurrency: usize,
    /// At one target host.
    pub per_host: usize,
}

impl Runner {
    /// Makes a runner that hands finished runs to `recorder`.
    pub fn new(
        prober: Prober,
        instance: String,
        limits: Limits,
        recorder: Recorder,
        tasks: Tasks,
    ) -> Self {
        Self {
            prober,
            instance,
            permits: Arc::new(Semaphore::new(limits.concurrency)),
            per_host: limits.per_host,
            hosts: Mutex::default(),
            recorder,
            tasks,
        }
    }

    /// Prepares `checks` to run, and keeps the cells of those that are unchanged.
    ///
    /// # Errors
    /// When an expectation is not one that we take; `config` has judged them
    /// before, so this is a bug.
    pub fn cells(
        &self,
        checks: &[Arc<Check>],
        before: &BTreeMap<CheckName, Arc<Cell>>,
    ) -> Result<BTreeMap<CheckName, Arc<Cell>>, ExpectError> {
        let mut cells = BTreeMap::new();
        for check in checks {
            let cell = match before.get(&check.name) {
                Some(cell) if cell.check == *check => Arc::clone(cell),
                old => Arc::new(self.cell(check, old.map(AsRef::as_ref))?),
            };
            cells.insert(check.name.clone(), cell);
        }
        Ok(cells)
    }

    /// A changed check is still the same question: it keeps its standing, and
    /// its first run waits for one of before the change to end.
    fn cell(&self, check: &Arc<Check>, old: Option<&Cell>) -> Result<Cell, ExpectError> {
        let judge = Judge::new(&check.rules).map_err(|(_, error)| error)?;
        Ok(Cell {
            check: Arc::clone(check),
            judge,
            host: self.host(check),
            state: old.map_or_else(Arc::default, |old| Arc::clone(&old.state)),
        })
    }

    fn host(&self, check: &Check) -> Arc<Semaphore> {
        let host = check.target.url.host_str().unwrap_or_default();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permits) = hosts.get(host).and_then(Weak::upgrade) {
            return permits;
        }
        hosts.retain(|_, permits| permits.strong_count() > 0);
        let permits = Arc::new(Semaphore::new(self.per_host));
        hosts.insert(host.to_owned(), Arc::downgrade(&permits));
        permits
    }

    /// Starts a run of `cell`, unless its previous one is still in flight.
    pub fn start(self: &Arc<Self>, cell: &Arc<Cell>, trigger: Trigger) -> Started {
        {
            let mut state = cell.lock();
            if state.in_flight {
                return Started::InFlight;
            }
            state.in_flight = true;
        }
        let (runner, cell) = (Arc::clone(self), Arc::clone(cell));
        self.tasks.clone().spawn("run", async move {
            // However this ends, also when the grace is over, the check is
            // free again.
            let landing = Landing(&cell);
            if let Some(run) = runner.run(&cell, trigger).await {
                runner.recorder.offer(&run);
                cell.lock().latest = Some(run);
            }
            drop(landing);
        });
        Started::Yes
    }

    async fn run(&self, cell: &Cell, trigger: Trigger) -> Option<Arc<Run>> {
        // The semaphores are never closed.
        let _host = cell.host.acquire().await.ok()?;
        let _permit = self.permits.acquire().await.ok()?;
        let observation = self
            .prober
            .probe(&cell.check.target, cell.check.timeout)
            .await;
        let judgement = guarded(|| cell.judge.judge(&observation));
        let standing = cell.fold(&judgement, &observation);
        let making = Making {
            trigger,
            instance: &self.instance,
            run: nuid::next().to_string(),
        };
        let report = write_up(&cell.check, &observation, judgement, standing, making);
        match report.encode() {
            Ok(encoded) => Some(Arc::new(Run {
                check: Arc::clone(&cell.check),
                report,
                encoded,
            })),
            Err(error) => {
                tracing::error!(check = %cell.check.name, %error, "report not encoded");
                None
            }
        }
    }
}

/// Frees the check when its run ends.
struct Landing<'a>(&'a Cell);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight = false;
    }
}

impl Cell {
    fn lock(&self) -> MutexGuard<'_, State> {
        // State is whole between statements: a panic elsewhere leaves it so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest run, if there has been one.
    pub fn latest(&self) -> Option<Arc<Run>> {
        self.lock().latest.clone()
    }

    /// Whether a run is in flight.
    pub fn in_flight(&self) -> bool {
        self.lock().in_flight
    }

    /// Counts starts that were due and did not happen.
    pub fn skip(&self, starts: u64) {
        self.lock().skipped += starts;
    }

    /// How many starts were due and did not happen.
    pub fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    /// Takes up what an earlier daemon stored, so that a restart neither
    /// forgets an outage nor moves its beginning.
    pub fn adopt(&self, stored: &Summary) {
        let stored = Standing::of(stored);
        let mut state = self.lock();
        match &mut state.standing {
            None => state.standing = Some(stored),
            Some(now) if now.status == stored.status => now.since = now.since.min(stored.since),
            Some(_) => {}
        }
    }

    fn fold(&self, judgement: &Judgement, observation: &Observation) -> Standing {
        let mut state = self.lock();
        let before = state.standing;
        let at = observation.started_at;
        let standing = Standing::after(before, judgement.verdict, at, self.check.thresholds);
        state.standing = Some(standing);
        drop(state);
        let (check, verdict) = (&self.check.name, judgement.verdict);
        tracing::debug!(%check, %verdict, message = %judgement.message, "run finished");
        if before.map(|before| before.status) != Some(standing.status) {
            let from = before.map_or("unknown", |before| before.status.as_str());
            let to = standing.status;
            tracing::info!(%check, from, %to, reason = %judgement.message, "status changed");
        }
        standing
    }
}

/// Judges; a panic over one document becomes that run's finding.
fn guarded(judge: impl FnOnce() -> Judgement) -> Judgement {
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| Judgement {
        verdict: Verdict::Fail,
        message: "supercheck broke while judging this answer; please report it".to_owned(),
        expectations: Vec::new(),
        document: None,
        json: false,
    })
}

#[cfg(test)]
mod tests;
