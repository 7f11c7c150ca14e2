//! Notices when the job of a push check falls silent.
//!
//! A report that comes while supercheck cannot hear it is missed, and its job
//! is not to blame: a silence counts from when supercheck could hear again.
//! Several instances may hear the reports of one check, so what they stored is
//! looked at before a silence is told; with a shared schedule it is a slot,
//! and one of them tells it.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{self, Timestamp},
    runner::{Cell, Runner},
    sharing::Sharing,
    store::{Link, Store},
    triggers::Cells,
};

/// After a silence was told, or a look failed, the next look waits this long.
const PAUSE: Duration = Duration::from_secs(1);

/// What it takes to notice a silence.
pub struct Listener {
    /// Where other instances store what they hear.
    pub store: Store,
    /// What makes a run of a silence.
    pub runner: Arc<Runner>,
    /// The checks.
    pub cells: watch::Receiver<Arc<Cells>>,
    /// Where the schedule is shared: one of all instances tells it.
    pub sharing: Option<Sharing>,
}

/// Listens until told to stop.
pub async fn listen(mut listener: Listener, stop: CancellationToken) {
    let mut link = listener.store.link();
    loop {
        let ready = link.wait_for(|link| *link == Link::Ready);
        tokio::select! {
            () = stop.cancelled() => return,
            ready = ready => if ready.is_err() { return },
        }
        link.mark_unchanged();
        let since = clock::now();
        tokio::select! {
            () = stop.cancelled() => return,
            changed = link.changed() => if changed.is_err() { return },
            () = listener.hear(since) => return,
        }
    }
}

impl Listener {
    /// Tells of silences for as long as it can hear.
    async fn hear(&mut self, since: Timestamp) {
        loop {
            let cells = Arc::clone(&self.cells.borrow_and_update());
            let pushed: Vec<_> = cells.values().filter(|cell| cell.check.is_push()).collect();
            let next = pushed.iter().map(|cell| cell.overdue_at(since)).min();
            let now = clock::now();
            let wait = async {
                match next {
                    Some(next) => tokio::time::sleep(next.since(now)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.cells.changed() => if changed.is_err() { return },
                () = wait => {
                    let now = clock::now();
                    let due = pushed.into_iter().filter(|cell| cell.overdue_at(since) <= now);
                    self.tell(due.cloned().collect(), since).await;
                }
            }
        }
    }

    async fn tell(&mut self, due: Vec<Arc<Cell>>, since: Timestamp) {
        if let Some(sharing) = &mut self.sharing {
            let slots = due
                .into_iter()
                .map(|cell| {
                    let slot = cell.overdue_at(since).as_millis();
                    (cell, slot)
                })
                .collect();
            sharing.due(slots);
            // It is told by one of us, from whom the others hear.
            return tokio::time::sleep(PAUSE).await;
        }
        for cell in due {
            if !Sharing::catch_up(&self.store, &cell).await {
                // Others may have heard it.
                return tokio::time::sleep(PAUSE).await;
            }
            drop(self.runner.silence(&cell, since, clock::now()));
        }
    }
}
