//! The section `[http]`: the status page, the API and the metrics.

use std::{path::PathBuf, time::Duration};

use super::{
    book::Book,
    fields::Fields,
    read::address,
    value::{Given, Text},
};
use crate::check::Secret;

/// Longer than any load balancer needs.
const MAX_DRAIN: Duration = Duration::from_secs(300);

/// The HTTP face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where it listens; `None` for nowhere.
    pub listen: Option<String>,
    /// The names by which it is asked, in small letters; with none,
    /// on a loopback address by those of this host only.
    pub hosts: Vec<String>,
    /// Who presents it may run checks.
    pub token: Option<Secret>,
    /// Who presents it may read.
    pub read_token: Option<Secret>,
    /// The certificate chain to serve with, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Readers are served for so long after a stop was asked for.
    pub drain: Duration,
}

impl Http {
    /// The same without what a reload renews: which certificate it is.
    pub(super) fn but_for_the_certificate(&self) -> (bool, Self) {
        let rest = Self {
            tls_cert: None,
            tls_key: None,
            ..self.clone()
        };
        (self.tls_cert.is_some(), rest)
    }
}

pub(super) fn read(mut fields: Fields<'_>, book: &mut Book) -> Http {
    fields.pair("tls_cert", "tls_key", book);
    let listen = match fields.text("listen", book) {
        None => Some("127.0.0.1:8080".to_owned()),
        Some(text) if text.value.is_empty() => None,
        Some(text) => address(text, book),
    };
    let hosts = fields.texts_at("hosts", book).unwrap_or_default();
    let http = Http {
        listen,
        hosts: hosts.iter().filter_map(|text| host(text, book)).collect(),
        token: bearer(&mut fields, "token", book),
        read_token: bearer(&mut fields, "read_token", book),
        tls_cert: fields.path("tls_cert", book),
        tls_key: fields.path("tls_key", book),
        drain: drain(&mut fields, book).unwrap_or_default(),
    };
    fields.finish(book);
    http
}

/// A name as it can stand in a `Host` header, without a port.
fn host(text: &Text, book: &mut Book) -> Option<String> {
    let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
    if text.value.is_empty() || !text.value.bytes().all(letter) {
        book.mistake(&text.at, format!("{} is no host", text.said))
            .hint("write the name alone, such as `status.example.com`");
        return None;
    }
    Some(text.value.to_ascii_lowercase())
}

/// A token as it can stand in an `Authorization` header (RFC 6750).
fn bearer(fields: &mut Fields<'_>, name: &'static str, book: &mut Book) -> Option<Secret> {
    let text = fields.text(name, book)?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.value.is_empty() || text.value.contains(odd) {
        book.mistake(&text.at, format!("`{name}` cannot stand in a header"))
            .hint("use letters, digits and `-._~+/=` only, such as `openssl rand -hex 32` prints");
    }
    Some(Secret::new(text.value))
}

fn drain(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    let Given::Set(found) = fields.duration("drain", book) else {
        return None;
    };
    if found.value > MAX_DRAIN {
        book.mistake(&found.at, "`drain` is longer than 5 minutes")
            .hint("a stop takes at least so long; load balancers need a few seconds");
    }
    Some(found.value)
}
