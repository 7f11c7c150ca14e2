//! How an exchange failed, from the error and its causes: by type where there
//! is one, never by text where it can be helped.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' kinds, of which few are told apart"
)]

use std::{error::Error, io};

use rustls::{CertificateError, Error as TlsError};

use super::resolve::LookupError;
use crate::observation::{Failure, Phase};

/// Whether the connection was closed before an answer came.
pub(super) fn is_closed(error: &reqwest::Error) -> bool {
    matches!(of(error, Phase::FirstByte), Failure::Closed { .. })
}

/// The failure that `error` is; `during` is what was under way.
pub(super) fn of(error: &reqwest::Error, during: Phase) -> Failure {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    let mut deepest = None;
    while let Some(cause) = next {
        if let Some(failure) = known(cause, during) {
            return failure;
        }
        deepest = Some(cause);
        next = cause.source();
    }
    let why = deepest
        .map(|cause| plain(&cause.to_string()))
        .unwrap_or_default();
    if error.is_connect() {
        Failure::Connect(why)
    } else if error.is_decode() {
        Failure::Decode(why)
    } else {
        Failure::Protocol(why)
    }
}

fn known(cause: &(dyn Error + 'static), during: Phase) -> Option<Failure> {
    if let Some(lookup) = cause.downcast_ref::<LookupError>() {
        return Some(match lookup {
            LookupError::NotFound(name) => Failure::NameNotFound(name.clone()),
            LookupError::Failed(why) => Failure::Lookup(plain(why)),
        });
    }
    if let Some(tls) = cause.downcast_ref::<TlsError>() {
        return Some(Failure::Tls(tls_text(tls)));
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return of_io(error, during);
    }
    let http = cause.downcast_ref::<hyper::Error>()?;
    if http.is_incomplete_message() || http.is_canceled() || http.is_closed() {
        return Some(Failure::Closed { during });
    }
    if http.is_parse() {
        return Some(Failure::Protocol(plain(&http.to_string())));
    }
    None
}

fn of_io(error: &io::Error, during: Phase) -> Option<Failure> {
    // An io::Error may wrap what really happened.
    if let Some(inner) = error.get_ref() {
        if let Some(tls) = inner.downcast_ref::<TlsError>() {
            return Some(Failure::Tls(tls_text(tls)));
        }
        if let Some(http) = inner.downcast_ref::<hyper::Error>() {
            return known(http, during);
        }
    }
    let closed = matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    );
    if closed {
        // Decoders say so too when the compressed data ends early.
        return Some(Failure::Closed { during });
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Failure::Refused),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if during == Phase::Transfer => {
            Some(Failure::Decode(plain(&error.to_string())))
        }
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::TimedOut
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => Some(Failure::Connect(plain(&error.to_string()))),
        _ => None,
    }
}

fn tls_text(error: &TlsError) -> String {
    let TlsError::InvalidCertificate(certificate) = error else {
        return plain(&error.to_string());
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
        other => plain(&format!("the certificate is not valid: {other}")),
    }
}

/// One line, of bounded length.
fn plain(text: &str) -> String {
    const MAX: usize = 200;
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX)
        .collect()
}
