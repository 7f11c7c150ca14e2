//! Several instances share one schedule: each slot is run by one of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt as _;
use rustix::process::Signal;
use serde_json::Value;
use supercheck::trial;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    target::{Answer, Target},
    wait,
};

const CHECKS: usize = 200;
/// The instances, and by how many milliseconds their clocks are ahead.
const CLOCKS: [(&str, i64); 3] = [("a", 0), ("b", 1000), ("c", 2000)];

fn config(nats: &Nats, target: &Target, instance: &str) -> String {
    config_of(CHECKS, nats, target, instance)
}

fn config_of(checks: usize, nats: &Nats, target: &Target, instance: &str) -> String {
    let checks: String = (0..checks)
        .map(|n| {
            format!(
                "[[check]]\nname = \"c{n}\"\nurl = \"{}\"\n",
                target.url(&format!("/c{n}"))
            )
        })
        .collect();
    format!(
        "[nats]\nurl = \"{}\"\n[scheduler]\nmode = \"shared\"\ninstance = \"{instance}\"\n[defaults]\ninterval = \"1s\"\ntimeout = \"800ms\"\nfail_after = 2\n{checks}",
        nats.url()
    )
}

/// Everything stored in a stream, oldest first: subject's last token and body.
async fn stored(nats: &Nats, stream: &str) -> Vec<(String, Value)> {
    let js = nats.jetstream().await;
    let mut stream = js.get_stream(stream).await.unwrap();
    let last = stream.info().await.unwrap().state.last_sequence;
    let mut all = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let token = message.subject.rsplit('.').next().unwrap().to_owned();
        all.push((token, serde_json::from_slice(&message.payload).unwrap()));
    }
    all
}

/// The runs of each check, oldest first.
async fn runs(nats: &Nats) -> BTreeMap<String, Vec<Value>> {
    let mut runs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (check, summary) in stored(nats, "SUPERCHECK_HISTORY").await {
        runs.entry(check).or_default().push(summary);
    }
    runs
}

fn at(summary: &Value) -> i64 {
    let text = summary["checked_at"].as_str().unwrap();
    chrono::DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_millis()
}

/// Every slot that is put in, as anyone can hear it: by check, how many.
async fn heard(nats: &Nats) -> Arc<Mutex<BTreeMap<String, BTreeSet<u64>>>> {
    let heard = Arc::new(Mutex::new(BTreeMap::<String, BTreeSet<u64>>::new()));
    let client = nats.client().await;
    let mut slots = client.subscribe("supercheck.slots.*").await.unwrap();
    let all = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Some(slot) = slots.next().await {
            let check = slot.subject.rsplit('.').next().unwrap().to_owned();
            let due = std::str::from_utf8(&slot.payload).unwrap().parse().unwrap();
            all.lock().unwrap().entry(check).or_default().insert(due);
        }
    });
    heard
}

/// Three instances whose clocks differ by two seconds.
fn three(nats: &Nats, target: &Target) -> Vec<Daemon> {
    CLOCKS
        .map(|(instance, ahead)| {
            let config = config(nats, target, instance);
            let ahead = ahead.to_string();
            Daemon::serve_with(&config, &[], &[(trial::CLOCK_AHEAD, &ahead)])
        })
        .into()
}

/// When the run was, by the test's own clock.
fn truly_at(summary: &Value) -> i64 {
    let (_, ahead) = CLOCKS
        .iter()
        .find(|(instance, _)| summary["instance"] == *instance)
        .unwrap();
    at(summary) - ahead
}

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_is_run_once_and_thresholds_count_across_instances() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let slots = heard(&nats).await;
    let mut daemons = three(&nats, &target);
    for daemon in &daemons {
        daemon.ready().await;
    }
    let several = async |more: u64| {
        let hits = target.hits("/c0");
        wait::until("more slots", async || {
            (target.hits("/c0") >= hits + more).then_some(())
        })
        .await;
    };
    several(5).await;
    // The one that is ahead of the others dies; they go on.
    let last = daemons.len() - 1;
    daemons[last].kill();
    several(5).await;
    no_slot_was_run_twice(&target, &slots);
    nats.kill();
    nats.start_again().await;
    daemons[0].ready().await;
    let restarted = chrono::Utc::now().timestamp_millis();
    several(4).await;
    // Everything breaks: `down` after the second failing run, whoever ran them.
    for n in 0..CHECKS {
        target.set(&format!("/c{n}"), Answer::json("{}").status(500));
    }
    several(6).await;
    // And comes back.
    for n in 0..CHECKS {
        target.set(&format!("/c{n}"), Answer::json("{}"));
    }
    several(4).await;
    for daemon in &mut daemons[..last] {
        assert!(daemon.stop().await.success());
    }

    judge(&nats, restarted).await;
}

fn no_slot_was_run_twice(target: &Target, slots: &Mutex<BTreeMap<String, BTreeSet<u64>>>) {
    // What was probed is counted first, so that no slot that comes meanwhile is
    // missing.
    let checks: Vec<_> = slots.lock().unwrap().keys().cloned().collect();
    let probed: Vec<_> = checks
        .iter()
        .map(|check| target.hits(&format!("/{check}")))
        .collect();
    let put_in = slots.lock().unwrap().clone();
    for (check, hits) in checks.iter().zip(probed) {
        let slots = put_in[check].len() as u64;
        assert!(hits <= slots, "{check}: {hits} probes for {slots} slots");
    }
}

/// It has heard nothing of the queue meanwhile, though the others have.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_stood_still_runs_nothing_that_others_ran() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let slots = heard(&nats).await;
    // So few that the queue is silent for a while when it is asked anew.
    let daemons = ["a", "b"].map(|instance| Daemon::serve(&config_of(2, &nats, &target, instance)));
    for daemon in &daemons {
        daemon.ready().await;
    }
    for _ in 0..3 {
        let hits = target.hits("/c0");
        daemons[1].signal(Signal::STOP);
        // What it is handed meanwhile nobody runs, but that is soon nothing.
        wait::within(Duration::from_secs(8), "slots without it", async || {
            (target.hits("/c0") > hits + 2).then_some(())
        })
        .await;
        daemons[1].signal(Signal::CONT);
        wait::until("more slots", async || {
            (target.hits("/c0") > hits + 4).then_some(())
        })
        .await;
    }
    no_slot_was_run_twice(&target, &slots);
}

/// Holds what is stored to what was promised.
async fn judge(nats: &Nats, restarted: i64) {
    let runs = runs(nats).await;
    assert_eq!(runs.len(), CHECKS);
    let mut instances: BTreeMap<String, usize> = BTreeMap::new();
    for (check, runs) in &runs {
        for pair in runs.windows(2) {
            let [before, after] = [&pair[0], &pair[1]].map(truly_at);
            // The slots that the dead one would have put in come by the next
            // clock, a second behind; the restarted server's by none.
            let most = if after > restarted { 2900 } else { 3900 };
            let gap = after - before;
            assert!(gap <= most, "{check}: {gap} ms between two runs: {pair:#?}");
        }
        for run in runs {
            *instances.entry(run["instance"].to_string()).or_default() += 1;
        }
        let first = runs
            .iter()
            .position(|run| run["verdict"] == "fail")
            .unwrap();
        assert_eq!(
            (&runs[first]["status"], &runs[first]["consecutive"]),
            (&"up".into(), &1.into())
        );
        let failing = runs[first..]
            .iter()
            .take_while(|run| run["verdict"] == "fail");
        for (n, run) in failing.enumerate().skip(1) {
            assert_eq!(
                (&run["status"], &run["consecutive"]),
                (&"down".into(), &(n + 1).into()),
                "{check}: {runs:#?}"
            );
        }
    }
    assert_eq!(instances.len(), 3, "all of them ran some: {instances:?}");
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (check, change) in stored(nats, "SUPERCHECK_EVENTS").await {
        changes
            .entry(check)
            .or_default()
            .push(change["to"].as_str().unwrap().to_owned());
    }
    for (check, changes) in changes {
        assert_eq!(changes, ["up", "down", "up"], "{check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_an_operator_has_paused_the_queue_of_slots() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let daemons = ["a", "b"].map(|instance| Daemon::serve(&config(&nats, &target, instance)));
    for daemon in &daemons {
        daemon.ready().await;
    }
    wait::until("runs", async || (target.hits("/c0") > 2).then_some(())).await;
    let client = nats.client().await;
    let pause = async |until: &str| {
        let subject = "$JS.API.CONSUMER.PAUSE.SUPERCHECK_SLOTS.runners";
        let until = format!("{{\"pause_until\":\"{until}\"}}");
        let answer = client.request(subject, until.into()).await.unwrap();
        serde_json::from_slice::<Value>(&answer.payload).unwrap()
    };
    let paused = pause("2100-01-01T00:00:00Z").await;
    assert_eq!(paused["paused"], true, "{paused}");
    let hits = target.hits("/c0");
    wait::until("runs without slots", async || {
        (target.hits("/c0") > hits + 4).then_some(())
    })
    .await;
    let resumed = pause("0001-01-01T00:00:00Z").await;
    assert_eq!(resumed["paused"], false, "{resumed}");
    for daemon in &daemons {
        daemon.says("the queue of slots is no longer paused").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_the_instance_that_knows_its_check() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let instance = |check: &str| {
        Daemon::serve(&format!(
            "[nats]\nurl = \"{}\"\n[[check]]\nname = \"{check}\"\nurl = \"{}\"\ninterval = \"1h\"\n[scheduler]\nfast_start = true\n",
            nats.url(),
            target.url(&format!("/{check}"))
        ))
    };
    let mut knows = instance("known");
    nats.summary_that("known", "up", |summary| summary["status"] == "up")
        .await;
    knows.kill();
    // It is alone for a while, and is handed the request again and again.
    let other = instance("other");
    nats.summary_that("other", "up", |summary| summary["status"] == "up")
        .await;
    let js = nats.jetstream().await;
    let queue = js.get_stream("SUPERCHECK_REQUESTS").await.unwrap();
    let publish = js.publish("supercheck.requests.known", "".into());
    publish.await.unwrap().await.unwrap();
    wait::until("four deliveries", async || {
        let workers = queue.consumer_info("workers").await.ok()?;
        (workers.delivered.consumer_sequence >= 4).then_some(())
    })
    .await;
    let hits = target.hits("/known");
    knows.start_again();
    wait::until("its run", async || {
        (target.hits("/known") > hits).then_some(())
    })
    .await;
    wait::until("an empty queue", async || {
        let workers = queue.consumer_info("workers").await.ok()?;
        (workers.num_ack_pending == 0).then_some(())
    })
    .await;
    assert_eq!(other.said("request refused"), 0);
    assert_eq!(knows.said("request refused"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_poll_by_themselves_while_nats_is_away_and_share_again() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let daemons = ["a", "b"].map(|instance| Daemon::serve(&config(&nats, &target, instance)));
    for daemon in &daemons {
        daemon.ready().await;
    }
    wait::until("runs", async || (target.hits("/c0") > 1).then_some(())).await;
    nats.kill();
    let hits = target.hits("/c0");
    wait::until("runs without NATS", async || {
        (target.hits("/c0") > hits + 4).then_some(())
    })
    .await;
    nats.start_again().await;
    for daemon in &daemons {
        daemon.ready().await;
    }
    let restarted = chrono::Utc::now().timestamp_millis();
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(daemons);
    for (check, runs) in runs(&nats).await {
        let since: Vec<_> = runs
            .iter()
            .map(at)
            .filter(|at| *at > restarted + 1500)
            .collect();
        assert!(since.len() >= 2, "{check}: shared again: {since:?}");
        for pair in since.windows(2) {
            assert!(
                pair[1] - pair[0] > 600,
                "{check}: run once each second: {since:?}"
            );
        }
    }
}
