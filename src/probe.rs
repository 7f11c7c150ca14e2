//! The door to targets: one exchange, observed.
//!
//! A probe cannot fail and never outlives its timeout: whatever happens is an
//! [`Observation`]. This is the one place that names `reqwest`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    check::Target,
    clock,
    observation::{Failure, Observation},
};

mod certificate;
mod clients;
mod failure;
pub mod guard;
mod http;
mod lean;
mod redirect;
mod resolve;
mod seen;
mod tcp;
mod trace;
mod trust;

use seen::Seen;
use trace::{TRACE, Trace};

/// How targets are asked.
#[derive(Clone, Debug)]
pub struct ProberSettings {
    /// Says who asks and why.
    pub user_agent: String,
    /// An idle connection is closed after this time.
    pub max_idle: Duration,
    /// A kept HTTP/2 connection is pinged when nothing came for this time, and
    /// given up when no answer comes for as long: unlike one of HTTP/1 it
    /// outlives the request that timed out on it, and would fail the next too.
    pub max_silence: Duration,
    /// Certificates (DER) to trust besides the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// A connection is replaced after this time, so that a renewed
    /// certificate or a moved backend is seen.
    pub max_connection_age: Duration,
    /// Idle connections kept for one host.
    pub max_idle_per_host: usize,
    /// Whether plain targets are asked in the lean way; if not, all are asked
    /// by the large client, which observes the same.
    pub lean: bool,
}

impl Default for ProberSettings {
    fn default() -> Self {
        Self {
            user_agent: concat!(
                "supercheck/",
                env!("CARGO_PKG_VERSION"),
                " (healthcheck cache)"
            )
            .to_owned(),
            max_idle: Duration::from_secs(90),
            max_silence: Duration::from_secs(2),
            extra_roots: Vec::new(),
            max_connection_age: Duration::from_secs(300),
            max_idle_per_host: 16,
            lean: true,
        }
    }
}

/// Why there is no prober.
#[derive(Debug, thiserror::Error)]
#[error("prepare the HTTP client")]
pub struct ProberError(#[from] clients::ClientError);

/// Probes targets, over connections that it keeps.
#[derive(Debug)]
pub struct Prober {
    http: http::Http,
}

impl Prober {
    /// Makes a prober.
    ///
    /// # Errors
    /// When the TLS library finds no way to verify certificates.
    pub fn new(settings: &ProberSettings) -> Result<Self, ProberError> {
        Self::looking_up(settings, Arc::default())
    }

    fn looking_up(
        settings: &ProberSettings,
        resolver: Arc<resolve::Resolver>,
    ) -> Result<Self, ProberError> {
        let http = http::Http::new(settings, resolver)?;
        Ok(Self { http })
    }

    /// One exchange, of the kind that the target's URL names.
    async fn exchange(
        &self,
        target: &Target,
        trace: &Trace,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        match target.url.scheme() {
            // The rarer kind is not in every probe's future.
            "tcp" | "tls" => Box::pin(tcp::exchange(&self.http.clients, target)).await,
            _ => self.http.exchange(target, trace, seen).await,
        }
    }

    /// Asks `target`, and is done within `timeout` whatever happens.
    pub async fn probe(&self, target: &Target, timeout: Duration) -> Observation {
        let started_at = clock::now();
        let started = Instant::now();
        let trace = Trace::default();
        let mut seen = Seen::default();
        let exchange = TRACE.scope(trace.clone(), self.exchange(target, &trace, &mut seen));
        let ended = tokio::time::timeout(timeout, exchange).await;
        let ended_at = Instant::now();
        let failure = match ended {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(Failure::Timeout {
                after: timeout,
                during: seen.during(&trace),
            }),
        };
        let (phases, certificate) = (seen.phases(&trace, ended_at), seen.shown(&trace));
        let (response, reached) = seen.answer(&trace);
        Observation {
            started_at,
            latency: ended_at - started,
            phases,
            certificate,
            response,
            reached,
            failure,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
