//! The reqwest clients: two for each route that targets are reached on, made
//! when it is first taken.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::Client;
use rustls::ClientConfig;
use tokio::time::Instant;

use super::{
    ProberSettings,
    resolve::{Lookup, Resolver},
    trace,
    trust::{self, Judge, TrustError, Witness},
};
use crate::check::{HttpVersion, Route};

/// Routes whose clients are kept; of more, those that nobody took for longest
/// are forgotten.
const MAX_ROUTES: usize = 1024;

/// Why there is no client for a route.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be spoken as configured.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The HTTP library does not take it.
    #[error("prepare the HTTP client")]
    Http(#[from] reqwest::Error),
}

/// What asks targets on one route.
#[derive(Debug)]
pub(super) struct Pair {
    made: Instant,
    /// Keeps connections, if the route lets it.
    pub(super) kept: Client,
    /// Never keeps a connection.
    pub(super) fresh: Client,
    /// What targets showed to both.
    pub(super) witness: Arc<Witness>,
    /// How TLS is spoken where no HTTP is.
    pub(super) tls: Arc<ClientConfig>,
    /// Where names lead.
    pub(super) lookup: Arc<Lookup>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Clients {
    settings: ProberSettings,
    resolver: Arc<Resolver>,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    /// By route, and when they were last taken.
    pairs: HashMap<Route, (Instant, Arc<Pair>)>,
    /// Who trusts whom the system trusts, and when that was read.
    system: Option<(Instant, Judge)>,
}

impl Clients {
    /// Those for the plain route, to begin with.
    pub(super) fn new(
        settings: &ProberSettings,
        resolver: Arc<Resolver>,
    ) -> Result<Self, ClientError> {
        let clients = Self {
            settings: settings.clone(),
            resolver,
            made: Mutex::default(),
        };
        clients.on(&Route::default())?;
        Ok(clients)
    }

    /// The pair for `route`, replaced when it is old.
    pub(super) fn on(&self, route: &Route) -> Result<Arc<Pair>, ClientError> {
        let now = Instant::now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let old = match made.pairs.get_mut(route) {
            Some((used, pair)) => {
                *used = now;
                if pair.made.elapsed() <= self.settings.max_connection_age {
                    return Ok(Arc::clone(pair));
                }
                Some(Arc::clone(pair))
            }
            None => None,
        };
        let pair = match (self.pair(route, &mut made.system), old) {
            (Ok(pair), _) => Arc::new(pair),
            // A file that is being replaced may be there again next time.
            (Err(_), Some(old)) => return Ok(old),
            (Err(error), None) => return Err(error),
        };
        made.pairs.insert(route.clone(), (now, Arc::clone(&pair)));
        if made.pairs.len() > MAX_ROUTES {
            let mut uses: Vec<_> = made.pairs.values().map(|(used, _)| *used).collect();
            uses.sort_unstable();
            let middle = uses.get(uses.len() / 2).copied();
            made.pairs.retain(|_, (used, _)| Some(*used) > middle);
        }
        Ok(pair)
    }

    fn pair(
        &self,
        route: &Route,
        system: &mut Option<(Instant, Judge)>,
    ) -> Result<Pair, ClientError> {
        let judge = match (&route.ca, &*system) {
            (Some(ca), _) => trust::in_file(ca)?,
            (None, Some((at, judge))) if at.elapsed() <= self.settings.max_connection_age => {
                Arc::clone(judge)
            }
            (None, _) => {
                let judge = trust::as_the_system(&self.settings.extra_roots)?;
                *system = Some((Instant::now(), Arc::clone(&judge)));
                judge
            }
        };
        let witness = Arc::new(Witness::new(judge, route.trust));
        let tls = trust::config(route, &witness)?;
        let mut plain = tls.clone();
        plain.alpn_protocols.clear();
        let lookup = Arc::new(Lookup::new(&self.resolver, route));
        let client = |idle: usize| {
            let builder = Client::builder().no_proxy();
            let builder = match &route.proxy {
                Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.url.reveal())?),
                None => builder,
            };
            let builder = match route.http {
                HttpVersion::Any => builder,
                HttpVersion::One => builder.http1_only(),
                HttpVersion::Two => builder.http2_prior_knowledge(),
            };
            builder
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .dns_resolver(Arc::clone(&lookup))
                .connector_layer(trace::Dials)
                .tls_backend_preconfigured(tls.clone())
                .tls_info(true)
                .pool_max_idle_per_host(idle)
                .pool_idle_timeout(self.settings.max_idle)
                .http2_keep_alive_interval((idle > 0).then_some(self.settings.max_silence))
                .http2_keep_alive_timeout(self.settings.max_silence)
                .tcp_nodelay(true)
                .build()
        };
        Ok(Pair {
            made: Instant::now(),
            kept: client(if route.fresh {
                0
            } else {
                self.settings.max_idle_per_host
            })?,
            fresh: client(0)?,
            witness,
            tls: Arc::new(plain),
            lookup,
        })
    }
}
