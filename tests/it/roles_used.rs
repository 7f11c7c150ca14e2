//! The roles of `deploy/nats` in use: by clients in other languages, by a
//! daemon that answers after a reconnect, and by one that finds what a crash of
//! the oldest server left behind.

use std::{fs, path::Path, time::Duration};

use async_nats::HeaderMap;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value;

use crate::support::{
    clients::Client,
    daemon::Daemon,
    nats::Nats,
    roles,
    target::{Answer, Target},
    tools, wait,
};

const PASSWORD: &str = "d";

/// A server of that version whose users have the roles, if it could be had.
async fn server(version: &str, store: &Path) -> Option<Nats> {
    let account = roles::account("jetstream: enabled", &["daemon".to_owned()], PASSWORD);
    let config = format!("jetstream {{ store_dir: {store:?}, %LIMITS% }}\n{account}");
    Nats::release(version, &config).await
}

fn daemon(nats: &Nats, target: &Target, interval: &str) -> Daemon {
    Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\nuser = \"daemon\"\npassword = \"{PASSWORD}\"\ninbox_prefix = \"_INBOX_supercheck\"\n\
         [[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"{interval}\"\ntimeout = \"5s\"",
        nats.url(),
        target.url("/")
    ))
}

/// Nobody was refused anything.
fn was_enough(nats: Nats, daemon: &Daemon) {
    let refusals = roles::refusals(&[nats], &[]);
    assert_eq!(refusals, Vec::<String>::new());
    let complaints = daemon.complaints();
    let violations = complaints.iter().filter(|line| line.contains("Violation"));
    assert_eq!(violations.collect::<Vec<_>>(), Vec::<&String>::new());
}

async fn every_client_on(version: &str) {
    let store = tempfile::tempdir().unwrap();
    let Some(nats) = server(version, store.path()).await else {
        return;
    };
    let target = Target::start().await;
    let daemon = daemon(&nats, &target, "6s");
    nats.summary_that("api", "a summary", |_| true).await;
    let [reader, requester] = ["reader", "requester"].map(|role| roles::url(&nats, role));
    for client in Client::had() {
        eprintln!("nats-server {version}, {client:?}");
        let summary = client.call(&reader, &["get-kv", "api"]).await;
        assert!(summary.as_str().unwrap().contains("\"up\""), "{summary}");
        let report = client
            .call(&reader, &["get-object", &target.url("/")])
            .await;
        assert!(report.as_str().unwrap().contains("\"up\""), "{report}");
        let got = client.call(&reader, &["request", "supercheck.get", "api"]);
        assert_eq!(got.await["code"], Value::Null);

        let id = format!("{client:?}");
        let asked = ["request", "supercheck.check", "api", &id];
        assert_eq!(client.call(&requester, &asked).await["code"], Value::Null);
        let put = ["publish", "supercheck.requests.api", "", &id];
        let put = client.call(&requester, &put).await;
        assert_eq!(put["stream"], "SUPERCHECK_REQUESTS");
    }
    was_enough(nats, &daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_in_use_reads_and_requests_by_its_role() {
    futures_util::future::join_all(tools::VERSIONS.map(every_client_on)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_before_a_restart_of_nats_is_answered_after_it() {
    let store = tempfile::tempdir().unwrap();
    let mut nats = server(tools::VERSIONS[0], store.path())
        .await
        .expect("run tests/run");
    let target = Target::start().await;
    target.set("/", Answer::json("{}").after(Duration::from_secs(3)));
    let daemon = daemon(&nats, &target, "365d");
    let client = roles::requester(&nats).await;
    wait::until("the service listens", async || {
        client.request("supercheck.get", "api".into()).await.ok()
    })
    .await;
    let request = async_nats::Request::new().payload("api".into());
    let request = request.timeout(Some(wait::LONG));
    let (answer, ()) = tokio::join!(client.send_request("supercheck.check", request), async {
        wait::until("a probe", async || (target.hits("/") > 0).then_some(())).await;
        nats.kill();
        nats.start_again().await;
    });
    let answer = answer.unwrap();
    assert!(answer.headers.is_none(), "{answer:?}");
    assert_eq!(target.hits("/"), 1);
    was_enough(nats, &daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_ask_cannot_have_an_answer_written_where_it_may_not_write() {
    let store = tempfile::tempdir().unwrap();
    let nats = server(tools::VERSIONS[0], store.path())
        .await
        .expect("run tests/run");
    let target = Target::start().await;
    let _daemon = daemon(&nats, &target, "365d");
    let client = roles::requester(&nats).await;
    wait::until("a report", async || {
        let answer = client
            .request("supercheck.check", "api".into())
            .await
            .ok()?;
        answer.headers.is_none().then_some(())
    })
    .await;
    let js = nats.jetstream().await;
    let summary = nats.summary(&js, "api").await.unwrap();
    let (key, planted) = ("$KV.supercheck_kv.api", "supercheck.events.planted");
    let operator = nats.client().await;
    let mut heard = operator.subscribe(planted).await.unwrap();
    let mut stored = operator.subscribe(key).await.unwrap();
    for reply in [key, planted] {
        for asked in ["supercheck.get", "supercheck.check"] {
            client
                .publish_with_reply(asked, reply, "api".into())
                .await
                .unwrap();
        }
    }
    // Asked later, and answered.
    for asked in ["supercheck.get", "supercheck.check"] {
        let answer = client.request(asked, "api".into()).await.unwrap();
        assert!(answer.headers.is_none(), "{answer:?}");
    }
    let newest = nats.summary(&js, "api").await.unwrap();
    assert_eq!(newest["check"], summary["check"], "{newest}");
    operator.flush().await.unwrap();
    let heard = heard.next().now_or_never();
    assert!(heard.is_none(), "{heard:?}");
    // Each run left a summary, and nothing else came there.
    let mut summaries = 0;
    while let Some(Some(message)) = stored.next().now_or_never() {
        let stored: Value = serde_json::from_slice(&message.payload).unwrap();
        assert!(stored["run"].is_string(), "{stored}");
        assert!(stored["response"].is_null(), "a report: {stored}");
        summaries += 1;
    }
    assert!(summaries > 0);
}

/// How many requests are in the queue.
async fn queued(nats: &Nats) -> Option<u64> {
    let js = nats.jetstream().await;
    let queue = js.get_stream("SUPERCHECK_REQUESTS").await.ok()?;
    Some(queue.cached_info().state.messages)
}

async fn is_empty(nats: &Nats) {
    let what = "the queue is empty";
    wait::until(what, async || (queued(nats).await? == 0).then_some(())).await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_a_crash_of_the_oldest_nats_leaves_behind_are_taken_up() {
    let store = tempfile::tempdir().unwrap();
    let Some(mut nats) = server("2.9.10", store.path()).await else {
        return;
    };
    let target = Target::start().await;
    let mut daemon = daemon(&nats, &target, "365d");
    daemon.ready().await;
    wait::until("the queue", async || queued(&nats).await).await;
    daemon.kill();
    let js = nats.jetstream().await;
    for id in ["one", "two", "three"] {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let subject = "supercheck.requests.api";
        let accepted = js.publish_with_headers(subject, headers, "".into()).await;
        accepted.unwrap().await.unwrap();
    }

    // What a crash can leave: messages as they were before the consumer was
    // done with them, and the consumer as it was after.
    nats.kill();
    let messages = store
        .path()
        .join("jetstream/ROLES/streams/SUPERCHECK_REQUESTS/msgs");
    let before = tempfile::tempdir().unwrap();
    copy(&messages, before.path());
    nats.start_again().await;
    daemon.start_again();
    is_empty(&nats).await;
    let hits = target.hits("/");
    nats.stop().await;
    fs::remove_dir_all(&messages).unwrap();
    copy(before.path(), &messages);
    nats.start_again().await;
    assert_eq!(queued(&nats).await, Some(3), "they are left behind");

    daemon
        .says("requests were left in the queue by a crash of NATS; they are taken up")
        .await;
    is_empty(&nats).await;
    assert_eq!(target.hits("/"), hits, "each has the result that it had");
    was_enough(nats, &daemon);
}
