//! Several instances share one schedule: each slot is run by one of them.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    target::{Answer, Target},
    wait,
};

const CHECKS: usize = 20;

fn config(nats: &Nats, target: &Target, instance: &str) -> String {
    let checks: String = (0..CHECKS)
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

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_is_run_once_and_thresholds_count_across_instances() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let mut daemons: Vec<_> = ["a", "b", "c"]
        .map(|instance| Daemon::serve(&config(&nats, &target, instance)))
        .into();
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
    several(6).await;
    // One dies; the others go on.
    daemons[0].kill();
    several(4).await;
    // Everything breaks: `down` after the second failing run, whoever ran them.
    for n in 0..CHECKS {
        target.set(&format!("/c{n}"), Answer::json("{}").status(500));
    }
    several(4).await;
    for daemon in &mut daemons[1..] {
        assert!(daemon.stop().await.success());
    }

    let runs = runs(&nats).await;
    assert_eq!(runs.len(), CHECKS);
    let mut instances: BTreeMap<String, usize> = BTreeMap::new();
    for (check, runs) in &runs {
        for pair in runs.windows(2) {
            let gap = at(&pair[1]) - at(&pair[0]);
            // One slot may be lost with the instance that died.
            assert!(
                (600..=2900).contains(&gap),
                "{check}: {gap} ms between two runs"
            );
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
        assert_eq!(
            (&runs[first + 1]["status"], &runs[first + 1]["consecutive"]),
            (&"down".into(), &2.into())
        );
    }
    assert_eq!(instances.len(), 3, "all of them ran some: {instances:?}");
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (check, change) in stored(&nats, "SUPERCHECK_EVENTS").await {
        changes
            .entry(check)
            .or_default()
            .push(change["to"].as_str().unwrap().to_owned());
    }
    for (check, changes) in changes {
        assert_eq!(changes, ["up", "down"], "{check}");
    }
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
