//! Sharing the schedule: each slot is run by one of all instances.
//!
//! There is no leader and no list of members. Every instance puts every due
//! slot on one queue, where it is one message, and takes what it is handed.
//! What an instance needs to know of a check, its status and how many runs in
//! a row led there, it reads from the summary right before it runs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{
    check::CheckName,
    clock::Timestamp,
    error::Chain,
    report::Trigger,
    runner::{Cell, MAX_SLOTS, Runner},
    store::{
        Link, Store, StoreError,
        read::Known,
        slots::{HEARTBEAT, Slot},
        taken::ack_wait,
    },
    tasks::Tasks,
    triggers::Cells,
};

/// Slots fetched before they are taken up: few, so that what one instance
/// cannot do at once another one does.
const AHEAD: usize = 32;
/// Instances may know different checks: a slot of one that is not known here
/// goes back so often.
const UNKNOWN_DELIVERIES: u64 = 3;
/// While somebody runs it, it goes back so often, for so long each time.
const GONE_DELIVERIES: u64 = 12;
const GONE_DELAY: Duration = Duration::from_secs(5);
/// What somebody else may have heard is asked for again after this time.
const UNHEARD_DELAY: Duration = Duration::from_secs(1);
/// News of a check, or the word that a slot was taken, come within this time,
/// or it is run without; whether a job is silent is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
/// The silence of the queue lasts so long before what is due is run without it.
const UNSERVED: Duration = Duration::from_millis(500);
/// Whether the queue is paused is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What a queue that fell silent had sent comes within this time.
const LATE: Duration = Duration::from_millis(50);
/// A slot whose host has its share of those in hand goes back for an eighth of
/// its interval, within these bounds, and for twice as long at most.
const CROWDED: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// A run's result is stored within this time, or the slot comes again.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// What an instance needs to share the schedule.
#[derive(Clone)]
pub struct Sharing {
    /// Where the slots are.
    pub store: Store,
    /// What runs them.
    pub runner: Arc<Runner>,
    /// The checks.
    pub cells: watch::Receiver<Arc<Cells>>,
    /// What the tasks are spawned on.
    pub tasks: Tasks,
    /// Since when NATS is away.
    pub away: Option<Instant>,
    /// Whether the queue is silent, though NATS is there: who takes slots says
    /// so to who has what is due run.
    pub silence: Silence,
}

/// Whether the queue hands out slots.
#[derive(Clone, Debug, Default)]
pub struct Silence(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    /// Since when this instance hears nothing of it: on a cluster, while it has
    /// no leader.
    silent: Option<Instant>,
    /// Whether an operator paused it. It is heard of all the time.
    paused: bool,
}

impl Silence {
    fn begin(&self) {
        self.lock().silent.get_or_insert_with(Instant::now);
    }

    fn end(&self) {
        self.lock().silent = None;
    }

    /// Returns whether that is news.
    fn paused(&self, paused: bool) -> bool {
        std::mem::replace(&mut self.lock().paused, paused) != paused
    }

    fn lasts(&self) -> bool {
        let heard = self.lock();
        heard.paused || heard.silent.is_some_and(|since| since.elapsed() > UNSERVED)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sharing {
    /// Sees to it that somebody runs these slots: puts them on the queue, or,
    /// when NATS has been away for an interval, runs them here; when the queue
    /// is silent, runs here what nobody else does.
    pub fn due(&mut self, due: Vec<(Arc<Cell>, u64)>) {
        if *self.store.link().borrow() != Link::Ready {
            let away = self.away.get_or_insert_with(Instant::now).elapsed();
            for (cell, _) in due {
                if away >= cell.check.interval {
                    self.run_here(&cell);
                }
            }
            return;
        }
        self.away = None;
        if self.silence.lasts() {
            for (cell, _) in due {
                self.run_later(cell);
            }
            return;
        }
        let sharing = self.clone();
        self.tasks.spawn("offer slots", async move {
            let slots = due
                .iter()
                .map(|(cell, slot)| (cell.check.name.to_string(), *slot))
                .collect();
            let offered = Instant::now();
            let refused = sharing.store.offer_slots(slots, PATIENCE).await;
            if !refused.is_empty() {
                // News that came while this process stood still is read first.
                tokio::time::sleep(LATE).await;
            }
            // What NATS may not have, the instance runs by itself, unless
            // somebody has run it while that was found out.
            for (check, error) in refused {
                tracing::debug!(check, error = %Chain(&error), "slot not offered; run here");
                let here = due
                    .iter()
                    .find(|(cell, _)| cell.check.name.as_str() == check);
                if let Some((cell, _)) = here
                    && cell.is_quiet(offered.elapsed())
                {
                    sharing.run_here(cell);
                }
            }
        });
    }

    /// Runs it here in a moment, unless somebody else has by then: another
    /// instance may hear of the queue, or be quicker.
    fn run_later(&self, cell: Arc<Cell>) {
        let sharing = self.clone();
        self.tasks.spawn("slot without queue", async move {
            let most = (cell.check.interval / 2).min(PATIENCE);
            let wait = most.mul_f32(fastrand::f32().midpoint(1.0));
            let stop = sharing.tasks.stop();
            let waited = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            if waited.is_some() && cell.is_quiet(wait) {
                sharing.run_here(&cell);
            }
        });
    }

    /// That nobody reports is told where reports can be heard.
    fn run_here(&self, cell: &Arc<Cell>) {
        if !cell.check.is_push() {
            self.runner.start(cell, Trigger::Schedule);
        }
    }

    /// Brings what is known of `cell` up to date. Returns whether NATS told: a
    /// cluster without a leader refuses to, or does not answer. No check waits
    /// for that, and what was heard meanwhile must do.
    pub async fn catch_up(store: &Store, cell: &Cell) -> bool {
        let newest = store.newest_summary(cell.check.name.as_str());
        let patience = if cell.check.is_push() {
            PATIENCE
        } else {
            cell.check.interval.min(PATIENCE)
        };
        let refused = match tokio::time::timeout(patience, newest).await {
            Ok(Ok(known)) => {
                if let Some(Known::Summary(summary)) = known {
                    cell.catch_up(&summary);
                }
                return true;
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        // Told in full only where somebody reads it: it may be of each slot.
        let refused = || refused.as_ref().map(|error| Chain(error).to_string());
        tracing::debug!(check = %cell.check.name, refused = refused(), "no news of it");
        false
    }

    async fn handle(&self, slot: Slot) {
        let mut beat = tokio::time::interval(ack_wait() / 3);
        beat.reset();
        let mut running = std::pin::pin!(self.run(&slot));
        loop {
            tokio::select! {
                done = &mut running => {
                    if let Err(delay) = done {
                        slot.taken.release(Some(delay)).await;
                    }
                    return;
                }
                _ = beat.tick() => slot.taken.in_progress().await,
            }
        }
    }

    async fn run(&self, slot: &Slot) -> Result<(), Duration> {
        let again = |error: StoreError| {
            tracing::debug!(error = %Chain(&error), "slot goes back to the queue");
            Duration::from_millis(100)
        };
        let cell = self.cells.borrow().get(slot.check.as_str()).cloned();
        let Some(cell) = cell else {
            if slot.deliveries < UNKNOWN_DELIVERIES {
                return Err(Duration::from_millis(100));
            }
            // Whoever knows it may have given it back for want of room.
            if slot.deliveries < GONE_DELIVERIES
                && self.store.is_run(&slot.check).await.map_err(again)?
            {
                return Err(GONE_DELAY);
            }
            return slot.taken.done().await.map_err(again);
        };
        let crowded = || {
            let [shortest, longest] = CROWDED;
            let least = (cell.check.interval / 8).clamp(shortest, longest);
            least.mul_f64(1.0 + fastrand::f64())
        };
        let host = cell.check.target.asked_host();
        let _place = if cell.check.is_push() {
            None
        } else {
            Some(self.runner.slots.take(host).ok_or_else(crowded)?)
        };
        let known = Self::catch_up(&self.store, &cell).await;
        if cell.check.is_push() {
            if !known {
                // Another instance may have heard its job.
                return Err(UNHEARD_DELAY);
            }
            let due = Timestamp::from_millis(slot.due);
            if let Some(run) = self.runner.silence(&cell, Timestamp::default(), due) {
                let stored = tokio::time::timeout(STORE_TIMEOUT, run.stored.wait());
                stored.await.map_err(|_| Duration::from_secs(1))?;
            }
            return slot.taken.done().await.map_err(again);
        }
        // Handed out again, because its first taker died after the run.
        let answered = slot.deliveries > 1
            && cell
                .newest()
                .is_some_and(|summary| summary.checked_at.as_millis() >= slot.due);
        if !answered && cell.held_back(crate::clock::now()).is_none() {
            let joined = self.runner.join_slot(&cell);
            let run = joined.await.map_err(|_| Duration::ZERO)?;
            let stored = tokio::time::timeout(STORE_TIMEOUT, run.stored.wait());
            stored.await.map_err(|_| Duration::from_secs(1))?;
        }
        slot.taken.done().await.map_err(again)
    }
}

/// Follows what the other instances store, so that readers who ask this one
/// hear of it.
pub async fn follow(sharing: Sharing) {
    let mut link = sharing.store.link();
    loop {
        if link.wait_for(|link| *link == Link::Ready).await.is_err() {
            return;
        }
        match sharing.store.summaries_to_come().await {
            Ok(stored) => {
                let mut stored = std::pin::pin!(stored);
                while let Some(summary) = stored.next().await {
                    let cells = Arc::clone(&sharing.cells.borrow());
                    let name = CheckName::new(&summary.check).ok();
                    if let Some(cell) = name.and_then(|name| cells.get(&name)) {
                        cell.hear(&summary);
                    }
                }
            }
            Err(error) => tracing::debug!(error = %Chain(&error), "summaries not followed"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Runs the slots that are handed to this instance, until told to stop.
pub async fn share(sharing: Sharing) {
    let stop = sharing.tasks.stop().clone();
    let mut link = sharing.store.link();
    let in_hand = Arc::new(Semaphore::new(MAX_SLOTS));
    loop {
        if *link.borrow() != Link::Ready {
            // Without NATS no queue is silent.
            sharing.silence.end();
        }
        tokio::select! {
            () = stop.cancelled() => return,
            ready = link.wait_for(|link| *link == Link::Ready) => if ready.is_err() { return },
        }
        // Marked as seen: any change from here on is a new connection.
        link.mark_unchanged();
        take(&sharing, &in_hand, &mut link).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Looks whether somebody paused the queue, until told to stop.
pub async fn mind_pauses(sharing: Sharing) {
    let look = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Ok(paused) = sharing.store.slots_paused().await else {
                continue;
            };
            match (sharing.silence.paused(paused), paused) {
                (true, true) => tracing::warn!(
                    hint = "resume the consumer `runners` of the stream `SUPERCHECK_SLOTS`",
                    "the queue of slots is paused; every instance runs what is due"
                ),
                (true, false) => tracing::info!("the queue of slots is no longer paused"),
                (false, _) => {}
            }
        }
    };
    sharing.tasks.stop().run_until_cancelled(look).await;
}

/// Takes slots until the queue is silent, the connection is another, or told to
/// stop.
async fn take(sharing: &Sharing, in_hand: &Arc<Semaphore>, link: &mut watch::Receiver<Link>) {
    let stop = sharing.tasks.stop();
    let mut asked = std::pin::pin!(sharing.store.slots(AHEAD));
    let answer = match tokio::time::timeout(PATIENCE, &mut asked).await {
        Ok(answer) => answer,
        Err(_) => {
            sharing.silence.begin();
            tokio::select! {
                () = stop.cancelled() => return,
                _ = link.changed() => return,
                answer = asked => answer,
            }
        }
    };
    let mut slots = match answer {
        Ok(slots) => std::pin::pin!(slots),
        Err(error) => {
            tracing::debug!(error = %Chain(&error), "no slots taken for now");
            sharing.silence.begin();
            return tokio::time::sleep(LATE).await;
        }
    };
    // Who answered may hand out nothing yet. It does when it sends slots, or
    // that it is there.
    let heard = tokio::time::sleep(3 * HEARTBEAT).fuse();
    let mut heard = std::pin::pin!(heard);
    loop {
        let Ok(room) = Arc::clone(in_hand).acquire_owned().await else {
            return;
        };
        let next = tokio::select! {
            () = stop.cancelled() => break,
            _ = link.changed() => return,
            () = &mut heard => {
                sharing.silence.end();
                continue;
            }
            next = slots.next() => next,
        };
        let next = match next {
            Some(Ok(slot)) => Some(slot),
            _ => {
                sharing.silence.begin();
                // What it sent before and is read late is run, too.
                let late = tokio::time::timeout(LATE, slots.next()).await;
                late.ok().flatten().and_then(Result::ok)
            }
        };
        let Some(slot) = next else {
            // Slots stay in the queue, or newer ones take their place.
            return tokio::time::sleep(LATE).await;
        };
        sharing.silence.end();
        let mine = sharing.clone();
        sharing.tasks.spawn("slot", async move {
            mine.handle(slot).await;
            drop(room);
        });
    }
    // Others run at once what was fetched and not taken up.
    while let Some(Some(Ok(slot))) = slots.next().now_or_never() {
        slot.taken.release(None).await;
    }
}
