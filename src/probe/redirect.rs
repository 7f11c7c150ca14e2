//! Hops: the request that opens an exchange, and those that redirects lead to
//! (RFC 9110, 15.4). What may be secret stays with the check's own origin.

use reqwest::Method;
use url::Url;

use super::failure;
use crate::{
    check::Target,
    observation::{Failure, Redirect},
};

/// Whether an answer of `status` that tells a place is a redirect.
pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// One request in a chain of redirects.
pub(super) struct Hop {
    pub(super) url: Url,
    pub(super) method: Method,
    /// Whether it goes to another origin than the check's own, or came from
    /// one: then it carries nothing that is configured.
    pub(super) foreign: bool,
    /// Whether a redirect has made it a GET: then it carries no body.
    pub(super) bare: bool,
}

impl Hop {
    /// The check's own request.
    pub(super) fn first(target: &Target) -> Result<Self, Failure> {
        let method = Method::from_bytes(target.method.as_bytes())
            .map_err(|_| Failure::Forbidden(format!("`{}` is no HTTP method", target.method)))?;
        Ok(Self {
            url: target.url.clone(),
            method,
            foreign: false,
            bare: false,
        })
    }

    /// Where an answer of `status` redirects this hop to, if it does.
    pub(super) fn next(
        &self,
        status: u16,
        location: Option<&str>,
        target: &Target,
    ) -> Result<Option<Self>, Failure> {
        let Some(location) = location.filter(|_| is_redirect(status)) else {
            return Ok(None);
        };
        let broken = |why: &str| Failure::Redirect(failure::plain(why));
        let url = self
            .url
            .join(location)
            .map_err(|_| broken("to a place that is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(broken(&format!("to `{scheme}:`, which is not HTTP")));
        }
        let becomes_get = match status {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::HEAD,
            _ => false,
        };
        let next = Self {
            foreign: self.foreign || url.origin() != self.url.origin(),
            bare: self.bare || becomes_get,
            method: if becomes_get {
                Method::GET
            } else {
                self.method.clone()
            },
            url,
        };
        if next.foreign && !next.bare && target.body.is_some() {
            return Err(broken("to another origin, which must not get the body"));
        }
        Ok(Some(next))
    }

    /// The redirect that led here: an answer of `status`.
    pub(super) fn led_by(&self, status: u16) -> Redirect {
        let to = self.shown();
        Redirect { status, to }
    }

    /// Where it goes, for a person.
    pub(super) fn shown(&self) -> String {
        shown(&self.url)
    }
}

/// A URL, for a person: without user, password and query.
pub(super) fn shown(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    failure::plain(&format!("{origin}{}", url.path()))
}
