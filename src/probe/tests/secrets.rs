//! What is secret is in no observation, however the exchange went.

use super::*;
use crate::report::ShownResponse;

const SECRET: &str = "hunter2";

fn secretive(url: &str) -> Target {
    let url = url.replacen("://", &format!("://user:{SECRET}@"), 1);
    let mut target = get(&format!("{url}?token={SECRET}"));
    target = with_header(target, "Authorization", &format!("Bearer {SECRET}"));
    target = with_header(target, "X-Key", SECRET);
    target.body = Some(Secret::new(SECRET));
    target.method = "PUT".to_owned();
    target
}

fn keeps_the_secret(observation: &Observation) {
    let response = ShownResponse::of(observation, false);
    let said = observation.failure.as_ref().map(ToString::to_string);
    let shown = serde_json::to_string(&response).unwrap();
    let text = format!("{observation:?} {said:?} {shown}");
    assert!(!text.contains(SECRET), "{text}");
}

#[tokio::test]
async fn a_secret_is_in_no_observation() {
    let gone = Listening::answering(OK).await.gone().await;
    let answers = [
        OK,
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        "HTTP/1.1 307 Go\r\nLocation: /?again\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Go\r\nLocation: ftp:\r\nContent-Length: 0\r\n\r\n",
    ];
    for said in answers {
        let target = Listening::closing_after(said).await;
        let observation = observe(&secretive(&target.url("/")), LONG).await;
        keeps_the_secret(&observation);
        assert!(target.requests()[0].contains(SECRET), "it was sent");
    }
    for url in [
        gone.as_str(),
        "http://nowhere.invalid/",
        "http://255.255.255.255/",
    ] {
        let observation = observe(&secretive(url), LONG).await;
        keeps_the_secret(&observation);
        failure(&observation);
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_made_is_not_probed_and_keeps_the_secret() {
    let target = Listening::answering(OK).await;
    let url = target.url("/");
    let mut method = secretive(&url);
    method.method = "NOT A METHOD".to_owned();
    let name = with_header(secretive(&url), "not a name", SECRET);
    let value = with_header(secretive(&url), "X-Value", &format!("{SECRET}\n"));
    for impossible in [method, name, value] {
        let observation = observe(&impossible, LONG).await;
        keeps_the_secret(&observation);
        let failure = failure(&observation);
        assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
    }
    assert_eq!(target.connections(), 0);
}
