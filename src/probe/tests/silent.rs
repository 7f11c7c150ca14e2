//! Targets that are not there, or say nothing, or never come to an end.

use tokio::{net::TcpSocket, time::sleep};

use super::*;

#[tokio::test]
async fn a_silent_target_times_out_waiting_for_the_answer() {
    let target = Listening::serving(|mut accepted| async move { accepted.until_let_go().await });
    let target = target.await;
    let observation = observe(&get(&target.url("/")), SHORT).await;
    timed_out(&observation, Phase::FirstByte);
    assert!(observation.response.is_none());
    assert!(observation.phases.connect.is_some());
    target.ended(1).await;
    assert_eq!(
        failure(&observation).to_string(),
        "no answer in 200ms (waiting for the answer)"
    );
}

#[tokio::test]
async fn a_head_that_never_ends_times_out_waiting_for_the_answer() {
    let target = Listening::serving(|mut accepted| async move {
        accepted.request().await;
        accepted.say("HTTP/1.1 200 OK\r\nX-Half: ").await?;
        accepted.until_let_go().await
    })
    .await;
    let observation = observe(&get(&target.url("/")), SHORT).await;
    timed_out(&observation, Phase::FirstByte);
}

#[tokio::test]
async fn a_dripping_body_times_out_and_what_came_is_kept() {
    let target = Listening::serving(|mut accepted| async move {
        accepted.request().await;
        accepted
            .say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            .await?;
        loop {
            accepted.say("d").await?;
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let observation = observe(&get(&target.url("/")), SHORT).await;
    timed_out(&observation, Phase::Transfer);
    let response = observation.response.as_ref().unwrap();
    assert_eq!(response.status, 200);
    assert!(response.body.starts_with(b"d") && response.body.len() < 100);
    target.ended(1).await;
}

#[tokio::test]
async fn interim_answers_without_end_are_no_answer() {
    let target = Listening::serving(|mut accepted| async move {
        accepted.request().await;
        loop {
            accepted
                .say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                .await?;
        }
    })
    .await;
    let observation = observe(&get(&target.url("/")), SHORT).await;
    timed_out(&observation, Phase::FirstByte);
    target.ended(1).await;
}

#[tokio::test]
async fn a_full_backlog_times_out_connecting() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts, so that after a few connections none is made any more.
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    let observation = observe(&get(&format!("http://{address}/")), SHORT).await;
    timed_out(&observation, Phase::Connect);
    assert_eq!(observation.phases.connect, None);
}

#[tokio::test]
async fn nobody_there_is_a_refused_connection() {
    let gone = Listening::answering(OK).await.gone().await;
    let observation = observe(&get(&gone), LONG).await;
    assert_eq!(failure(&observation), &Failure::Refused);
    let localhost = gone.replace("127.0.0.1", "localhost");
    let observation = observe(&get(&localhost), LONG).await;
    assert_eq!(failure(&observation), &Failure::Refused);
    assert!(observation.phases.dns.is_some());
}

#[tokio::test]
async fn an_address_without_a_way_to_it_is_no_connection() {
    // Nothing can connect to the broadcast address.
    let observation = observe(&get("http://255.255.255.255/"), SHORT).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Connect(_)), "{failure:?}");
    assert!(
        failure.to_string().starts_with("no connection: "),
        "{failure}"
    );
}

#[tokio::test]
async fn a_target_that_hangs_holds_up_nobody_else() {
    let hanging = Listening::serving(|mut accepted| async move { accepted.until_let_go().await });
    let (hanging, healthy) = (hanging.await, Listening::answering(OK).await);
    let prober = prober();
    let (slow, good) = (get(&hanging.url("/")), get(&healthy.url("/")));
    tokio::select! {
        slow = prober.probe(&slow, LONG) => panic!("{slow:?}"),
        good = prober.probe(&good, LONG) => assert_eq!(answer(&good).body, "ok"),
    }
}
