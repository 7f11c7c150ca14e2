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
use url::Url;

use crate::{
    check::Target,
    clock,
    observation::{Failure, Observation, Phase, Phases, Response},
};

mod failure;
mod resolve;
mod trace;

use trace::{TRACE, Trace};

/// How targets are asked.
#[derive(Clone, Debug)]
pub struct ProberSettings {
    /// Says who asks and why.
    pub user_agent: String,
    /// An idle connection is closed after this time.
    pub max_idle: Duration,
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
/// A body is not made larger at once than this.
const FIRST_CAPACITY: usize = 16 * 1024;

impl Prober {
    /// Makes a prober.
    ///
    /// # Errors
    /// When the TLS library finds no way to verify certificates.
    pub fn new(settings: &ProberSettings) -> Result<Self, ProberError> {
        let resolver = Arc::new(resolve::Resolver::default());
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
        let latency = started.elapsed();
        let failure = match ended {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(Failure::Timeout {
                after: timeout,
                during: seen.during(&trace),
            }),
        };
        let (dns, connect) = trace.times();
        let phases = Phases {
            dns,
            connect,
            first_byte: seen.first_byte,
            transfer: seen.head_at.map(|at| at.elapsed()),
        };
        let response = seen.into_response();
        Observation {
            started_at,
            latency,
            phases,
            response,
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
        let mut hop = Hop {
            url: target.url.clone(),
            method: method(target)?,
            foreign: false,
        };
        let mut hops = 0;
        loop {
            trace.restart();
            let began = Instant::now();
            let response = self.send(target, &hop, trace).await?;
            seen.head(&response, began, trace, hops);
            let Some(next) = redirect(&response, &hop)?.filter(|_| target.max_redirects > 0) else {
                return self.read(response, target.max_body, seen).await;
            };
            if hops == target.max_redirects {
                return Err(Failure::Redirect(format!(
                    "more than {} in a row, the last to `{}`",
                    target.max_redirects,
                    shown(&next.url)
                )));
            }
            hops += 1;
            hop = next;
        }
    }

    /// Sends the request of one hop. A kept connection that the target closed
    /// meanwhile is not the target's failure: it is asked once more, afresh.
    async fn send(
        &self,
        target: &Target,
        hop: &Hop,
        trace: &Trace,
    ) -> Result<reqwest::Response, Failure> {
        let error = match self.request(&self.kept(), target, hop).send().await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if trace.dialled() || !failure::is_closed(&error) {
            return Err(failure::of(&error, trace.phase()));
        }
        let again = self.request(&self.fresh, target, hop).send().await;
        again.map_err(|error| failure::of(&error, trace.phase()))
    }

    fn request(&self, client: &Client, target: &Target, hop: &Hop) -> reqwest::RequestBuilder {
        let mut request = client.request(hop.method.clone(), hop.url.clone());
        let has = |name: &str| {
            target
                .headers
                .iter()
                .any(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        // Configured headers may be secrets; another origin gets none.
        if !hop.foreign {
            for (name, value) in &target.headers {
                request = request.header(name, value.reveal());
            }
        }
        if hop.foreign || !has("accept") {
            request = request.header(header::ACCEPT, ACCEPT);
        }
        if hop.foreign || !has("user-agent") {
            request = request.header(header::USER_AGENT, &self.settings.user_agent);
        }
        match &target.body {
            Some(body) if !hop.foreign && hop.method != reqwest::Method::GET => {
                request.body(body.reveal().to_owned())
            }
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

    async fn read(
        &self,
        mut response: reqwest::Response,
        max_body: usize,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    if seen.body.is_empty() {
                        seen.body.reserve(chunk.len().min(FIRST_CAPACITY));
                    }
                    let room = max_body - seen.body.len();
                    seen.body
                        .extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
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
}

/// One request in a chain of redirects.
struct Hop {
    url: Url,
    method: reqwest::Method,
    /// Whether it goes to another origin than the check's own.
    foreign: bool,
}

fn method(target: &Target) -> Result<reqwest::Method, Failure> {
    reqwest::Method::from_bytes(target.method.as_bytes())
        .map_err(|_| Failure::Forbidden(format!("`{}` is no HTTP method", target.method)))
}

/// Where `response` redirects to, if it does.
fn redirect(response: &reqwest::Response, hop: &Hop) -> Result<Option<Hop>, Failure> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(header::LOCATION) else {
        return Ok(None);
    };
    let location = String::from_utf8_lossy(location.as_bytes());
    let broken = |why| Failure::Redirect(format!("to a place that {why}"));
    let url = hop.url.join(&location).map_err(|_| broken("is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(broken("is not HTTP"));
    }
    let method = match (status, hop.method.as_str()) {
        (303, "HEAD") | (301 | 302, "GET" | "HEAD") | (307 | 308, _) => hop.method.clone(),
        (303, _) | (301 | 302, "POST") => reqwest::Method::GET,
        _ => hop.method.clone(),
    };
    let foreign = hop.foreign || url.origin() != hop.url.origin();
    Ok(Some(Hop {
        url,
        method,
        foreign,
    }))
}

/// `url` without user, password and query.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn client(
    settings: &ProberSettings,
    resolver: &Arc<resolve::Resolver>,
    idle: usize,
) -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .dns_resolver(Arc::clone(resolver))
        .connector_layer(trace::Dials)
        .pool_max_idle_per_host(idle)
        .pool_idle_timeout(settings.max_idle)
        .tcp_nodelay(true)
        .build()
}

/// What has been seen so far: it stays when the timeout strikes.
#[derive(Default)]
struct Seen {
    head: Option<Response>,
    head_at: Option<Instant>,
    first_byte: Option<Duration>,
    body: BytesMut,
    truncated: bool,
}

impl Seen {
    fn head(&mut self, response: &reqwest::Response, began: Instant, trace: &Trace, hops: u32) {
        let (dns, connect) = trace.times();
        let dialling = dns.unwrap_or_default() + connect.unwrap_or_default();
        self.first_byte = Some(began.elapsed().saturating_sub(dialling));
        self.head_at = Some(Instant::now());
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
mod tests;
