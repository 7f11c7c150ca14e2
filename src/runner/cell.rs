//! A check between its runs: what is known of it, and who waits.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{Recent, host::Host};
use crate::{
    check::Check,
    clock::Timestamp,
    report::{Status, Summary, Trigger},
    run::Run,
    verdict::{
        ExpectError, Judge, Judgement,
        status::{Standing, Turn},
    },
};

/// A check, ready to run, and what is known of it.
#[derive(Debug)]
pub struct Cell {
    /// The check.
    pub check: Arc<Check>,
    pub(super) judge: Arc<Judge>,
    pub(super) host: Arc<Host>,
    pub(super) state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) flight: Option<Flight>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) standing: Option<Standing>,
    pub(super) latest: Option<Arc<Run>>,
    /// What an earlier daemon or another instance left, until a newer run ends.
    pub(super) adopted: Option<Box<Summary>>,
    /// When a run was last heard of, here or elsewhere.
    pub(super) news: Option<Instant>,
    /// Starts that were due and did not happen.
    skipped: u64,
    pub(super) recent: Recent,
}

impl State {
    /// Until when the target asked to be left alone, if that is not over.
    pub(super) fn held_back(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.newest()?.held_back_until?;
        (until > now).then_some(until)
    }

    fn take_up(&mut self, stored: &Summary) {
        self.standing = Some(Standing::of(stored));
        self.recent.saw(stored);
        self.adopted = Some(Box::new(stored.clone()));
    }

    pub(super) fn newest(&self) -> Option<&Summary> {
        let latest = self.latest.as_ref().map(|run| &run.summary);
        [latest, self.adopted.as_deref()]
            .into_iter()
            .flatten()
            .max_by_key(|summary| summary.checked_at)
    }
}

/// What judges by the rules of `check`: that of `beside`, where they are the same.
pub(super) fn judge(check: &Check, beside: Option<&Arc<Cell>>) -> Result<Arc<Judge>, ExpectError> {
    match beside {
        Some(cell) if cell.check.rules == check.rules => Ok(Arc::clone(&cell.judge)),
        Some(_) | None => Judge::new(&check.rules)
            .map(Arc::new)
            .map_err(|(_, error)| error),
    }
}

/// A run in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) trigger: Trigger,
    /// The highest request that it answers. Until it begins to probe it
    /// answers all.
    pub(super) answers: Option<u64>,
}

/// Somebody who waits for a run.
#[derive(Debug)]
pub(super) struct Waiter {
    /// The request's place in the queue.
    pub(super) sequence: u64,
    pub(super) run: oneshot::Sender<Arc<Run>>,
}

impl Cell {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // State is whole between statements: a panic elsewhere leaves it so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the newest run.
    pub(super) fn put(&self, run: &Arc<Run>) {
        let mut state = self.lock();
        state.recent.ran(&run.summary);
        state.latest = Some(Arc::clone(run));
        state.adopted = None;
    }

    /// The newest run, if there has been one.
    pub fn latest(&self) -> Option<Arc<Run>> {
        self.lock().latest.clone()
    }

    /// The newest run, unless a newer one is known from elsewhere.
    pub fn newest_run(&self) -> Option<Arc<Run>> {
        let state = self.lock();
        let (latest, newest) = state.latest.as_ref().zip(state.newest())?;
        (newest.run == latest.id()).then(|| Arc::clone(latest))
    }

    /// Takes note of what another instance has stored, if it is newer than what
    /// was found here.
    pub fn hear(&self, stored: &Summary) {
        let mut state = self.lock();
        state.news = Some(Instant::now());
        let newest = state.newest().map(|summary| summary.checked_at);
        if newest.is_none_or(|newest| newest < stored.checked_at) {
            state.take_up(stored);
        }
    }

    /// Goes on from what is stored. It was stored last, whatever the clocks of
    /// the instances say, unless a run of this one is yet to be stored.
    pub fn catch_up(&self, stored: &Summary) {
        let mut state = self.lock();
        let own = state.latest.as_ref();
        let goes_on = match own {
            Some(own) if own.id() == stored.run => false,
            Some(own) if own.stored.get().is_none() => own.summary.checked_at < stored.checked_at,
            Some(_) | None => true,
        };
        if goes_on {
            state.take_up(stored);
        }
    }

    /// Whether nobody is known to have run it for `while_`.
    pub fn is_quiet(&self, while_: Duration) -> bool {
        let news = self.lock().news;
        news.is_none_or(|news| news.elapsed() > while_)
    }

    /// The newest summary that is known here.
    pub fn newest(&self) -> Option<Summary> {
        self.lock().newest().cloned()
    }

    /// What the newest run made of it, or an earlier daemon left.
    pub fn status(&self) -> Option<Status> {
        self.lock().standing.map(|standing| standing.status)
    }

    /// Whether it is down, as far as runs count.
    pub(super) fn is_down(&self) -> bool {
        let standing = self.lock().standing;
        standing.is_some_and(|standing| standing.counted().status == Status::Down)
    }

    /// Until when the target asked to be left alone, if that is not over.
    pub fn held_back(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().held_back(now)
    }

    /// Whether a run is in flight.
    pub fn in_flight(&self) -> bool {
        self.lock().flight.is_some()
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
    pub fn adopt(&self, summary: Box<Summary>) {
        let stored = Standing::of(&summary);
        let mut state = self.lock();
        if state.latest.is_none() {
            state.recent.go_on_from(&summary);
            state.adopted = Some(summary);
        }
        match &mut state.standing {
            None => state.standing = Some(stored),
            Some(now) if now.counted().status == stored.counted().status => {
                now.continue_from(&stored);
            }
            Some(_) => {}
        }
    }

    pub(super) fn fold(&self, judgement: &Judgement, at: Timestamp, withheld: bool) -> Standing {
        let turn = Turn {
            verdict: judgement.verdict,
            at,
            good_until: at + self.check.lasts(),
            withheld,
        };
        let mut state = self.lock();
        let before = state.standing;
        let standing = Standing::after(before, turn, self.check.thresholds);
        state.standing = Some(standing);
        drop(state);
        let (check, verdict) = (&self.check.name, judgement.verdict);
        tracing::debug!(%check, %verdict, message = %judgement.message, "run finished");
        let from = before.map_or(Status::Unknown, |before| before.counted().status);
        let to = standing.counted().status;
        if from != to && !self.check.is_ad_hoc() {
            let reason = &judgement.message;
            tracing::info!(%check, %from, %to, %verdict, %reason, "status changed");
        }
        standing
    }
}
