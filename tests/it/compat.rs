//! The clients people already use, on every server we promise, in every order
//! of first creation.

use futures_util::future::join_all;

use crate::support::{
    clients::Client,
    daemon::{Daemon, run},
    nats::Nats,
    target::{Answer, Target},
    wait,
};

/// Who makes the buckets.
#[derive(Clone, Copy, Debug)]
enum First {
    Daemon,
    Client,
    Both,
}

async fn matrix(version: &str) {
    for client in Client::had() {
        for first in [First::Daemon, First::Client, First::Both] {
            let Some(nats) = Nats::version(version).await else {
                return;
            };
            eprintln!("nats-server {version}, {client:?}, first: {first:?}");
            meet(&nats, client, first).await;
        }
    }
}

async fn meet(nats: &Nats, client: Client, first: First) {
    let target = Target::start().await;
    let document = r#"{"status":"UP","where":"Zürich"}"#;
    target.set("/health", Answer::json(document));
    let url = target.url("/health");
    let config = format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{url}\"\ninterval = \"500ms\"\ntimeout = \"400ms\"",
        nats.url()
    );
    let at = nats.url();
    let opened = serde_json::json!({"opened": true});
    let daemon = match first {
        First::Daemon => {
            let daemon = Daemon::serve(&config);
            daemon.ready().await;
            assert_eq!(client.call(&at, &["open"]).await, opened);
            daemon
        }
        First::Client => {
            assert_eq!(client.call(&at, &["open"]).await, opened);
            let daemon = Daemon::serve(&config);
            daemon.ready().await;
            daemon
        }
        First::Both => {
            let several = join_all((0..3).map(|_| client.call(&at, &["open"])));
            let daemon = Daemon::serve(&config);
            assert!(several.await.iter().all(|answer| *answer == opened));
            daemon.ready().await;
            daemon
        }
    };
    wait::until("runs", async || (target.hits("/health") > 2).then_some(())).await;
    // No drift and no trouble, in any order.
    assert_eq!(daemon.complaints(), Vec::<String>::new());

    // The daemon's, read by the client.
    let report = client.call(&at, &["get-object", &url]).await;
    assert!(report.as_str().unwrap().contains(document), "{report}");
    let summary = client.call(&at, &["get-kv", "api"]).await;
    let summary: serde_json::Value = serde_json::from_str(summary.as_str().unwrap()).unwrap();
    assert_eq!(
        (&summary["status"], &summary["check"]),
        (&"up".into(), &"api".into())
    );
    assert!(
        client
            .call(&at, &["get-object", "http://nobody.example/"])
            .await
            .is_null()
    );
    assert!(client.call(&at, &["get-kv", "nobody"]).await.is_null());

    // The client's, read by us.
    let long = "ü".repeat(50_000);
    client
        .call(&at, &["put-object", "http://theirs.example/", &long])
        .await;
    client
        .call(&at, &["put-kv", "theirs", "not a summary"])
        .await;
    let (code, out, err) = run(&mut daemon.command(&["report", "http://theirs.example/"]));
    assert_eq!((code, out.as_str()), (0, long.as_str()), "{err}");
    let (_, out, err) = run(&mut daemon.command(&["status"]));
    assert!(out.contains("theirs") && out.contains("api"), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_with_nats_2_15() {
    matrix("2.15.1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_with_nats_2_12() {
    matrix("2.12.8").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_with_nats_2_10() {
    matrix("2.10.26").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_with_nats_2_9() {
    matrix("2.9.10").await;
}
