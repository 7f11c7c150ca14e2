//! Name lookup, by a resolver that can be cancelled: the system's own sits on
//! a blocking thread until it is done, and a hung name server would use up
//! all of them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;

use super::{
    failure, guard,
    trace::{self, Trace},
};
use crate::{
    check::{Dial, Family, Route},
    request::Allowance,
    trial,
};

/// Why a name gave no address.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// There is no such name, or it has no address.
    #[error("`{0}` has no address")]
    NotFound(String),
    /// The name servers did not say.
    #[error("{0}")]
    Failed(String),
    /// It leads where the target must not be asked.
    #[error("{0}")]
    Refused(String),
    /// supercheck itself cannot ask a name server.
    #[error("{0}")]
    Lacking(String),
}

/// Looks names up as `/etc/resolv.conf` and `/etc/hosts` say.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolver {
    /// What those files said, and when. They are first read at the first name:
    /// a host without name servers can still be asked by address.
    made: Arc<Mutex<Option<(Instant, TokioResolver)>>>,
}

/// The files are read again after this time: networks change.
const MAX_AGE: Duration = Duration::from_secs(60);

impl Resolver {
    fn system(&self) -> Result<TokioResolver, LookupError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, resolver)) = &*made
            && at.elapsed() < MAX_AGE
        {
            return Ok(resolver.clone());
        }
        match system() {
            Ok(new) => {
                *made = Some((Instant::now(), new.clone()));
                Ok(new)
            }
            Err(error) => made.clone().map(|(_, old)| old).ok_or(error),
        }
    }

    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        match self.system()?.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(LookupError::NotFound(name.to_owned()))
            }
            Err(error) => Err(lacking().unwrap_or_else(|| LookupError::Failed(error.to_string()))),
        }
    }

    /// Asks `server` alone, for tests.
    #[cfg(test)]
    pub(super) fn asking(server: SocketAddr) -> Self {
        let resolver = asking(server).unwrap();
        Self {
            made: Arc::new(Mutex::new(Some((Instant::now(), resolver)))),
        }
    }
}

/// Looks names up for the targets on one route.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    resolver: Arc<Resolver>,
    family: Family,
    dial: Option<Dial>,
    guard: Option<Arc<Allowance>>,
}

impl Lookup {
    pub(super) fn new(resolver: &Arc<Resolver>, route: &Route) -> Self {
        Self {
            resolver: Arc::clone(resolver),
            family: route.family,
            dial: route.dial.clone(),
            guard: route.guard.clone(),
        }
    }

    /// The addresses that may be dialled; the probe's note says when they were
    /// looked up.
    pub(super) async fn noted(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        trace::note(Trace::lookup_begins);
        let found = self.addresses(name).await?;
        trace::note(Trace::lookup_ends);
        trace::note(|trace| trace.may_dial(&found));
        Ok(found)
    }

    /// The addresses that may be dialled, each judged here and now: whatever
    /// the name leads to later, these are dialled.
    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let dial = self.dial.as_ref().filter(|dial| dial.name == name);
        let asked = dial.map_or(name, |dial| &dial.host);
        // Port 0 is replaced by that of the URL.
        let port = dial.and_then(|dial| dial.port).unwrap_or(0);
        let mut found = match asked.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.lookup(asked).await?,
        };
        found.retain(|address| self.family.has(*address));
        if found.is_empty() {
            return Err(LookupError::NotFound(name.to_owned()));
        }
        if let Some(allowed) = &self.guard {
            let mut why = None;
            found.retain(|address| {
                let refused = guard::refused(*address, &allowed.networks);
                why = why.or(refused);
                refused.is_none()
            });
            if let (true, Some(why)) = (found.is_empty(), why) {
                return Err(LookupError::Refused(guard::said(why)));
            }
        }
        let found = found.into_iter();
        Ok(found
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.clone();
        Box::pin(async move {
            let found = lookup.noted(name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What keeps this process from asking any name server; the resolver does not
/// say so.
fn lacking() -> Option<LookupError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    let error = socket.err().filter(failure::is_ours)?;
    Some(LookupError::Lacking(error.to_string()))
}

fn failed(error: &NetError) -> LookupError {
    LookupError::Failed(format!("the system's resolver settings: {error}"))
}

fn asking(server: SocketAddr) -> Result<TokioResolver, LookupError> {
    let mut connection = ConnectionConfig::udp();
    connection.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![connection]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .build()
        .map_err(|error| failed(&error))
}

fn system() -> Result<TokioResolver, LookupError> {
    if let Some(server) = trial::name_server() {
        return asking(server);
    }
    let mut builder = TokioResolver::builder_tokio().map_err(|error| failed(&error))?;
    // Both families, for happy eyeballs: the first that connects is taken.
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(|error| failed(&error))
}
