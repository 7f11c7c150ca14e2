//! Readers and askers over NATS.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use super::{Length, ratio};
use crate::{
    figures::{
        Figures,
        Goal::{self, AtLeast, AtMost},
        Values,
    },
    machine::Window,
    nats,
    processes::{self, Daemon, Nats, Plan, Target},
};

const CHECKS: u64 = 100;

/// `supercheck.get` next to a bare responder, by turns.
pub async fn get(length: Length, figures: &mut Figures) {
    let row = "supercheck.get, 64 at once";
    let target = Target::start();
    let server = Nats::start().await;
    let daemon = Daemon::start(
        &target,
        &Plan::new(CHECKS, 5_000),
        &server.url,
        &["--fast-start"],
    );
    daemon.ready().await;
    let echo = processes::echo(&server.url);
    let client = nats::client(&server.url).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut bare, mut ours) = (Values::default(), Values::default());
    let (mut bare_cpu, mut our_cpu) = (Values::default(), Values::default());
    for _ in 0..length.windows.max(3) {
        for (subject, pid, rates, cpu) in [
            ("bare.get", echo.id(), &mut bare, &mut bare_cpu),
            (
                "supercheck.get",
                daemon.process.id(),
                &mut ours,
                &mut our_cpu,
            ),
        ] {
            let window = Window::begin(&[pid]);
            let n = answered(&client, subject, length.window).await;
            let used = window.end();
            rates.0.push(n as f64 / used.seconds);
            cpu.0.push(used.cpu[0] * 1e6 / n as f64);
        }
    }
    let share = ratio(&ours, &bare);
    figures.note(row, "bare responder", bare, "/s", Goal::None);
    figures.note(row, "supercheck", ours, "/s", Goal::None);
    figures.note(row, "supercheck / bare responder", share, "", AtLeast(0.7));
    figures.note(row, "bare responder: CPU each", bare_cpu, "us", Goal::None);
    figures.note(row, "supercheck: CPU each", our_cpu, "us", Goal::None);
}

pub(super) async fn answered(
    client: &async_nats::Client,
    subject: &'static str,
    time: Duration,
) -> u64 {
    let began = Instant::now();
    let mut answers = std::pin::pin!(
        stream::iter(0u64..)
            .take_while(|_| std::future::ready(began.elapsed() < time))
            .map(|n| client.request(subject, format!("c{}", n % CHECKS).into()))
            .buffer_unordered(64)
    );
    let mut count = 0;
    while let Some(answer) = answers.next().await {
        assert!(answer.unwrap().payload.len() > 1_000);
        count += 1;
    }
    count
}

/// `supercheck.check`, one at a time: what it takes beyond the probe.
pub async fn request(figures: &mut Figures) {
    let row = "supercheck.check, one at a time";
    let target = Target::start();
    let server = Nats::start().await;
    let daemon = Daemon::start(&target, &Plan::new(CHECKS, 600_000), &server.url, &[]);
    daemon.ready().await;
    let client = nats::client(&server.url).await;
    while client.request("supercheck.list", "".into()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut beyond = Vec::new();
    for n in 0..600 {
        let asked = Instant::now();
        let answer = client
            .request("supercheck.check", format!("c{}", n % CHECKS).into())
            .await
            .unwrap();
        let took = asked.elapsed().as_secs_f64() * 1e3;
        let report: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        let latency = report["latency_ms"].as_f64().expect("a report");
        // The first ones make connections.
        if n >= 100 {
            beyond.push(took - latency);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    beyond.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| beyond[((beyond.len() - 1) as f64 * share) as usize];
    figures.note(row, "beyond the probe, p50", at(0.5), "ms", AtMost(1.0));
    figures.note(row, "beyond the probe, p99", at(0.99), "ms", AtMost(3.0));
    let window = Window::begin(&[daemon.process.id(), server.process.id()]);
    let n = answered(&client, "supercheck.check", Duration::from_secs(3)).await;
    let used = window.end();
    let row = "supercheck.check, 64 at once";
    figures.note(row, "requests", n as f64 / used.seconds, "/s", Goal::None);
    for (what, seconds) in ["supercheck: CPU each", "nats-server: CPU each"]
        .iter()
        .zip(used.cpu)
    {
        figures.note(row, what, seconds * 1e6 / n as f64, "us", Goal::None);
    }
}
