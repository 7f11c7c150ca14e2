//! What starts runs: the schedule. One task, one sleep, however many checks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    check::CheckName,
    clock::Timeline,
    pulse::Pulse,
    report::Trigger,
    runner::{Cell, Runner, Started},
    schedule::{Layout, Schedule},
    sharing::Sharing,
};

/// The checks that are scheduled now.
pub type Cells = BTreeMap<CheckName, Arc<Cell>>;

/// Skipped starts are told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Starts every check at its slots until `stop` is given; `pulse` shows that
/// it still does.
pub async fn follow(
    mut checks: watch::Receiver<Arc<Cells>>,
    runner: Arc<Runner>,
    layout: Layout,
    mut sharing: Option<Sharing>,
    pulse: Pulse,
    stop: tokio_util::sync::CancellationToken,
) {
    let timeline = Timeline::begin();
    let began = timeline.now();
    let mut schedule = lay_out(&checks.borrow_and_update(), layout, began);
    let mut skipped = Skipped {
        fast_start: layout.fast_start.map(|_| began),
        ..Skipped::default()
    };
    loop {
        pulse.stall().await;
        let due = schedule.next_due();
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(timeline.instant(due)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = pulse.beat() => {}
            changed = checks.changed() => {
                if changed.is_err() {
                    return;
                }
                // Checks that stay keep their slots: a slot is a matter of the
                // name and the interval alone.
                let layout = Layout { fast_start: None, ..layout };
                schedule = lay_out(&checks.borrow_and_update(), layout, timeline.now());
            }
            () = wait => match &mut sharing {
                Some(sharing) => share_due(&mut schedule, timeline.now(), sharing),
                None => start_due(&mut schedule, timeline.now(), &runner, &mut skipped),
            },
        }
    }
}

fn lay_out(cells: &Cells, layout: Layout, now: u64) -> Schedule<Arc<Cell>> {
    // What a job reports by itself is never due.
    let asked = cells.values().filter(|cell| !cell.check.is_push());
    let checks = asked.map(|cell| {
        (
            cell.check.name.as_str(),
            cell.check.interval,
            Arc::clone(cell),
        )
    });
    Schedule::new(checks, layout, now)
}

/// Missed slots are nobody's alone: another instance may have put them in.
fn share_due(schedule: &mut Schedule<Arc<Cell>>, now: u64, sharing: &mut Sharing) {
    let mut all = Vec::new();
    while let Some(due) = schedule.take_due(now) {
        all.extend(due.members.iter().map(|cell| (Arc::clone(cell), due.slot)));
    }
    sharing.due(all);
}

fn start_due(
    schedule: &mut Schedule<Arc<Cell>>,
    now: u64,
    runner: &Arc<Runner>,
    skipped: &mut Skipped,
) {
    while let Some(due) = schedule.take_due(now) {
        let lag = Duration::from_millis(now.saturating_sub(due.at));
        runner.lag().note(lag, due.members.len() as u64);
        for cell in due.members {
            let mut missed = due.missed;
            // A run that somebody asked for is the answer to the slot too.
            if runner.start(cell, Trigger::Schedule) == Started::InFlight(Trigger::Schedule)
                && !skipped.is_doubled(cell, due.slot)
            {
                missed += 1;
            }
            if missed > 0 {
                cell.skip(missed);
                skipped.count(missed, cell.check.name.as_str());
            }
        }
    }
}

/// Counts skipped starts and tells of them, but not each.
#[derive(Default)]
struct Skipped {
    starts: u64,
    told: Option<tokio::time::Instant>,
    /// When a fast start began, if there was one.
    fast_start: Option<u64>,
}

impl Skipped {
    /// Whether the run in flight is the extra one of a fast start: then the
    /// check has its answer, and its first slot is not missed.
    fn is_doubled(&self, cell: &Cell, slot: u64) -> bool {
        let interval = u64::try_from(cell.check.interval.as_millis()).unwrap_or(u64::MAX);
        self.fast_start
            .is_some_and(|began| slot < began.saturating_add(interval))
    }

    fn count(&mut self, starts: u64, check: &str) {
        self.starts += starts;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::warn!(
                starts = self.starts,
                check,
                hint = "a run was still in flight, or waited for a permit; see `interval`, \
                        `timeout` and `scheduler.concurrency`",
                "starts skipped"
            );
            self.starts = 0;
            self.told = Some(tokio::time::Instant::now());
        }
    }
}
