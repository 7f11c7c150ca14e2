//! Wall clocks that are wrong, or step.

use std::{fs, time::Duration};

use serde_json::Value;
use supercheck::trial;

use crate::support::{daemon::Daemon, nats::Nats, target::Target, wait};

const HOUR: i64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_not_too_old_because_the_daemons_clock_is_an_hour_ahead() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let config = format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"365d\"",
        nats.url(),
        target.url("/")
    );
    let ahead = HOUR.to_string();
    let daemon = Daemon::serve_with(&config, &[], &[(trial::CLOCK_AHEAD, &ahead)]);
    daemon.ready().await;
    let client = nats.client().await;
    wait::until("the service listens", async || {
        client.request("supercheck.list", "".into()).await.ok()
    })
    .await;
    let answer = client.request("supercheck.check", "api".into()).await;
    let report: Value = serde_json::from_slice(&answer.unwrap().payload).unwrap();
    assert_eq!(report["status"], "up", "{report}");
    assert_eq!(target.hits("/"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_the_clock_neither_bunch_nor_stop_runs_and_what_is_read_is_right_again_at_once() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let home = tempfile::tempdir().unwrap();
    let clock = home.path().join("clock");
    fs::write(&clock, "0").unwrap();
    let config = format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"",
        nats.url(),
        target.url("/")
    );
    let env = [(trial::CLOCK_AHEAD, clock.to_str().unwrap())];
    let daemon = Daemon::serve_with(&config, &[], &env);
    nats.summary_that("api", "up", |summary| summary["status"] == "up")
        .await;
    let url = daemon.http().await;
    for ahead in [HOUR, -HOUR, 0] {
        fs::write(&clock, ahead.to_string()).unwrap();
        let hits = target.hits("/");
        wait::within(Duration::from_secs(5), "runs go on", async || {
            (target.hits("/") > hits + 5).then_some(())
        })
        .await;
        let known = reqwest::get(format!("{url}/api/v1/checks/api"))
            .await
            .unwrap();
        let known: Value = serde_json::from_slice(&known.bytes().await.unwrap()).unwrap();
        assert_eq!(known["freshness"], "fresh", "{known}");
        let now = chrono::Utc::now().timestamp_millis() + ahead;
        nats.summary_that("api", "the time that the clock tells", |summary| {
            let at = summary["checked_at"].as_str().unwrap();
            let at = chrono::DateTime::parse_from_rfc3339(at).unwrap();
            (at.timestamp_millis() - now).abs() < 5000 && summary["status"] == "up"
        })
        .await;
    }
    let since = chrono::Utc::now().timestamp_millis() - 60_000;
    let given = target.given("/", since);
    let closest = given.windows(2).map(|pair| pair[1].at - pair[0].at).min();
    // On the grid of starts, 50 ms, and what a slow machine does to it.
    assert!(closest.unwrap() > 50, "two runs at once: {closest:?}");
}
