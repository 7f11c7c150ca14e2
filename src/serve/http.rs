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
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
};

use super::{
    api, badge,
    blackbox::{self, Targets},
    desk::Desk,
    events,
    guard::{self, Guard},
    health,
    listener::Listener,
    metrics, openapi, orders,
    page::{self, Tally},
    problem::Problem,
    tls::Tls,
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

/// Answers of so many bytes are sent as they are.
const SMALL: u16 = 1024;

/// All checks are counted anew when the last count is so old.
const TALLY_AGE: Duration = Duration::from_millis(500);

/// What the answers are made of.
#[derive(Clone)]
pub struct Face(Arc<Parts>);

struct Parts {
    desk: Arc<Desk>,
    recorder: Recorder,
    guard: Guard,
    tls: Option<Tls>,
    tally: Mutex<Option<(Instant, Tally)>>,
    targets: Mutex<Option<Arc<Targets>>>,
    began: Instant,
    draining: AtomicBool,
    settled: AtomicBool,
    replays: Semaphore,
    followers: Arc<Semaphore>,
    ground: Tasks,
}

impl Face {
    /// A face that asks at `desk`, until `ground` stops.
    pub fn new(
        desk: Arc<Desk>,
        recorder: Recorder,
        guard: Guard,
        tls: Option<Tls>,
        ground: Tasks,
    ) -> Self {
        Self(Arc::new(Parts {
            desk,
            recorder,
            guard,
            tls,
            tally: Mutex::default(),
            targets: Mutex::default(),
            began: Instant::now(),
            draining: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            replays: Semaphore::new(MAX_REPLAYS),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
            ground,
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

    /// Reads the certificate again.
    ///
    /// # Errors
    /// When it cannot be used; the old one stays.
    pub fn renew(&self, http: &Http) -> anyhow::Result<()> {
        self.0.tls.as_ref().map_or(Ok(()), |tls| tls.renew(http))
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
        self.0.desk.store.standing()
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

    /// The checks now, by what they ask.
    pub fn targets(&self) -> Arc<Targets> {
        let cells = self.cells();
        let mut last = self
            .0
            .targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(targets) if targets.are_of(&cells) => Arc::clone(targets),
            _ => Arc::clone(last.insert(Arc::new(Targets::of(cells)))),
        }
    }

    /// The checks now.
    pub fn cells(&self) -> Arc<Cells> {
        Arc::clone(&self.0.desk.cells.borrow())
    }

    /// Waits until the threads that run the checks, which are not those of the
    /// readers, come round to something new.
    pub async fn comes_round(&self) {
        let (tell, told) = oneshot::channel::<()>();
        self.0.ground.spawn("sign of life", async { drop(tell) });
        // The sender is dropped, without a word.
        drop(told.await);
    }

    /// The signal that ends what goes on for ever.
    pub fn stop(&self) -> &CancellationToken {
        self.0.ground.stop()
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

/// Serves on `listener`, if there is one, on threads for readers, until
/// `ground` stops.
pub fn open(
    listener: Option<Listener>,
    http: &Http,
    desk: &Arc<Desk>,
    recorder: &Recorder,
    ground: &Tasks,
    readers: Handle,
) -> Face {
    let loopback = listener
        .as_ref()
        .is_some_and(|listener| listener.address().ip().is_loopback());
    let guard = Guard::new(http, loopback);
    let tls = listener.as_ref().and_then(Listener::tls);
    let face = Face::new(
        Arc::clone(desk),
        recorder.clone(),
        guard,
        tls,
        ground.clone(),
    );
    if let Some(listener) = listener {
        tracing::info!(address = %listener.address(), scheme = listener.scheme(), "listening");
        let (routes, tasks) = (routes(face.clone()), ground.on(readers));
        tasks.clone().spawn("http", listener.serve(routes, tasks));
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
        .layer(packed())
        .with_state(face)
}

/// Who takes gzip gets it, but for pictures, events, and what is small anyway.
fn packed() -> CompressionLayer<impl Predicate> {
    let worth_it = SizeAbove::new(SMALL)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(worth_it)
}
