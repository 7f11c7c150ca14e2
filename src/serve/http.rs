//! The HTTP face. Everything is answered from memory; nothing here probes.

use std::{
    future::{Future, IntoFuture as _},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::store::Link;

/// What the answers are made of.
#[derive(Clone, Debug)]
pub struct Face {
    link: watch::Receiver<Link>,
    draining: Arc<AtomicBool>,
}

/// Whether the daemon can do its work, as JSON.
#[derive(Debug, Serialize)]
struct Readiness {
    status: &'static str,
    nats: &'static str,
}

impl Face {
    /// A face for a daemon whose NATS is behind `link`.
    pub fn new(link: watch::Receiver<Link>) -> Self {
        Self {
            link,
            draining: Arc::default(),
        }
    }

    /// From now on the daemon is not ready: it is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn readiness(&self) -> (StatusCode, Readiness) {
        let link = *self.link.borrow();
        let nats = match link {
            Link::Ready => "ready",
            Link::Connected => "connected, but its buckets cannot be used",
            Link::Away => "away",
        };
        let (code, status) = if self.draining.load(Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if link == Link::Ready {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        };
        (code, Readiness { status, nats })
    }
}

/// Serves on `listener` until `until`, then finishes what is under way.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    face: Face,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(async || no_store("ok\n")))
        .route("/readyz", get(readyz))
        .with_state(face);
    axum::serve(listener, routes)
        .with_graceful_shutdown(until)
        .into_future()
        .await
}

async fn readyz(State(face): State<Face>) -> Response {
    let (code, readiness) = face.readiness();
    (code, no_store(Json(readiness))).into_response()
}

fn no_store(body: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}
