//! Targets over TLS: whom to trust, and what else may go wrong.

use std::{io, sync::Arc};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, date_time_ymd,
};
use tokio::{net::TcpStream, sync::Notify};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
        server::{NoClientAuth, danger::ClientCertVerifier},
    },
    server::TlsStream,
};

use super::{target::Accepted, *};

/// Who signs certificates in these tests.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    /// What leads from here to a root: itself, unless it is one.
    path: Vec<Vec<u8>>,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::called("us")
    }

    pub(super) fn called(name: &str) -> Self {
        let params = issuing(name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
            path: Vec::new(),
        }
    }

    /// One that this one vouches for, until `year` begins.
    pub(super) fn intermediate(&self, name: &str, year: i32) -> Self {
        let mut params = issuing(name);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self {
            path: vec![certificate.der().to_vec()],
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub(super) fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A prober that trusts it.
    pub(super) fn trusted(&self) -> Prober {
        let settings = ProberSettings {
            max_silence: SHORT,
            extra_roots: vec![self.der()],
            ..ProberSettings::default()
        };
        Prober::new(&settings).unwrap()
    }

    /// A certificate for `params`, and what leads to a root.
    pub(super) fn sign(&self, params: &CertificateParams) -> Chain {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let mut certificates = vec![leaf.der().to_vec()];
        certificates.extend(self.path.clone());
        Chain {
            certificates,
            leaf: leaf.pem(),
            key: key.serialize_pem(),
        }
    }

    /// What a target for `params` needs.
    pub(super) fn certify(&self, params: &CertificateParams, alpn: &[&str]) -> TlsAcceptor {
        self.sign(params).acceptor(alpn)
    }

    /// A target called `localhost` that speaks one of `alpn`.
    pub(super) fn localhost(&self, alpn: &[&str]) -> TlsAcceptor {
        self.certify(&named("localhost"), alpn)
    }
}

fn issuing(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(super) fn named(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

/// A certificate, what leads from it to a root, and its key.
#[derive(Clone)]
pub(super) struct Chain {
    certificates: Vec<Vec<u8>>,
    leaf: String,
    key: String,
}

impl Chain {
    pub(super) fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let leaf = params.self_signed(&key).unwrap();
        Self {
            certificates: vec![leaf.der().to_vec()],
            leaf: leaf.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Shows the certificate of `other` as well.
    pub(super) fn with(mut self, other: &Authority) -> Self {
        self.certificates.push(other.der());
        self
    }

    pub(super) fn pem(&self) -> String {
        self.leaf.clone()
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.clone()
    }

    pub(super) fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        self.serving(Arc::new(NoClientAuth), alpn)
    }

    /// Asks whoever connects for a certificate.
    pub(super) fn acceptor_asking(&self, asks: Arc<dyn ClientCertVerifier>) -> TlsAcceptor {
        self.serving(asks, &[])
    }

    fn serving(&self, asks: Arc<dyn ClientCertVerifier>, alpn: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let certificates = self.certificates.iter().cloned();
        let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(asks)
            .with_single_cert(certificates.map(Into::into).collect(), key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Lets `serve` do with each connection what it wants, after the handshake.
pub(super) async fn over_tls<F>(
    acceptor: TlsAcceptor,
    serve: impl Fn(Accepted<TlsStream<TcpStream>>) -> F + Send + Sync + 'static,
) -> Listening
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let serve = Arc::new(serve);
    Listening::serving(move |accepted| {
        let (serve, acceptor) = (Arc::clone(&serve), acceptor.clone());
        async move {
            let accepted = accepted.over(async |stream| acceptor.accept(stream).await);
            serve(accepted.await?).await
        }
    })
    .await
}

pub(super) async fn answering(acceptor: TlsAcceptor) -> Listening {
    over_tls(acceptor, |mut accepted| async move {
        while accepted.request().await.is_some() {
            accepted.say(OK).await?;
        }
        Ok(())
    })
    .await
}

pub(super) fn https(target: &Listening) -> Target {
    get(&format!("https://localhost:{}/", target.port()))
}

/// The text of the TLS failure that `acceptor` leads to; no request was sent.
async fn refused(authority: &Authority, acceptor: TlsAcceptor) -> String {
    let target = answering(acceptor).await;
    let question = with_header(https(&target), "Authorization", "Bearer hush");
    let observation = authority.trusted().probe(&question, LONG).await;
    let Failure::Tls(why) = failure(&observation) else {
        panic!("{observation:?}");
    };
    assert!(observation.phases.dns.is_some() && observation.phases.connect.is_none());
    assert!(target.requests().is_empty());
    why.clone()
}

#[tokio::test]
async fn a_trusted_target_answers_over_one_kept_connection() {
    let authority = Authority::new();
    let target = answering(authority.localhost(&[])).await;
    let prober = authority.trusted();
    for _ in 0..2 {
        let observation = prober.probe(&https(&target), LONG).await;
        assert_eq!(answer(&observation).body, "ok");
        assert_eq!(answer(&observation).version, "HTTP/1.1");
    }
    assert_eq!(target.connections(), 1);
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused_and_said_why() {
    let authority = Authority::new();
    let stranger = Authority::called("a stranger");
    let why = refused(&authority, stranger.localhost(&[])).await;
    assert_eq!(why, "the certificate's issuer is not trusted");

    let own = Chain::self_signed(&named("localhost"));
    let why = refused(&authority, own.acceptor(&[])).await;
    assert_eq!(why, "the certificate's issuer is not trusted");

    let mut expired = named("localhost");
    expired.not_after = date_time_ymd(2020, 1, 1);
    let why = refused(&authority, authority.certify(&expired, &[])).await;
    assert_eq!(why, "the certificate has expired");

    let mut early = named("localhost");
    early.not_before = date_time_ymd(3000, 1, 1);
    let why = refused(&authority, authority.certify(&early, &[])).await;
    assert_eq!(why, "the certificate is not valid yet");

    let why = refused(&authority, authority.certify(&named("other.example"), &[])).await;
    assert_eq!(why, "the certificate is for another name");
}

#[tokio::test]
async fn plain_http_behind_an_https_url_is_said_so() {
    let plain = Listening::serving(|mut accepted| async move {
        accepted
            .say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await?;
        accepted.until_let_go().await
    })
    .await;
    let observation = observe(&https(&plain), LONG).await;
    assert_eq!(
        failure(&observation).to_string(),
        "TLS: the target does not speak TLS"
    );
}

#[tokio::test]
async fn tls_behind_an_http_url_is_no_http() {
    let target = answering(Authority::new().localhost(&[])).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_times_out_connecting() {
    let silent = Listening::serving(|mut accepted| async move { accepted.until_let_go().await });
    let observation = observe(&https(&silent.await), SHORT).await;
    timed_out(&observation, Phase::Connect);
}

#[tokio::test]
async fn a_handshake_that_breaks_off_is_a_closed_connection() {
    for reset in [false, true] {
        let target = Listening::serving(move |accepted| async move {
            if reset {
                accepted.stream.set_zero_linger()?;
            }
            Ok(())
        })
        .await;
        let observation = observe(&https(&target), LONG).await;
        closed(&observation, Phase::Connect);
    }
}

#[tokio::test]
async fn a_body_cut_off_without_farewell_is_a_failure() {
    let authority = Authority::new();
    let target = over_tls(authority.localhost(&[]), |mut accepted| async move {
        accepted.request().await;
        // Without a length the body ends with the connection, and only TLS
        // tells an end from a cut.
        accepted.say("HTTP/1.1 200 OK\r\n\r\nhalf").await
    })
    .await;
    let observation = authority.trusted().probe(&https(&target), LONG).await;
    closed(&observation, Phase::Transfer);
    assert_eq!(observation.response.as_ref().unwrap().body, "half");
}

#[tokio::test]
async fn a_connection_that_comes_free_and_then_closes_is_not_the_targets_failure() {
    let authority = Authority::new();
    let both = Arc::new(Notify::new());
    let (acceptor, second_waits) = (authority.localhost(&[]), Arc::clone(&both));
    let target = Listening::serving(move |mut accepted| {
        let (acceptor, both) = (acceptor.clone(), Arc::clone(&second_waits));
        async move {
            if accepted.number == 2 {
                // Its handshake never ends, so that the first is taken instead.
                both.notify_one();
                return accepted.until_let_go().await;
            }
            let mut accepted = accepted
                .over(async |stream| acceptor.accept(stream).await)
                .await?;
            accepted.request().await;
            if accepted.number == 1 {
                both.notified().await;
                accepted.say(OK).await?;
                accepted.request().await;
                return Ok(());
            }
            accepted.say(OK).await
        }
    })
    .await;
    let prober = authority.trusted();
    let question = https(&target);
    let first = prober.probe(&question, LONG);
    let second = async {
        target.asked(1).await;
        prober.probe(&question, LONG).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(answer(&first).body, "ok");
    assert_eq!(answer(&second).body, "ok");
    assert_eq!((target.connections(), target.requests().len()), (3, 3));
}
