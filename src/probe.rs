//! The door to targets: one exchange, observed.
//!
//! A probe cannot fail and never outlives its timeout: whatever happens is an
//! [`Observation`]. This is the one place that names `reqwest`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use reqwest::{Client, header};
use tokio::time::Instant;

use crate::{
    check::Target,
    clock,
    observation::{Failure, Observation, Phase, Phases, Response},
};

mod failure;
mod redirect;
mod resolve;
mod trace;

use redirect::Hop;
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
        }
    }
}

/// Why there is no prober.
#[derive(Debug, thiserror::Error)]
#[error("prepare the HTTP client")]
pub struct ProberError(#[from] reqwest::Error);

/// Probes targets, over connections that it keeps.
#[derive(Debug)]
pub struct Prober {
    settings: ProberSettings,
    resolver: Arc<resolve::Resolver>,
    /// The client whose connections are kept, and when it was made.
    kept: Mutex<(Instant, Client)>,
    /// Never keeps a connection.
    fresh: Client,
}

/// Every answer says what it is; these are asked for first.
const ACCEPT: &str = "application/health+json, application/json;q=0.9, */*;q=0.5";
/// Idle connections kept for one host.
const MAX_IDLE_PER_HOST: usize = 16;

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
        let kept = client(settings, &resolver, MAX_IDLE_PER_HOST)?;
        let fresh = client(settings, &resolver, 0)?;
        let settings = settings.clone();
        Ok(Self {
            settings,
            resolver,
            kept: Mutex::new((Instant::now(), kept)),
            fresh,
        })
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
        Observation {
            started_at,
            latency: ended_at - started,
            phases: seen.phases(&trace, ended_at),
            response: seen.into_response(),
            failure,
            certificate: None,
        }
    }

    /// Follows redirects by hand, so that each hop is seen and no header is
    /// carried to another origin.
    async fn exchange(
        &self,
        target: &Target,
        trace: &Trace,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let mut hop = Hop::first(target)?;
        let mut redirects = 0;
        loop {
            let began = Instant::now();
            let response = self.send(target, &hop, trace).await?;
            seen.head(&response, began, trace, redirects);
            if target.max_redirects == 0 {
                return read(response, target.max_body, seen).await;
            }
            let Some(next) = hop.next(&response, target)? else {
                return read(response, target.max_body, seen).await;
            };
            if redirects == target.max_redirects {
                let (limit, last) = (target.max_redirects, next.shown());
                let why = format!("more than {limit} in a row, the last to `{last}`");
                return Err(Failure::Redirect(why));
            }
            seen.leave(trace);
            redirects += 1;
            hop = next;
        }
    }

    /// Sends the request of one hop. A kept connection that the target closed
    /// meanwhile is not the target's failure: it is asked once more, afresh.
    /// A request that may change something is not sent twice (RFC 9110, 9.2.2),
    /// so it never goes over a kept connection.
    async fn send(
        &self,
        target: &Target,
        hop: &Hop,
        trace: &Trace,
    ) -> Result<reqwest::Response, Failure> {
        if hop.method.is_idempotent() {
            let error = match self.request(&self.kept(), target, hop).send().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            // A timeout here is a ping that stayed unanswered.
            let own = trace.dialled() && !error.is_timeout();
            if own || error.is_connect() || error.is_builder() {
                return Err(failure::of(&error, trace.phase()));
            }
        }
        let asked = self.request(&self.fresh, target, hop).send().await;
        asked.map_err(|error| failure::of(&error, trace.phase()))
    }

    fn request(&self, client: &Client, target: &Target, hop: &Hop) -> reqwest::RequestBuilder {
        let mut request = client.request(hop.method.clone(), hop.url.clone());
        // Configured headers may be secrets; another origin gets none.
        let headers = if hop.foreign {
            &[]
        } else {
            target.headers.as_slice()
        };
        for (name, value) in headers {
            if !(hop.bare && is_about_body(name)) {
                request = request.header(name, value.reveal());
            }
        }
        let has = |wanted: header::HeaderName| {
            let mut names = headers.iter().map(|(name, _)| name);
            names.any(|name| name.eq_ignore_ascii_case(wanted.as_str()))
        };
        if !has(header::ACCEPT) {
            request = request.header(header::ACCEPT, ACCEPT);
        }
        if !has(header::USER_AGENT) {
            request = request.header(header::USER_AGENT, &self.settings.user_agent);
        }
        match &target.body {
            Some(body) if !hop.foreign && !hop.bare => request.body(body.reveal().to_owned()),
            _ => request,
        }
    }

    /// The client with kept connections, replaced when it is old.
    fn kept(&self) -> Client {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0.elapsed() > self.settings.max_connection_age
            && let Ok(new) = client(&self.settings, &self.resolver, MAX_IDLE_PER_HOST)
        {
            *kept = (Instant::now(), new);
        }
        kept.1.clone()
    }
}

/// Whether the header describes a body, rather than the request.
fn is_about_body(name: &str) -> bool {
    name.get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// Reads the body, up to `max_body` bytes.
async fn read(
    mut response: reqwest::Response,
    max_body: usize,
    seen: &mut Seen,
) -> Result<(), Failure> {
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = max_body - seen.body.len();
                let part = chunk.get(..room).unwrap_or(&chunk);
                seen.body.extend_from_slice(part);
                if chunk.len() > room {
                    // Dropping the response closes the connection.
                    seen.truncated = true;
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(failure::of(&error, Phase::Transfer)),
        }
    }
}

fn client(
    settings: &ProberSettings,
    resolver: &Arc<resolve::Resolver>,
    idle: usize,
) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .dns_resolver(Arc::clone(resolver))
        .connector_layer(trace::Dials)
        .pool_max_idle_per_host(idle)
        .pool_idle_timeout(settings.max_idle)
        .http2_keep_alive_interval((idle > 0).then_some(settings.max_silence))
        .http2_keep_alive_timeout(settings.max_silence)
        .tcp_nodelay(true);
    for root in &settings.extra_roots {
        builder = builder.add_root_certificate(reqwest::Certificate::from_der(root)?);
    }
    builder.build()
}

/// What has been seen so far: it stays when the timeout strikes.
#[derive(Default)]
struct Seen {
    /// Time spent on the hops before this one.
    before: Phases,
    head: Option<Response>,
    head_at: Option<Instant>,
    first_byte: Option<Duration>,
    body: BytesMut,
    truncated: bool,
}

impl Seen {
    fn head(&mut self, response: &reqwest::Response, began: Instant, trace: &Trace, hops: u32) {
        let now = Instant::now();
        let (dns, connect) = trace.times();
        let dialling = dns.unwrap_or_default() + connect.unwrap_or_default();
        self.first_byte = Some((now - began).saturating_sub(dialling));
        self.head_at = Some(now);
        let headers = response.headers().iter().map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        self.head = Some(Response {
            status: response.status().as_u16(),
            version: version(response.version()),
            headers: headers.collect(),
            body: Bytes::new(),
            truncated: false,
            remote: response.remote_addr(),
            redirects: hops,
        });
    }

    /// Goes on to the next hop; of this one only the time it took is kept.
    fn leave(&mut self, trace: &Trace) {
        let before = self.phases(trace, Instant::now());
        trace.restart();
        *self = Self {
            before,
            ..Self::default()
        };
    }

    /// The time spent on all hops until `now`.
    fn phases(&self, trace: &Trace, now: Instant) -> Phases {
        let sum = |before: Option<Duration>, now: Option<Duration>| match (before, now) {
            (Some(before), Some(now)) => Some(before + now),
            (before, now) => before.or(now),
        };
        let (dns, connect) = trace.times();
        let transfer = self.head_at.map(|at| now - at);
        Phases {
            dns: sum(self.before.dns, dns),
            connect: sum(self.before.connect, connect),
            first_byte: sum(self.before.first_byte, self.first_byte),
            transfer: sum(self.before.transfer, transfer),
        }
    }

    fn during(&self, trace: &Trace) -> Phase {
        if self.head.is_some() {
            Phase::Transfer
        } else {
            trace.phase()
        }
    }

    fn into_response(self) -> Option<Response> {
        let head = self.head?;
        Some(Response {
            body: self.body.freeze(),
            truncated: self.truncated,
            ..head
        })
    }
}

fn version(version: reqwest::Version) -> &'static str {
    match version {
        reqwest::Version::HTTP_10 => "HTTP/1.0",
        reqwest::Version::HTTP_2 => "HTTP/2.0",
        reqwest::Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
pub(crate) mod tests;
