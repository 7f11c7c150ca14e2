//! What targets' certificates say, whether they are trusted or not, and the
//! certificates that supercheck shows.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio_rustls::rustls::{RootCertStore, server::WebPkiClientVerifier};

use super::{
    tls::{Authority, Chain, answering, https, named, over_tls},
    *,
};
use crate::{
    check::{ClientCertificate, Route, Rules, Trust},
    clock::Timestamp,
    observation::Certificate,
    report::Verdict,
    verdict::Judge,
};

fn certificate(observation: &Observation) -> &Certificate {
    observation.certificate.as_ref().expect("a certificate")
}

fn date(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn on(target: &Listening, route: Route) -> Target {
    Target {
        route: route.into(),
        ..https(target)
    }
}

fn any() -> Route {
    Route {
        trust: Trust::Any,
        ..Route::default()
    }
}

/// A file that is there for as long as the folder.
fn file(folder: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn a_trusted_certificate_is_reported_also_over_a_kept_connection() {
    let authority = Authority::new();
    let mut params = named("localhost");
    params.not_after = date_time_ymd(2040, 1, 2);
    params
        .subject_alt_names
        .push(rcgen::SanType::IpAddress([127, 0, 0, 1].into()));
    let target = answering(authority.certify(&params, &[])).await;
    let prober = authority.trusted();
    for _ in 0..2 {
        let observation = prober.probe(&https(&target), LONG).await;
        answer(&observation);
        let shown = certificate(&observation);
        assert_eq!(shown.issuer, "CN=us");
        assert_eq!(shown.names, ["localhost", "127.0.0.1"]);
        assert_eq!(shown.not_after, date("2040-01-02"));
        assert_eq!(shown.chain_not_after, shown.not_after);
        assert_eq!((shown.self_signed, &shown.untrusted), (false, &None));
    }
    assert_eq!(target.connections(), 1);
}

#[tokio::test]
async fn plain_http_has_no_certificate() {
    let target = Listening::answering(OK).await;
    let observation = prober().probe(&get(&target.url("/")), LONG).await;
    assert_eq!(observation.certificate, None);
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_reported_refused_or_not() {
    let authority = Authority::new();
    let mut expired = named("localhost");
    expired.not_after = date_time_ymd(2020, 1, 1);
    let stranger = Authority::called("a stranger");
    let own = Chain::self_signed(&named("localhost"));
    for (acceptor, why, self_signed) in [
        (
            authority.certify(&expired, &[]),
            "the certificate has expired",
            false,
        ),
        (
            authority.certify(&named("other.example"), &[]),
            "the certificate is for another name",
            false,
        ),
        (
            stranger.localhost(&[]),
            "the certificate's issuer is not trusted",
            false,
        ),
        (
            own.acceptor(&[]),
            "the certificate's issuer is not trusted",
            true,
        ),
    ] {
        let target = answering(acceptor).await;
        let prober = authority.trusted();
        let refused = prober.probe(&https(&target), LONG).await;
        assert_eq!(failure(&refused), &Failure::Tls(why.to_owned()));
        // The second answer comes over the connection of the first.
        let first = prober.probe(&on(&target, any()), LONG).await;
        let second = prober.probe(&on(&target, any()), LONG).await;
        for accepted in [&first, &second] {
            assert_eq!(answer(accepted).body, "ok");
        }
        for observation in [&refused, &first, &second] {
            let shown = certificate(observation);
            assert_eq!(shown.untrusted.as_deref(), Some(why));
            assert_eq!(shown.self_signed, self_signed);
            let name = if why.ends_with("name") {
                "other.example"
            } else {
                "localhost"
            };
            assert_eq!(shown.names, [name]);
            if why.ends_with("expired") {
                assert_eq!(shown.not_after, date("2020-01-01"));
            }
        }
        assert_eq!(target.requests().len(), 2);
    }
}

#[tokio::test]
async fn the_first_certificate_of_the_chain_that_trust_ends_with_is_found() {
    let authority = Authority::new();
    let middle = authority.intermediate("middle", 2031);
    let mut leaf = named("localhost");
    leaf.not_after = date_time_ymd(2040, 1, 2);
    let chain = middle.sign(&leaf);
    // One that nothing rests on, as many targets show it.
    let unneeded = authority.intermediate("unneeded", 2021);
    for chain in [chain.clone(), chain.with(&unneeded)] {
        let target = answering(chain.acceptor(&[])).await;
        let observation = authority.trusted().probe(&https(&target), LONG).await;
        answer(&observation);
        let shown = certificate(&observation);
        assert_eq!(shown.issuer, "CN=middle");
        assert_eq!(shown.not_after, date("2040-01-02"));
        assert_eq!(shown.chain_not_after, date("2031-01-01"));
    }
}

#[tokio::test]
async fn an_expired_intermediate_is_refused_and_its_date_is_reported() {
    let authority = Authority::new();
    let middle = authority.intermediate("middle", 2021);
    let target = answering(middle.sign(&named("localhost")).acceptor(&[])).await;
    let observation = authority.trusted().probe(&https(&target), LONG).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
    let shown = certificate(&observation);
    assert!(shown.untrusted.is_some());
    assert_eq!(shown.chain_not_after, date("2021-01-01"));
}

#[tokio::test]
async fn a_renewed_certificate_is_seen_with_the_connection_that_shows_it() {
    let authority = Authority::new();
    let year = |year| {
        let mut params = named("localhost");
        params.not_after = date_time_ymd(year, 1, 1);
        authority.certify(&params, &[])
    };
    let acceptors = [year(2040), year(2041)];
    let served = AtomicUsize::new(0);
    let target = Listening::serving(move |accepted| {
        let number = served.fetch_add(1, Ordering::SeqCst);
        let acceptor = acceptors[number.min(1)].clone();
        async move {
            let accepted = accepted.over(async |stream| acceptor.accept(stream).await);
            let mut accepted = accepted.await?;
            accepted.request().await;
            accepted.say(OK).await?;
            if number == 0 {
                accepted.request().await;
                accepted
                    .say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                    .await?;
            }
            Ok(())
        }
    })
    .await;
    let prober = authority.trusted();
    for expected in ["2040-01-01", "2040-01-01", "2041-01-01"] {
        let observation = prober.probe(&https(&target), LONG).await;
        answer(&observation);
        assert_eq!(certificate(&observation).not_after, date(expected));
    }
    assert_eq!(target.connections(), 2);
}

#[tokio::test]
async fn of_all_hops_the_certificate_that_ends_first_is_reported() {
    let authority = Authority::new();
    let mut last = named("localhost");
    last.not_after = date_time_ymd(2040, 1, 1);
    let last = answering(authority.certify(&last, &[])).await;
    let mut first = named("localhost");
    first.not_after = date_time_ymd(2035, 1, 1);
    let go = to(302, https(&last).url.as_str());
    let first = over_tls(authority.certify(&first, &[]), move |mut accepted| {
        let go = go.clone();
        async move {
            accepted.request().await;
            accepted.say(&go).await
        }
    })
    .await;
    let observation = authority.trusted().probe(&https(&first), LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    assert_eq!(certificate(&observation).not_after, date("2035-01-01"));
}

#[tokio::test]
async fn a_ca_of_the_checks_own_is_trusted_in_place_of_the_systems() {
    let folder = TempDir::new().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::called("theirs"));
    let route = Route {
        ca: Some(file(&folder, "ca.pem", &theirs.pem())),
        ..Route::default()
    };
    let prober = ours.trusted();
    let target = answering(theirs.localhost(&[])).await;
    let observation = prober.probe(&on(&target, route.clone()), LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    assert_eq!(certificate(&observation).untrusted, None);
    let target = answering(ours.localhost(&[])).await;
    let observation = prober.probe(&on(&target, route), LONG).await;
    let why = "the certificate's issuer is not trusted".to_owned();
    assert_eq!(failure(&observation), &Failure::Tls(why));
}

#[tokio::test]
async fn a_target_that_asks_for_a_certificate_gets_ours() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    let asks = WebPkiClientVerifier::builder(roots.into()).build().unwrap();
    let target = answering(authority.sign(&named("localhost")).acceptor_asking(asks)).await;
    let ours = authority.sign(&CertificateParams::new(["probe".to_owned()]).unwrap());
    let route = Route {
        client: Some(ClientCertificate {
            certificate: file(&folder, "cert.pem", &ours.pem()),
            key: file(&folder, "key.pem", &ours.key_pem()),
        }),
        ..Route::default()
    };
    let prober = authority.trusted();
    let with = prober.probe(&on(&target, route), LONG).await;
    assert_eq!(answer(&with).body, "ok");
    let without = prober.probe(&https(&target), LONG).await;
    let Failure::Tls(why) = failure(&without) else {
        panic!("{without:?}");
    };
    assert!(why.contains("CertificateRequired"), "{why}");
}

#[tokio::test]
async fn a_file_that_is_gone_or_holds_nothing_is_said_and_nothing_is_probed() {
    let folder = TempDir::new().unwrap();
    let target = Listening::answering(OK).await;
    let key = KeyPair::generate().unwrap();
    let cert = file(&folder, "cert.pem", &Authority::new().pem());
    for (ca, client, wanted) in [
        (Some(folder.path().join("gone.pem")), None, "No such file"),
        (
            Some(file(&folder, "empty.pem", "")),
            None,
            "holds no certificate",
        ),
        (
            None,
            Some((cert.clone(), cert.clone())),
            "holds no private key",
        ),
        (
            None,
            Some((cert, file(&folder, "other.pem", &key.serialize_pem()))),
            "prepare TLS",
        ),
    ] {
        let route = Route {
            ca,
            client: client.map(|(certificate, key)| ClientCertificate { certificate, key }),
            ..Route::default()
        };
        let observation = prober()
            .probe(
                &Target {
                    route: route.into(),
                    ..get(&target.url("/"))
                },
                LONG,
            )
            .await;
        let failure = failure(&observation);
        assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
        let text = failure.to_string();
        assert!(text.contains(wanted), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn what_is_accepted_all_the_same_is_judged() {
    let authority = Authority::new();
    let judged = async |until, warn| {
        let mut params = named("localhost");
        params.not_after = until;
        let target = answering(authority.certify(&params, &[])).await;
        let observation = prober().probe(&on(&target, any()), LONG).await;
        let rules = Rules {
            certificate_warn: warn,
            ..Rules::default()
        };
        let judgement = Judge::new(&rules).unwrap().judge(&observation);
        (judgement.verdict, judgement.message)
    };
    let day = Duration::from_hours(24);
    let (verdict, message) = judged(date_time_ymd(2020, 1, 1), day).await;
    assert_eq!(verdict, Verdict::Fail);
    assert!(
        message.starts_with("the certificate expired ") && message.ends_with(" ago (2020-01-01)"),
        "{message}"
    );
    let (verdict, message) = judged(date_time_ymd(2040, 1, 1), 36_500 * day).await;
    assert_eq!(verdict, Verdict::Warn);
    assert!(message.ends_with(" days (2040-01-01)"), "{message}");
    // The operator says that it does not matter.
    let (verdict, _) = judged(date_time_ymd(2020, 1, 1), Duration::ZERO).await;
    assert_eq!(verdict, Verdict::Pass);
}
