//! Reloading: a new configuration is read, judged and swapped in, or nothing
//! is changed.

use std::sync::{Arc, atomic::Ordering};

use tracing::{info, warn};

use super::{Daemon, notify};
use crate::{check::CheckName, config};

impl Daemon {
    /// Reads the configuration again and swaps in what changed.
    pub(super) fn reload(&mut self) {
        notify::reloading();
        let taken = self.swap();
        self.refused.store(!taken, Ordering::Relaxed);
        notify::reloaded();
    }

    /// Whether the new configuration was taken.
    fn swap(&mut self) -> bool {
        let new = match (self.settings.reload)() {
            Ok(new) => new,
            Err(mistakes) => {
                warn!("configuration not reloaded; the old one stays:\n{mistakes}");
                return false;
            }
        };
        let changes = config::diff(&self.settings.config, &new);
        let before = Arc::clone(&self.cells.borrow());
        let cells = match self.runner.cells(&new.checks, &before) {
            Ok(cells) => cells,
            Err(error) => {
                warn!(%error, "configuration not reloaded; the old one stays");
                return false;
            }
        };
        if let Err(error) = self.face.renew(&new.http) {
            warn!("configuration not reloaded; the old one stays: {error:#}");
            return false;
        }
        self.runner.maintenance().set_windows(&new.maintenance);
        let checks = cells.values().map(|cell| Arc::clone(&cell.check));
        let checks: Vec<_> = checks.collect();
        self.cells.send_replace(Arc::new(cells));
        let list = |names: &[CheckName]| {
            names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        info!(
            added = list(&changes.added),
            changed = list(&changes.changed),
            removed = list(&changes.removed),
            checks = checks.len(),
            "configuration reloaded"
        );
        if !changes.restart.is_empty() {
            let settings = changes.restart.join(", ");
            warn!(settings, "these settings change at the next restart only");
        }
        self.settings.config.maintenance = new.maintenance;
        // Those of the cells: what has not changed is in memory once.
        self.settings.config.checks = checks;
        true
    }
}
