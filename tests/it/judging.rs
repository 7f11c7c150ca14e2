//! What a target says of itself lands in NATS, and a defect in judging one
//! answer touches no other.

use serde_json::{Value, json};
use supercheck::trial;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    target::{Answer, Target},
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_health_document_lands_in_the_report_and_its_parts_in_the_summary() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let document = r#"{"status":"DOWN","components":{"broker":{"status":"UP","components":{"us1":{"status":"UP"}}},"db":{"status":"DOWN","details":{"error":"refused"}}}}"#;
    target.set("/", Answer::json(document));
    let url = target.url("/");
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{url}\"\ninterval = \"500ms\"",
        nats.url()
    ));
    daemon.ready().await;
    let js = nats.jetstream().await;
    let report = wait::until("the report", async || nats.object(&js, &url).await).await;
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(
        report["document"],
        json!({"dialect": "spring-boot", "status": "fail", "components": [
            {"name": "broker/us1", "status": "pass"},
            {"name": "db", "status": "fail", "detail": "refused"},
        ]})
    );
    assert_eq!(report["http_status"], 200, "both are kept");
    let summary = nats.summary(&js, "api").await.unwrap();
    assert_eq!(
        summary["components"],
        json!({"pass": 1, "warn": 0, "fail": 1})
    );
    assert_eq!(
        summary["message"],
        "HTTP status 200, but the document says fail: `db` (refused)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_over_one_answer_is_that_runs_finding() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/bad", Answer::json(r#"{"status":"poison"}"#));
    let config = format!(
        "[nats]\nurl = \"{}\"\n[defaults]\ninterval = \"500ms\"\n\
         [[check]]\nname = \"bad\"\nurl = \"{}\"\n[[check]]\nname = \"good\"\nurl = \"{}\"",
        nats.url(),
        target.url("/bad"),
        target.url("/good")
    );
    let daemon = Daemon::serve_with(&config, &[], &[(trial::PANIC_ON, "poison")]);
    daemon.ready().await;
    let js = nats.jetstream().await;
    let is = async |name, status: &str| {
        let summary = nats.summary(&js, name).await?;
        (summary["status"] == status).then_some(summary)
    };
    let broken = wait::until("the bad one is down", async || is("bad", "down").await).await;
    assert_eq!(
        broken["message"],
        "supercheck broke while judging this answer; please report it"
    );
    assert_eq!(broken["http_status"], 200);
    let report = nats.object(&js, &target.url("/bad")).await.unwrap();
    assert!(String::from_utf8(report).unwrap().contains("poison"));
    // The daemon goes on, with this check too.
    wait::until("the good one is up", async || is("good", "up").await).await;
    target.set("/bad", Answer::json(r#"{"status":"UP"}"#));
    wait::until("the bad one is up", async || is("bad", "up").await).await;
}
