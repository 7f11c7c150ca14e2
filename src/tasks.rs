//! Every task of the daemon: tracked, named, and never silently dead.
//!
//! This is the one place that spawns. A panic in a task is reported with the
//! task's name and stops the daemon with an error, so that the service manager
//! starts a whole one again instead of leaving half of one alive.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The daemon's tasks and the signals that end them.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    /// No new work; what is under way may finish.
    stop: CancellationToken,
    /// The grace is over; drop what is under way.
    abort: CancellationToken,
    broken: Arc<watch::Sender<Option<&'static str>>>,
    /// Where they run, if not where they are spawned.
    threads: Option<Handle>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            broken: Arc::new(watch::Sender::new(None)),
            threads: None,
        }
    }
}

impl Tasks {
    /// The same tasks, to which those are added that run on other threads.
    pub fn on(&self, threads: Handle) -> Self {
        Self {
            threads: Some(threads),
            ..self.clone()
        }
    }

    /// Starts `work` under `name`. It ends by itself or when the grace is over.
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let broken = Arc::clone(&self.broken);
        let abort = self.abort.clone();
        // Each future around it would hold the work twice, once before and once
        // after it is awaited: several times some kilobytes, moved each time.
        let work = Box::pin(work);
        let task = async move {
            let guarded = AssertUnwindSafe(work).catch_unwind();
            if let Some(Err(_)) = abort.run_until_cancelled(guarded).await {
                broken.send_replace(Some(name));
                tracing::error!(task = name, "a task panicked; this is a bug in supercheck");
            }
        };
        match &self.threads {
            None => self.tracker.spawn(task),
            Some(threads) => self.tracker.spawn_on(task, threads),
        };
    }

    /// The signal that no new work is to begin.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Waits until a task has panicked, and names it.
    pub async fn broken(&self) -> &'static str {
        let mut seen = self.broken.subscribe();
        match seen.wait_for(Option::is_some).await.map(|name| *name) {
            Ok(Some(name)) => name,
            // The sender lives in `self`, so the wait cannot end otherwise.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Waits for all tasks to end, up to `grace`; then drops those that have
    /// not. Returns how many were dropped.
    pub async fn finish(&self, grace: Duration) -> usize {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
        {
            return 0;
        }
        let left = self.tracker.len();
        self.abort.cancel();
        self.tracker.wait().await;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_task_is_named() {
        let tasks = Tasks::default();
        tasks.spawn("fragile", async { panic!("on purpose") });
        assert_eq!(tasks.broken().await, "fragile");
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlives_the_grace_is_dropped_and_counted() {
        let tasks = Tasks::default();
        tasks.spawn("quick", async {});
        tasks.spawn("endless", std::future::pending());
        assert_eq!(tasks.finish(Duration::from_secs(1)).await, 1);
    }
}
