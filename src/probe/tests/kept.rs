//! Kept connections: reused, and never blamed on the target when they go.

use super::*;

#[tokio::test]
async fn two_probes_of_one_target_share_a_connection() {
    let target = Listening::answering(OK).await;
    let prober = prober();
    for path in ["/a", "/b", "/c"] {
        let observation = prober.probe(&get(&target.url(path)), LONG).await;
        assert_eq!(answer(&observation).body, "ok");
    }
    assert_eq!((target.connections(), target.requests().len()), (1, 3));
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let target = Listening::closing_after(OK).await;
    let prober = prober();
    for probe in 1..=3 {
        let observation = prober.probe(&get(&target.url("/")), LONG).await;
        assert_eq!(answer(&observation).body, "ok");
        target.ended(probe).await;
    }
    assert_eq!((target.connections(), target.requests().len()), (3, 3));
}

/// Answers the first request of the first connection only; whoever asks again
/// there finds it closed, by `reset` or in order, when it is too late.
async fn closing_under_way(reset: bool) -> Listening {
    Listening::serving(move |mut accepted| async move {
        while accepted.request().await.is_some() {
            accepted.say(OK).await?;
            if accepted.number == 1 {
                accepted.request().await;
                return if reset {
                    accepted.stream.set_zero_linger()
                } else {
                    Ok(())
                };
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_closes_under_the_request_is_not_the_targets_failure() {
    for reset in [false, true] {
        let target = closing_under_way(reset).await;
        let prober = prober();
        for _ in 0..3 {
            let observation = prober.probe(&get(&target.url("/")), LONG).await;
            assert_eq!(answer(&observation).body, "ok");
        }
        // The second probe was sent twice, once into the void; the third
        // makes a connection to keep again.
        assert_eq!((target.connections(), target.requests().len()), (3, 4));
    }
}

#[tokio::test]
async fn garbage_on_a_kept_connection_is_not_the_targets_failure() {
    let target = Listening::serving(|mut accepted| async move {
        accepted.request().await;
        accepted.say(OK).await?;
        accepted.request().await;
        accepted
            .say(if accepted.number == 1 { "bye\r\n" } else { OK })
            .await
    })
    .await;
    let prober = prober();
    for _ in 0..2 {
        let observation = prober.probe(&get(&target.url("/")), LONG).await;
        assert_eq!(answer(&observation).body, "ok");
    }
}

#[tokio::test]
async fn a_target_that_is_gone_since_the_last_probe_is_down() {
    let target = Listening::answering(OK).await;
    let question = get(&target.url("/"));
    let prober = prober();
    answer(&prober.probe(&question, LONG).await);
    target.gone().await;
    let observation = prober.probe(&question, LONG).await;
    assert_eq!(failure(&observation), &Failure::Refused);
}

#[tokio::test]
async fn a_request_that_may_change_something_is_sent_once_and_never_over_a_kept_connection() {
    let target = closing_under_way(false).await;
    let prober = prober();
    let mut question = get(&target.url("/"));
    answer(&prober.probe(&question, LONG).await);
    question.method = "POST".to_owned();
    question.body = Some(Secret::new("again"));
    for _ in 0..2 {
        let observation = prober.probe(&question, LONG).await;
        assert_eq!(answer(&observation).body, "ok");
    }
    assert_eq!((target.connections(), target.requests().len()), (3, 3));
    let closing = Listening::closing_after("").await;
    question.url = Url::parse(&closing.url("/")).unwrap();
    closed(&prober.probe(&question, LONG).await, Phase::FirstByte);
    assert_eq!(closing.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_is_replaced_when_it_is_old() {
    let target = Listening::answering(OK).await;
    let settings = ProberSettings {
        max_connection_age: Duration::ZERO,
        ..ProberSettings::default()
    };
    let prober = prober_with(&settings);
    for _ in 0..2 {
        answer(&prober.probe(&get(&target.url("/")), LONG).await);
    }
    assert_eq!(target.connections(), 2);
}

#[tokio::test]
async fn a_timed_out_connection_is_not_used_again() {
    let target = Listening::serving(|mut accepted| async move {
        if accepted.number == 1 {
            return accepted.until_let_go().await;
        }
        accepted.request().await;
        accepted.say(OK).await
    })
    .await;
    let prober = prober();
    timed_out(
        &prober.probe(&get(&target.url("/")), SHORT).await,
        Phase::FirstByte,
    );
    answer(&prober.probe(&get(&target.url("/")), LONG).await);
}
