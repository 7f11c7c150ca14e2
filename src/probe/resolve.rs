//! Name lookup, by a resolver that can be cancelled: the system's own sits on
//! a blocking thread until it is done, and a hung name server would use up
//! all of them.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use hickory_resolver::{TokioResolver, config::LookupIpStrategy, net::NetError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::trace::TRACE;

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
    /// Made at the first name: a host without name servers can still be
    /// asked by address.
    system: Arc<OnceLock<Result<TokioResolver, LookupError>>>,
}

impl Resolver {
    async fn lookup(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let system = self
            .system
            .get_or_init(system)
            .as_ref()
            .map_err(Clone::clone)?;
        match system.lookup_ip(name).await {
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
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        let trace = TRACE.try_with(Clone::clone).ok();
        Box::pin(async move {
            if let Some(trace) = &trace {
                trace.lookup_begins();
            }
            let found = resolver.lookup(name.as_str()).await?;
            if let Some(trace) = &trace {
                trace.lookup_ends();
            }
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
