//! The chaos suite: real processes suffer real faults at seeded moments, while
//! clients in other languages read and ask all the time, and what they see is
//! held to what supercheck promises.
//!
//! `tests/run --chaos --minutes 60 --seed 7` runs it for longer, or again.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test that panics has done its work; real time is what it waits for"
)]

#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../it/support"]
mod support {
    pub mod asker;
    pub mod clients;
    pub mod daemon;
    pub mod nats;
    pub mod proof;
    pub mod proxy;
    pub mod stage;
    pub mod target;
    pub mod tools;
    pub mod wait;
}

mod scene;
mod truth;
mod watcher;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use scene::Scene;
use support::{
    asker,
    clients::Client,
    proof,
    stage::{Fault, Stage},
};

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_its_word_whatever_happens() {
    let minutes: f64 = setting("SUPERCHECK_CHAOS_MINUTES").unwrap_or(1.5);
    let seed = setting("SUPERCHECK_TESTS_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{minutes} minutes; `--seed {seed}` draws the same faults again");
    let lasts = Duration::from_secs_f64(minutes * 60.0);
    let mut scene = Scene::open(seed).await;
    let url = scene.stage.servers[0].url();
    let watcher = watcher::watch(&url, &scene.truth);

    // Two copies of an id on average, a gap after each.
    let gap = Duration::from_millis(400);
    let ids = usize::try_from(lasts.as_millis() / gap.as_millis()).unwrap();
    let wishes = proof::wishes(ids, scene::ASKED, gap, &mut scene.stage.random);
    let over = Cell::new(false);
    let asking = asker::ask(Client::Python, &url, &wishes);
    let truth = scene.truth.clone();
    let flapping = async {
        while !over.get() {
            truth.flap().await;
        }
        truth.heal();
    };
    let suffering = async {
        let ends = Instant::now() + lasts;
        while Instant::now() < ends {
            suffer(&mut scene.stage).await;
        }
        over.set(true);
    };
    let (answers, (), ()) = tokio::join!(asking, flapping, suffering);
    let Scene { mut stage, truth } = scene;
    stage.settled().await;
    truth.all_fresh(&stage).await;
    let seen = watcher.end().await;
    truth.events_alternate(&stage).await;
    proof::judge(Client::Node, &mut stage, truth.target(), &wishes, &answers).await;
    for daemon in &mut stage.daemons {
        assert!(daemon.stop().await.success());
    }
    truth.summaries_are_of_the_reports(&stage).await;
    let faults: u64 = stage.injected.values().sum();
    scene::logs_are_short_and_of_use(&stage, faults);
    eprintln!("{faults} faults: {:?}", stage.injected);
    eprintln!(
        "{} requests answered, {seen} reads of summaries and reports",
        answers.len()
    );
}

/// One fault, and sometimes another while it lasts.
async fn suffer(stage: &mut Stage) {
    let gap = stage.random.u64(200..3000);
    tokio::time::sleep(Duration::from_millis(gap)).await;
    let blow = stage.draw(&Fault::ALL);
    stage.suffer(blow).await;
}
