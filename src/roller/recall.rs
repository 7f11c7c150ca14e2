//! The last runs of each check from before the start, so that a restart empties
//! no bar on the page.
//!
//! Those of the last minutes are replayed with the hours. Checks whose runs
//! are further apart are read one by one, slowly: nobody waits for it.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    check::CheckName,
    clock::Timestamp,
    report::Summary,
    runner::{Brief, Cell, MAX_RECENT},
    store::{
        Store, StoreError,
        history::{From, Past},
    },
    triggers::Cells,
};

/// The history of all checks is replayed from so long before the start.
pub(super) const BACK: Duration = Duration::from_secs(5 * 60);
/// Each check that is read by itself leaves a reader on the server for some
/// seconds, of which it takes a thousand.
const PAUSE: Duration = Duration::from_millis(8);

/// Runs of many checks, in the order in which they were stored.
#[derive(Default)]
pub(super) struct Runs(HashMap<String, VecDeque<Brief>>);

impl Runs {
    /// Takes note of a run.
    pub(super) fn note(&mut self, summary: &Summary) {
        let runs = match self.0.get_mut(&*summary.check) {
            Some(runs) => runs,
            None => self.0.entry(summary.check.to_string()).or_default(),
        };
        note(runs, summary);
    }

    /// Tells each check of its runs.
    pub(super) fn tell(&self, cells: &Cells) {
        for (check, runs) in &self.0 {
            let name = CheckName::new(check).ok();
            if let Some(cell) = name.and_then(|name| cells.get(&name)) {
                cell.recall_runs(runs);
            }
        }
    }
}

fn note(runs: &mut VecDeque<Brief>, summary: &Summary) {
    if runs.len() == MAX_RECENT {
        runs.pop_front();
    }
    runs.push_back(Brief::of(summary));
}

/// Reads what is missing of each check that runs too seldom.
pub(super) async fn rest(store: &Store, cells: &Cells, began: Timestamp) -> Result<(), StoreError> {
    let runs = u32::try_from(MAX_RECENT).unwrap_or(u32::MAX);
    let lacks = |cell: &&_| {
        let cell: &std::sync::Arc<Cell> = cell;
        cell.check.interval * runs > BACK && cell.look(|_, recent| recent.runs().len() < MAX_RECENT)
    };
    if store
        .history_since()
        .await?
        .is_none_or(|first| first >= began)
    {
        return Ok(());
    }
    for cell in cells.values().filter(lacks) {
        let back = u64::try_from((cell.check.interval * (runs + 1)).as_millis());
        let since = began.as_millis().saturating_sub(back.unwrap_or(u64::MAX));
        let mut past = VecDeque::new();
        let each = |batch: Vec<Past>| {
            for one in batch {
                note(&mut past, &one.summary);
            }
            Ok::<(), StoreError>(())
        };
        let from = From::Time(Timestamp::from_millis(since));
        store.replay(&cell.check.name, from, each).await?;
        cell.recall_runs(&past);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
