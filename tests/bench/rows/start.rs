//! From the start to being ready, and to a first report of every check.

use std::{collections::HashSet, time::Duration};

use futures_util::StreamExt as _;

use crate::{
    figures::{Figures, Goal::AtMost, Values},
    nats,
    processes::{Daemon, Nats, Plan, Target},
};

/// Starts with 10,000 checks, on a NATS that is there.
pub async fn start(full: bool, figures: &mut Figures) {
    let plan = Plan::new(10_000, 10_000);
    let target = Target::start();
    let server = Nats::start().await;
    let row = "start, 10,000 checks";
    let mut ready = Values::default();
    for _ in 0..if full { 7 } else { 3 } {
        let daemon = Daemon::start(&target, &plan, &server.url, &[]);
        ready.0.push(daemon.started().as_secs_f64() * 1e3);
        daemon.ready().await;
        daemon.process.stop();
    }
    figures.note(row, "READY after", ready, "ms", AtMost(150.0));
    let fast = first_reports(&target, &plan, &["--fast-start"]).await;
    figures.note(
        row,
        "first report of all, --fast-start",
        fast,
        "s",
        AtMost(2.0),
    );
    if full {
        let spread = first_reports(&target, &plan, &[]).await;
        figures.note(row, "first report of all", spread, "s", AtMost(10.1));
    }
}

/// Seconds from the start until every check's first summary is written.
async fn first_reports(target: &Target, plan: &Plan, options: &[&str]) -> f64 {
    let server = Nats::start().await;
    let client = nats::client(&server.url).await;
    let mut summaries = client.subscribe("$KV.supercheck_kv.>").await.unwrap();
    client.flush().await.unwrap();
    let daemon = Daemon::start(target, plan, &server.url, options);
    let mut checks = HashSet::new();
    let limit = Duration::from_secs(60);
    while (checks.len() as u64) < plan.checks {
        let next = tokio::time::timeout(limit, summaries.next()).await;
        let message = next.expect("all summaries in time").unwrap();
        checks.insert(message.subject.to_string());
    }
    let took = daemon.spawned().elapsed().as_secs_f64();
    daemon.process.stop();
    took
}
