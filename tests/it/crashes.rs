//! A daemon that dies right after each step of a request: the next one goes on
//! from what is recorded, and the request has one result.

use std::time::Duration;

use async_nats::HeaderMap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::process::Signal;
use serde_json::Value;
use supercheck::trial;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    target::{Answer, Target},
    wait,
};

/// After these the record is there, so that no second probe is made.
const AFTER_THE_RECORD: [&str; 3] = ["recorded", "stored", "told"];

fn config(nats: &Nats, target: &Target, interval: &str) -> String {
    format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"{interval}\"",
        nats.url(),
        target.url("/")
    )
}

/// What `check` comes to under `id`, if it is answered now.
async fn ask(client: &async_nats::Client, id: &str, timeout: Duration) -> Option<Value> {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    let request = async_nats::Request::new()
        .payload("api".into())
        .headers(headers)
        .timeout(Some(timeout));
    let answer = client
        .send_request("supercheck.check", request)
        .await
        .ok()?;
    let headers = answer.headers.unwrap_or_default();
    let refused = headers.get("Nats-Service-Error-Code").is_some();
    (!refused).then(|| serde_json::from_slice(&answer.payload).unwrap())
}

async fn crash_at(step: &str) {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let config = config(&nats, &target, "1h");
    let mut dying = Daemon::serve_with(&config, &[], &[(trial::CRASH_AT, step)]);
    dying.ready().await;
    let client = nats.client().await;
    let listens = async || client.request("supercheck.list", "".into()).await.ok();
    wait::until("the service listens", listens).await;
    let id = format!("dies-{step}");
    // Nobody is there to answer, unless the answer left before the end.
    let early = ask(&client, &id, Duration::from_secs(3)).await;
    assert!(!dying.ended().await.success(), "{step}: it has died");

    let daemon = Daemon::serve(&config);
    daemon.ready().await;
    wait::until("the service listens", listens).await;
    // What the dead one held comes again when the server has waited for it.
    let first = wait::within(Duration::from_secs(60), "the answer", async || {
        ask(&client, &id, Duration::from_secs(5)).await
    })
    .await;
    if let Some(early) = early {
        assert_eq!(early["run"], first["run"], "{step}");
    }
    let again = ask(&client, &id, Duration::from_secs(5)).await.unwrap();
    assert_eq!(again, first, "{step}");

    let js = nats.jetstream().await;
    let mut queue = js.get_stream("SUPERCHECK_REQUESTS").await.unwrap();
    wait::within(Duration::from_secs(60), "the queue is empty", async || {
        (queue.info().await.ok()?.state.messages == 0).then_some(())
    })
    .await;
    // What was recorded is also stored, by the next daemon if need be.
    let summary = nats.summary(&js, "api").await.expect("a summary");
    assert!(
        summary["checked_at"].as_str() >= first["checked_at"].as_str(),
        "{step}"
    );
    let hits = target.hits("/");
    let most = if AFTER_THE_RECORD.contains(&step) {
        1
    } else {
        2
    };
    assert!((1..=most).contains(&hits), "{step}: {hits} probes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_step_leaves_one_result() {
    futures_util::future::join_all(trial::STEPS.map(crash_at)).await;
}

/// What is recorded under `id`.
async fn recorded(nats: &Nats, id: &str) -> Option<Value> {
    let ledger = nats.jetstream().await;
    let ledger = ledger.get_key_value("supercheck_requests").await.ok()?;
    let key = format!("id.{}", URL_SAFE_NO_PAD.encode(id));
    Some(serde_json::from_slice(&ledger.get(key).await.ok()??).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_kills_its_workers_is_refused_and_takes_no_other_along() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let config = config(&nats, &target, "365d");
    let deadly = [
        (trial::CRASH_AT, "delivered poison"),
        (trial::ACK_WAIT, "1000"),
    ];
    let mut daemon = Daemon::serve_with(&config, &[], &deadly);
    let js = nats.jetstream().await;
    wait::until("the queue", async || {
        js.get_stream("SUPERCHECK_REQUESTS").await.ok()
    })
    .await;
    let others = ["one", "two", "three", "four"];
    for id in ["poison"].iter().chain(&others) {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", *id);
        let accepted = js
            .publish_with_headers("supercheck.requests.api", headers, "".into())
            .await
            .unwrap();
        accepted.await.unwrap();
    }
    let mut crashes = 0;
    let refused = wait::within(Duration::from_secs(90), "the refusal", async || {
        if daemon.has_ended() {
            crashes += 1;
            daemon.crash_and_start_again();
        }
        recorded(&nats, "poison").await
    })
    .await;
    assert_eq!(refused["refused"]["code"], 500, "{refused}");
    assert_eq!(crashes, 10);
    for id in others {
        let record = wait::until(id, async || recorded(&nats, id).await).await;
        assert!(record["run"].is_string(), "{id}: {record}");
    }
    let client = nats.client().await;
    let after = ask(&client, "after", Duration::from_secs(5)).await;
    assert_eq!(after.expect("the next one is answered")["check"], "api");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_defect_in_a_task_is_told_with_its_name_and_ends_the_daemon_with_an_error() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let config = config(&nats, &target, "365d");
    let impatient = (trial::ACK_WAIT, "1000");
    let defect = [(trial::PANIC_AT, "recorded"), impatient];
    let mut daemon = Daemon::serve_with(&config, &[], &defect);
    daemon.ready().await;
    let client = nats.client().await;
    let listens = async || client.request("supercheck.list", "".into()).await.ok();
    wait::until("the service listens", listens).await;
    let early = ask(&client, "meets a defect", Duration::from_secs(3)).await;
    // `EX_SOFTWARE`, for which systemd starts it again.
    assert_eq!(daemon.ended().await.code(), Some(70));
    let told = daemon
        .says("a task panicked; this is a bug in supercheck")
        .await;
    assert_eq!(told["task"], "request", "{told}");

    let next = Daemon::serve_with(&config, &[], &[impatient]);
    next.ready().await;
    let answer = wait::until("the answer", async || {
        ask(&client, "meets a defect", Duration::from_secs(5)).await
    })
    .await;
    // The asker may have found the record while the daemon ended.
    assert!(early.is_none_or(|early| early["run"] == answer["run"]));
    assert_eq!(target.hits("/"), 1, "the run was recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_stopped_and_goes_on_does_not_call_its_target_down() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/", Answer::json("{}").after(Duration::from_millis(200)));
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"365d\"\ntimeout = \"1s\"",
        nats.url(),
        target.url("/")
    ));
    let client = nats.client().await;
    wait::until("the service listens", async || {
        client.request("supercheck.list", "".into()).await.ok()
    })
    .await;
    let (report, ()) = tokio::join!(ask(&client, "slept", Duration::from_secs(20)), async {
        wait::until("a probe", async || (target.hits("/") > 0).then_some(())).await;
        daemon.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        daemon.signal(Signal::CONT);
    });
    assert_eq!(report.unwrap()["verdict"], "pass");
}
