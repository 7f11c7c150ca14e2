//! What runs stand in: supercheck's own network, maintenance, and jobs that
//! report by themselves.

use std::sync::Arc;

use super::Daemon;
use crate::{
    config::Mode,
    maintenance,
    silence::{self, Listener},
};

impl Daemon {
    /// Spawns what watches them.
    pub(super) fn spawn_circumstances(&self) {
        let listener = Listener {
            store: self.store.clone(),
            runner: Arc::clone(&self.runner),
            cells: self.cells.subscribe(),
            sharing: (self.settings.config.scheduler.mode == Mode::Shared).then(|| self.sharing()),
        };
        let stop = self.work.stop().clone();
        self.work.spawn("silence", silence::listen(listener, stop));
        let maintenance = self.runner.maintenance().clone();
        let (store, cells) = (self.store.clone(), self.cells.subscribe());
        self.ground.spawn(
            "maintenance",
            maintenance::follow(maintenance, store, cells),
        );
        let (runner, stop) = (Arc::clone(&self.runner), self.work.stop().clone());
        if runner.gate().is_some() {
            self.work.spawn("gate", async move {
                tokio::select! {
                    () = runner.watch_gate() => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }
}
