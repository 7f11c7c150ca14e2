//! The chaos suite: real processes suffer real faults at seeded moments, while
//! clients in other languages read and ask all the time, and what they see is
//! held to what supercheck promises.
//!
//! `tests/run --chaos --minutes 60 --seed 7` runs it for longer, or again;
//! `SUPERCHECK_CHAOS_ONLY=ServerSlowed,ServerKilled` with these faults alone.

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
    pub mod roles;
    pub mod stage;
    pub mod target;
    pub mod tools;
    pub mod wait;
}

mod decoy;
mod faults;
mod gauges;
mod lag;
mod ledger;
mod memory;
mod mutations;
mod names;
mod nodes;
mod reading;
mod scene;
mod secrets;
mod server;
mod truth;
mod watcher;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use faults::Kind;
use gauges::Gauges;
use ledger::Ledger;
use scene::Scene;
use support::{
    asker::{self, Answers, Wish},
    clients::Client,
    daemon, proof, roles, wait,
};
use tokio::sync::Mutex;
use truth::{Truth, now};
use watcher::Watcher;

/// The share of the time that a cluster suffers.
const ON_A_CLUSTER: f64 = 0.25;
/// One fault in so many is followed by the next at once; the others until
/// everything is fresh again.
const AT_ONCE: u64 = 4;
/// Longer than the fault lasts, a target is not asked for two intervals, and
/// what a slow machine needs.
const MOST_UNASKED_MS: i64 = 2 * truth::INTERVAL_MS + 1000;
/// It finds nothing within this time after everything is fresh.
const DOCTOR_WITHIN: Duration = Duration::from_secs(7);
/// One fault in so many is followed by a look of `supercheck doctor`.
const DOCTOR: u64 = 3;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// The suite's scenes take turns, so that each has the machine to itself.
static TURN: Mutex<()> = Mutex::const_new(());

/// For so long, the share of the time that was asked for, which faults.
fn told(share: f64) -> (Duration, u64) {
    let minutes: f64 = setting("SUPERCHECK_CHAOS_MINUTES").unwrap_or(2.5);
    let seed = setting("SUPERCHECK_TESTS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let lasts = Duration::from_secs_f64(share * minutes * 60.0);
    eprintln!("{share} of {minutes} minutes; `--seed {seed}` draws the same faults again");
    (lasts, seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_its_word_whatever_happens() {
    let _turn = TURN.lock().await;
    let (lasts, seed) = told(1.0 - ON_A_CLUSTER);
    keeps_its_word(Scene::open(seed).await, lasts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_its_word_whichever_node_of_a_cluster_fails() {
    let _turn = TURN.lock().await;
    let (lasts, seed) = told(ON_A_CLUSTER);
    keeps_its_word(Scene::cluster(seed).await, lasts).await;
}

/// Faults befall the scene for so long, and everything seen is judged.
async fn keeps_its_word(mut scene: Scene, lasts: Duration) {
    let seen = Box::pin(suffers(&mut scene, lasts)).await;
    Box::pin(is_judged(scene, seen)).await;
}

/// What was asked and read while faults befell the scene.
struct Seen {
    watchers: [Watcher; 2],
    wishes: Vec<Wish>,
    answers: Answers,
    wrong: Vec<String>,
}

async fn suffers(scene: &mut Scene, lasts: Duration) -> Seen {
    let nats = &scene.stage.servers[0];
    let reading = roles::url(nats, "reader");
    let watch = |client| watcher::watch(client, &reading, &scene.truth);
    let watchers = [watch(Client::NodeThree).await, watch(Client::Python).await];

    // Two copies of an id on average, a gap after each.
    let gap = Duration::from_millis(400);
    let ids = usize::try_from(lasts.as_millis() / gap.as_millis()).unwrap();
    let wishes = proof::wishes(ids, scene::ASKED, gap, &mut scene.stage.random);
    let over = Cell::new(false);
    let asking_at = roles::url(nats, "requester");
    let lured_by = roles::requester(nats).await;
    let asking = asker::ask(Client::Python, &asking_at, &wishes);
    let (truth, decoy) = (scene.truth.clone(), scene.decoy.clone());
    let luring = decoy.lure(lured_by, || over.get());
    let flapping = async {
        while !over.get() {
            truth.flap().await;
        }
        truth.all(true);
    };
    let suffering = async {
        asked_for(&truth).await;
        let suffered = deal(scene, lasts).await;
        over.set(true);
        suffered
    };
    let (answers, lured, (), (ledger, gauges, mut wrong)) =
        tokio::join!(asking, luring, flapping, suffering);
    ledger.print();
    gauges.print();
    wrong.extend(lured);
    wrong.extend(decoy.was_not_reached().err());
    Seen {
        watchers,
        wishes,
        answers,
        wrong,
    }
}

async fn is_judged(scene: Scene, seen: Seen) {
    let Scene {
        mut stage,
        truth,
        server,
        ..
    } = scene;
    let Seen {
        wishes,
        answers,
        mut wrong,
        ..
    } = seen;
    stage.settled().await;
    reading::all_fresh(&stage.servers[0], &truth).await.unwrap();
    for watcher in seen.watchers {
        let reads = watcher.end().await.unwrap();
        eprintln!(
            "{} reads judged; not read: {:?}",
            reads.judged, reads.failed
        );
        assert!(reads.judged > 100, "few reads");
        wrong.extend(reads.wrong);
    }
    if stage.servers.len() > 1 {
        nodes::hold_everything(&stage.servers).await;
    }
    let js = stage.servers[0].jetstream().await;
    let changes = truth.events_are_deserved(&js).await.unwrap();
    assert!(changes > 20, "only {changes} changes");
    let url = roles::url(&stage.servers[0], "requester");
    proof::judge(
        Client::Node,
        &url,
        &mut stage,
        &truth.target,
        &wishes,
        &answers,
    )
    .await;
    for daemon in &stage.daemons {
        wrong.extend(secrets::told_by(daemon).await.err());
    }
    wrong.extend(secrets::stored(&js).await.err());
    for daemon in &mut stage.daemons {
        assert!(daemon.stop().await.success());
    }
    reading::summaries_are_of_the_reports(&stage.servers[0], &truth)
        .await
        .unwrap();
    wrong.extend(roles::refusals(&stage.servers, &wrong));
    let faults: u64 = stage.injected.values().sum();
    for daemon in &stage.daemons {
        let complaints = scene::logs_are_short_and_of_use(daemon, faults).unwrap();
        eprintln!(
            "{complaints} lines at WARN or ERROR, {} in all",
            daemon.log().len()
        );
    }
    eprintln!(
        "{faults} faults, {} requests answered, {changes} changes",
        answers.len()
    );
    drop((stage, server));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Waits for the first request: a client that has not connected yet would give
/// up.
async fn asked_for(truth: &Truth) {
    wait::until("a request", async || {
        let hits = |n| truth.target.hits(&format!("/c{n}"));
        (0..scene::ASKED).any(|n| hits(n) > 0).then_some(())
    })
    .await;
}

/// Deals faults for so long: all kinds in a random order, again and again.
/// What is not as it should be is told at once, and ends the test at the end.
async fn deal(scene: &mut Scene, lasts: Duration) -> (Ledger, Gauges, Vec<String>) {
    let (mut ledger, mut gauges) = (Ledger::default(), Gauges::default());
    let mut wrong = Vec::new();
    let mut kinds = Kind::all(scene);
    if let Some(only) = setting::<String>("SUPERCHECK_CHAOS_ONLY") {
        kinds.retain(|kind| only.split(',').any(|name| name == kind.name()));
    }
    let mut deck: Vec<Kind> = Vec::new();
    let ends = Instant::now() + lasts;
    while Instant::now() < ends {
        if deck.is_empty() {
            deck.clone_from(&kinds);
            scene.stage.random.shuffle(&mut deck);
        }
        let kind = deck.pop().unwrap();
        let name = kind.name();
        let gap = scene.stage.random.u64(100..1500);
        tokio::time::sleep(Duration::from_millis(gap)).await;
        let dealt = now();
        kind.befalls(scene).await;
        let made_good = now();
        let follow = scene.stage.random.u64(..AT_ONCE) > 0;
        let fresh = if follow {
            let fresh = reading::all_fresh(&scene.stage.servers[0], &scene.truth).await;
            fresh.map_err(|what| tell(&mut wrong, &name, &what)).ok()
        } else {
            None
        };
        let unasked = scene.truth.unasked(dealt - 1000, now());
        eprintln!(
            "{name}: {} ms, fresh {fresh:?}, unasked {unasked}",
            made_good - dealt
        );
        let stood = scene.truth.lag.between(dealt, now());
        let most = made_good - dealt + MOST_UNASKED_MS + stood;
        if unasked > most {
            let what = format!("a target was not asked for {unasked} ms");
            tell(&mut wrong, &name, &what);
        }
        for refusal in roles::refusals(&scene.stage.servers, &wrong) {
            tell(&mut wrong, &name, &refusal);
        }
        ledger.note(&name, fresh, unasked);
        scene.calm = follow;
        if follow && let Err(what) = look(scene, &mut gauges).await {
            tell(&mut wrong, &name, &what);
        }
    }
    (ledger, gauges, wrong)
}

fn tell(wrong: &mut Vec<String>, fault: &str, what: &str) {
    let what = format!("after {fault}, at {}: {what}", now());
    eprintln!("WRONG {what}");
    wrong.push(what);
}

/// All is well again: what the daemons say of themselves must say so.
async fn look(scene: &mut Scene, gauges: &mut Gauges) -> Result<(), String> {
    scene.stage.settled().await;
    let last = scene.stage.daemons.len() - 1;
    for (n, daemon) in scene.stage.daemons.iter().enumerate() {
        gauges.read(daemon, n == last).await?;
    }
    if scene.stage.random.u64(..DOCTOR) == 0 {
        return doctor(&scene.stage.daemons[last]).await;
    }
    Ok(())
}

/// `supercheck doctor` finds nothing, within a while: a node that comes back to
/// its cluster knows a little later where each stream is led.
async fn doctor(daemon: &daemon::Daemon) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let (code, out, err) = daemon::run(&mut daemon.command(&["doctor"]));
        if code < 2 {
            return Ok(());
        }
        let bad = out.lines().filter(|line| line.starts_with("bad"));
        let found = format!("{:#?}{err}", bad.collect::<Vec<_>>());
        eprintln!("doctor finds {found}");
        if began.elapsed() > DOCTOR_WITHIN {
            return Err(format!("doctor finds, when all is well: {found}"));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
