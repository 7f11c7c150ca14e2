//! What was: every summary is replayed, every change of status announced once.

use serde_json::Value;

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    target::{Answer, Target},
    wait,
};

fn config(nats: &Nats, target: &Target) -> String {
    format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"",
        nats.url(),
        target.url("/")
    )
}

/// The changes of `api`, oldest first.
async fn changes(nats: &Nats) -> Vec<Value> {
    let js = nats.jetstream().await;
    let Ok(mut stream) = js.get_stream("SUPERCHECK_EVENTS").await else {
        return Vec::new();
    };
    let last = stream.info().await.unwrap().state.last_sequence;
    let mut found = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        if message.subject.as_str() == "supercheck.events.api" {
            found.push(serde_json::from_slice(&message.payload).unwrap());
        }
    }
    found
}

async fn until_changes(nats: &Nats, to: &[&str]) -> Vec<Value> {
    wait::until(&format!("changes to {to:?}"), async || {
        let changes = changes(nats).await;
        let found: Vec<_> = changes
            .iter()
            .map(|change| change["to"].as_str().unwrap())
            .collect();
        assert!(found.len() <= to.len(), "more than {to:?}: {found:?}");
        (found == to).then_some(changes)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_announced_once_also_over_crashes() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let mut daemon = Daemon::serve(&config(&nats, &target));
    let healthy = || target.set("/", Answer::json("{}"));
    let broken = || target.set("/", Answer::json("{}").status(500));
    let several = async || {
        let hits = target.hits("/");
        wait::until("more runs", async || {
            (target.hits("/") > hits + 3).then_some(())
        })
        .await;
    };
    until_changes(&nats, &["up"]).await;
    broken();
    until_changes(&nats, &["up", "down"]).await;
    // A restart neither forgets the outage nor announces it again.
    daemon.crash_and_start_again();
    several().await;
    until_changes(&nats, &["up", "down"]).await;
    // What changes while nobody looks is announced by the next daemon.
    daemon.kill();
    healthy();
    daemon.crash_and_start_again();
    let all = until_changes(&nats, &["up", "down", "up"]).await;
    several().await;
    until_changes(&nats, &["up", "down", "up"]).await;
    assert_eq!(all[0]["from"], "unknown");
    assert_eq!(all[1]["from"], "up");
    assert_eq!(all[2]["from"], "down");
    assert_eq!(all[1]["message"], "HTTP status 500, expected 200 to 299");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_while_nats_is_away_are_announced_when_it_is_back() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats, &target));
    until_changes(&nats, &["up"]).await;
    nats.kill();
    for (status, said) in [(500, 1), (200, 2), (500, 3)] {
        target.set("/", Answer::json("{}").status(status));
        wait::until("the status changes", async || {
            (daemon.said("status changed") == said + 1).then_some(())
        })
        .await;
    }
    nats.start_again().await;
    until_changes(&nats, &["up", "down", "up", "down"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_summary_is_replayed_and_followed() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats, &target));
    wait::until("runs", async || (target.hits("/") > 5).then_some(())).await;
    let replayed = || {
        let (code, out, err) = run(&mut daemon.command(&["history", "api", "--json"]));
        assert_eq!(code, 0, "{err}");
        let lines: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines
    };
    let first = wait::until("summaries", async || {
        let lines = replayed();
        (lines.len() >= 5).then_some(lines)
    })
    .await;
    let mut runs: Vec<_> = first.iter().map(|line| line["run"].to_string()).collect();
    runs.dedup();
    assert_eq!(runs.len(), first.len(), "each run once");
    assert!(first.is_sorted_by_key(|line| line["checked_at"].to_string()));
    assert!(replayed().starts_with(&first), "the same again, and more");

    let (code, _, err) = run(&mut daemon.command(&["history", "nobody"]));
    assert_eq!(code, 3);
    assert!(err.contains("`nobody`"), "{err}");

    let mut following = daemon
        .command(&["history", "api", "--follow", "--since", "1s"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let out = std::io::BufReader::new(following.stdout.take().unwrap());
    let lines = tokio::task::spawn_blocking(move || {
        use std::io::BufRead as _;
        out.lines().take(15).map(Result::unwrap).collect::<Vec<_>>()
    });
    let lines = tokio::time::timeout(wait::LONG, lines)
        .await
        .expect("new summaries come")
        .unwrap();
    assert!(lines.iter().all(|line| line.contains("up")), "{lines:?}");
    following.kill().unwrap();
    following.wait().unwrap();
}
