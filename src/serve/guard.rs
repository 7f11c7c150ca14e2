//! Who may read and who may change: tokens, and on a loopback address proof
//! that no web page is behind the request.
//!
//! A page that a visitor has open can send requests to his own machine. What
//! gives it away is its `Origin`, or, where its name was made to lead here
//! (DNS rebinding), the `Host`.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq as _;

use super::{http::Face, problem::Problem};
use crate::{check::Secret, config::Http};

/// What everybody may ask: whether the daemon lives and is ready.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// Only files of supercheck's own, and no script or style within a page.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// What is demanded of those who ask.
#[derive(Clone, Debug)]
pub struct Guard {
    token: Option<Secret>,
    read_token: Option<Secret>,
    loopback: bool,
    /// The names that readers may ask by; any when there are none here.
    names: Option<Vec<String>>,
}

impl Guard {
    /// The guard of a listener, which is on a loopback address or not.
    pub fn new(http: &Http, loopback: bool) -> Self {
        Self {
            token: http.token.clone(),
            read_token: http.read_token.clone(),
            loopback,
            // A page that got here by a name of its own knows no token.
            names: match http.hosts.as_slice() {
                [] if loopback && http.read_token.is_none() => Some(Vec::new()),
                [] => None,
                hosts => Some(hosts.to_vec()),
            },
        }
    }

    fn may_read(&self, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        if OPEN.contains(&path) {
            return Ok(());
        }
        self.is_meant(headers)?;
        let Some(wanted) = &self.read_token else {
            return Ok(());
        };
        let either = [Some(wanted), self.token.as_ref()];
        let shown = presented(headers);
        let known = |shown: &str| either.into_iter().flatten().any(|token| same(token, shown));
        if shown.as_deref().is_some_and(known) {
            return Ok(());
        }
        Err(Problem::unauthorized(
            "reading needs a token",
            "send `Authorization: Bearer …` with `http.read_token`, or give it as the password",
            "Basic realm=\"supercheck\", charset=\"UTF-8\"",
        ))
    }

    /// Whether it was asked by a name of ours. An address is nobody's name, and
    /// who sends no `Host` is no browser.
    fn is_meant(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let (Some(names), Some(host)) = (&self.names, headers.get(header::HOST)) else {
            return Ok(());
        };
        let host = host.to_str().ok().and_then(bare);
        let ours = host.as_deref().is_some_and(|host| {
            host.parse::<IpAddr>().is_ok()
                || host.eq_ignore_ascii_case("localhost")
                || names.iter().any(|name| name.eq_ignore_ascii_case(host))
        });
        if ours {
            return Ok(());
        }
        let asked = host.map_or_else(String::new, |host| format!("`{host}`, "));
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("this was asked of {asked}which is no name of this supercheck"),
            "use an address or `localhost`, name it in `http.hosts`, or set `http.read_token`",
        ))
    }

    fn may_change(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if let Some(token) = &self.token {
            // A browser presents Basic credentials unasked, a page's script
            // must know a Bearer token.
            if bearer(headers).is_some_and(|shown| same(token, shown)) {
                return Ok(());
            }
            return Err(Problem::unauthorized(
                "running a check, or telling of it, needs a token",
                "send `Authorization: Bearer …` with `http.token`",
                "Bearer realm=\"supercheck\"",
            ));
        }
        let forbidden =
            |detail: &str, hint: &str| Err(Problem::new(StatusCode::FORBIDDEN, detail, hint));
        const HINT: &str = "set `http.token` and send it as `Authorization: Bearer …`";
        if !self.loopback {
            return forbidden(
                "checks cannot be run or told of from the network without a token",
                HINT,
            );
        }
        if ["forwarded", "x-forwarded-for", "x-forwarded-host", "via"]
            .iter()
            .any(|name| headers.contains_key(*name))
        {
            return forbidden(
                "checks cannot be run or told of through a proxy without a token",
                HINT,
            );
        }
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        if !host.is_some_and(is_loopback) {
            return forbidden(
                "this request was meant for another host",
                "use a loopback address, such as `127.0.0.1` or `localhost`",
            );
        }
        let foreign = |value: &HeaderValue| {
            let origin = value.to_str().unwrap_or_default();
            origin.split_once("://").map(|(_, host)| host) != host
        };
        let site = headers.get("sec-fetch-site");
        if headers.get(header::ORIGIN).is_some_and(foreign)
            || site.is_some_and(|site| site != "same-origin" && site != "none")
        {
            return forbidden(
                "another web page sent this request",
                "use supercheck's own page",
            );
        }
        Ok(())
    }
}

/// Lets through who may, and says of each answer what a browser may do with it.
pub async fn watch(State(face): State<Face>, request: Request, next: Next) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    let guard = face.guard();
    let allowed = match *request.method() {
        Method::GET | Method::HEAD => guard.may_read(path, headers),
        _ if face.is_draining() => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this supercheck is stopping",
            "ask again in a moment, or another instance: a request has one result",
        )),
        _ => guard.may_change(headers),
    };
    let badge = path.starts_with("/badge/");
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let shared = if badge { "cross-origin" } else { "same-origin" };
    for (name, value) in [
        ("content-security-policy", CONTENT_POLICY),
        ("cross-origin-resource-policy", shared),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = credentials(headers)?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// A bearer token, or the password that a browser asked for.
fn presented(headers: &HeaderMap) -> Option<String> {
    let (scheme, text) = credentials(headers)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(text.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    pair.split_once(':')
        .map(|(_, password)| password.to_owned())
}

fn credentials(headers: &HeaderMap) -> Option<(&str, &str)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    Some((scheme, rest.trim()))
}

/// In a time that does not tell how much of it is right.
fn same(token: &Secret, shown: &str) -> bool {
    token.reveal().as_bytes().ct_eq(shown.as_bytes()).into()
}

/// Whether `host` (with or without a port) is this machine, by a name that
/// nobody else can give it.
fn is_loopback(host: &str) -> bool {
    bare(host).is_some_and(|host| {
        let address = host.parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
    })
}

/// A host without its port and brackets.
fn bare(host: &str) -> Option<String> {
    let uri: Uri = host.parse().ok()?;
    let host = uri.authority()?.host();
    Some(host.trim_matches(['[', ']']).to_owned())
}

#[cfg(test)]
mod tests;
