//! Where a probe's time goes before the request is sent: name lookup, connect.
//!
//! reqwest does not tell, so the resolver and a layer around the connector
//! write it into a note that belongs to the running probe.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::http::Extensions;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tokio::time::Instant;
use url::Url;

use crate::observation::{Certificate, Phase};

tokio::task_local! {
    /// The note of the probe that is running in this task.
    pub(super) static TRACE: Trace;
}

/// A probe's note.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    dial_began: Option<Instant>,
    lookup_began: Option<Instant>,
    dns: Option<Duration>,
    dialled: Option<Duration>,
    /// The one address that the name led to.
    only: Option<SocketAddr>,
    /// The address that was connected to.
    remote: Option<SocketAddr>,
    /// The port that the URL names.
    port: u16,
    certificate: Option<Arc<Certificate>>,
}

impl Trace {
    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the hop before.
    pub(super) fn restart(&self) {
        *self.marks() = Marks::default();
    }

    /// What is under way, as long as no head has come.
    pub(super) fn phase(&self) -> Phase {
        let marks = self.marks();
        match (
            marks.lookup_began,
            marks.dns,
            marks.dial_began,
            marks.dialled,
        ) {
            (Some(_), None, ..) => Phase::Dns,
            (_, _, Some(_), None) => Phase::Connect,
            _ => Phase::FirstByte,
        }
    }

    /// Whether the probe got a connection of its own, rather than a kept one.
    pub(super) fn dialled(&self) -> bool {
        self.marks().dialled.is_some()
    }

    /// The time of the lookup, and of the connect without it.
    pub(super) fn times(&self) -> (Option<Duration>, Option<Duration>) {
        let marks = self.marks();
        let dns = marks.dns;
        (
            dns,
            marks
                .dialled
                .map(|all| all.saturating_sub(dns.unwrap_or_default())),
        )
    }

    /// The hop to `url` begins.
    pub(super) fn begins(&self, url: &Url) {
        let host = url.host_str().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let mut marks = self.marks();
        marks.port = url.port_or_known_default().unwrap_or_default();
        marks.only = address.map(|address| SocketAddr::new(address, marks.port));
    }

    /// These addresses may be dialled; port 0 is that of the URL, if it is what
    /// is dialled.
    pub(super) fn may_dial(&self, addresses: &[SocketAddr]) {
        let mut marks = self.marks();
        marks.only = match *addresses {
            [mut only] => {
                if only.port() == 0 {
                    only.set_port(marks.port);
                }
                Some(only).filter(|only| only.port() > 0)
            }
            _ => None,
        };
    }

    /// A connection was made to `remote`.
    pub(super) fn connects(&self, remote: Option<SocketAddr>) {
        let mut marks = self.marks();
        marks.remote = remote.or(marks.remote);
    }

    /// Whom this hop asks, as far as it is known.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        let marks = self.marks();
        marks.remote.or(marks.only)
    }

    /// What the newest dial was shown.
    pub(super) fn shown(&self) -> Option<Arc<Certificate>> {
        self.marks().certificate.clone()
    }

    pub(super) fn shows(&self, certificate: Option<Arc<Certificate>>) {
        self.marks().certificate = certificate;
    }

    pub(super) fn lookup_begins(&self) {
        self.marks().lookup_began = Some(Instant::now());
    }

    pub(super) fn lookup_ends(&self) {
        let mut marks = self.marks();
        marks.dns = marks.lookup_began.map(|began| began.elapsed());
    }

    pub(super) fn dial_begins(&self) {
        self.marks().dial_began = Some(Instant::now());
    }

    pub(super) fn dial_ends(&self) {
        let mut marks = self.marks();
        marks.dialled = marks.dial_began.map(|began| began.elapsed());
    }
}

/// The layer around the connector that notes when a dial begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dials;

impl<S> tower_layer::Layer<S> for Dials {
    type Service = Dial<S>;
    fn layer(&self, inner: S) -> Dial<S> {
        Dial { inner }
    }
}

/// A connector that notes.
#[derive(Clone, Debug)]
pub(super) struct Dial<S> {
    inner: S,
}

impl<S, R> tower_service::Service<R> for Dial<S>
where
    S: tower_service::Service<R>,
    S::Response: Connection,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        note(Trace::dial_begins);
        let dialling = self.inner.call(request);
        Box::pin(async move {
            let connection = dialling.await;
            // When a kept connection comes free first, it is taken, and this
            // dial goes on for the pool: outside the probe, so without a note.
            if let Ok(connection) = &connection {
                note(Trace::dial_ends);
                note(|trace| trace.connects(remote(connection)));
            }
            connection
        })
    }
}

fn remote(connection: &impl Connection) -> Option<SocketAddr> {
    let mut told = Extensions::new();
    connection.connected().get_extras(&mut told);
    told.get::<HttpInfo>().map(HttpInfo::remote_addr)
}

/// Writes into the note of the probe that is running in this task, if one is.
pub(super) fn note(write: impl FnOnce(&Trace)) {
    TRACE.try_with(write).unwrap_or_default();
}
