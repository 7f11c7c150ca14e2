//! The certificate that HTTPS is spoken with; a renewed one is read when the
//! configuration is read again.

use std::{io, path::Path, sync::Arc};

use anyhow::Context as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::config::Http;

/// What connections are accepted with.
#[derive(Clone)]
pub struct Tls(Arc<watch::Sender<TlsAcceptor>>);

impl Tls {
    /// Reads the certificate and its key; `None` when there are none.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn of(http: &Http) -> anyhow::Result<Option<Self>> {
        let acceptor = read(http)?;
        Ok(acceptor.map(|acceptor| Self(Arc::new(watch::Sender::new(acceptor)))))
    }

    /// Reads them again: connections from now on have the new ones.
    ///
    /// # Errors
    /// When they cannot be used; the old ones stay.
    pub fn renew(&self, http: &Http) -> anyhow::Result<()> {
        if let Some(acceptor) = read(http)? {
            self.0.send_replace(acceptor);
        }
        Ok(())
    }

    /// What the next connection is accepted with.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.0.borrow().clone()
    }
}

fn read(http: &Http) -> anyhow::Result<Option<TlsAcceptor>> {
    match (&http.tls_cert, &http.tls_key) {
        (Some(chain), Some(key)) => acceptor(chain, key).map(Some),
        _ => Ok(None),
    }
}

fn acceptor(chain: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("read `{}`, for `http.tls_cert`", chain.display()))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("read `{}`, for `http.tls_key`", key.display()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(io::Error::other)
        .context("use `http.tls_cert` with `http.tls_key`")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
