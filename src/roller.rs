//! Rolling up what was: the hours of each check, stored when they are over.
//!
//! Runs are counted where they end. What an earlier daemon left uncounted is
//! replayed from the history, once. Whoever writes an hour, and however often,
//! it comes to the same.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::{SetOnce, watch};

use crate::{
    check::CheckName,
    clock::{self, Timestamp},
    error::Chain,
    rollup::{HOUR, Hour, Hours},
    runner::Cell,
    store::{Link, Store, StoreError, Trouble},
    triggers::Cells,
};

mod recall;

/// So often it is looked whether an hour is over.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After a failure it is tried again so much later.
const RETRY: Duration = Duration::from_secs(15);
/// Checks whose hours are stored at once.
const AT_ONCE: usize = 16;
/// The history is replayed no further back than this, in hours.
const MAX_BACK: u64 = 31 * 24;

/// Rolls up until it is dropped, once it is `scheduled`: for the newest
/// summaries the schedule waits, and for the history nobody.
pub async fn roll(store: Store, cells: watch::Receiver<Arc<Cells>>, scheduled: Arc<SetOnce<()>>) {
    let began = clock::now();
    scheduled.wait().await;
    let mut link = store.link();
    let (mut behind, mut recalled) = (true, false);
    loop {
        if link.wait_for(|link| *link == Link::Ready).await.is_err() {
            return;
        }
        let now = Arc::clone(&cells.borrow());
        let rolled = async {
            if behind {
                catch_up(&store, &now, began).await?;
                behind = false;
            }
            roll_up(&store, &now).await?;
            if !recalled {
                recall::rest(&store, &now, began).await?;
                recalled = true;
            }
            Ok::<(), StoreError>(())
        };
        let pause = match rolled.await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "hours not rolled up; trying again");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Counts what earlier daemons stored and nobody rolled up, and recalls their
/// last runs.
async fn catch_up(store: &Store, cells: &Cells, began: Timestamp) -> Result<(), StoreError> {
    let this = began.as_millis() / HOUR;
    let earliest = this.saturating_sub(MAX_BACK);
    let from = store.rolled_up_through().await?;
    let from = from.map_or(earliest, |from| from.clamp(earliest, this));
    let back = u64::try_from(recall::BACK.as_millis()).unwrap_or(u64::MAX);
    let begin = began.as_millis().saturating_sub(back).min(from * HOUR);
    let mut runs = recall::Runs::default();
    let mut past: HashMap<String, (Hours, BTreeMap<u64, Hour>)> = HashMap::new();
    store
        .replay_all(Timestamp::from_millis(begin), began, |summary| {
            runs.note(summary);
            if summary.checked_at.as_millis() < from * HOUR {
                return;
            }
            let (hours, done) = past.entry(summary.check.to_string()).or_default();
            hours.count(summary);
            // An hour that is long over takes no more room than it must.
            if hours.open().len() > 2 {
                for day in hours.over(summary.checked_at).into_values() {
                    hours.stored(&day);
                    done.extend(day);
                }
            }
        })
        .await?;
    runs.tell(cells);
    let mut checks = 0;
    for (check, (hours, done)) in past {
        let cell = CheckName::new(&check)
            .ok()
            .and_then(|name| cells.get(&name));
        if let Some(cell) = cell {
            cell.recall(hours.open().iter().chain(&done));
            checks += 1;
        }
    }
    tracing::debug!(checks, "the history is rolled up");
    Ok(())
}

async fn roll_up(store: &Store, cells: &Cells) -> Result<(), StoreError> {
    let now = clock::now();
    let due: Vec<_> = cells
        .values()
        .filter_map(|cell| {
            let days = cell.hours_over(now);
            (!days.is_empty()).then(|| (Arc::clone(cell), days))
        })
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    let mut rolled = stream::iter(due)
        .map(async |(cell, days)| {
            for (day, hours) in days {
                store_day(store, &cell, day, &hours).await?;
                cell.hours_stored(&hours);
            }
            Ok::<(), StoreError>(())
        })
        .buffer_unordered(AT_ONCE);
    while let Some(result) = rolled.next().await {
        result?;
    }
    store.note_rolled_up(now.as_millis() / HOUR).await
}

async fn store_day(
    store: &Store,
    cell: &Cell,
    day: u64,
    hours: &BTreeMap<u64, Hour>,
) -> Result<(), StoreError> {
    let check = cell.check.name.as_str();
    loop {
        let (mut content, last) = store.rollup(check, day).await?;
        if !content.take(hours) {
            return Ok(());
        }
        match store.roll_up(check, day, &content, last).await {
            // Another instance wrote: look at what.
            Err(error) if error.trouble == Trouble::Outrun => {}
            result => return result,
        }
    }
}
