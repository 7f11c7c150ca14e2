//! Staying connected: the one connection and its events.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

use super::{Refusals, Store, StoreError, Trouble, keeper::Keeper};
use crate::config::{Nats, StoreSettings};

/// Whether NATS can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// No connection.
    #[default]
    Away,
    /// Connected; the buckets are being prepared, or cannot be.
    Connected,
    /// Connected, and the buckets are there.
    Ready,
}

/// A silent server is found out after two of these.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Waits between attempts to connect or prepare grow to this.
pub(super) const MAX_DELAY: Duration = Duration::from_secs(4);

/// Makes a store for the NATS at `url`, which need not be there yet.
///
/// Everything waits until [`Keeper::run`] has found the server and prepared
/// the buckets; [`Store::link`] tells.
///
/// # Errors
/// When credentials or certificates cannot be read, or the URL is none.
pub async fn connect(
    nats: &Nats,
    url: &str,
    settings: StoreSettings,
) -> Result<(Store, Keeper), StoreError> {
    let (link, link_seen) = watch::channel(Link::Away);
    // Counts connections; an odd number would mean nothing, a change does.
    let (count, connected) = watch::channel(0u64);
    let down = link.clone();
    let closing = Arc::new(AtomicBool::new(false));
    let refusals = Refusals::default();
    let events = Events {
        url: shown(url),
        count,
        link: down,
        on_purpose: Arc::clone(&closing),
        refusals: refusals.clone(),
        told: Mutex::default(),
    };
    let servers = servers(url)?;
    let options = options(nats, &servers)
        .await?
        .retry_on_initial_connect()
        .event_callback(move |event| {
            events.on(&event);
            std::future::ready(())
        });
    let client = options
        .connect(bare(servers))
        .await
        .map_err(|error| connect_error(url, error))?;
    let store = Store::new(
        client,
        settings,
        link_seen,
        closing,
        refusals,
        connected.clone(),
    );
    let keeper = Keeper {
        store: store.clone(),
        link,
        connected,
    };
    Ok((store, keeper))
}

/// Connects once, now, or fails: for commands.
///
/// # Errors
/// When the server does not answer or refuses us.
pub async fn connect_now(
    nats: &Nats,
    url: &str,
    settings: StoreSettings,
) -> Result<Store, StoreError> {
    let (link, seen) = watch::channel(Link::Connected);
    let servers = servers(url)?;
    let refusals = Refusals::default();
    let heard = refusals.clone();
    let options = options(nats, &servers)
        .await?
        .max_reconnects(3)
        .event_callback(move |event| {
            if let Event::ServerError(error) = event {
                heard.put(Some(error.to_string()));
            }
            std::future::ready(())
        });
    let client = options
        .connect(bare(servers))
        .await
        .map_err(|error| connect_error(url, error))?;
    drop(link);
    let (_, connections) = watch::channel(1);
    Ok(Store::new(
        client,
        settings,
        seen,
        Arc::default(),
        refusals,
        connections,
    ))
}

/// Whether NATS can be used now: it answers, and the buckets are there or can
/// be made.
///
/// # Errors
/// Why not.
pub async fn usable_now(nats: &Nats, url: &str, settings: StoreSettings) -> Result<(), StoreError> {
    let store = connect_now(nats, url, settings).await?;
    tokio::select! {
        prepared = store.prepare() => prepared.map(drop),
        refusal = store.refused() => Err(refusal),
    }
}

/// Follows the connection, and tells of it once per change.
struct Events {
    /// Where NATS is meant to be.
    url: String,
    count: watch::Sender<u64>,
    link: watch::Sender<Link>,
    on_purpose: Arc<AtomicBool>,
    refusals: Refusals,
    told: Mutex<Told>,
}

/// What has been told, so that it is told once.
#[derive(Default)]
struct Told {
    /// Why NATS cannot be reached.
    unreachable: Option<String>,
    /// What the server refused on this connection.
    refused: BTreeSet<String>,
}

/// Refusals beyond so many different ones are not told.
const MAX_REFUSALS: usize = 32;

impl Events {
    fn on(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.link.send_replace(Link::Connected);
                self.count.send_modify(|count| *count += 1);
                *self.told() = Told::default();
            }
            Event::Disconnected | Event::Closed => {
                if self.link.send_replace(Link::Away) != Link::Away
                    && !self.on_purpose.load(Ordering::Relaxed)
                {
                    tracing::warn!("lost NATS; checks go on, the newest results are kept");
                }
            }
            Event::LameDuckMode => tracing::info!("the NATS server is about to shut down"),
            Event::ServerError(error) => self.refused(error.to_string()),
            Event::SlowConsumer(_) | Event::Draining => tracing::debug!(%event, "NATS client"),
            Event::ClientError(error) => self.unreachable(&error.to_string()),
        }
    }

    /// Attempts to connect fail again and again; each cause is told once.
    /// After a loss, which was told, only a refusal is news.
    fn unreachable(&self, error: &str) {
        let refusal = ConnectErrorKind::AuthorizationViolation.to_string();
        let news = *self.count.borrow() == 0 || error.contains(&refusal);
        let mut told = self.told();
        if news && told.unreachable.as_deref() != Some(error) {
            tracing::warn!(
                url = self.url,
                error,
                "NATS is not there; checks go on, and it is tried again"
            );
            told.unreachable = Some(error.to_owned());
        } else {
            tracing::debug!(error, "NATS client");
        }
    }

    fn refused(&self, error: String) {
        // It was said when the connection was made, and has changed since then.
        let too_large = error.contains("Maximum Payload");
        let trouble = if too_large {
            Trouble::TooLarge
        } else {
            Trouble::Denied
        };
        let mut told = self.told();
        if told.refused.len() < MAX_REFUSALS && told.refused.insert(error.clone()) {
            let hint = trouble.hint();
            tracing::warn!(error, hint, "the NATS server refused something");
        }
        drop(told);
        if trouble == Trouble::Denied {
            self.refusals.put(Some(error));
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The servers of a comma-separated list of URLs.
fn servers(url: &str) -> Result<Vec<ServerAddr>, StoreError> {
    url.split(',')
        .map(|one| one.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|error| {
            let doing = format!("read the NATS URL `{}`", shown(url));
            StoreError::new(doing, Trouble::Other, error)
        })
}

/// The servers without user and password, which the client would log.
fn bare(servers: Vec<ServerAddr>) -> Vec<ServerAddr> {
    let bare = |server: ServerAddr| {
        let mut url = server.clone().into_inner();
        // Only a URL that can have neither refuses.
        let stripped = url.set_username("").and(url.set_password(None));
        let stripped = stripped.map(|()| ServerAddr::from_url(url));
        stripped.ok().and_then(Result::ok).unwrap_or(server)
    };
    servers.into_iter().map(bare).collect()
}

/// User and password as the URL has them, or a token if it has one word.
fn userinfo(options: ConnectOptions, servers: &[ServerAddr]) -> ConnectOptions {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let Some((user, password)) = servers
        .iter()
        .find_map(|server| Some((decoded(server.username()?), server.password().map(decoded))))
    else {
        return options;
    };
    match password {
        Some(password) => options.user_and_password(user, password),
        None => options.token(user),
    }
}

async fn options(nats: &Nats, servers: &[ServerAddr]) -> Result<ConnectOptions, StoreError> {
    let mut options = ConnectOptions::new()
        .name("supercheck")
        .ping_interval(PING_INTERVAL)
        .require_tls(nats.require_tls)
        .reconnect_delay_callback(delay);
    // The client leaves what stands in the URL to us.
    options = userinfo(options, servers);
    if let Some(path) = &nats.credentials {
        options = options.credentials_file(path).await.map_err(|error| {
            let doing = format!("read the credentials `{}`", path.display());
            StoreError::new(doing, Trouble::Denied, error)
        })?;
    }
    if let Some(token) = &nats.token {
        options = options.token(token.reveal().to_owned());
    }
    if let Some(user) = &nats.user {
        let password = nats.password.as_ref().map_or("", |secret| secret.reveal());
        options = options.user_and_password(user.clone(), password.to_owned());
    }
    if let Some(seed) = &nats.nkey_seed {
        options = options.nkey(seed.reveal().to_owned());
    }
    if let Some(ca) = &nats.tls_ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(cert), Some(key)) = (&nats.tls_cert, &nats.tls_key) {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    if let Some(prefix) = &nats.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    Ok(options)
}

/// Waits before the n-th attempt: 0, then doubling to four seconds, with
/// jitter so that many instances do not come back in one instant.
fn delay(attempt: usize) -> Duration {
    let Some(doublings) = attempt.checked_sub(2) else {
        return Duration::ZERO;
    };
    let base = Duration::from_millis(20u64 << doublings.min(8)).min(MAX_DELAY);
    base.mul_f64(0.75 + 0.5 * fastrand::f64())
}

fn connect_error(url: &str, error: async_nats::ConnectError) -> StoreError {
    let trouble = match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            Trouble::Denied
        }
        ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => Trouble::Away,
        ConnectErrorKind::ServerParse | ConnectErrorKind::Tls => Trouble::Other,
    };
    StoreError::new(
        format!("connect to NATS at `{}`", shown(url)),
        trouble,
        error,
    )
}

/// `url`, or each of a list, without user and password.
pub fn shown(url: &str) -> String {
    url.split(',').map(shown_one).collect::<Vec<_>>().join(",")
}

fn shown_one(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            let (head, _) = url.split_at(scheme + 3);
            let (_, tail) = url.split_at(at + 1);
            format!("{head}{tail}")
        }
        _ => url.to_owned(),
    }
}
