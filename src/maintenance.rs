//! Which checks are in maintenance, and what for: by the configuration's
//! windows, or by a flag that somebody set.
//!
//! Runs go on, and so do changes of status; they are marked. Flags are
//! followed as they are stored, by whichever instance.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use crate::{
    check::Check,
    clock::Timestamp,
    error::Chain,
    store::{Link, Store, StoreError, flags::Flag},
    triggers::Cells,
    window::Window,
};

/// Flags that are read at once.
const READS: usize = 64;

/// What is known of maintenance.
#[derive(Clone, Debug, Default)]
pub struct Maintenance {
    known: Arc<Mutex<Known>>,
    /// Whether there is anything to look at: most never have any.
    any: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Known {
    windows: Vec<Watched>,
    flags: BTreeMap<String, (Timestamp, Arc<str>)>,
}

/// A window, and how long what it last said holds.
#[derive(Debug)]
struct Watched {
    window: Window,
    name: Arc<str>,
    from: Timestamp,
    until: Timestamp,
    open: bool,
}

impl Watched {
    fn is_for(&mut self, check: &Check, at: Timestamp) -> bool {
        self.window.is_for(check) && self.is_open(at)
    }

    fn is_open(&mut self, at: Timestamp) -> bool {
        if at < self.from || at >= self.until {
            (self.open, self.until) = self.window.at(at);
            self.from = at;
        }
        self.open
    }
}

impl Maintenance {
    /// Takes the configuration's windows in place of earlier ones.
    pub fn set_windows(&self, windows: &[Window]) {
        let watched = windows.iter().map(|window| Watched {
            window: window.clone(),
            name: window.name.as_str().into(),
            from: Timestamp::from_millis(0),
            until: Timestamp::from_millis(0),
            open: false,
        });
        let mut known = self.lock();
        known.windows = watched.collect();
        self.look(&known);
    }

    /// What `check` is in maintenance for at `at`, if it is.
    pub fn reason(&self, check: &Check, at: Timestamp) -> Option<Arc<str>> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let mut known = self.lock();
        if let Some((until, reason)) = known.flags.get(check.name.as_str())
            && at < *until
        {
            return Some(Arc::clone(reason));
        }
        let windows = known.windows.iter_mut();
        let mut open =
            windows.filter_map(|window| window.is_for(check, at).then(|| Arc::clone(&window.name)));
        open.next()
    }

    /// Notes the flag of `check`, or that there is none.
    pub fn note(&self, check: &str, flag: Option<&Flag>) {
        let mut known = self.lock();
        match flag {
            Some(flag) => {
                let reason = flag.reason.as_str().into();
                known.flags.insert(check.to_owned(), (flag.until, reason));
            }
            None => {
                known.flags.remove(check);
            }
        }
        self.look(&known);
    }

    fn look(&self, known: &Known) {
        let any = !known.windows.is_empty() || !known.flags.is_empty();
        self.any.store(any, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the flags, until the store is gone.
pub async fn follow(
    maintenance: Maintenance,
    store: Store,
    mut cells: watch::Receiver<Arc<Cells>>,
) {
    let mut link = store.link();
    loop {
        if link.wait_for(|link| *link == Link::Ready).await.is_err() {
            return;
        }
        link.mark_unchanged();
        let checks = Arc::clone(&cells.borrow_and_update());
        let names = checks.keys().map(ToString::to_string).collect();
        tokio::select! {
            // What was set while it was away is read anew.
            changed = link.changed() => if changed.is_err() { return },
            changed = cells.changed() => if changed.is_err() { return },
            Err(error) = keep_up(&maintenance, &store, names) => {
                tracing::debug!(error = %Chain(&error), "maintenance flags not followed");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn keep_up(
    maintenance: &Maintenance,
    store: &Store,
    names: Vec<String>,
) -> Result<(), StoreError> {
    // Before the look, so that none is missed between the two.
    let mut to_come = std::pin::pin!(store.flags_to_come().await?);
    let mut flags = stream::iter(names)
        .map(|name| async move { store.flag(&name).await.map(|flag| (name, flag)) })
        .buffer_unordered(READS);
    while let Some(read) = flags.next().await {
        let (name, flag) = read?;
        maintenance.note(&name, flag.as_ref());
    }
    drop(flags);
    while let Some((name, flag)) = to_come.next().await {
        maintenance.note(&name, flag.as_ref());
    }
    Ok(())
}
