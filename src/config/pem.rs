//! Files that the configuration names and that must hold certificates or a
//! key, in PEM: judged when the configuration is read, and read again when
//! they are used, so that renewed ones are taken up.

use std::path::PathBuf;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{Sources, book::Book, fields::Fields};

/// What a file must hold.
#[derive(Clone, Copy)]
pub(super) enum Pem {
    Certificates,
    Key,
}

impl Pem {
    /// The path under `name`, noted to be judged.
    pub(super) fn path(
        self,
        fields: &mut Fields<'_>,
        name: &'static str,
        book: &mut Book,
    ) -> Option<PathBuf> {
        let found = fields.text(name, book)?;
        let path = PathBuf::from(found.value);
        book.names(found.at, path.clone(), self);
        Some(path)
    }

    /// Whether `text` holds what it must.
    fn is_in(self, text: &str) -> bool {
        let text = text.as_bytes();
        match self {
            Self::Certificates => {
                let mut found = CertificateDer::pem_slice_iter(text).peekable();
                found.peek().is_some() && found.all(|certificate| certificate.is_ok())
            }
            Self::Key => PrivateKeyDer::from_pem_slice(text).is_ok(),
        }
    }

    const fn said(self) -> &'static str {
        match self {
            Self::Certificates => "certificate",
            Self::Key => "private key",
        }
    }
}

/// Judges every file that was named.
pub(super) fn judge(sources: &Sources<'_>, book: &mut Book) {
    for (at, path, pem) in book.named() {
        let shown = path.display();
        match (sources.read)(&path) {
            Ok(text) if pem.is_in(&text) => {}
            Ok(_) => book
                .mistake(&at, format!("`{shown}` holds no {} in PEM", pem.said()))
                .hint("PEM is text that begins with `-----BEGIN `"),
            Err(error) => book
                .mistake(&at, format!("open `{shown}`: {error}"))
                .hint("the user that supercheck runs as must be able to read it"),
        }
    }
}
