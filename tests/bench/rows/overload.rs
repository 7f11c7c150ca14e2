//! Asked for more than can be done.

use std::time::Duration;

use super::{Length, Seen};
use crate::{
    figures::{
        Figures,
        Goal::{self, AtLeast, AtMost},
    },
    processes::{Daemon, Nats, Plan, Target},
};

const CHECKS: u64 = 10_000;

/// Finds the best rate, asks for twice as much, then for less.
pub async fn overload(length: Length, figures: &mut Figures) {
    let row = "overload";
    let target = Target::start();
    let server = Nats::start().await;
    let plan = Plan::new(CHECKS, 1_000);
    let daemon = Daemon::start(&target, &plan, &server.url, &[]);
    daemon.ready().await;
    let length = Length {
        windows: 2,
        ..length
    };
    let look = async |interval: u64| {
        let mut seen = Seen::default();
        daemon.reload(&target, &Plan::new(CHECKS, interval));
        let programs = [&daemon.process, &server.process];
        seen.look(&target, &programs, length).await;
        seen
    };
    let mut best = 0.0f64;
    for interval in [1_000, 700, 500, 400] {
        let rate = look(interval).await.rate.median();
        best = best.max(rate);
        // It cannot keep up: this is what it can do.
        if rate < 0.95 * CHECKS as f64 * 1e3 / interval as f64 {
            break;
        }
    }
    figures.note(row, "best rate", best, "/s", Goal::None);
    let twice = (CHECKS as f64 * 1e3 / (2.0 * best)) as u64;
    let seen = look(twice.max(100)).await;
    let kept = seen.rate.median() / best;
    figures.note(
        row,
        "asked for twice that: rate kept",
        kept,
        "",
        AtLeast(0.9),
    );
    let told = daemon.log().matches("starts skipped").count();
    figures.note(
        row,
        "times it told of skipped starts",
        told as f64,
        "",
        AtLeast(1.0),
    );
    daemon.reload(&target, &Plan::new(CHECKS, 10_000));
    // What was begun is finished, and the file is read.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let soon = Length {
        settle: Duration::ZERO,
        ..length
    };
    let mut after = Seen::default();
    let programs = [&daemon.process, &server.process];
    after.look(&target, &programs, soon).await;
    let p99 = after.p99;
    figures.note(
        row,
        "1 s after less was asked: deviation p99",
        p99,
        "ms",
        AtMost(5.0),
    );
    figures.note(
        row,
        "1 s after less was asked: slots missed",
        after.missed,
        "",
        AtMost(0.0),
    );
}
