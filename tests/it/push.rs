//! Push checks: a job reports by itself, and its silence is a failure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    scene::read,
    wait,
};

fn config(nats: &Nats, more: &str) -> String {
    format!(
        "[nats]\nurl = \"{}\"\n{more}\n[[check]]\nname = \"backup\"\npush = true\ninterval = \"2s\"\ngrace = \"500ms\"",
        nats.url()
    )
}

/// What the daemon answers to a report, and the code if it refuses.
async fn push(client: &async_nats::Client, check: &str, body: &str) -> (Option<String>, Value) {
    let subject = format!("supercheck.push.{check}");
    let answer = wait::until("an answer", async || {
        let body = body.to_owned().into();
        client.request(subject.clone(), body).await.ok()
    })
    .await;
    let headers = answer.headers.unwrap_or_default();
    let code = headers.get("Nats-Service-Error-Code");
    let body = serde_json::from_slice(&answer.payload).unwrap();
    (code.map(|code| code.as_str().to_owned()), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_by_a_word_or_a_document() {
    let nats = Nats::start().await;
    let client = nats.client().await;
    let daemon = Daemon::serve(&config(&nats, ""));
    daemon.ready().await;
    let (code, left) = push(&client, "backup", "").await;
    assert_eq!(code, None, "{left}");
    assert_eq!(
        (&left["status"], &left["trigger"]),
        (&json!("up"), &json!("push"))
    );
    assert_eq!(
        (&left["url"], &left["http_status"]),
        (&json!("push:backup"), &Value::Null)
    );
    assert_eq!(
        (&left["message"], &left["reported_at"]),
        (&json!("reported"), &left["checked_at"])
    );
    // The answer came after it was stored.
    let js = nats.jetstream().await;
    assert_eq!(
        nats.summary(&js, "backup").await.unwrap()["run"],
        left["run"]
    );
    let report: Value = serde_json::from_slice(&nats.object(&js, "backup").await.unwrap()).unwrap();
    assert_eq!(report["run"], left["run"]);

    for (body, status, message) in [
        (
            r#"{"status": "warn", "message": "3 files left out"}"#,
            "degraded",
            "3 files left out",
        ),
        (
            r#"{"status":"UP","components":{"disk":{"status":"UP"}}}"#,
            "up",
            "reported",
        ),
        (
            r#"{"status":"UP","components":{"disk":{"status":"DOWN"}}}"#,
            "up",
            "reported",
        ),
        (
            r#"{"status": "fail", "message": "disk full"}"#,
            "down",
            "disk full",
        ),
        (r#"{"status": "pass"}"#, "up", "reported"),
    ] {
        let (code, left) = push(&client, "backup", body).await;
        assert_eq!(
            (code, &left["status"]),
            (None, &json!(status)),
            "{body}: {left}"
        );
        assert_eq!(left["message"], message, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_over_http_as_through_nats() {
    let nats = Nats::start().await;
    let config = config(
        &nats,
        "[[check]]\nname = \"api\"\nurl = \"http://127.0.0.1:1/\"",
    );
    let daemon = Daemon::serve(&format!("{config}\nmax_body = \"4KiB\""));
    daemon.ready().await;
    let http = daemon.http().await;
    let client = reqwest::Client::new();
    let report = |check: &str, body: &str| {
        let url = format!("{http}/api/v1/checks/{check}/push");
        read(client.post(url).body(body.to_owned()))
    };
    let (status, headers, left) = report("backup", "").await;
    assert_eq!((status, &left["status"]), (200, &json!("up")), "{left}");
    assert_eq!(headers["cache-control"], "no-store");
    // The answer came after it was stored; nobody asked over HTTP.
    let js = nats.jetstream().await;
    let stored: Value = serde_json::from_slice(&nats.object(&js, "backup").await.unwrap()).unwrap();
    assert_eq!(stored["run"], left["run"]);
    assert_eq!(
        (
            &stored["response"]["status"],
            &stored["response"]["version"]
        ),
        (&Value::Null, &json!("push")),
        "{stored}"
    );
    let body = r#"{"status": "warn", "message": "3 files left out"}"#;
    let (_, _, left) = report("backup", body).await;
    assert_eq!(left["message"], "3 files left out");
    for (check, body, wanted) in [
        ("bakcup", "", 404),
        ("api", "", 409),
        ("backup", r#"{"status": "kaput"}"#, 400),
        ("backup", &"x".repeat(5000), 413),
        ("api", &"x".repeat(5000), 413),
    ] {
        let (status, headers, problem) = report(check, body).await;
        assert_eq!(status, wanted, "{check}: {problem}");
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(!problem["hint"].as_str().unwrap().is_empty(), "{problem}");
    }
    let url = format!("{http}/api/v1/checks/backup/push");
    let foreign = client.post(&url).header("origin", "https://evil.example");
    assert_eq!(read(foreign).await.0, 403);
    assert_eq!(read(client.get(&url)).await.0, 405);
    assert_eq!(read(client.post(format!("{url}?status=fail"))).await.0, 400);
    let (_, _, now) = read(client.get(format!("{http}/api/v1/checks/backup"))).await;
    assert_eq!(now["status"], "degraded", "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_failure_until_the_job_reports_again() {
    let nats = Nats::start().await;
    let client = nats.client().await;
    let daemon = Daemon::serve(&config(&nats, ""));
    daemon.ready().await;
    push(&client, "backup", "").await;
    let silent = nats
        .summary_that("backup", "a silence", |summary| summary["status"] == "down")
        .await;
    let message = silent["message"].as_str().unwrap();
    assert!(
        message.contains("no report for 2s, expected every 2s"),
        "{message}"
    );
    assert_eq!(
        (&silent["trigger"], &silent["verdict"]),
        (&json!("schedule"), &json!("fail"))
    );
    let again = nats
        .summary_that("backup", "told again", |summary| {
            summary["consecutive"] == 2
        })
        .await;
    assert_eq!(
        (&again["since"], &again["reported_at"]),
        (&silent["since"], &silent["reported_at"])
    );
    let (code, out, _) = run(&mut daemon.command(&["report", "backup", "--last-failure"]));
    assert_eq!(code, 0);
    assert!(out.contains("no report for"), "{out}");
    push(&client, "backup", "").await;
    nats.announced(&["unknown>up", "up>down", "down>up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_report_is_refused_with_a_hint() {
    let nats = Nats::start().await;
    let client = nats.client().await;
    let daemon = Daemon::serve(&config(
        &nats,
        "[[check]]\nname = \"api\"\nurl = \"http://127.0.0.1:1/\"",
    ));
    daemon.ready().await;
    for (check, body, wanted) in [
        ("bakcup", "", "404"),
        ("api", "", "409"),
        ("backup", r#"{"status": "kaput"}"#, "400"),
        ("backup", "all well that ends well", "400"),
        ("backup", "{", "400"),
    ] {
        let (code, answer) = push(&client, check, body).await;
        assert_eq!(code.as_deref(), Some(wanted), "{check} {body}: {answer}");
        assert!(!answer["hint"].as_str().unwrap().is_empty(), "{answer}");
    }
    // Nobody asks the job: on demand it is refused, by either way.
    let (code, _, err) = run(&mut daemon.command(&["request", "backup"]));
    assert_eq!(code, 64, "{err}");
    assert!(
        err.contains("reports by itself") && err.contains("supercheck.push.backup"),
        "{err}"
    );
    let (code, _, err) = run(&mut daemon.command(&["check", "backup"]));
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("reports by itself"), "{err}");
    let js = nats.jetstream().await;
    js.publish("supercheck.requests.backup", "".into())
        .await
        .unwrap()
        .await
        .unwrap();
    wait::until("the refusal", async || {
        let stream = js.get_stream("SUPERCHECK_EVENTS").await.ok()?;
        let subject = "supercheck.events._requests";
        let last = stream.get_last_raw_message_by_subject(subject).await.ok()?;
        let event: Value = serde_json::from_slice(&last.payload).unwrap();
        (event["refused"]["code"] == 409).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_nobody_could_hear_is_not_missed_as_a_silence() {
    let mut nats = Nats::start().await;
    let client = nats.client().await;
    let mut daemon = Daemon::serve(&config(&nats, ""));
    daemon.ready().await;
    push(&client, "backup", "").await;
    // Deaf for longer than a silence may be: first the daemon, then NATS.
    daemon.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    daemon.crash_and_start_again();
    daemon.ready().await;
    let (_, left) = push(&client, "backup", "").await;
    assert_eq!(left["status"], "up");
    nats.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    nats.start_again().await;
    daemon.ready().await;
    let (_, left) = push(&client, "backup", "").await;
    assert_eq!(left["status"], "up");
    nats.announced(&["unknown>up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_hear_for_each_other() {
    for mode in ["local", "shared"] {
        let nats = Nats::start().await;
        let client = nats.client().await;
        let config = config(&nats, &format!("[scheduler]\nmode = \"{mode}\""));
        let daemons = [Daemon::serve(&config), Daemon::serve(&config)];
        for daemon in &daemons {
            daemon.ready().await;
        }
        // Each report is heard by one of them; for none it is a silence.
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_secs(6) {
            let (_, left) = push(&client, "backup", "").await;
            assert_eq!(left["status"], "up", "{mode}: {left}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        nats.summary_that("backup", "a silence", |summary| summary["status"] == "down")
            .await;
        nats.announced(&["unknown>up", "up>down"]).await;
    }
}
