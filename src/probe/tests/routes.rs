//! Ways to a target: families, addresses and names of the operator's choice,
//! versions of HTTP, proxies.

use super::{
    target::header,
    tls::{Authority, answering, named},
    *,
};
use crate::check::{Dial, HttpVersion, Proxy};

/// Asks for `name`, at `host`.
fn dialling(url: &str, name: &str, host: &str, port: Option<u16>) -> Target {
    let mut target = get(url);
    target.route_mut().dial = Some(Dial {
        name: name.to_owned(),
        host: host.to_owned(),
        port,
    });
    target
}

#[tokio::test]
async fn a_name_is_asked_at_the_address_of_ones_choice() {
    let target = Listening::answering(OK).await;
    let port = target.port();
    for (url, at, host) in [
        ("http://api.example/".to_owned(), Some(port), "api.example"),
        (
            "http://api.example:81/".to_owned(),
            Some(port),
            "api.example:81",
        ),
        (
            format!("http://api.example:{port}/"),
            None,
            &*format!("api.example:{port}"),
        ),
    ] {
        let question = dialling(&url, "api.example", "127.0.0.1", at);
        let observation = observe(&question, LONG).await;
        assert_eq!(answer(&observation).body, "ok", "{url}");
        assert_eq!(answer(&observation).remote.unwrap().port(), port);
        assert_eq!(
            header(target.requests().last().unwrap(), "host"),
            Some(host)
        );
    }
    let question = dialling(
        "http://api.example/",
        "api.example",
        "127.0.0.1",
        Some(port),
    );
    let own = with_header(question, "Host", "other.example");
    answer(&prober().probe(&own, LONG).await);
    let requests = target.requests();
    assert_eq!(
        header(requests.last().unwrap(), "host"),
        Some("other.example")
    );
}

#[tokio::test]
async fn the_name_asked_for_is_the_certificates_wherever_it_is_asked() {
    let authority = Authority::new();
    let target = answering(authority.certify(&named("api.example"), &[])).await;
    let url = format!("https://api.example:{}/", target.port());
    let prober = authority.trusted();
    let right = dialling(&url, "api.example", "127.0.0.1", None);
    let observation = prober.probe(&right, LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    assert_eq!(observation.certificate.unwrap().names, ["api.example"]);
    let url = url.replace("api", "other");
    let wrong = dialling(&url, "other.example", "127.0.0.1", None);
    let observation = prober.probe(&wrong, LONG).await;
    let why = "the certificate is for another name".to_owned();
    assert_eq!(failure(&observation), &Failure::Tls(why));
}

#[tokio::test]
async fn another_name_that_a_redirect_leads_to_is_looked_up() {
    let target = Listening::answering(to(302, "http://nowhere.invalid/")).await;
    let question = dialling(
        "http://api.example/",
        "api.example",
        "127.0.0.1",
        Some(target.port()),
    );
    let observation = prober().probe(&question, LONG).await;
    let unknown = Failure::NameNotFound("nowhere.invalid".to_owned());
    assert_eq!(failure(&observation), &unknown);
}

#[tokio::test]
async fn a_version_of_http_can_be_asked_for() {
    let authority = Authority::new();
    let prober = authority.trusted();
    for (version, offered, expected) in [
        (HttpVersion::One, &["h2", "http/1.1"][..], "HTTP/1.1"),
        (HttpVersion::Any, &["http/1.1"][..], "HTTP/1.1"),
    ] {
        let target = answering(authority.localhost(offered)).await;
        let mut question = tls::https(&target);
        question.route_mut().http = version;
        let observation = prober.probe(&question, LONG).await;
        assert_eq!(answer(&observation).version, expected);
    }
    let target = answering(authority.localhost(&["http/1.1"])).await;
    let mut question = tls::https(&target);
    question.route_mut().http = HttpVersion::Two;
    let observation = prober.probe(&question, LONG).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
}

fn through(target: &Target, proxy: &str) -> Target {
    let mut target = target.clone();
    target.route_mut().proxy = Some(Proxy {
        url: Secret::new(proxy),
        shown: String::new(),
    });
    target
}

#[tokio::test]
async fn a_proxy_is_asked_in_the_targets_place() {
    let proxy = Listening::answering(OK).await;
    let url = proxy.url("").replace("//", "//me:hush@");
    let question = through(&get("http://api.example/health"), &url);
    let observation = observe(&question, LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    let [request] = proxy.requests().try_into().unwrap();
    assert!(
        request.starts_with("GET http://api.example/health HTTP/1.1"),
        "{request}"
    );
    assert_eq!(
        header(&request, "proxy-authorization"),
        Some("Basic bWU6aHVzaA==")
    );
    assert!(!format!("{observation:?} {question:?}").contains("hush"));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_said_without_its_password() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let proxy = Listening::answering(refusal).await;
    let url = proxy.url("").replace("//", "//me:hush@");
    let question = through(&get("https://api.example/health"), &url);
    let observation = observe(&question, LONG).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Connect(_)), "{failure:?}");
    assert!(!failure.to_string().contains("hush"), "{failure}");
    let [request] = proxy.requests().try_into().unwrap();
    assert!(request.starts_with("CONNECT api.example:443 "), "{request}");
}

#[tokio::test]
async fn a_target_is_asked_through_a_tunnel() {
    let authority = Authority::new();
    let target = answering(authority.localhost(&[])).await;
    let port = target.port();
    let proxy = Listening::serving(move |mut accepted| async move {
        accepted.request().await;
        accepted.say("HTTP/1.1 200 OK\r\n\r\n").await?;
        let mut there = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        tokio::io::copy_bidirectional(&mut accepted.stream, &mut there)
            .await
            .map(drop)
    })
    .await;
    let question = through(&tls::https(&target), &proxy.url(""));
    let observation = authority.trusted().probe(&question, LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    assert_eq!(observation.certificate.unwrap().names, ["localhost"]);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn each_hop_is_reported_without_what_may_be_secret() {
    let last = Listening::answering(OK).await;
    let away = last.url("/away?token=hush").replace("//", "//me:hush@");
    let target = Listening::answering(to(302, &away)).await;
    let observation = observe(&get(&target.url("/?token=hush")), LONG).await;
    let response = answer(&observation);
    let hops: Vec<_> = response
        .redirects
        .iter()
        .map(|hop| (hop.status, hop.to.as_str()))
        .collect();
    assert_eq!(hops, [(302, &*last.url("/away"))]);
    assert_eq!(response.remote.unwrap().port(), last.port());
    let shown = crate::report::ShownResponse::of(&observation, false).unwrap();
    let shown = serde_json::to_value(shown).unwrap();
    assert_eq!(shown["redirects"][0]["to"], last.url("/away"));
    assert_eq!(shown["remote"], format!("127.0.0.1:{}", last.port()));
}

#[tokio::test]
async fn a_fresh_connection_is_made_for_every_probe_that_wants_one() {
    let target = Listening::answering(OK).await;
    let prober = prober();
    let mut question = get(&target.url("/"));
    question.route_mut().fresh = true;
    for n in 1..=3 {
        let observation = prober.probe(&question, LONG).await;
        answer(&observation);
        assert!(observation.phases.connect.is_some());
        assert_eq!(target.connections(), n);
    }
}
