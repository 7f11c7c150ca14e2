//! Targets that break the rules.

use std::io::Write as _;

use super::*;

#[tokio::test]
async fn a_target_that_closes_before_answering_is_asked_once() {
    let target = Listening::closing_after("").await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    closed(&observation, Phase::FirstByte);
    assert_eq!(target.connections(), 1);
    assert_eq!(
        failure(&observation).to_string(),
        "connection closed while waiting for the answer"
    );
}

#[tokio::test]
async fn a_target_that_resets_the_connection_has_closed_it() {
    let target = Listening::serving(|mut accepted| async move {
        accepted.request().await;
        accepted.stream.set_zero_linger()
    })
    .await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    closed(&observation, Phase::FirstByte);
}

#[tokio::test]
async fn a_head_that_breaks_off_is_a_closed_connection() {
    let target = Listening::closing_after("HTTP/1.1 200 OK\r\nContent-").await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    closed(&observation, Phase::FirstByte);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure_and_what_came_is_kept() {
    for head in [
        "Content-Length: 100\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let target = Listening::closing_after(format!("HTTP/1.1 200 OK\r\n{head}")).await;
        let observation = observe(&get(&target.url("/")), LONG).await;
        closed(&observation, Phase::Transfer);
        let response = observation.response.as_ref().unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"half"[..]));
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_the_body_is_a_failure() {
    let target = Listening::serving(|mut accepted| async move {
        accepted.request().await;
        accepted
            .say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .await?;
        accepted.stream.set_zero_linger()
    })
    .await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    closed(&observation, Phase::Transfer);
}

#[tokio::test]
async fn more_body_than_announced_is_cut_and_is_not_the_next_answer() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal\
         HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n";
    let target = Listening::answering(smuggled).await;
    let prober = prober();
    for _ in 0..3 {
        let observation = prober.probe(&get(&target.url("/")), LONG).await;
        let answer = answer(&observation);
        assert_eq!((answer.status, &answer.body[..]), (200, &b"real"[..]));
    }
}

#[tokio::test]
async fn what_is_not_http_is_said_so() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\0\0\0\0\0\0\0\0\0\0\0\0",
        "<html><body>502 Bad Gateway</body></html>\r\n\r\n",
        "HTTP/1.1 two hundred\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ] {
        let observation = told(garbage).await;
        let failure = failure(&observation);
        assert!(
            matches!(failure, Failure::Protocol(_)),
            "{garbage:?}: {failure:?}"
        );
        let text = failure.to_string();
        assert!(text.starts_with("not a valid HTTP answer: "), "{text}");
    }
}

#[tokio::test]
async fn a_target_that_speaks_first_does_not_speak_http() {
    let target = Listening::serving(|mut accepted| async move {
        accepted.say("SSH-2.0-OpenSSH_9.2\r\n").await?;
        accepted.until_let_go().await
    })
    .await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
}

#[tokio::test]
async fn broken_chunks_are_no_valid_answer() {
    let observation =
        told("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n").await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
    assert_eq!(observation.response.as_ref().unwrap().status, 200);
}

#[tokio::test]
async fn a_header_flood_is_refused_and_let_go() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: 1\r\n".repeat(10_000));
    let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(1 << 20));
    for flood in [many, long] {
        let target = Listening::answering(flood).await;
        let observation = observe(&get(&target.url("/")), LONG).await;
        let failure = failure(&observation);
        assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
        assert!(failure.to_string().contains("too large"), "{failure}");
        target.ended(1).await;
    }
}

#[tokio::test]
async fn broken_gzip_is_said_so() {
    let mut whole = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    whole.write_all(&b"health ".repeat(100)).unwrap();
    let whole = whole.finish().unwrap();
    let mut flipped = whole.clone();
    let last = flipped.len() - 5;
    flipped[last] ^= 0xff;
    let cut = whole[..whole.len() / 2].to_vec();
    for body in [b"no gzip at all".to_vec(), flipped, cut] {
        let target = gzipped(&body).await;
        let observation = observe(&get(&target.url("/")), LONG).await;
        let failure = failure(&observation);
        assert!(matches!(failure, Failure::Decode(_)), "{failure:?}");
        let text = failure.to_string();
        assert!(
            text.starts_with("the body could not be decoded: "),
            "{text}"
        );
        assert_eq!(observation.response.as_ref().unwrap().status, 200);
    }
    // A target that breaks off has closed, whatever it was sending.
    let mut said =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999\r\n\r\n".to_vec();
    said.extend_from_slice(&whole);
    let target = Listening::closing_after(said).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    closed(&observation, Phase::Transfer);
}

#[tokio::test]
async fn sound_gzip_is_decoded() {
    let mut body = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    body.write_all(b"healthy").unwrap();
    let target = gzipped(&body.finish().unwrap()).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    assert_eq!(answer(&observation).body, "healthy");
}

async fn gzipped(body: &[u8]) -> Listening {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
    Listening::answering([head.as_bytes(), body].concat()).await
}
