//! Connections: how many, how long they may say nothing, and TLS.
//!
//! Every bound has a name here. Who goes over one is closed or waits; nobody
//! can hold a place without moving bytes.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;

use super::tls::Tls;
use crate::{config::Http, tasks::Tasks};

/// Connections at once. One more waits in the kernel's queue until one ends,
/// which idle ones do within `HEAD_TIMEOUT`.
pub const MAX_CONNECTIONS: usize = 1024;
/// A request's head must be there within this time; so long, too, a
/// connection may be idle between two requests. Then it is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's head may take this many bytes; a longer one is answered 431.
const MAX_HEAD: usize = 16 << 10;
/// And have so many fields.
const MAX_FIELDS: usize = 64;
/// Who takes no byte of an answer for so long is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A TLS handshake must be over within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// After a connection could not be accepted, the next is tried so much later.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// A socket that listens, and what is spoken on it.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Listener {
    /// Listens as `http` says; `None` when it says nowhere.
    ///
    /// # Errors
    /// When the address is taken, or the certificate or its key cannot be used.
    pub async fn bind(http: &Http) -> anyhow::Result<Option<Self>> {
        let Some(listen) = &http.listen else {
            return Ok(None);
        };
        let tls = Tls::of(http)?;
        let socket = TcpListener::bind(listen)
            .await
            .with_context(|| format!("listen on `{listen}`, for `http.listen`"))?;
        let address = socket.local_addr().context("read the listener's address")?;
        Ok(Some(Self {
            socket,
            address,
            tls,
        }))
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is spoken: `http` or `https`.
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The certificate that it speaks HTTPS with.
    pub fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// Serves `routes` until `tasks` stop, each connection in a task of theirs;
    /// what is under way is then finished.
    pub async fn serve(self, routes: Router, tasks: Tasks) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let stop = tasks.stop().clone();
        loop {
            let accepted = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (place, self.socket.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = stop.cancelled() => return,
                accepted = accepted => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, or a client that went away.
                    tracing::debug!(%error, "accept a connection");
                    tokio::time::sleep(ACCEPT_DELAY).await;
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "set a connection's options");
            }
            let (routes, tls, stop) = (routes.clone(), self.tls.clone(), stop.clone());
            tasks.spawn("connection", async move {
                let stream = patient(stream);
                match tls {
                    None => converse(stream, routes, &stop).await,
                    Some(tls) => {
                        let shake = tls.acceptor().accept(stream);
                        let shake = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake);
                        if let Ok(Ok(stream)) = shake.await {
                            converse(stream, routes, &stop).await;
                        }
                    }
                }
                drop(place);
            });
        }
    }
}

fn patient<S: AsyncRead + AsyncWrite>(stream: S) -> std::pin::Pin<Box<TimeoutStream<S>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
}

/// Answers the requests of one connection. A panic in an answer is this
/// connection's end, not the daemon's.
async fn converse<S>(stream: S, routes: Router, stop: &tokio_util::sync::CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_FIELDS)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
    );
    let talk = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    match AssertUnwindSafe(talk).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection ended"),
        Err(_) => tracing::error!("answering over HTTP broke; this is a bug in supercheck"),
    }
}
