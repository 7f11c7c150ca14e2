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
    machine::{Used, Window},
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

/// `supercheck.check`, one at a time, paced, and many at once: what it takes
/// beyond the probe.
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
    // The first ones make connections.
    for n in 0..CHECKS {
        beyond(&client, n).await;
    }
    let mut each = Vec::new();
    for n in 0..500 {
        each.push(beyond(&client, n).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    note(row, each, (AtMost(1.0), AtMost(3.0)), figures);
    let row = "supercheck.check, 500 a second";
    let beat = tokio::time::interval(Duration::from_millis(2));
    let window = Window::begin(&[daemon.process.id(), server.process.id()]);
    let paced = stream::unfold(beat, async |mut beat| {
        beat.tick().await;
        Some(((), beat))
    });
    let asked = paced.take(1_500).enumerate();
    let asked = asked.map(|(n, ())| beyond(&client, n as u64));
    let asked = asked.buffer_unordered(500);
    let each: Vec<f64> = asked.collect().await;
    let n = each.len();
    costs(row, &window.end(), n as f64, figures);
    note(row, each, (Goal::None, Goal::None), figures);
    let window = Window::begin(&[daemon.process.id(), server.process.id()]);
    let n = answered(&client, "supercheck.check", Duration::from_secs(3)).await;
    let used = window.end();
    let row = "supercheck.check, 64 at once";
    figures.note(row, "requests", n as f64 / used.seconds, "/s", Goal::None);
    costs(row, &used, n as f64, figures);
}

/// Milliseconds that an answer took beyond its probe.
async fn beyond(client: &async_nats::Client, n: u64) -> f64 {
    let asked = Instant::now();
    let check = format!("c{}", n % CHECKS);
    let answer = client.request("supercheck.check", check.into()).await;
    let took = asked.elapsed().as_secs_f64() * 1e3;
    let report: serde_json::Value = serde_json::from_slice(&answer.unwrap().payload).unwrap();
    took - report["latency_ms"].as_f64().expect("a report")
}

fn note(row: &str, mut each: Vec<f64>, goals: (Goal, Goal), figures: &mut Figures) {
    each.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| each[((each.len() - 1) as f64 * share) as usize];
    figures.note(row, "beyond the probe, p50", at(0.5), "ms", goals.0);
    figures.note(row, "beyond the probe, p99", at(0.99), "ms", goals.1);
}

fn costs(row: &str, used: &Used, n: f64, figures: &mut Figures) {
    for (what, seconds) in ["supercheck: CPU each", "nats-server: CPU each"]
        .iter()
        .zip(&used.cpu)
    {
        figures.note(row, what, seconds * 1e6 / n, "us", Goal::None);
    }
}
