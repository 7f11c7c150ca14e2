//! How a check's target is reached.

use super::super::{book::Book, fields::Fields, pem::Pem};
use crate::check::{ClientCertificate, Route, Trust};

/// The words for whom to trust.
pub(in super::super) const TRUST: [(&str, Trust); 2] =
    [("verified", Trust::Verified), ("any", Trust::Any)];

/// Reads how the target is reached; what is not said is `inherited`.
pub(super) fn read(fields: &mut Fields<'_>, inherited: &Route, book: &mut Book) -> Route {
    fields.pair("client_cert", "client_key", book);
    let certificate = Pem::Certificates.path(fields, "client_cert", book);
    let key = Pem::Key.path(fields, "client_key", book);
    let client = certificate
        .zip(key)
        .map(|(certificate, key)| ClientCertificate { certificate, key });
    let ca = Pem::Certificates.path(fields, "ca", book);
    Route {
        trust: fields
            .word("trust", &TRUST, book)
            .unwrap_or(inherited.trust),
        ca: ca.or_else(|| inherited.ca.clone()),
        client: client.or_else(|| inherited.client.clone()),
    }
}
