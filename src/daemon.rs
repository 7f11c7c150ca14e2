//! The daemon: builds the parts, spawns them, reloads them, stops them.
//!
//! Sockets are opened here and handed down. The order of stopping is: no new
//! triggers, runs in flight finish within the grace, the recorder drains, HTTP,
//! which says `draining` meanwhile, stops, NATS drains, the embedded server ends.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    runtime::Handle,
    sync::{SetOnce, watch},
};
use tracing::{info, warn};

use crate::{
    announcer,
    check::CheckName,
    config::{Config, Mode, Scheduler},
    gate::Gate,
    probe::{Prober, ProberSettings},
    pulse::Pulse,
    recorder::{self, Recorder},
    roller,
    runner::{Limits, Runner},
    schedule::{Jitter, Layout},
    serve::{
        desk::Desk,
        http::{self, Face},
        listener::Listener,
        service,
    },
    sharing::{self, Sharing, Silence},
    store::{self, Link, Store, StoreError, Trouble, embedded::Embedded},
    tasks::Tasks,
    triggers::{self, Cells},
    worker::{self, Worker},
};

mod circumstances;
mod notify;
mod reload;
mod signals;

use notify::Watched;
use signals::{Heard, Signals};

/// Scheduling waits this long for what an earlier daemon stored.
const ADOPT_TIMEOUT: Duration = Duration::from_secs(1);
/// So many checks may start at one instant.
const CROWD: u64 = 64;
/// With `--fast-start` every check runs once within this time of the start.
const FAST_START: Duration = Duration::from_millis(1500);
/// With `--require-nats`, the embedded server must be usable within this time.
const REQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the configuration again; the error is what the operator is shown.
pub type Reload = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// What the daemon needs beside its configuration.
pub struct Settings {
    /// The configuration, judged.
    pub config: Config,
    /// Reads it again.
    pub reload: Reload,
    /// Where state lives: the embedded NATS's store.
    pub state: PathBuf,
    /// The name of this instance in reports.
    pub instance: String,
    /// Whether to end with an error when NATS cannot be used at the start.
    pub require_nats: bool,
    /// Where readers over HTTP are answered: threads on which no check waits.
    pub readers: Handle,
}

/// How the daemon ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Asked to, and everything was finished.
    Stopped,
    /// A task of ours broke.
    Broken,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// When a socket cannot be opened or the embedded server not be started.
pub async fn run(settings: Settings) -> Result<Ended> {
    let mut signals = Signals::listen()?;
    let mut daemon = Daemon::start(settings).await?;
    loop {
        tokio::select! {
            task = daemon.broken() => {
                tracing::error!(task, "ending, so that a whole daemon can be started");
                daemon.stop(&mut signals).await;
                return Ok(Ended::Broken);
            }
            heard = signals.next() => match heard {
                Heard::Reload => daemon.reload(),
                Heard::Stop(signal) => {
                    info!(signal, "stopping");
                    daemon.stop(&mut signals).await;
                    return Ok(Ended::Stopped);
                }
            }
        }
    }
}

/// The parts, running.
struct Daemon {
    settings: Settings,
    /// What triggers and runs checks: stopped first.
    work: Tasks,
    /// What the work stands on: stopped when the work is done.
    ground: Tasks,
    /// The embedded NATS server: stopped last.
    cellar: Tasks,
    store: Store,
    recorder: Recorder,
    runner: Arc<Runner>,
    cells: watch::Sender<Arc<Cells>>,
    face: Face,
    /// Whether the newest reload was refused.
    refused: Arc<AtomicBool>,
}

impl Daemon {
    async fn start(settings: Settings) -> Result<Self> {
        let config = &settings.config;
        let (work, ground, cellar) = (Tasks::default(), Tasks::default(), Tasks::default());
        // Sockets first: a port that is taken is found before anything runs.
        let listener = Listener::bind(&config.http).await?;
        let url = match &config.nats.url {
            Some(url) => url.clone(),
            None => embed(config, &settings, &cellar).await?,
        };
        if settings.require_nats {
            require(config, &url).await?;
        }
        let (store, keeper) = store::connect(&config.nats, &url, config.store.clone()).await?;
        ground.spawn("keeper", keeper.run());
        let recorder = Recorder::default();
        let runner = Arc::new(runner(config, &settings.instance, &recorder, &work)?);
        runner.maintenance().set_windows(&config.maintenance);
        let cells = runner.cells(&config.checks, &BTreeMap::new())?;
        let (cells, seen) = watch::channel(Arc::new(cells));
        let desk = Arc::new(Desk::new(store.clone(), seen, Arc::clone(&runner)));
        let readers = settings.readers.clone();
        let face = http::open(listener, &config.http, &desk, &recorder, &ground, readers);
        let daemon = Self {
            work,
            ground,
            cellar,
            store,
            recorder,
            runner,
            cells,
            face,
            refused: Arc::default(),
            settings,
        };
        daemon.spawn(desk);
        Ok(daemon)
    }

    fn spawn(&self, desk: Arc<Desk>) {
        let config = &self.settings.config;
        let (adopted, may_schedule) = tokio::sync::oneshot::channel::<()>();
        let scheduled = Arc::new(SetOnce::new());
        let (recorder, store) = (self.recorder.clone(), self.store.clone());
        let cells = self.cells.subscribe();
        let watched = Watched {
            schedule: Pulse::new("schedule"),
            recorder: Pulse::new("recorder"),
            store: self.store.clone(),
            cells: self.cells.subscribe(),
            refused: Arc::clone(&self.refused),
        };
        let (turns, stores) = (watched.schedule.clone(), watched.recorder.clone());
        self.ground.spawn("recorder", async move {
            adopt(&store, &cells).await;
            // The scheduler may have stopped waiting.
            drop(adopted);
            recorder::store(recorder, store, stores).await;
        });
        self.spawn_requests(desk);
        self.spawn_circumstances();
        if config.store.history.enabled {
            let (store, cells) = (self.store.clone(), self.cells.subscribe());
            let scheduled = Arc::clone(&scheduled);
            self.ground
                .spawn("roller", roller::roll(store, cells, scheduled));
        }
        let layout = layout(&config.scheduler);
        let (cells, runner) = (self.cells.subscribe(), Arc::clone(&self.runner));
        let sharing = (config.scheduler.mode == Mode::Shared).then(|| self.share());
        let stop = self.work.stop().clone();
        let n_checks = config.checks.len();
        self.work.spawn("schedule", async move {
            // The sender is dropped, without a word, when everything is read.
            if tokio::time::timeout(ADOPT_TIMEOUT, may_schedule)
                .await
                .is_err()
            {
                tracing::debug!("earlier summaries not read in time; scheduling begins");
            }
            info!(checks = n_checks, "serving");
            // Nobody else sets it.
            drop(scheduled.set(()));
            triggers::follow(cells, runner, layout, sharing, turns, stop).await;
        });
        let until = self.work.stop().clone();
        self.work.spawn("notify", async move {
            until.run_until_cancelled(watched.tell()).await;
        });
    }

    /// The schedule is shared: runs what this instance is handed.
    fn share(&self) -> Sharing {
        let sharing = self.sharing();
        self.work.spawn("slots", sharing::share(sharing.clone()));
        let pauses = sharing::mind_pauses(sharing.clone());
        self.work.spawn("pauses", pauses);
        self.ground
            .spawn("summaries", sharing::follow(sharing.clone()));
        sharing
    }

    fn sharing(&self) -> Sharing {
        Sharing {
            store: self.store.clone(),
            runner: Arc::clone(&self.runner),
            cells: self.cells.subscribe(),
            tasks: self.work.clone(),
            away: None,
            silence: Silence::default(),
        }
    }

    /// On-demand requests: the desk that answers, the worker that runs, and
    /// the announcer of what changes.
    fn spawn_requests(&self, desk: Arc<Desk>) {
        self.ground
            .spawn("results", service::hear(Arc::clone(&desk)));
        self.work
            .spawn("service", service::serve(desk, self.work.clone()));
        let worker = Worker {
            store: self.store.clone(),
            runner: Arc::clone(&self.runner),
            cells: self.cells.subscribe(),
            tasks: self.work.clone(),
        };
        self.work.spawn("worker", worker::work(worker));
        let announcer = self.runner.announcer().clone();
        self.ground.spawn(
            "announcer",
            announcer::announce(announcer, self.store.clone()),
        );
    }

    async fn broken(&self) -> &'static str {
        tokio::select! {
            task = self.work.broken() => task,
            task = self.ground.broken() => task,
            task = self.cellar.broken() => task,
        }
    }

    async fn stop(self, signals: &mut Signals) {
        let orderly = async {
            let began = tokio::time::Instant::now();
            let grace = self.settings.config.scheduler.grace;
            let drain = self.settings.config.http.drain;
            notify::stopping(grace.max(drain));
            self.face.drain();
            let unfinished = self.unfinished();
            if self.work.finish(grace).await > 0 {
                warn!(
                    "stopped after the {} grace with unfinished runs: {}",
                    humantime::format_duration(grace),
                    unfinished().join(", ")
                );
            }
            self.drain_recorder(grace.saturating_sub(began.elapsed()))
                .await;
            tokio::time::sleep(drain.saturating_sub(began.elapsed())).await;
            self.store.close().await;
            self.ground.finish(Duration::from_millis(500)).await;
            self.cellar.finish(Duration::from_secs(6)).await;
            info!("stopped");
        };
        tokio::select! {
            () = orderly => {}
            name = signals.stop() => warn!(signal = name, "a second signal: ending at once"),
        }
    }

    /// Names the checks whose run is in flight, when called.
    fn unfinished(&self) -> impl Fn() -> Vec<String> + use<> {
        let cells = Arc::clone(&self.cells.borrow());
        // The tasks are dropped by the time this is asked, and free their
        // checks, so the names are taken now.
        let names: Vec<_> = cells
            .values()
            .filter(|cell| cell.in_flight())
            .map(|cell| format!("`{}`", cell.check.name))
            .collect();
        move || names.clone()
    }

    async fn drain_recorder(&self, within: Duration) {
        let within = within.max(Duration::from_millis(500));
        if *self.store.link().borrow() == Link::Ready {
            let drained = async {
                self.recorder.drained().await;
                self.runner.announcer().drained().await;
            };
            if tokio::time::timeout(within, drained).await.is_ok() {
                return;
            }
        }
        let left = self.recorder.unstored();
        if left > 0 {
            warn!(
                results = left,
                "stopped with results that NATS did not take"
            );
        }
    }
}

/// How the schedule lays out starts.
fn layout(scheduler: &Scheduler) -> Layout {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    // Instances agree on slots, and when each of them starts, whatever else
    // they check; those that share nothing have nothing to agree on.
    let (crowd, seed) = match scheduler.mode {
        Mode::Local => (CROWD, fastrand::u64(..)),
        Mode::Shared => (0, 0),
    };
    Layout {
        tick: millis(scheduler.tick),
        crowd,
        fast_start: scheduler.fast_start.then(|| millis(FAST_START)),
        jitter: Jitter {
            most: millis(scheduler.jitter),
            seed,
        },
    }
}

/// Starts the embedded NATS server and returns its URL.
async fn embed(config: &Config, settings: &Settings, cellar: &Tasks) -> Result<String> {
    let embedded = Embedded::prepare(&config.nats, &settings.state).await?;
    let url = embedded.url();
    let child = embedded.start()?;
    embedded.answers().await;
    info!(%url, state = %settings.state.display(), "started the embedded nats-server");
    cellar.spawn(
        "embedded nats-server",
        embedded.run(child, cellar.stop().clone()),
    );
    Ok(url)
}

/// Looks whether NATS can be used, for those who do not start without. What
/// is ours may take a while to begin; what is not must be there.
async fn require(config: &Config, url: &str) -> Result<(), StoreError> {
    let began = tokio::time::Instant::now();
    loop {
        let usable = store::connection::usable_now(&config.nats, url, config.store.clone()).await;
        match usable {
            Err(error)
                if error.trouble == Trouble::Away
                    && config.nats.url.is_none()
                    && began.elapsed() < REQUIRE_TIMEOUT =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            usable => return usable,
        }
    }
}

fn runner(config: &Config, instance: &str, recorder: &Recorder, work: &Tasks) -> Result<Runner> {
    let prober = Prober::new(&ProberSettings {
        max_idle_per_host: config.scheduler.per_host,
        ..ProberSettings::default()
    })?;
    let limits = Limits {
        concurrency: config.scheduler.concurrency,
        per_host: config.scheduler.per_host,
        per_host_rate: config.scheduler.per_host_rate,
    };
    let runner = Runner::new(
        prober,
        instance.to_owned(),
        limits,
        recorder.clone(),
        work.clone(),
    );
    Ok(runner.behind(Gate::new(&config.gate)))
}

/// Reads back what an earlier daemon stored, once NATS is there.
async fn adopt(store: &Store, cells: &watch::Receiver<Arc<Cells>>) {
    let mut link = store.link();
    if link.wait_for(|link| *link == Link::Ready).await.is_err() {
        return;
    }
    let cells = Arc::clone(&cells.borrow());
    let names: Vec<_> = cells.keys().map(ToString::to_string).collect();
    match store.summaries_of(&names).await {
        Ok(summaries) => {
            for summary in summaries {
                let name = CheckName::new(&summary.check).ok();
                if let Some(cell) = name.and_then(|name| cells.get(&name)) {
                    cell.adopt(summary);
                }
            }
        }
        Err(error) => {
            let error = crate::error::Chain(&error);
            warn!(%error, "earlier summaries not read; statuses begin anew");
        }
    }
}
