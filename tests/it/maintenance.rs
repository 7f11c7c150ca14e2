//! Maintenance: by a window of the configuration, and by a flag.

use serde_json::{Value, json};

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    target::{Answer, Target},
    wait,
};

fn config(nats: &Nats, target: &Target, more: &str) -> String {
    format!(
        r#"
        [nats]
        url = "{}"
        [defaults]
        interval = "200ms"
        timeout = "150ms"
        [[check]]
        name = "api"
        url = "{}"
        [[check]]
        name = "web"
        url = "{}"
        group = "shop"
        {more}
        "#,
        nats.url(),
        target.url("/api"),
        target.url("/web"),
    )
}

/// The last change of `check` that was announced, once it is to `to`.
async fn change(nats: &Nats, check: &str, to: &str) -> Value {
    let js = nats.jetstream().await;
    wait::until("the change is announced", async || {
        let stream = js.get_stream("SUPERCHECK_EVENTS").await.ok()?;
        let subject = format!("supercheck.events.{check}");
        let last = stream
            .get_last_raw_message_by_subject(&subject)
            .await
            .ok()?;
        let change: Value = serde_json::from_slice(&last.payload).unwrap();
        (change["to"] == to).then_some(change)
    })
    .await
}

/// What the daemon answers, and the code if it refuses.
async fn order(nats: &Nats, check: &str, body: &str) -> (Option<String>, Value) {
    let client = nats.client().await;
    let answer = client
        .request(
            format!("supercheck.maintenance.{check}"),
            body.to_owned().into(),
        )
        .await
        .unwrap();
    let headers = answer.headers.unwrap_or_default();
    let code = headers.get("Nats-Service-Error-Code");
    let body = serde_json::from_slice(&answer.payload).unwrap();
    (code.map(|code| code.as_str().to_owned()), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_marks_runs_and_changes_outlives_a_crash_and_is_cleared() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let mut daemon = Daemon::serve(&config(&nats, &target, ""));
    let up = nats
        .summary_that("api", "up", |summary| summary["status"] == "up")
        .await;
    assert!(up.get("maintenance").is_none() && up.get("maintenance_reason").is_none());

    let (code, _, err) =
        run(&mut daemon.command(&["maintenance", "api", "--for", "2h", "--reason", "new disks"]));
    assert_eq!(code, 0, "{err}");
    nats.summary_that("api", "marked", |summary| summary["maintenance"] == true)
        .await;
    target.set("/api", Answer::json("{}").status(500));
    let down = change(&nats, "api", "down").await;
    assert_eq!(
        (&down["maintenance"], &down["maintenance_reason"]),
        (&json!(true), &json!("new disks"))
    );
    let (_, out, _) = run(&mut daemon.command(&["status", "api"]));
    assert!(out.contains("new disks"), "{out}");
    let web = nats.summary_that("web", "the other", |_| true).await;
    assert!(web.get("maintenance").is_none(), "{web}");

    daemon.crash_and_start_again();
    nats.summary_that("api", "marked by the next daemon", |summary| {
        summary["instance"] != up["instance"] && summary["maintenance_reason"] == "new disks"
    })
    .await;
    let (code, answer) = order(&nats, "api", "").await;
    assert_eq!(
        (code, answer),
        (None, json!({"check": "api", "maintenance": false}))
    );
    nats.summary_that("api", "unmarked", |summary| {
        summary["status"] == "down" && summary.get("maintenance").is_none()
    })
    .await;
    target.set("/api", Answer::json("{}"));
    assert!(
        change(&nats, "api", "up")
            .await
            .get("maintenance")
            .is_none()
    );

    // A flag ends by itself.
    let (code, answer) = order(&nats, "api", r#"{"for": "1s"}"#).await;
    assert_eq!((code, &answer["maintenance"]), (None, &json!(true)));
    nats.summary_that("api", "marked", |summary| summary["maintenance"] == true)
        .await;
    nats.summary_that("api", "unmarked", |summary| {
        summary.get("maintenance").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_sees_a_flag() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let config = config(&nats, &target, "");
    let daemons = [Daemon::serve(&config), Daemon::serve(&config)];
    for daemon in &daemons {
        daemon.ready().await;
    }
    let both = async |marked: bool| {
        let mut seen = std::collections::BTreeSet::new();
        let js = nats.jetstream().await;
        wait::until("both instances mark it", async || {
            let summary = nats.summary(&js, "api").await?;
            if (summary["maintenance"] == true) == marked {
                seen.insert(summary["instance"].to_string());
            }
            (seen.len() == 2).then_some(())
        })
        .await;
    };
    both(false).await;
    order(&nats, "api", r#"{"for": "1h", "reason": "x"}"#).await;
    both(true).await;
    order(&nats, "api", r#"{"clear": true}"#).await;
    both(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_is_refused_with_a_hint() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats, &target, ""));
    nats.summary_that("api", "a summary", |_| true).await;
    for (check, body, wanted) in [
        ("apo", r#"{"for": "2h"}"#, "404"),
        ("api", "for two hours", "400"),
        ("api", r#"{"for": "1year"}"#, "400"),
    ] {
        let (code, answer) = order(&nats, check, body).await;
        assert_eq!(code.as_deref(), Some(wanted), "{answer}");
        assert!(!answer["hint"].as_str().unwrap().is_empty(), "{answer}");
    }
    let (code, _, err) = run(&mut daemon.command(&["maintenance", "apo", "--for", "1h"]));
    assert_eq!(code, 64);
    assert!(err.contains("`api`"), "{err}");
    let (code, _, _) = run(&mut daemon.command(&["maintenance", "api"]));
    assert_eq!(code, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_marks_the_checks_that_it_is_for_and_follows_a_reload() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let year = "from = \"2020-01-01T00:00:00Z\"\nuntil = \"2120-01-01T00:00:00Z\"";
    let window =
        |name: &str| format!("[[maintenance]]\nname = \"{name}\"\ngroups = [\"shop\"]\n{year}");
    let daemon = Daemon::serve(&config(&nats, &target, &window("moving house")));
    let web = nats.summary_that("web", "a summary", |_| true).await;
    assert_eq!(web["maintenance_reason"], "moving house");
    let api = nats.summary_that("api", "a summary", |_| true).await;
    assert!(api.get("maintenance").is_none(), "{api}");

    std::fs::write(
        daemon.config(),
        config(&nats, &target, &window("settling in")),
    )
    .unwrap();
    daemon.signal(rustix::process::Signal::HUP);
    nats.summary_that("web", "the new window", |web| {
        web["maintenance_reason"] == "settling in"
    })
    .await;
    std::fs::write(daemon.config(), config(&nats, &target, "")).unwrap();
    daemon.signal(rustix::process::Signal::HUP);
    nats.summary_that("web", "no window", |web| web.get("maintenance").is_none())
        .await;
}
