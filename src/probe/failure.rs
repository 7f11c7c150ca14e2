//! How an exchange failed, from the error and its causes: by type where there
//! is one, never by text where it can be helped.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' kinds, of which few are told apart"
)]

use std::{error::Error, io};

use rustix::io::Errno;
use rustls::{CertificateError, Error as TlsError};

use super::{resolve::LookupError, trust::NoAuthorities};
use crate::observation::{Failure, Phase};

/// The failure that `error` is; `during` is what was under way.
pub(super) fn of(error: &reqwest::Error, during: Phase) -> Failure {
    // reqwest's own texts may show the URL, which may hold secrets; so only
    // those of its causes are read.
    let mut next = error.source();
    let mut why = String::new();
    let mut over_http = false;
    while let Some(cause) = next {
        over_http |= cause.is::<hyper::Error>();
        if let Some(failure) = known(cause, during, over_http) {
            return failure;
        }
        if !cause.is::<reqwest::Error>() {
            why = plain(&cause.to_string());
        }
        next = cause.source();
    }
    if error.is_builder() {
        Failure::Forbidden(format!("the request cannot be made: {why}"))
    } else if error.is_connect() {
        Failure::Connect(why)
    } else if error.is_decode() && !over_http {
        Failure::Decode(why)
    } else {
        Failure::Protocol(why)
    }
}

/// Why no connection was made.
pub(super) fn of_dial(error: &io::Error) -> Failure {
    let known = of_io(error, Phase::Connect, true);
    known.unwrap_or_else(|| Failure::Connect(plain(&error.to_string())))
}

/// Why the body was not read to its end.
pub(super) fn of_read(error: &io::Error) -> Failure {
    let known = of_io(error, Phase::Transfer, true);
    known.unwrap_or_else(|| Failure::Protocol(plain(&error.to_string())))
}

/// Why a name gave no address.
pub(super) fn of_lookup(lookup: &LookupError) -> Failure {
    match lookup {
        LookupError::NotFound(name) => Failure::NameNotFound(name.clone()),
        LookupError::Failed(why) => Failure::Lookup(plain(why)),
        LookupError::Refused(why) => Failure::Forbidden(why.clone()),
        LookupError::Lacking(why) => Failure::Lacking(plain(why)),
    }
}

fn known(cause: &(dyn Error + 'static), during: Phase, over_http: bool) -> Option<Failure> {
    if let Some(lookup) = cause.downcast_ref::<LookupError>() {
        return Some(of_lookup(lookup));
    }
    if let Some(tls) = cause.downcast_ref::<TlsError>() {
        return Some(Failure::Tls(tls_text(tls)));
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return of_io(error, during, over_http);
    }
    if let Some(error) = cause.downcast_ref::<h2::Error>() {
        return of_io(error.get_io()?, during, over_http);
    }
    let http = cause.downcast_ref::<hyper::Error>()?;
    // What canceled the request says more than that it was.
    let explained = http.source().is_some_and(|why| why.is::<hyper::Error>());
    let closed = http.is_incomplete_message() || http.is_canceled() || http.is_closed();
    // A timeout is a ping that stayed unanswered: we closed what was dead.
    let closed = (closed && !explained) || http.is_timeout();
    closed.then_some(Failure::Closed { during })
}

fn of_io(error: &io::Error, during: Phase, over_http: bool) -> Option<Failure> {
    // An io::Error may wrap what really happened.
    if let Some(inner) = error.get_ref()
        && let Some(failure) = known(inner, during, over_http)
    {
        return Some(failure);
    }
    let decoding = during == Phase::Transfer && !over_http;
    match error.kind() {
        io::ErrorKind::UnexpectedEof if decoding => {
            Some(Failure::Decode("the compressed data ends early".to_owned()))
        }
        _ if decoding => Some(Failure::Decode(plain(&error.to_string()))),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Failure::Closed { during }),
        io::ErrorKind::ConnectionRefused => Some(Failure::Refused),
        _ if is_ours(error) => Some(Failure::Lacking(plain(&error.to_string()))),
        _ => None,
    }
}

/// Whether this process or its host has no more descriptors, ports or memory.
pub(super) fn is_ours(error: &io::Error) -> bool {
    const LACKS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| LACKS.contains(&errno))
}

/// What is wrong, for a person.
pub(super) fn tls_text(error: &TlsError) -> String {
    let certificate = match error {
        TlsError::InvalidCertificate(certificate) => certificate,
        TlsError::InvalidMessage(_) => return "the target does not speak TLS".to_owned(),
        other => return plain(&other.to_string()),
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name".to_owned()
        }
        CertificateError::UnknownIssuer => "the certificate's issuer is not trusted".to_owned(),
        CertificateError::Revoked => "the certificate is revoked".to_owned(),
        CertificateError::Other(why) if why.0.is::<NoAuthorities>() => why.0.to_string(),
        other => plain(&format!("the certificate is not valid: {other}")),
    }
}

/// One line, of bounded length.
pub(super) fn plain(text: &str) -> String {
    const MAX: usize = 200;
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX)
        .collect()
}
