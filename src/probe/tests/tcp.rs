//! Targets that are asked for a connection alone.

use super::{
    tls::{Authority, answering},
    *,
};

fn at(scheme: &str, host: &str, port: u16) -> Target {
    get(&format!("{scheme}://{host}:{port}"))
}

#[tokio::test]
async fn a_port_that_listens_is_connected_to_and_let_go() {
    let target = Listening::serving(|mut accepted| async move { accepted.until_let_go().await });
    let target = target.await;
    for host in ["127.0.0.1", "localhost"] {
        let observation = observe(&at("tcp", host, target.port()), LONG).await;
        assert_eq!(observation.failure, None);
        assert!(observation.response.is_none() && observation.certificate.is_none());
        assert!(observation.phases.connect.is_some());
        assert_eq!(observation.phases.dns.is_some(), host == "localhost");
    }
    target.ended(2).await;
    assert!(target.requests().is_empty(), "nothing is said");
}

#[tokio::test]
async fn nobody_nowhere_and_silence_are_told_apart() {
    let gone = Listening::answering(OK).await;
    let port = gone.port();
    gone.gone().await;
    let observation = observe(&at("tcp", "127.0.0.1", port), LONG).await;
    assert_eq!(failure(&observation), &Failure::Refused);
    let observation = observe(&at("tcp", "nowhere.invalid", port), LONG).await;
    let unknown = Failure::NameNotFound("nowhere.invalid".to_owned());
    assert_eq!(failure(&observation), &unknown);
    let silent = Listening::serving(|mut accepted| async move { accepted.until_let_go().await });
    let observation = observe(&at("tls", "localhost", silent.await.port()), SHORT).await;
    timed_out(&observation, Phase::Connect);
}

#[tokio::test]
async fn a_handshake_shows_the_certificate() {
    let authority = Authority::new();
    let target = answering(authority.localhost(&[])).await;
    let question = at("tls", "localhost", target.port());
    let observation = authority.trusted().probe(&question, LONG).await;
    assert_eq!(observation.failure, None);
    let shown = observation.certificate.unwrap();
    assert_eq!(
        (&*shown.names, &shown.untrusted),
        (&["localhost".to_owned()][..], &None)
    );
    let stranger = prober().probe(&question, LONG).await;
    let why = "the certificate's issuer is not trusted".to_owned();
    assert_eq!(failure(&stranger), &Failure::Tls(why.clone()));
    assert_eq!(stranger.certificate.unwrap().untrusted, Some(why));
    let mut relaxed = question;
    relaxed.route_mut().trust = crate::check::Trust::Any;
    assert_eq!(prober().probe(&relaxed, LONG).await.failure, None);
}

#[tokio::test]
async fn what_speaks_no_tls_or_hangs_up_is_said_so() {
    let plain = Listening::serving(|mut accepted| async move {
        accepted.say("220 mail.example ESMTP\r\n").await?;
        accepted.until_let_go().await
    });
    let observation = observe(&at("tls", "localhost", plain.await.port()), LONG).await;
    let why = "the target does not speak TLS".to_owned();
    assert_eq!(failure(&observation), &Failure::Tls(why));
    let closing = Listening::serving(|_| async { Ok(()) }).await;
    let observation = observe(&at("tls", "localhost", closing.port()), LONG).await;
    closed(&observation, Phase::Connect);
}
