//! Whom to trust, and what the targets showed: a verifier around the one that
//! decides keeps the certificates of every handshake, also of those that fail.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        Resumption, VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;

use super::{
    certificate, failure,
    trace::{self, Trace},
};
use crate::{
    check::{HttpVersion, Route, Trust},
    clock::Timestamp,
    observation::Certificate,
};

mod nobody;

pub(super) use nobody::NoAuthorities;
use nobody::Nobody;

/// Why a target cannot be asked over TLS as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("open `{}`", path.display())]
    Open {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("`{}` holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("`{}` holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    #[error("prepare TLS")]
    Tls(#[from] TlsError),
    #[error("prepare TLS")]
    Verifier(#[from] VerifierBuilderError),
}

/// Decides whom to trust.
pub(super) type Judge = Arc<dyn ServerCertVerifier>;

/// Trusts whom the system trusts, and `extra` certificates. A system that has
/// no certificates, such as a bare container's, trusts nobody.
pub(super) fn as_the_system(extra: &[Vec<u8>]) -> Result<Judge, TrustError> {
    let extra = extra.iter().map(|der| CertificateDer::from(der.clone()));
    match Verifier::new_with_extra_roots(extra, provider()) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        // So it says that it found none.
        Err(TlsError::General(_)) => Ok(Arc::new(Nobody(provider()))),
        Err(error) => Err(error.into()),
    }
}

/// Trusts whom the certificates in a file signed, and nobody else.
pub(super) fn in_file(ca: &Path) -> Result<Judge, TrustError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(ca)? {
        roots.add(root)?;
    }
    let builder = WebPkiServerVerifier::builder_with_provider(roots.into(), provider());
    Ok(builder.build()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// How TLS is spoken on `route`.
pub(super) fn config(route: &Route, witness: &Arc<Witness>) -> Result<ClientConfig, TrustError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(witness) as Judge);
    let mut config = match &route.client {
        Some(client) => {
            let key = PrivateKeyDer::from_pem_slice(&open(&client.key)?)
                .map_err(|_| TrustError::NoKey(client.key.clone()))?;
            config.with_client_auth_cert(certificates(&client.certificate)?, key)?
        }
        None => config.with_no_client_auth(),
    };
    // A resumed session shows no certificate: a renewed one would go unseen.
    config.resumption = Resumption::disabled();
    let (one, two) = (b"http/1.1".to_vec(), b"h2".to_vec());
    config.alpn_protocols = match route.http {
        HttpVersion::Any => vec![two, one],
        HttpVersion::One => vec![one],
        HttpVersion::Two => vec![two],
    };
    Ok(config)
}

fn open(path: &Path) -> Result<Vec<u8>, TrustError> {
    let path = path.to_owned();
    fs::read(&path).map_err(|error| TrustError::Open { path, error })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let text = open(path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TrustError::NoCertificate(path.to_owned())),
    }
}

/// Sees what targets show, and lets another verifier judge it.
#[derive(Debug)]
pub(super) struct Witness {
    judge: Judge,
    trust: Trust,
    /// By host, for answers that come over a kept connection.
    shown: Mutex<HashMap<String, VecDeque<Shown>>>,
}

#[derive(Debug)]
struct Shown {
    leaf: CertificateDer<'static>,
    certificate: Arc<Certificate>,
}

/// So many certificates of one host are remembered, the newest ones: hosts
/// behind a load balancer may show a few.
const MAX_SHOWN: usize = 16;

impl Witness {
    pub(super) fn new(judge: Judge, trust: Trust) -> Self {
        Self {
            judge,
            trust,
            shown: Mutex::default(),
        }
    }

    /// What `host` showed on the connection on which it showed `leaf`.
    pub(super) fn shown(&self, host: &str, leaf: &[u8]) -> Option<Arc<Certificate>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_host = shown.get(host)?.iter();
        let found = of_host.find(|shown| &*shown.leaf == leaf)?;
        Some(Arc::clone(&found.certificate))
    }

    /// What `host` showed last.
    pub(super) fn newest(&self, host: &str) -> Option<Arc<Certificate>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown.get(host)?.front()?.certificate))
    }

    /// Reads what was shown, or finds it read already.
    fn read(
        &self,
        handshake: &Handshake<'_>,
        untrusted: Option<String>,
    ) -> Option<Arc<Certificate>> {
        let host = handshake.host.to_str();
        let known = self.shown(&host, handshake.leaf);
        if let Some(known) = known.filter(|known| known.untrusted == untrusted) {
            return Some(known);
        }
        let mut certificate = certificate::read(handshake.leaf)?;
        certificate.chain_not_after = match &untrusted {
            None => handshake.holds_until(&*self.judge),
            Some(_) => handshake.expiries().next(),
        }
        .unwrap_or(certificate.not_after);
        certificate.untrusted = untrusted;
        let certificate = Arc::new(certificate);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let of_host = shown.entry(host.into_owned()).or_default();
        of_host.retain(|shown| shown.leaf != *handshake.leaf);
        of_host.truncate(MAX_SHOWN - 1);
        of_host.push_front(Shown {
            leaf: handshake.leaf.clone().into_owned(),
            certificate: Arc::clone(&certificate),
        });
        Some(certificate)
    }
}

/// What a target shows in one handshake.
struct Handshake<'a> {
    leaf: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    host: &'a ServerName<'a>,
    ocsp: &'a [u8],
}

impl Handshake<'_> {
    fn judged(&self, judge: &dyn ServerCertVerifier, at: UnixTime) -> Result<(), TlsError> {
        judge
            .verify_server_cert(self.leaf, self.intermediates, self.host, self.ocsp, at)
            .map(drop)
    }

    /// When each certificate expires, the first one first.
    fn expiries(&self) -> impl Iterator<Item = Timestamp> {
        let all = [self.leaf].into_iter().chain(self.intermediates);
        let mut expiries: Vec<_> = all.filter_map(certificate::expires).collect();
        expiries.sort_unstable();
        expiries.into_iter()
    }

    /// Until when the target is trusted with what it shows. An expiry counts
    /// only when trust ends with it: many targets show a certificate too many.
    fn holds_until(&self, judge: &dyn ServerCertVerifier) -> Option<Timestamp> {
        let after = |at: Timestamp| Duration::from_millis(at.as_millis()) + Duration::from_secs(1);
        self.expiries().find(|expiry| {
            let at = UnixTime::since_unix_epoch(after(*expiry));
            self.judged(judge, at).is_err()
        })
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let handshake = Handshake {
            leaf,
            intermediates,
            host,
            ocsp,
        };
        let judged = handshake.judged(&*self.judge, now);
        let untrusted = judged.as_ref().err().map(failure::tls_text);
        let certificate = self.read(&handshake, untrusted);
        trace::note(|trace: &Trace| trace.shows(certificate));
        match (judged, self.trust) {
            (Ok(()), _) | (Err(_), Trust::Any) => Ok(ServerCertVerified::assertion()),
            (Err(error), Trust::Verified) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.judge
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.judge
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
