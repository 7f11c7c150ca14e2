//! Targets over HTTP: one exchange, redirects and all, through reqwest, over
//! connections that are kept.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::{Client, header};
use tokio::time::Instant;

use super::{
    ProberSettings, failure,
    redirect::Hop,
    resolve::Resolver,
    seen::Seen,
    trace::{self, Trace},
};
use crate::{
    check::Target,
    observation::{Failure, Phase, Response},
};

/// Every answer says what it is; these are asked for first.
const ACCEPT: &str = "application/health+json, application/json;q=0.9, */*;q=0.5";
/// Idle connections kept for one host.
const MAX_IDLE_PER_HOST: usize = 16;

/// The clients.
#[derive(Debug)]
pub(super) struct Http {
    settings: ProberSettings,
    resolver: Arc<Resolver>,
    /// The client whose connections are kept, and when it was made.
    kept: Mutex<(Instant, Client)>,
    /// Never keeps a connection.
    fresh: Client,
}

impl Http {
    pub(super) fn new(settings: &ProberSettings, resolver: Arc<Resolver>) -> reqwest::Result<Self> {
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

    /// Follows redirects by hand, so that each hop is seen and no header is
    /// carried to another origin.
    pub(super) async fn exchange(
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
            seen.head(head(&response, redirects), began, trace);
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
                if !seen.body(&chunk, max_body) {
                    // Dropping the response closes the connection.
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
    resolver: &Arc<Resolver>,
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

/// The answer as far as its head tells.
fn head(response: &reqwest::Response, redirects: u32) -> Response {
    let headers = response.headers().iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    Response {
        status: response.status().as_u16(),
        version: version(response.version()),
        headers: headers.collect(),
        body: Bytes::new(),
        truncated: false,
        remote: response.remote_addr(),
        redirects,
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
