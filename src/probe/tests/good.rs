//! Good answers, and what is noted of them.

use tokio::time::{Duration, sleep};

use super::{target::header, *};

#[tokio::test]
async fn a_good_answer_is_observed_whole() {
    let target = Listening::answering(
        "HTTP/1.1 418 I'm a teapot\r\nContent-Type: text/plain\r\nX-Twice: 1\r\n\
         X-Twice: 2\r\nContent-Length: 5\r\n\r\nshort",
    )
    .await;
    let observation = observe(&get(&target.url("/health?deep=1")), LONG).await;
    let answer = answer(&observation);
    assert_eq!((answer.status, answer.version), (418, "HTTP/1.1"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    let twice: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "x-twice")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(twice, ["1", "2"]);
    assert_eq!(answer.body, "short");
    assert!(!answer.truncated);
    assert_eq!(answer.remote.unwrap().port(), target.port());
    assert_eq!(answer.redirects, []);

    let [request] = target.requests().try_into().unwrap();
    assert!(
        request.starts_with("GET /health?deep=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(header(&request, "user-agent").is_some_and(|agent| agent.starts_with("supercheck/")));
    assert!(header(&request, "accept").is_some_and(|accept| accept.contains("health+json")));
    let encoding = (!LEAN).then_some("gzip");
    assert_eq!(header(&request, "accept-encoding"), encoding);
}

#[tokio::test]
async fn the_phases_are_where_the_time_went_and_add_up() {
    let pause = Duration::from_millis(300);
    let target = Listening::serving(move |mut accepted| async move {
        accepted.request().await;
        sleep(pause).await;
        accepted
            .say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
            .await?;
        accepted.until_let_go().await
    })
    .await;
    let body_late = Listening::serving(move |mut accepted| async move {
        accepted.request().await;
        accepted
            .say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            .await?;
        sleep(pause).await;
        accepted.say("slow").await?;
        accepted.until_let_go().await
    })
    .await;

    let observation = observe(&get(&target.url("/")), LONG).await;
    let phases = observation.phases;
    assert_eq!(phases.dns, None, "an address needs no lookup");
    assert!(phases.first_byte.unwrap() >= pause);
    assert!(phases.transfer.unwrap() < pause);
    let sum = phases.connect.unwrap() + phases.first_byte.unwrap() + phases.transfer.unwrap();
    assert!(sum <= observation.latency, "{observation:?}");
    assert!(observation.latency - sum < pause, "{observation:?}");

    let phases = observe(&get(&body_late.url("/")), LONG).await.phases;
    assert!(phases.first_byte.unwrap() < pause);
    assert!(phases.transfer.unwrap() >= pause);
}

#[tokio::test]
async fn a_name_is_looked_up_and_a_kept_connection_needs_neither_lookup_nor_connect() {
    let target = Listening::answering(OK).await;
    let url = get(&format!("http://localhost:{}/", target.port()));
    let prober = prober();
    let first = prober.probe(&url, LONG).await;
    assert_eq!(answer(&first).body, "ok");
    assert!(first.phases.dns.is_some() && first.phases.connect.is_some());
    let second = prober.probe(&url, LONG).await;
    assert_eq!(answer(&second).body, "ok");
    assert_eq!((second.phases.dns, second.phases.connect), (None, None));
    assert!(second.phases.first_byte.is_some());
    assert_eq!(target.connections(), 1);
}

#[tokio::test]
async fn the_configured_method_headers_and_body_are_sent_as_they_are() {
    let target = Listening::answering(OK).await;
    for method in ["POST", "GET"] {
        let mut question = with_header(get(&target.url("/")), "User-Agent", "mine");
        question = with_header(question, "ACCEPT", "text/plain");
        question.method = method.to_owned();
        question.body = Some(Secret::new(r#"{"deep":true}"#));
        answer(&observe(&question, LONG).await);
        let requests = target.requests();
        let request = requests.last().unwrap();
        assert!(
            request.starts_with(&format!("{method} / HTTP/1.1\r\n")),
            "{request}"
        );
        assert!(
            request.ends_with("\r\n\r\n{\"deep\":true}"),
            "a {method} too: {request}"
        );
        assert_eq!(header(request, "user-agent"), Some("mine"));
        assert_eq!(header(request, "accept"), Some("text/plain"));
    }
}

#[tokio::test]
async fn answers_without_a_body_and_of_old_are_answers() {
    let mut head = get("http://unused.invalid/");
    head.method = "HEAD".to_owned();
    let target = Listening::answering(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999\r\n\r\n",
    )
    .await;
    head.url = Url::parse(&target.url("/")).unwrap();
    assert!(answer(&observe(&head, LONG).await).body.is_empty());

    let observation = told("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(answer(&observation).status, 204);

    let old = Listening::closing_after("HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    let observation = observe(&get(&old.url("/")), LONG).await;
    assert_eq!(answer(&observation).version, "HTTP/1.0");
    assert_eq!(answer(&observation).body, "until the end");
}

#[tokio::test]
async fn a_body_that_is_no_text_is_observed_as_it_is() {
    let body = b"\xff\xfe\0\x80 not text";
    let mut said = b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\r\nContent-Length: 13\r\n\r\n".to_vec();
    said.extend_from_slice(body);
    let target = Listening::answering(said).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    assert_eq!(answer(&observation).body, &body[..]);
    assert_eq!(answer(&observation).header("x-odd"), Some("caf\u{fffd}"));
}
