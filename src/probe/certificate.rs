//! What a target's certificates say, for a person and for a calendar.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::failure::plain;
use crate::{clock::Timestamp, observation::Certificate};

/// A certificate may name thousands of hosts; readers get so many.
const MAX_NAMES: usize = 50;

/// What `leaf` says; `None` when it is no certificate that can be read. It is
/// taken to be trusted, and to be the whole chain.
pub(super) fn read(leaf: &CertificateDer<'_>) -> Option<Certificate> {
    // As it is: the stricter profiles refuse what many targets show.
    let read = CertificateInner::<Raw>::from_der(leaf).ok()?;
    let said = read.tbs_certificate();
    let not_after = end(&read);
    Some(Certificate {
        subject: plain(&said.subject().to_string()),
        issuer: plain(&said.issuer().to_string()),
        not_after,
        chain_not_after: not_after,
        names: names(&read),
        self_signed: said.subject() == said.issuer(),
        untrusted: None,
    })
}

/// When `certificate` expires.
pub(super) fn expires(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let read = CertificateInner::<Raw>::from_der(certificate).ok()?;
    Some(end(&read))
}

fn end(certificate: &CertificateInner<Raw>) -> Timestamp {
    let not_after = certificate.tbs_certificate().validity().not_after;
    let since = not_after.to_unix_duration().as_millis();
    Timestamp::from_millis(u64::try_from(since).unwrap_or(u64::MAX))
}

/// The hosts that a certificate is for.
fn names(certificate: &CertificateInner<Raw>) -> Vec<String> {
    let said = certificate.tbs_certificate();
    let Ok(Some((_, SubjectAltName(names)))) = said.get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    names.iter().filter_map(name).take(MAX_NAMES).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "mail addresses and the like name no host"
)]
fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(plain(name.as_str())),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let v4 = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            Some(v4().or_else(|_| v6()).ok()?.to_string())
        }
        _ => None,
    }
}
