//! Each checker finds what it is for: what was read, stored or logged is made
//! wrong on purpose, and the one that is there for it says so.

use std::{
    any::Any,
    fs::{self, File},
    io::Write as _,
    panic::AssertUnwindSafe,
    process::Stdio,
    time::Duration,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::{
    decoy::Decoy,
    gauges::Gauges,
    reading,
    scene::{self, Scene},
    secrets,
    support::{
        asker::{self, Answer},
        clients::Client,
        nats::Nats,
        proof, roles, wait,
    },
    truth::now,
    watcher,
};

/// What was wrong, and what must be said of it.
fn finds<T: std::fmt::Debug>(found: Result<T, String>, what: &str) {
    let found = found.expect_err(what);
    assert!(found.contains(what), "{found}");
}

fn time(ms: i64) -> Value {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        .into()
}

fn with(read: &Value, changes: &[(&str, Value)]) -> Value {
    let mut read = read.clone();
    for (key, value) in changes {
        read[*key] = value.clone();
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn every_checker_finds_what_it_is_for() {
    let _turn = crate::TURN.lock().await;
    let mut scene = Scene::open(1).await;
    reading::all_fresh(&scene.stage.servers[0], &scene.truth)
        .await
        .unwrap();
    reads_are_judged(&scene).await;
    watchers_judge(&scene).await;
    results_are_judged(&mut scene).await;
    refusals_are_found(&scene.stage.servers).await;
    for daemon in &mut scene.stage.daemons {
        assert!(daemon.stop().await.success());
    }
    events_are_judged(&scene).await;
    silence_is_found(&scene).await;
    secrets_are_found(&scene).await;
    connections_to_the_decoy_are_found(&scene.decoy).await;
    what_is_taken_and_logged_is_judged(&scene);
}

async fn reads_are_judged(scene: &Scene) {
    let truth = &scene.truth;
    let summary = scene.stage.servers[0]
        .summary_that("steady3", "a summary", |summary| {
            summary["verdict"] == "pass"
        })
        .await;
    let now = now();
    let judge = |name: &str, report, changes: &[(&str, Value)]| {
        truth.allows(name, report, &with(&summary, changes), now, now)
    };
    judge("steady3", true, &[]).unwrap();
    let hour = 3_600_000;
    finds(
        judge("steady3", false, &[("checked_at", time(now + hour))]),
        "of the future",
    );
    finds(
        judge("steady3", false, &[("since", time(now + hour))]),
        "of the future",
    );
    finds(
        judge("steady3", false, &[("expires_at", time(now + hour))]),
        "another time",
    );
    finds(
        judge("steady3", true, &[("checked_at", time(now - 40_000))]),
        "older than",
    );
    finds(
        judge("steady3", false, &[("status", json!("down"))]),
        "it should be up",
    );
    finds(
        judge("steady3", false, &[("verdict", json!("fail"))]),
        "deserved pass",
    );
    finds(
        judge("steady3", false, &[("http_status", json!(503))]),
        "did not answer that",
    );
    finds(
        judge("steady3", false, &[("http_status", Value::Null)]),
        "nobody answered",
    );
    let gone = [
        ("http_status", Value::Null),
        ("verdict", json!("fail")),
        ("status", json!("down")),
    ];
    finds(judge("steady3", false, &gone), "did not deserve that");
    finds(judge("broken", false, &[]), "did not answer that");
    finds(judge("named1", false, &gone), "did not deserve that");
    let hanging = scene.stage.servers[0]
        .summary_that("hanging", "a summary", |summary| {
            summary["verdict"] == "fail"
        })
        .await;
    truth
        .allows("hanging", false, &hanging, now, self::now())
        .unwrap();
}

/// What is in NATS is what clients in other languages judge.
async fn watchers_judge(scene: &Scene) {
    let nats = &scene.stage.servers[0];
    let client = nats.client().await;
    let js = nats.jetstream().await;
    let bucket = js.get_object_store("supercheck").await.unwrap();
    let forged = nats.summary(&js, "broken").await.unwrap();
    let forged = with(
        &forged,
        &[("status", json!("up")), ("verdict", json!("pass"))],
    );
    let forged = forged.to_string();
    let reader = roles::url(nats, "reader");
    for (watching, report) in [(Client::NodeThree, false), (Client::Python, true)] {
        let watcher = watcher::watch(watching, &reader, &scene.truth).await;
        wait::until("a forged read is found", async || {
            if report {
                let url = scene.truth.url("broken");
                bucket
                    .put(url.as_str(), &mut forged.as_bytes())
                    .await
                    .unwrap();
            } else {
                let subject = "$KV.supercheck_kv.broken";
                client
                    .publish(subject, forged.clone().into())
                    .await
                    .unwrap();
            }
            (watcher.found() > 0).then_some(())
        })
        .await;
        let reads = watcher.end().await.unwrap();
        assert!(
            reads.wrong[0].contains("deserved fail"),
            "{:?}",
            reads.wrong
        );
    }
}

async fn results_are_judged(scene: &mut Scene) {
    let url = roles::url(&scene.stage.servers[0], "requester");
    let gap = Duration::from_millis(20);
    let wishes = proof::wishes(10, scene::ASKED, gap, &mut scene.stage.random);
    let answers = asker::ask(Client::Python, &url, &wishes).await;
    let (id, told) = answers.iter().find(|(_, told)| !told.is_empty()).unwrap();
    let mut two = answers.clone();
    let Answer::Report(report) = &told[0] else {
        panic!("{told:?}");
    };
    let other = with(report, &[("run", json!("another"))]);
    two.get_mut(id)
        .unwrap()
        .push(Answer::Report(Box::new(other)));
    judge_finds(scene, &wishes, &two, "answers to").await;

    let key = format!("$KV.supercheck_requests.id.{}", URL_SAFE_NO_PAD.encode(id));
    let js = scene.stage.servers[0].jetstream().await;
    let ledger = js.get_stream("KV_supercheck_requests").await.unwrap();
    ledger.purge().filter(key).await.unwrap();
    judge_finds(scene, &wishes, &answers, "one record for each id").await;
}

async fn judge_finds(
    scene: &mut Scene,
    wishes: &[asker::Wish],
    answers: &asker::Answers,
    what: &str,
) {
    let url = roles::url(&scene.stage.servers[0], "requester");
    let judging = proof::judge(
        Client::Node,
        &url,
        &mut scene.stage,
        &scene.truth.target,
        wishes,
        answers,
    );
    let panic = AssertUnwindSafe(judging)
        .catch_unwind()
        .await
        .expect_err(what);
    let said = |panic: &(dyn Any + Send)| panic.downcast_ref::<String>().cloned();
    let said = said(panic.as_ref()).unwrap_or_default();
    assert!(said.contains(what), "{said}");
}

/// What the roles do not allow is refused, and the servers say to whom.
async fn refusals_are_found(servers: &[Nats]) {
    assert_eq!(roles::refusals(servers, &[]), Vec::<String>::new());
    let mut told = Vec::new();
    for (client, role, subject) in [
        (Client::NodeThree, "reader", "$KV.supercheck_kv.steady0"),
        (Client::Python, "reader", "$KV.supercheck_kv.steady1"),
        (Client::Python, "requester", "$KV.supercheck_kv.steady2"),
        (Client::Node, "requester", "$KV.supercheck_kv.steady3"),
    ] {
        let mut asking = client.command(&roles::url(&servers[0], role));
        asking.args(["request", subject, ""]);
        // It may wait for an answer in vain.
        let asking = asking.stderr(Stdio::null()).spawn().unwrap();
        let what = format!("{client:?} is refused {subject}");
        let refused = wait::until(&what, async || {
            let mut found = roles::refusals(servers, &told);
            found.retain(|line| line.contains(role) && line.contains(subject));
            found.pop()
        });
        told.push(refused.await);
        drop(asking);
    }
    assert_eq!(roles::refusals(servers, &told), Vec::<String>::new());
}

async fn events_are_judged(scene: &Scene) {
    let js = scene.stage.servers[0].jetstream().await;
    scene.truth.events_are_deserved(&js).await.unwrap();
    let announce = async |change: &Value| {
        let announced = js.publish("supercheck.events.steady0", change.to_string().into());
        announced.await.unwrap().await.unwrap();
    };
    let down = json!({"check": "steady0", "from": "up", "to": "down"});
    announce(&down).await;
    finds(
        scene.truth.events_are_deserved(&js).await,
        "do not deserve it",
    );
    js.get_stream("SUPERCHECK_EVENTS")
        .await
        .unwrap()
        .purge()
        .await
        .unwrap();
    let up = json!({"check": "steady0", "from": "unknown", "to": "up"});
    announce(&up).await;
    announce(&up).await;
    finds(scene.truth.events_are_deserved(&js).await, "it was up");
}

/// The daemons have ended: nothing is fresh, nobody is asked.
async fn silence_is_found(scene: &Scene) {
    let nats = &scene.stage.servers[0];
    reading::summaries_are_of_the_reports(nats, &scene.truth)
        .await
        .unwrap();
    let since = now();
    finds(
        reading::all_fresh(nats, &scene.truth).await,
        "is not fresh again",
    );
    let unasked = scene.truth.unasked(since, now());
    assert!(unasked > crate::MOST_UNASKED_MS, "{unasked}");
    let js = nats.jetstream().await;
    let summary = nats.summary(&js, "steady0").await.unwrap();
    let forged = with(&summary, &[("run", json!("another"))]).to_string();
    let stored = js.publish("$KV.supercheck_kv.steady0", forged.into());
    stored.await.unwrap().await.unwrap();
    let compared = reading::summaries_are_of_the_reports(nats, &scene.truth).await;
    finds(compared, "is not of");
}

async fn secrets_are_found(scene: &Scene) {
    let js = scene.stage.servers[0].jetstream().await;
    secrets::stored(&js).await.unwrap();
    let forged = STANDARD.encode(secrets::PASSWORD);
    let stored = js.publish("$KV.supercheck_kv.forged", forged.into());
    stored.await.unwrap().await.unwrap();
    finds(
        secrets::stored(&js).await,
        "KV_supercheck_kv shows a secret",
    );

    let daemon = &scene.stage.daemons[1];
    let path = daemon.config().with_file_name("log");
    let mut log = File::options().append(true).open(path).unwrap();
    writeln!(
        log,
        "{}",
        json!({"level": "INFO", "message": secrets::HEADER})
    )
    .unwrap();
    finds(secrets::told_by(daemon).await, "a log shows a secret");
}

async fn connections_to_the_decoy_are_found(decoy: &Decoy) {
    finds(decoy.was_not_reached(), "0 were refused");
    let place = decoy.places()[0].replace("http://", "");
    let address = place.split('/').next().unwrap();
    drop(tokio::net::TcpStream::connect(address).await.unwrap());
    wait::until("it is noticed", async || {
        let found = decoy.was_not_reached().unwrap_err();
        found.contains("1 connected").then_some(())
    })
    .await;
}

fn what_is_taken_and_logged_is_judged(scene: &Scene) {
    let mut gauges = Gauges::default();
    let page = |in_flight: u64, unstored: u64| {
        format!("supercheck_runs_in_flight {in_flight}\nsupercheck_unstored_runs {unstored}\n")
    };
    gauges.page(&page(7, 7)).unwrap();
    finds(gauges.page(&page(100_000, 7)), "runs in flight");
    finds(gauges.page(&page(7, 100_000)), "not stored");
    finds(gauges.page("nothing"), "no supercheck_runs_in_flight");

    let daemon = &scene.stage.daemons[0];
    scene::logs_are_short_and_of_use(daemon, 0).unwrap();
    let path = daemon.config().with_file_name("log");
    let usual = fs::read_to_string(&path).unwrap();
    let mut log = File::options().append(true).open(&path).unwrap();
    for _ in 0..20 {
        let line = json!({"level": "WARN", "message": "lost NATS; checks go on"});
        writeln!(log, "{line}").unwrap();
    }
    finds(
        scene::logs_are_short_and_of_use(daemon, 0),
        "complaints of 0 faults",
    );
    let refused = "the NATS server refused something";
    let missing = "Permissions Violation for Publish to \"x\"";
    for (line, what) in [
        (
            json!({"level": "ERROR", "message": "something is wrong"}),
            "of what use",
        ),
        (
            json!({"level": "WARN", "message": refused, "error": missing}),
            "its role lacks",
        ),
    ] {
        fs::write(&path, format!("{usual}{line}\n")).unwrap();
        finds(scene::logs_are_short_and_of_use(daemon, 0), what);
    }
}
