//! The HTTP face: its routes. Everything is answered from memory or from NATS;
//! nothing here probes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, Uri},
    middleware,
    routing::{get, post},
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    api, badge, blackbox,
    desk::Desk,
    events,
    guard::{self, Guard},
    health,
    listener::Listener,
    metrics, openapi, orders,
    page::{self, Tally},
    problem::Problem,
};
use crate::{
    check::CheckName, clock::Timestamp, config::Http, recorder::Recorder, request::What,
    runner::Cell, store::Link, tasks::Tasks, triggers::Cells, worker::unknown,
};

/// Readers of the history at once; one more is told to come back.
pub const MAX_REPLAYS: usize = 16;
/// Followers of events at once, the live pages among them; one more is told to
/// come back.
pub const MAX_FOLLOWERS: usize = 256;

/// All checks are counted anew when the last count is so old.
const TALLY_AGE: Duration = Duration::from_millis(500);

/// What the answers are made of.
#[derive(Clone)]
pub struct Face(Arc<Parts>);

struct Parts {
    desk: Arc<Desk>,
    recorder: Recorder,
    guard: Guard,
    tally: Mutex<Option<(Instant, Tally)>>,
    began: Instant,
    draining: AtomicBool,
    settled: AtomicBool,
    replays: Semaphore,
    followers: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Face {
    /// A face that asks at `desk`, until `stop`.
    pub fn new(desk: Arc<Desk>, recorder: Recorder, guard: Guard, stop: CancellationToken) -> Self {
        Self(Arc::new(Parts {
            desk,
            recorder,
            guard,
            tally: Mutex::default(),
            began: Instant::now(),
            draining: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            replays: Semaphore::new(MAX_REPLAYS),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
            stop,
        }))
    }

    /// From now on the daemon is not ready: it is stopping.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it is stopping.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// How long it has been there.
    pub fn age(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// Whether the first results are in; once they are, for good.
    pub fn settled(&self) -> &AtomicBool {
        &self.0.settled
    }

    /// Who may do what.
    pub fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// Where questions are answered.
    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// What stores the runs.
    pub fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// How it stands with NATS.
    pub fn link(&self) -> Link {
        *self.0.desk.store.link().borrow()
    }

    /// How many checks have which status; counted once for all who ask at the
    /// same time.
    pub fn tally(&self, now: Timestamp) -> Tally {
        let mut last = self.0.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((at, tally)) if at.elapsed() < TALLY_AGE => tally,
            _ => {
                let tally = Tally::of(&self.cells(), now);
                *last = Some((Instant::now(), tally));
                tally
            }
        }
    }

    /// The checks now.
    pub fn cells(&self) -> Arc<Cells> {
        Arc::clone(&self.0.desk.cells.borrow())
    }

    /// The signal that ends what goes on for ever.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// A place among those who read the history.
    pub fn replays(&self) -> &Semaphore {
        &self.0.replays
    }

    /// A place among those who follow what happens.
    pub fn followers(&self) -> &Arc<Semaphore> {
        &self.0.followers
    }

    /// The check called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn cell(&self, name: &str) -> Result<Arc<Cell>, Problem> {
        let cells = self.cells();
        let found = CheckName::new(name).ok().and_then(|name| cells.get(&name));
        found
            .cloned()
            .ok_or_else(|| unknown(&cells, &What::Check(name.to_owned())).into())
    }
}

/// Serves on `listener`, if there is one, until `ground` stops.
pub fn open(
    listener: Option<Listener>,
    http: &Http,
    desk: &Arc<Desk>,
    recorder: &Recorder,
    ground: &Tasks,
) -> Face {
    let loopback = listener
        .as_ref()
        .is_some_and(|listener| listener.address().ip().is_loopback());
    let guard = Guard::new(http, loopback);
    let stop = ground.stop().clone();
    let face = Face::new(Arc::clone(desk), recorder.clone(), guard, stop);
    if let Some(listener) = listener {
        tracing::info!(address = %listener.address(), scheme = listener.scheme(), "listening");
        let (routes, tasks) = (routes(face.clone()), ground.clone());
        ground.spawn("http", listener.serve(routes, tasks));
    }
    face
}

/// Everything that is answered.
pub fn routes(face: Face) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/checks/{name}", get(page::check))
        .route("/live", get(page::live))
        .route("/static/{file}", get(page::file))
        .route("/metrics", get(metrics::metrics))
        .route("/probe", get(blackbox::probe))
        .route("/badge/{check}/{file}", get(badge::badge))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/health", get(health::health))
        .route("/gtg/{group}", get(health::gtg))
        .route("/api/v1/checks", get(api::checks))
        .route("/api/v1/checks/{name}", get(api::check))
        .route("/api/v1/checks/{name}/report", get(api::report))
        .route("/api/v1/checks/{name}/history", get(api::history))
        .route("/api/v1/checks/{name}/run", post(orders::run))
        .route("/api/v1/checks/{name}/push", post(orders::push))
        .route(
            "/api/v1/checks/{name}/maintenance",
            post(orders::maintenance),
        )
        .route("/api/v1/events", get(events::events))
        .route("/api/openapi.json", get(openapi::openapi))
        .fallback(async |uri: Uri| {
            Problem::new(
                StatusCode::NOT_FOUND,
                format!("there is nothing at `{}`", uri.path()),
                "`/` is the status page, `/api/v1/checks` the API",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this cannot be asked with this method",
                "see the `Allow` header",
            )
        })
        .layer(middleware::from_fn_with_state(face.clone(), guard::watch))
        .with_state(face)
}
