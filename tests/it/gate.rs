//! supercheck's own network is down: what fails then says nothing of its
//! target.

use serde_json::Value;

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    proxy::Proxy,
    target::{Answer, Target},
    wait,
};

/// A daemon whose network is up while the proxy lets it through.
async fn gated(nats: &Nats, target: &Target) -> (Daemon, Proxy) {
    // The proxy is the way to a host beyond supercheck's own network.
    let network = Proxy::to(target.port()).await;
    let daemon = Daemon::serve(&format!(
        r#"
        [nats]
        url = "{}"
        [gate]
        urls = ["http://127.0.0.1:1/", "{}"]
        interval = "1s"
        [[check]]
        name = "api"
        url = "{}"
        interval = "200ms"
        timeout = "150ms"
        "#,
        nats.url(),
        network.http(),
        target.url("/api")
    ));
    daemon.ready().await;
    (daemon, network)
}

async fn summary(nats: &Nats, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let js = nats.jetstream().await;
    wait::until(what, async || {
        nats.summary(&js, "api").await.filter(|summary| is(summary))
    })
    .await
}

/// The changes that were announced, as `from>to`.
async fn announced(nats: &Nats) -> Vec<(String, Value)> {
    let js = nats.jetstream().await;
    let stream = js.get_stream("SUPERCHECK_EVENTS").await.unwrap();
    let mut changes = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let change: Value = serde_json::from_slice(&message.payload).unwrap();
        let step = format!(
            "{}>{}",
            change["from"].as_str().unwrap(),
            change["to"].as_str().unwrap()
        );
        changes.push((step, change));
    }
    changes
}

async fn steps(nats: &Nats, expected: &[&str]) -> Value {
    wait::until(&format!("{expected:?} announced"), async || {
        let changes = announced(nats).await;
        let steps: Vec<_> = changes.iter().map(|(step, _)| step.as_str()).collect();
        assert!(expected.starts_with(&steps), "{steps:?}");
        (steps == expected).then(|| changes.last().unwrap().1.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_while_our_own_network_is_down_is_unknown_and_not_announced() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let (daemon, network) = gated(&nats, &target).await;
    summary(&nats, "up", |summary| summary["status"] == "up").await;

    // The network goes, and with it the target, long before the next look.
    network.cut();
    target.set("/api", Answer::json("{}").status(500));
    let held = summary(&nats, "a run that fails", |summary| {
        assert_ne!(summary["status"], "down");
        summary["verdict"] == "fail"
    })
    .await;
    assert_eq!(
        (&held["status"], &held["gate"]),
        (&"unknown".into(), &"closed".into())
    );
    assert_eq!(held["held"]["status"], "up");
    let message = held["message"].as_str().unwrap();
    assert!(
        message.contains("own network") && message.contains("500"),
        "{message}"
    );
    let (code, out, _) = run(&mut daemon.command(&["status", "api"]));
    assert_eq!(code, 3, "{out}");
    let (code, _, err) = run(&mut daemon.command(&["report", "api", "--last-failure"]));
    assert_eq!(code, 3, "it is no failure of the target's: {err}");

    // What passes counts all the same.
    target.set("/api", Answer::json("{}"));
    let up = summary(&nats, "up", |summary| summary["status"] == "up").await;
    assert_eq!(up["gate"], "closed");

    // With the network back, what fails is down, and says that it was unknown.
    target.set("/api", Answer::json("{}").status(500));
    let held = summary(&nats, "unknown", |summary| summary["status"] == "unknown").await;
    network.mend();
    let down = steps(&nats, &["unknown>up", "up>down"]).await;
    assert_eq!(down["unknown_since"], held["since"], "{down}");
    assert_eq!(daemon.complaints().len(), 1, "{:#?}", daemon.complaints());
    daemon
        .says("supercheck's own network is up again; what fails counts")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_neither_forgotten_nor_announced_again_behind_the_gate() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/api", Answer::json("{}").status(500));
    let (mut daemon, network) = gated(&nats, &target).await;
    let before = summary(&nats, "down", |summary| summary["status"] == "down").await;
    steps(&nats, &["unknown>down"]).await;
    network.cut();
    summary(&nats, "unknown", |summary| summary["status"] == "unknown").await;
    daemon.crash_and_start_again();
    let held = summary(&nats, "unknown by the next daemon", |summary| {
        summary["status"] == "unknown" && summary["instance"] != before["instance"]
    })
    .await;
    assert_eq!(held["held"]["since"], before["since"]);
    network.mend();
    let after = summary(&nats, "down again", |summary| summary["status"] == "down").await;
    assert_eq!(after["since"], before["since"]);
    target.set("/api", Answer::json("{}"));
    steps(&nats, &["unknown>down", "down>up"]).await;
}
