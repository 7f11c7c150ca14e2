//! Targets over HTTP: one exchange, redirects and all, through reqwest, over
//! connections that are kept.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Client, header, tls::TlsInfo};
use tokio::time::Instant;
use url::Url;

use super::{
    ProberSettings,
    clients::{ClientError, Clients, Pair},
    failure, guard,
    lean::{Asked, Lean},
    redirect::Hop,
    resolve::Resolver,
    seen::Seen,
    trace::Trace,
};
use crate::{
    check::Target,
    error::Chain,
    observation::{Certificate, Failure, Phase, Response},
};

/// Every answer says what it is; these are asked for first.
pub(super) const ACCEPT: &str = "application/health+json, application/json;q=0.9, */*;q=0.5";
/// Asks over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    /// For targets that are asked in the plain way.
    lean: Lean,
    user_agent: String,
    pub(super) clients: Clients,
}

impl Http {
    pub(super) fn new(
        settings: &ProberSettings,
        resolver: Arc<Resolver>,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            lean: Lean::new(settings, Arc::clone(&resolver)),
            user_agent: settings.user_agent.clone(),
            clients: Clients::new(settings, resolver)?,
        })
    }

    /// One exchange, whichever way suits the target.
    pub(super) async fn exchange(
        &self,
        target: &Target,
        trace: &Trace,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let hop = match self.lean.exchange(target, trace, seen).await? {
            Asked::Answered => return Ok(()),
            Asked::Odd => None,
            Asked::Redirected(status, location) => {
                let next = Hop::first(target)?.next(status, Some(&location), target)?;
                if let Some(next) = &next {
                    seen.leave(next.led_by(status), trace);
                }
                next
            }
        };
        let hop = hop.map_or_else(|| Hop::first(target), Ok)?;
        // The larger way is not in every probe's future.
        Box::pin(self.follow(target, hop, trace, seen)).await
    }

    /// Follows redirects by hand, so that each hop is seen and no header is
    /// carried to another origin.
    async fn follow(
        &self,
        target: &Target,
        mut hop: Hop,
        trace: &Trace,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let pair = self.clients.on(&target.route);
        let pair = pair.map_err(|error| Failure::Forbidden(Chain(&error).to_string()))?;
        loop {
            if let Some(allowed) = &target.route.guard {
                guard::place(&hop.url, allowed)?;
            }
            if target.route.proxy.is_none() {
                trace.begins(&hop.url);
            }
            let began = Instant::now();
            let response = self.send(&pair, target, &hop, trace).await?;
            seen.certificate(certificate(&response, &hop, &pair));
            seen.head(head(&response), began, trace);
            if target.max_redirects == 0 {
                return read(response, target.max_body, seen).await;
            }
            let location = response.headers().get(header::LOCATION);
            let location = location.map(|place| String::from_utf8_lossy(place.as_bytes()));
            let status = response.status().as_u16();
            let Some(next) = hop.next(status, location.as_deref(), target)? else {
                return read(response, target.max_body, seen).await;
            };
            if seen.redirects() >= target.max_redirects as usize {
                let (limit, last) = (target.max_redirects, next.shown());
                let why = format!("more than {limit} in a row, the last to `{last}`");
                return Err(Failure::Redirect(why));
            }
            seen.leave(next.led_by(status), trace);
            hop = next;
        }
    }

    /// Sends the request of one hop. A kept connection that the target closed
    /// meanwhile is not the target's failure: it is asked once more, afresh.
    /// A request that may change something is not sent twice (RFC 9110, 9.2.2),
    /// so it never goes over a kept connection.
    async fn send(
        &self,
        pair: &Pair,
        target: &Target,
        hop: &Hop,
        trace: &Trace,
    ) -> Result<reqwest::Response, Failure> {
        if hop.method.is_idempotent() {
            let error = match self.request(&pair.kept, target, hop).send().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            // A timeout here is a ping that stayed unanswered.
            let own = trace.dialled() && !error.is_timeout();
            if own || error.is_connect() || error.is_builder() {
                return Err(failure::of(&error, trace.phase()));
            }
        }
        let asked = self.request(&pair.fresh, target, hop).send().await;
        asked.map_err(|error| failure::of(&error, trace.phase()))
    }

    fn request(&self, client: &Client, target: &Target, hop: &Hop) -> reqwest::RequestBuilder {
        let (url, host) = asked_at(&hop.url, target);
        let mut request = client.request(hop.method.clone(), url);
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
        if let Some(host) = host
            && !has(header::HOST)
        {
            request = request.header(header::HOST, host);
        }
        if !has(header::ACCEPT) {
            request = request.header(header::ACCEPT, ACCEPT);
        }
        if !has(header::USER_AGENT) {
            request = request.header(header::USER_AGENT, &self.user_agent);
        }
        match &target.body {
            Some(body) if !hop.foreign && !hop.bare => request.body(body.reveal().to_owned()),
            _ => request,
        }
    }
}

/// The URL that leads to the port that is asked, and the host to name in it.
/// reqwest takes a port in the URL for the one to ask.
fn asked_at(url: &Url, target: &Target) -> (Url, Option<String>) {
    let mut asked = url.clone();
    let elsewhere =
        target.route.dial.as_ref().is_some_and(|dial| {
            dial.port.is_some() && asked.host_str() == Some(dial.name.as_str())
        });
    match url.port() {
        Some(port) if elsewhere && asked.set_port(None).is_ok() => {
            let host = url.host_str().unwrap_or_default();
            (asked, Some(format!("{host}:{port}")))
        }
        _ => (asked, None),
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

/// The certificate that was shown on the connection that `response` came over.
fn certificate(response: &reqwest::Response, hop: &Hop, pair: &Pair) -> Option<Arc<Certificate>> {
    if hop.url.scheme() != "https" {
        return None;
    }
    // Addresses without their brackets, as TLS knows them.
    let host = hop.url.host_str()?.trim_matches(['[', ']']);
    // Of a connection through a proxy reqwest does not tell.
    let told = response.extensions().get::<TlsInfo>();
    match told.and_then(TlsInfo::peer_certificate) {
        Some(leaf) => pair.witness.shown(host, leaf),
        None => pair.witness.newest(host),
    }
}

/// The answer as far as its head tells.
fn head(response: &reqwest::Response) -> Response {
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
        redirects: Vec::new(),
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
