//! How far an exchange got that brought no answer: whom it asked, and by way of
//! which redirects.

use super::{
    tls::{Authority, answering, https},
    *,
};
use crate::check::{Family, Proxy};

/// How far a failed exchange got.
fn reached(observation: &Observation) -> (Option<String>, Vec<(u16, String)>) {
    failure(observation);
    let reached = observation.reached.clone().unwrap_or_default();
    let redirects = reached.redirects.into_iter();
    (
        reached.remote.map(|remote| remote.to_string()),
        redirects.map(|hop| (hop.status, hop.to)).collect(),
    )
}

/// Its host and port.
fn at(target: &Listening) -> Option<String> {
    Some(format!("127.0.0.1:{}", target.port()))
}

#[tokio::test]
async fn a_target_that_says_nothing_is_named_by_its_address() {
    let silent = Listening::serving(|mut accepted| async move { accepted.until_let_go().await });
    let silent = silent.await;
    let observation = observe(&get(&silent.url("/")), SHORT).await;
    assert_eq!(reached(&observation), (at(&silent), Vec::new()));
    let closing = Listening::closing_after("").await;
    for url in [
        closing.url("/"),
        closing.url("/").replace("127.0.0.1", "localhost"),
    ] {
        let observation = observe(&get(&url), LONG).await;
        assert_eq!(reached(&observation), (at(&closing), Vec::new()), "{url}");
    }
    // A kept connection that falls silent.
    let once = Listening::serving(|mut accepted| async move {
        accepted.request().await;
        accepted.say(OK).await?;
        accepted.until_let_go().await
    });
    let once = once.await;
    let prober = prober();
    let question = get(&once.url("/"));
    let first = prober.probe(&question, LONG).await;
    assert_eq!((answer(&first).remote.is_some(), first.reached), (true, None));
    if LEAN {
        let second = prober.probe(&question, SHORT).await;
        assert_eq!(reached(&second), (at(&once), Vec::new()));
    }
}

#[tokio::test]
async fn where_nobody_listens_the_address_that_was_dialled_is_told() {
    let url = Listening::answering(OK).await.gone().await;
    let place = url.trim_start_matches("http://").trim_end_matches('/');
    for scheme in ["http", "https", "tcp", "tls"] {
        let observation = observe(&get(&format!("{scheme}://{place}")), LONG).await;
        assert_eq!(reached(&observation), (Some(place.to_owned()), Vec::new()));
    }
    // At which port a proxy was dialled is not known here.
    let mut proxied = get("http://api.example/");
    proxied.route_mut().family = Family::V4;
    proxied.route_mut().proxy = Some(Proxy {
        url: Secret::new(url.replace("127.0.0.1", "localhost")),
        shown: String::new(),
    });
    let observation = observe(&proxied, LONG).await;
    assert_eq!(failure(&observation), &Failure::Refused);
    assert_eq!(observation.reached, None);
    // Of a name that leads nowhere there is nothing to tell.
    let nowhere = observe(&get("http://nowhere.invalid/"), LONG).await;
    assert_eq!(nowhere.reached, None);
}

#[tokio::test]
async fn the_redirects_to_the_hop_that_failed_are_told() {
    let last = Listening::closing_after("").await;
    let next = last.url("/last?token=hush");
    let first = Listening::serving(move |mut accepted| {
        let next = next.clone();
        async move {
            while let Some(request) = accepted.request().await {
                let answer = if request.starts_with("GET /one") {
                    to(302, &next)
                } else {
                    to(301, "/one")
                };
                accepted.say(&answer).await?;
            }
            Ok(())
        }
    })
    .await;
    let observation = observe(&get(&first.url("/")), LONG).await;
    let hops = vec![(301, first.url("/one")), (302, last.url("/last"))];
    assert_eq!(reached(&observation), (at(&last), hops));
    closed(&observation, Phase::FirstByte);
}

#[tokio::test]
async fn over_tls_it_is_told_too_and_of_a_connection_alone() {
    let authority = Authority::new();
    let target = answering(authority.localhost(&[])).await;
    let mut question = https(&target);
    question.route_mut().family = Family::V4;
    let observation = prober().probe(&question, LONG).await;
    assert!(matches!(failure(&observation), Failure::Tls(_)));
    assert_eq!(reached(&observation), (at(&target), Vec::new()));
    let plain = Listening::answering(OK).await;
    let question = get(&plain.url("").replace("http", "tcp"));
    let observation = prober().probe(&question, LONG).await;
    assert_eq!(observation.failure, None);
    let remote = observation.reached.unwrap().remote.unwrap();
    assert_eq!(remote.port(), plain.port());
}
