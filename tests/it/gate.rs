//! supercheck's own network is down: what fails then says nothing of its
//! target.

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    proxy::Proxy,
    target::{Answer, Target},
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

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_while_our_own_network_is_down_is_unknown_and_not_announced() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let (daemon, network) = gated(&nats, &target).await;
    nats.summary_that("api", "up", |summary| summary["status"] == "up")
        .await;

    // The network goes, and with it the target, long before the next look.
    network.cut();
    target.set("/api", Answer::json("{}").status(500));
    let held = nats
        .summary_that("api", "a run that fails", |summary| {
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
    let up = nats
        .summary_that("api", "up", |summary| summary["status"] == "up")
        .await;
    assert_eq!(up["gate"], "closed");

    // With the network back, what fails is down, and says that it was unknown.
    target.set("/api", Answer::json("{}").status(500));
    let held = nats
        .summary_that("api", "unknown", |summary| summary["status"] == "unknown")
        .await;
    network.mend();
    let down = nats.announced(&["unknown>up", "up>down"]).await;
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
    let before = nats
        .summary_that("api", "down", |summary| summary["status"] == "down")
        .await;
    nats.announced(&["unknown>down"]).await;
    network.cut();
    nats.summary_that("api", "unknown", |summary| summary["status"] == "unknown")
        .await;
    daemon.crash_and_start_again();
    let held = nats
        .summary_that("api", "unknown by the next daemon", |summary| {
            summary["status"] == "unknown" && summary["instance"] != before["instance"]
        })
        .await;
    assert_eq!(held["held"]["since"], before["since"]);
    network.mend();
    let after = nats
        .summary_that("api", "down again", |summary| summary["status"] == "down")
        .await;
    assert_eq!(after["since"], before["since"]);
    target.set("/api", Answer::json("{}"));
    nats.announced(&["unknown>down", "down>up"]).await;
}
