//! The main path: a real target is polled, judged, and lands in a real NATS.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    target::{Answer, Target},
    wait,
};

fn time(value: &Value) -> chrono::DateTime<chrono::Utc> {
    let text = value.as_str().expect("a time is a string");
    assert!(
        text.ends_with('Z') && text.len() == 24,
        "RFC 3339, UTC, milliseconds: {text}"
    );
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_and_a_summary_of_every_check_land_in_nats() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    // Order, spacing and a number beyond a float's precision must survive.
    let document = r#"{"z": 1, "status":"UP", "n": 12345678901234567890.10}"#;
    target.set("/up", Answer::json(document));
    target.set("/down", Answer::json("{}").status(503));
    let (up, down) = (target.url("/up"), target.url("/down?q=1"));
    let daemon = Daemon::serve(&format!(
        r#"
        [nats]
        url = "{}"
        [defaults]
        interval = "500ms"
        timeout = "400ms"
        [[check]]
        name = "up"
        url = "{up}"
        expect = ['body.status == "UP"']
        [[check]]
        name = "down"
        url = "{down}"
        "#,
        nats.url()
    ));
    daemon.ready().await;
    let js = nats.jetstream().await;
    let report = wait::until("the report of `up`", async || nats.object(&js, &up).await).await;
    let text = String::from_utf8(report).unwrap();
    assert!(
        text.contains(document),
        "the target's JSON, byte for byte: {text}"
    );

    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["v"], 1);
    assert_eq!(report["check"], "up");
    assert_eq!(report["url"], up.as_str());
    assert_eq!(report["status"], "up");
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["http_status"], 200);
    assert_eq!(report["interval_ms"], 500);
    assert_eq!(report["trigger"], "schedule");
    assert_eq!(report["expectations"][0]["met"], true);
    assert_eq!(report["response"]["content_type"], "application/json");
    let age = chrono::Utc::now() - time(&report["checked_at"]);
    assert!(age < chrono::TimeDelta::seconds(30), "{age}");
    // checked_at + 2 × interval + timeout
    let lasts = time(&report["expires_at"]) - time(&report["checked_at"]);
    assert_eq!(lasts, chrono::TimeDelta::milliseconds(1400));

    let summary = wait::until("the summary of `down`", async || {
        nats.summary(&js, "down").await
    })
    .await;
    assert_eq!(summary["status"], "down");
    assert_eq!(summary["http_status"], 503);
    let report = nats
        .object(&js, &down)
        .await
        .expect("a report beside the summary");
    let report: Value = serde_json::from_slice(&report).unwrap();
    for (key, value) in summary.as_object().unwrap() {
        // A newer run may have come between the two looks.
        if matches!(
            key.as_str(),
            "check" | "url" | "status" | "verdict" | "message" | "since"
        ) {
            assert_eq!(&report[key], value, "{key}");
        }
    }
    // What is polled goes on being polled, at its interval.
    let before = target.hits("/up");
    wait::until("more runs", async || {
        (target.hits("/up") >= before + 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_buckets_survive_a_restart_of_the_server() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let url = target.url("/");
    let mut daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{url}\"\ninterval = \"500ms\"\ntimeout = \"400ms\"",
        nats.url()
    ));
    let js = nats.jetstream().await;
    wait::until("a summary", async || nats.summary(&js, "api").await).await;
    assert!(daemon.stop().await.success());
    let (object, summary) = (nats.object(&js, &url).await, nats.summary(&js, "api").await);
    assert!(object.is_some() && summary.is_some());
    nats.kill();
    nats.start_again().await;
    let js = nats.jetstream().await;
    assert_eq!(nats.object(&js, &url).await, object);
    assert_eq!(nats.summary(&js, "api").await, summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kv_lifetime_is_set_by_the_environment_and_file_storage_is_used() {
    let nats = Nats::start().await;
    let daemon = Daemon::serve_with(
        &format!("[nats]\nurl = \"{}\"", nats.url()),
        &[],
        &[("SUPERCHECK_NATS_KV_TTL_SECS", "7200")],
    );
    daemon.ready().await;
    let js = nats.jetstream().await;
    for (stream, seconds) in [("KV_supercheck_kv", 7200), ("OBJ_supercheck", 30)] {
        let config = js
            .get_stream(stream)
            .await
            .unwrap()
            .cached_info()
            .config
            .clone();
        assert_eq!(config.max_age, Duration::from_secs(seconds), "{stream}");
        assert_eq!(
            config.storage,
            async_nats::jetstream::stream::StorageType::File
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_checked_or_has_expired_is_absent() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let url = target.url("/");
    // The report lives for a second; the next run is a minute away.
    let daemon = Daemon::serve_with(
        &format!(
            "[nats]\nurl = \"{}\"\n[store]\nobject_ttl = \"1s\"\n[[check]]\nname = \"api\"\nurl = \"{url}\"\ninterval = \"1m\"",
            nats.url()
        ),
        &["--fast-start"],
        &[],
    );
    let js = nats.jetstream().await;
    wait::until("a report", async || nats.object(&js, &url).await).await;
    wait::until("its expiry", async || {
        nats.object(&js, &url).await.is_none().then_some(())
    })
    .await;
    for name in ["api", &url, "http://nobody.example/"] {
        let (code, out, err) = run(&mut daemon.command(&["report", name]));
        assert_eq!((code, out.as_str()), (3, ""), "{name}: {err}");
        assert!(
            err.contains(name) && err.lines().count() <= 2,
            "one clear line: {err}"
        );
    }
    // The summary is the last thing known.
    let (code, out, _) = run(&mut daemon.command(&["status", "api"]));
    assert_eq!(code, 0);
    assert!(out.contains("up"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_neither_forgets_an_outage_nor_moves_its_beginning() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/", Answer::json("{}").status(500));
    let mut daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"500ms\"\ntimeout = \"400ms\"\nfail_after = 3",
        nats.url(),
        target.url("/")
    ));
    let js = nats.jetstream().await;
    let down = async || {
        let summary = nats.summary(&js, "api").await?;
        (summary["status"] == "down").then_some(summary)
    };
    let before = wait::until("`down` after three runs", down).await;
    daemon.crash_and_start_again();
    let after = wait::until("a summary by the second daemon", async || {
        let summary = nats.summary(&js, "api").await?;
        (summary["instance"] != before["instance"]).then_some(summary)
    })
    .await;
    assert_eq!(after["status"], "down");
    assert_eq!(after["since"], before["since"]);
    assert!(
        after["consecutive"].as_u64() > before["consecutive"].as_u64(),
        "{after}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_values_under_our_names_are_no_crash() {
    let nats = Nats::start().await;
    let daemon = Daemon::serve(&format!("[nats]\nurl = \"{}\"", nats.url()));
    daemon.ready().await;
    let js = nats.jetstream().await;
    let kv = js.get_key_value("supercheck_kv").await.unwrap();
    kv.put("theirs", "not ours".into()).await.unwrap();
    let objects = js.get_object_store("supercheck").await.unwrap();
    objects
        .put("http://theirs.example/", &mut &b"anything"[..])
        .await
        .unwrap();
    // Three chunks.
    let long = "long".repeat(80_000);
    objects
        .put("http://long.example/", &mut long.as_bytes())
        .await
        .unwrap();
    let (code, out, _) = run(&mut daemon.command(&["report", "http://long.example/"]));
    assert!(code == 0 && out == long, "{code}, {} bytes", out.len());
    let (code, out, _) = run(&mut daemon.command(&["report", "http://theirs.example/"]));
    assert_eq!((code, out.as_str()), (0, "anything"));
    let (code, out, _) = run(&mut daemon.command(&["status"]));
    assert_eq!(code, 3);
    assert!(
        out.contains("theirs") && out.contains("no summary"),
        "{out}"
    );
    let (_, out, _) = run(&mut daemon.command(&["status", "--json"]));
    let row: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(
        row,
        json!({"check": "theirs", "status": "unknown", "freshness": "absent"})
    );
}
