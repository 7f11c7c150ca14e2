//! Running checks: permits, one probe, judgement, the report.
//!
//! A check has at most one run in flight. A probe waits for two permits, one
//! of its target's host and one of the whole daemon, host first, so that a
//! flood on one host holds back nobody else. Nothing here waits for storing.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Semaphore;

use crate::{
    check::{Check, CheckName},
    observation::Observation,
    probe::Prober,
    recorder::Recorder,
    report::{
        ComponentCounts, Details, Maker, Report, Run, ShownResponse, Summary, Trigger, Verdict,
        WIRE_VERSION, millis,
    },
    tasks::Tasks,
    verdict::{ExpectError, Judge, Judgement, status::Standing},
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
    state: Mutex<State>,
    skipped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    in_flight: bool,
    standing: Option<Standing>,
    latest: Option<Arc<Run>>,
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

    /// A changed check keeps its standing: it is still the same question.
    fn cell(&self, check: &Arc<Check>, old: Option<&Cell>) -> Result<Cell, ExpectError> {
        let judge = Judge::new(&check.rules).map_err(|(_, error)| error)?;
        let standing = old.and_then(|old| old.lock().standing);
        Ok(Cell {
            check: Arc::clone(check),
            judge,
            host: self.host(check),
            state: Mutex::new(State {
                standing,
                ..State::default()
            }),
            skipped: AtomicU64::new(0),
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
        let judgement = judge(&cell.judge, &observation);
        let standing = cell.fold(&judgement, &observation);
        let report = self.report(&cell.check, &observation, judgement, standing, trigger);
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

    fn report(
        &self,
        check: &Check,
        observation: &Observation,
        judgement: Judgement,
        standing: Standing,
        trigger: Trigger,
    ) -> Report {
        let certificate = observation.certificate.clone();
        let summary = Summary {
            v: WIRE_VERSION,
            check: check.name.as_str().to_owned(),
            url: check.shown_url.clone(),
            status: standing.status,
            verdict: judgement.verdict,
            since: standing.since,
            checked_at: observation.started_at,
            expires_at: observation.started_at + 2 * check.interval + check.timeout,
            interval_ms: u64::try_from(check.interval.as_millis()).unwrap_or(u64::MAX),
            latency_ms: millis(observation.latency),
            http_status: observation
                .response
                .as_ref()
                .map(|response| response.status),
            message: judgement.message,
            components: counts(judgement.document.as_ref()),
            consecutive: standing.consecutive,
            certificate_expires_at: certificate.as_ref().map(|c| c.chain_not_after),
            trigger,
            instance: self.instance.clone(),
            run: nuid::next().to_string(),
        };
        let details = Details {
            phases_ms: observation.phases.into(),
            attempts: 1,
            response: ShownResponse::of(observation, judgement.json),
            document: judgement.document,
            expectations: judgement.expectations,
            certificate,
            request: None,
            supercheck: Maker::this(),
        };
        Report { summary, details }
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
        self.skipped.fetch_add(starts, Ordering::Relaxed);
    }

    /// How many starts were due and did not happen.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
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
fn judge(judge: &Judge, observation: &Observation) -> Judgement {
    catch_unwind(AssertUnwindSafe(|| judge.judge(observation))).unwrap_or_else(|_| Judgement {
        verdict: Verdict::Fail,
        message: "supercheck broke while judging this answer; please report it".to_owned(),
        expectations: Vec::new(),
        document: None,
        json: false,
    })
}

fn counts(document: Option<&crate::report::Document>) -> ComponentCounts {
    let mut counts = ComponentCounts::default();
    for component in document.iter().flat_map(|document| &document.components) {
        match component.status {
            Some(Verdict::Pass) => counts.pass += 1,
            Some(Verdict::Warn) => counts.warn += 1,
            Some(Verdict::Fail) => counts.fail += 1,
            None => {}
        }
    }
    counts
}
