//! Connections to NATS that stay and carry nothing, or are closed for what
//! was sent.

use std::time::Duration;

use serde_json::Value;

use crate::{
    outage::config,
    support::{
        daemon::Daemon,
        nats::Nats,
        proxy::Proxy,
        target::{Answer, Target},
        wait,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_half_open_is_found_out() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let proxy = Proxy::to(nats.port).await;
    let daemon = Daemon::serve(&config(&proxy.url(), &target));
    daemon.ready().await;
    // Runs begin when what was stored has been read.
    wait::until("a run", async || (target.hits("/") > 0).then_some(())).await;
    proxy.swallow();
    let away = async || {
        let (code, body) = daemon.readyz().await;
        (code == 503 && body["nats"] == "away").then_some(())
    };
    // Two pings, of 10 s each, stay without an answer.
    wait::within(Duration::from_secs(60), "it is noticed", away).await;
    let hits = target.hits("/");
    wait::until("runs go on", async || {
        (target.hits("/") > hits + 5).then_some(())
    })
    .await;
    proxy.mend();
    daemon.ready().await;
    assert_eq!(daemon.complaints().len(), 1, "{:#?}", daemon.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_max_payload_is_told_with_what_helps_and_reports_go_on_in_pieces() {
    const CONFIG: &str = "max_payload: 1MB\njetstream { store_dir: \"%STORE%\" }";
    let home = tempfile::tempdir().unwrap();
    let usual = CONFIG.replace("%STORE%", &home.path().display().to_string());
    let mut nats = Nats::configured(&usual).await;
    let target = Target::start().await;
    let long = format!("{{\"status\":\"UP\",\"pad\":\"{}\"}}", "x".repeat(8000));
    target.set("/", Answer::json(&long));
    let daemon = Daemon::serve(&config(&nats.url(), &target));
    daemon.ready().await;
    nats.reload(&usual.replace("1MB", "2KB"));
    daemon
        .says("lost NATS; checks go on, the newest results are kept")
        .await;
    // The server's reason does not always get through before it closes.
    for line in daemon.complaints() {
        let of_payload =
            !line.contains("Maximum Payload") || line.contains("raise the server's `max_payload`");
        assert!(of_payload, "{line}");
    }
    let js = nats.jetstream().await;
    let since = chrono::Utc::now();
    let whole = wait::until("a report of now", async || {
        let report = nats.object(&js, &target.url("/")).await?;
        let report: Value = serde_json::from_slice(&report).unwrap();
        let at = chrono::DateTime::parse_from_rfc3339(report["checked_at"].as_str()?).ok()?;
        (at.to_utc() > since).then_some(report)
    })
    .await;
    assert_eq!(whole["response"]["body"]["status"], "UP");
}
