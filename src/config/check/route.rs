//! How a check's target is reached.

use core::net::IpAddr;

use url::Url;

use super::{
    super::{book::Book, fields::Fields, pem::Pem, value::Text},
    address::{is_connection, probeable, shown},
};
use crate::check::{ClientCertificate, Dial, Family, HttpVersion, Proxy, Route, Secret, Trust};

/// The words for whom to trust.
pub(in super::super) const TRUST: [(&str, Trust); 2] =
    [("verified", Trust::Verified), ("any", Trust::Any)];
/// The words for addresses.
pub(in super::super) const FAMILIES: [(&str, Family); 3] =
    [("any", Family::Any), ("4", Family::V4), ("6", Family::V6)];
/// The words for versions of HTTP.
pub(in super::super) const VERSIONS: [(&str, HttpVersion); 3] = [
    ("any", HttpVersion::Any),
    ("1", HttpVersion::One),
    ("2", HttpVersion::Two),
];

/// Reads how targets are reached; what is not said is `inherited`.
pub(super) fn read(fields: &mut Fields<'_>, inherited: &Route, book: &mut Book) -> Route {
    fields.pair("client_cert", "client_key", book);
    let certificate = Pem::Certificates.path(fields, "client_cert", book);
    let key = Pem::Key.path(fields, "client_key", book);
    let client = certificate
        .zip(key)
        .map(|(certificate, key)| ClientCertificate { certificate, key });
    let ca = Pem::Certificates.path(fields, "ca", book);
    Route {
        family: fields
            .word("ip", &FAMILIES, book)
            .unwrap_or(inherited.family),
        dial: None,
        http: fields
            .word("http", &VERSIONS, book)
            .unwrap_or(inherited.http),
        proxy: proxy(fields, book).unwrap_or_else(|| inherited.proxy.clone()),
        trust: fields
            .word("trust", &TRUST, book)
            .unwrap_or(inherited.trust),
        ca: ca.or_else(|| inherited.ca.clone()),
        client: client.or_else(|| inherited.client.clone()),
        fresh: fields
            .truth("fresh_connection", book)
            .unwrap_or(inherited.fresh),
        guard: None,
    }
}

/// The proxy; an empty text takes back what was inherited.
#[expect(
    clippy::option_option,
    reason = "not said, said to be none, and said to be one"
)]
fn proxy(fields: &mut Fields<'_>, book: &mut Book) -> Option<Option<Proxy>> {
    let found = fields.text("proxy", book)?;
    if found.value.is_empty() {
        return Some(None);
    }
    let written = fields.node("proxy").and_then(|node| node.shown.as_deref());
    match probeable(&found.value, "") {
        Ok(url) if !is_connection(&url) => Some(Some(Proxy {
            shown: shown(written.unwrap_or(&found.value), &url),
            url: Secret::new(found.value),
        })),
        Ok(_) | Err(_) => {
            // It may hold a password.
            book.mistake(&found.at, "this is no URL of a proxy")
                .hint("write such as `http://proxy.example.com:3128`");
            None
        }
    }
}

/// Reads where the target is asked and by which name, for a check whose URL
/// is `url`: it gets the name, so that all that is told by name is.
pub(super) fn direct(
    fields: &mut Fields<'_>,
    url: &mut Option<Url>,
    route: &mut Route,
    book: &mut Book,
) {
    let place = fields.place("url");
    let to = fields.text("resolve", book);
    let host = fields.text("host", book);
    let Some(url) = url else { return };
    let was = url.host_str().unwrap_or_default().to_owned();
    let to = to.and_then(|found| Some((address(&found, book)?, found.at)));
    if let Some(found) = &host
        && (url.set_host(Some(&found.value)).is_err() || literal(url).is_some())
    {
        book.mistake(&found.at, format!("{} is no name of a host", found.said))
            .hint("write such as `api.example.com`");
        return;
    }
    if let Some(address) = literal(url) {
        if let Some((_, at)) = to {
            book.mistake(&at, "`resolve` for a URL without a name")
                .hint("put the address into `url`, and the name, if there is one, into `host`");
        } else if !route.family.has(address) {
            book.mistake(&place, "`ip` leaves nothing of a URL with such an address")
                .hint("leave out `ip`, or put a name into `url`");
        }
        return;
    }
    let name = url.host_str().unwrap_or_default().to_owned();
    let (to, at) = match (to, host) {
        (Some((to, at)), _) => (Some(to), Some(at)),
        (None, Some(host)) if name != was => (Some((was, None)), Some(host.at)),
        (None, _) => (None, None),
    };
    route.dial = to.map(|(host, port)| Dial {
        name,
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
    });
    if let (Some(at), Some(_)) = (at, &route.proxy) {
        book.mistake(&at, "a proxy looks names up itself")
            .hint("leave out one of the two; `proxy = \"\"` takes back that of [defaults]");
    }
}

/// An address, with a port or without.
fn address(found: &Text, book: &mut Book) -> Option<(String, Option<u16>)> {
    let text = found.value.as_str();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some((address.to_string(), None));
    }
    let with_port = text.rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_matches(['[', ']']).parse::<IpAddr>().ok()?;
        Some((host.to_string(), Some(port.parse::<u16>().ok()?)))
    });
    if with_port.is_none() {
        book.mistake(&found.at, format!("{} is no address", found.said))
            .hint("write such as `10.0.0.1`, `10.0.0.1:8443` or `[fd00::1]:8443`");
    }
    with_port
}

/// The address that stands in place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']']).parse().ok()
}
