//! Name lookup, by a resolver that can be cancelled: the system's own sits on
//! a blocking thread until it is done, and a hung name server would use up
//! all of them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{TokioResolver, config::LookupIpStrategy, net::NetError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;

use super::trace::{self, Trace};

/// Why a name gave no address.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// There is no such name, or it has no address.
    #[error("`{0}` has no address")]
    NotFound(String),
    /// The name servers did not say.
    #[error("{0}")]
    Failed(String),
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

    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        match self.system()?.lookup_ip(name).await {
            // The port is replaced by that of the URL.
            Ok(found) => Ok(found
                .iter()
                .map(|address| SocketAddr::new(address, 0))
                .collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(LookupError::NotFound(name.to_owned()))
            }
            Err(error) => Err(LookupError::Failed(error.to_string())),
        }
    }

    /// Asks `server` alone, for tests.
    #[cfg(test)]
    pub(super) fn asking(server: SocketAddr) -> Self {
        use hickory_resolver::{
            config::{ConnectionConfig, NameServerConfig, ResolverConfig},
            net::runtime::TokioRuntimeProvider,
        };
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let resolver =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build();
        Self {
            made: Arc::new(Mutex::new(Some((Instant::now(), resolver.unwrap())))),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            trace::note(Trace::lookup_begins);
            let found = resolver.lookup(name.as_str()).await?;
            trace::note(Trace::lookup_ends);
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn system() -> Result<TokioResolver, LookupError> {
    let failed =
        |error: NetError| LookupError::Failed(format!("the system's resolver settings: {error}"));
    let mut builder = TokioResolver::builder_tokio().map_err(failed)?;
    // Both families, for happy eyeballs: the first that connects is taken.
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(failed)
}
