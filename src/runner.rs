//! Running checks: permits, one probe, judgement, the report.
//!
//! A check has at most one run in flight. A probe waits for its permits, one
//! of its target's host and one of the whole daemon, host first, so that a
//! flood on one host holds back nobody else. Nothing here waits for storing.
//!
//! Whoever asks for a run joins the one in flight, unless it had begun to
//! probe before the request was accepted: then the next one answers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};

use crate::{
    announcer::Announcer,
    check::{Check, CheckName},
    clock,
    gate::{CLOSED, Gate},
    maintenance::Maintenance,
    probe::Prober,
    recorder::Recorder,
    report::{self, Trigger, Verdict},
    run::Run,
    shares::Shares,
    tally::Durations,
    tasks::Tasks,
    verdict::{
        ExpectError, Judge,
        write_up::{Making, write_up},
    },
};

mod cell;
mod host;
mod lack;
mod push;
mod recent;
mod seen;

pub use cell::Cell;
pub use recent::{Brief, Counts, MAX_RECENT, Recent};
pub use seen::{Seen, see};

use cell::{Flight, State, Waiter};
use host::Host;
use lack::Lack;

/// Runs checks.
#[derive(Debug)]
pub struct Runner {
    prober: Prober,
    instance: Arc<str>,
    permits: Semaphore,
    /// Runs that somebody asked for get half of the permits at most, here and at
    /// each host, so that a flood of requests never starves the schedule.
    request_permits: Semaphore,
    /// The highest request that is known to be in the queue.
    known: AtomicU64,
    announcer: Announcer,
    gate: Option<Gate>,
    lack: Lack,
    maintenance: Maintenance,
    /// Whoever makes a run of what was not asked for has it.
    pushes: Mutex<()>,
    /// Runs that were begun and have not ended.
    flights: AtomicU64,
    /// How long after their slots scheduled runs were begun.
    lag: Durations,
    per_host: usize,
    per_host_rate: Option<u32>,
    /// Semaphores of hosts that some check still asks.
    hosts: Mutex<HashMap<String, Weak<Host>>>,
    /// Cells of URLs that nobody configured, while somebody waits for them.
    visits: Mutex<HashMap<String, Weak<Cell>>>,
    /// The requests in hand, by the host that they ask.
    pub requests: Shares,
    /// The shared slots in hand, likewise.
    pub slots: Shares,
    recorder: Recorder,
    tasks: Tasks,
}

/// Requests in hand at once: they wait for runs and hold no permits.
pub const MAX_REQUESTS: usize = 4096;
/// Shared slots in hand at once, likewise.
pub const MAX_SLOTS: usize = 2048;

/// Whether a run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It did.
    Yes,
    /// One is in flight, which was begun for this reason.
    InFlight(Trigger),
    /// The target asked to be left alone for a while.
    HeldBack,
}

/// How many probes may be under way at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub concurrency: usize,
    /// At one target host.
    pub per_host: usize,
    /// How many may start at one target host in a second; `None` for any number.
    pub per_host_rate: Option<u32>,
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
            instance: instance.into(),
            permits: Semaphore::new(limits.concurrency),
            request_permits: Semaphore::new((limits.concurrency / 2).max(1)),
            known: AtomicU64::new(0),
            announcer: Announcer::default(),
            gate: None,
            lack: Lack::default(),
            maintenance: Maintenance::default(),
            pushes: Mutex::default(),
            flights: AtomicU64::new(0),
            lag: Durations::default(),
            per_host: limits.per_host,
            per_host_rate: limits.per_host_rate,
            hosts: Mutex::default(),
            visits: Mutex::default(),
            requests: Shares::new(MAX_REQUESTS),
            slots: Shares::new(MAX_SLOTS),
            recorder,
            tasks,
        }
    }

    /// Runs that fail while `gate` is closed do not count.
    pub fn behind(self, gate: Option<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// Which checks are in maintenance.
    pub const fn maintenance(&self) -> &Maintenance {
        &self.maintenance
    }

    /// What is known of supercheck's own network, if it is looked at.
    pub const fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// Looks at the gate, for as long as this is awaited.
    pub async fn watch_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.watch(&self.prober).await;
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
                old => {
                    let judge = cell::judge(check, cells.values().next_back())?;
                    Arc::new(self.cell(check, judge, old.map(AsRef::as_ref)))
                }
            };
            cells.insert(check.name.clone(), cell);
        }
        Ok(cells)
    }

    /// A changed check is still the same question: it keeps its standing, and
    /// its first run waits for one of before the change to end.
    fn cell(&self, check: &Arc<Check>, judge: Arc<Judge>, old: Option<&Cell>) -> Cell {
        Cell {
            check: Arc::clone(check),
            judge,
            host: self.host(check),
            state: old.map_or_else(Arc::default, |old| Arc::clone(&old.state)),
        }
    }

    /// A cell for a check that nobody configured, shared by all who ask it.
    ///
    /// # Errors
    /// As [`Runner::cells`].
    pub fn visit(&self, check: &Arc<Check>) -> Result<Arc<Cell>, ExpectError> {
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = visits.get(&*check.object).and_then(Weak::upgrade) {
            return Ok(cell);
        }
        if visits.len() == visits.capacity() {
            visits.retain(|_, cell| cell.strong_count() > 0);
        }
        let cell = Arc::new(self.cell(check, cell::judge(check, None)?, None));
        visits.insert(check.object.to_string(), Arc::downgrade(&cell));
        Ok(cell)
    }

    fn host(&self, check: &Check) -> Arc<Host> {
        let host = check.target.asked_host();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permits) = hosts.get(host).and_then(Weak::upgrade) {
            return permits;
        }
        // Not at each of thousands.
        if hosts.len() == hosts.capacity() {
            hosts.retain(|_, permits| permits.strong_count() > 0);
        }
        let permits = Arc::new(Host::new(self.per_host, self.per_host_rate));
        hosts.insert(host.to_owned(), Arc::downgrade(&permits));
        permits
    }

    /// Notes that the queue holds requests up to `sequence`.
    pub fn learn(&self, sequence: u64) {
        self.known.fetch_max(sequence, Ordering::SeqCst);
    }

    /// Notes that the queue was made anew and holds requests up to `last`.
    pub fn relearn(&self, last: u64) {
        self.known.store(last, Ordering::SeqCst);
    }

    /// The status changes that are to be announced.
    pub const fn announcer(&self) -> &Announcer {
        &self.announcer
    }

    /// Starts a run of `cell`, unless its previous one is still in flight.
    pub fn start(self: &Arc<Self>, cell: &Arc<Cell>, trigger: Trigger) -> Started {
        let mut state = cell.lock();
        if let Some(flight) = &state.flight {
            return Started::InFlight(flight.trigger);
        }
        if trigger == Trigger::Schedule && state.held_back(clock::now()).is_some() {
            return Started::HeldBack;
        }
        self.fly(cell, &mut state, trigger);
        Started::Yes
    }

    /// The run that answers the request at `sequence` of the queue.
    pub fn join(self: &Arc<Self>, cell: &Arc<Cell>, sequence: u64) -> oneshot::Receiver<Arc<Run>> {
        self.learn(sequence);
        self.join_as(cell, sequence, Trigger::Request)
    }

    /// The run that answers a slot: the one in flight, or a new one.
    pub fn join_slot(self: &Arc<Self>, cell: &Arc<Cell>) -> oneshot::Receiver<Arc<Run>> {
        self.join_as(cell, 0, Trigger::Schedule)
    }

    fn join_as(
        self: &Arc<Self>,
        cell: &Arc<Cell>,
        sequence: u64,
        trigger: Trigger,
    ) -> oneshot::Receiver<Arc<Run>> {
        let (run, joined) = oneshot::channel();
        let mut state = cell.lock();
        state.waiters.push(Waiter { sequence, run });
        if state.flight.is_none() {
            self.fly(cell, &mut state, trigger);
        }
        joined
    }

    fn fly(self: &Arc<Self>, cell: &Arc<Cell>, state: &mut State, trigger: Trigger) {
        state.flight = Some(Flight {
            trigger,
            answers: None,
        });
        self.flights.fetch_add(1, Ordering::Relaxed);
        let (runner, cell) = (Arc::clone(self), Arc::clone(cell));
        self.tasks.clone().spawn("run", async move {
            // However this ends, also when the grace is over, the check is
            // free again.
            let mut landing = Landing {
                runner: &runner,
                cell: &cell,
                run: None,
            };
            if let Some(run) = runner.run(&cell, trigger).await {
                let summary = &run.summary;
                if let Some(until) = summary.held_back_until {
                    tracing::info!(check = %summary.check, %until, "the target asks to be left alone");
                }
                if !run.check.is_ad_hoc() {
                    runner.recorder.offer(&run);
                }
                landing.run = Some(run);
            }
        });
    }

    async fn run(&self, cell: &Cell, trigger: Trigger) -> Option<Arc<Run>> {
        let mut seen = self.see(cell, trigger).await?;
        let lacking = self.lack.keeps_from(&seen.observation);
        let withheld =
            lacking || seen.judgement.verdict == Verdict::Fail && self.withholds(cell).await;
        if withheld && !lacking {
            seen.judgement.message = format!("{CLOSED} ({})", seen.judgement.message);
        }
        self.conclude(cell, seen, trigger, withheld)
    }

    /// Whether a failure that was just seen says nothing of its target. Before
    /// a check turns to down the gate is looked at anew.
    async fn withholds(&self, cell: &Cell) -> bool {
        let Some(gate) = &self.gate else {
            return false;
        };
        gate.is_closed() || (!cell.is_down() && Box::pin(gate.look(&self.prober)).await)
    }

    /// Waits for permits, and asks the target.
    async fn see(&self, cell: &Cell, trigger: Trigger) -> Option<Seen> {
        // The semaphores are never closed. What somebody asked for waits for its
        // share before it takes a permit that a scheduled run could use.
        let _asked = match trigger {
            Trigger::Schedule | Trigger::Push => None,
            Trigger::Request => Some((
                cell.host.asked.acquire().await.ok()?,
                self.request_permits.acquire().await.ok()?,
            )),
        };
        let _host = cell.host.enter().await?;
        let _permit = self.permits.acquire().await.ok()?;
        if let Some(flight) = &mut cell.lock().flight {
            flight.answers = Some(self.known.load(Ordering::SeqCst));
        }
        // Apart from the run, so that the many that wait are small.
        Some(Box::pin(see(&self.prober, &cell.check, &cell.judge)).await)
    }

    /// Makes a run of what was seen.
    fn conclude(
        &self,
        cell: &Cell,
        seen: Seen,
        trigger: Trigger,
        withheld: bool,
    ) -> Option<Arc<Run>> {
        let Seen {
            observation,
            judgement,
            failed,
            reported_at,
        } = seen;
        let before = cell.status();
        let standing = cell.fold(&judgement, observation.started_at, withheld);
        let making = Making {
            failed_attempts: failed,
            reported_at,
            maintenance: self.maintenance.reason(&cell.check, observation.started_at),
            gate: self
                .gate
                .as_ref()
                .filter(|gate| gate.is_closed())
                .map(|_| report::Gate::Closed),
            ..Making::new(trigger, &self.instance, nuid::next().to_string())
        };
        let report = write_up(&cell.check, &observation, judgement, standing, making);
        match Run::new(Arc::clone(&cell.check), report).map(Arc::new) {
            Ok(run) => {
                if !cell.check.is_ad_hoc() {
                    self.announcer.notice(&run, before);
                }
                Some(run)
            }
            Err(error) => {
                tracing::error!(check = %cell.check.name, %error, "report not encoded");
                None
            }
        }
    }
}

/// Frees the check when its run ends, answers who waited for it, and begins
/// the next one if it came too early for some.
struct Landing<'a> {
    runner: &'a Arc<Runner>,
    cell: &'a Arc<Cell>,
    run: Option<Arc<Run>>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let last = self.runner.flights.fetch_sub(1, Ordering::Relaxed) == 1;
        let mut state = self.cell.lock();
        let flight = state.flight.take();
        // Nothing more comes for now, or somebody waits for it to be stored.
        let asked = |flight: &Flight| flight.trigger == Trigger::Request;
        if last || flight.as_ref().is_some_and(asked) {
            self.runner.recorder.hurry();
        }
        let Some(run) = self.run.take() else {
            // It was cut short: who waits hears that nothing comes.
            state.waiters.clear();
            return;
        };
        state.recent.ran(&run.summary);
        state.latest = Some(Arc::clone(&run));
        state.adopted = None;
        state.news = Some(Instant::now());
        let answers = flight.and_then(|flight| flight.answers).unwrap_or(0);
        let answered = state
            .waiters
            .extract_if(.., |waiter| waiter.sequence <= answers)
            .collect::<Vec<_>>();
        if !state.waiters.is_empty() {
            self.runner.fly(self.cell, &mut state, Trigger::Request);
        }
        drop(state);
        for waiter in answered {
            // Who went away does not need it.
            drop(waiter.run.send(Arc::clone(&run)));
        }
    }
}

#[cfg(test)]
mod tests;
