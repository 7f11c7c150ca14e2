//! Stopping and reloading.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    target::{Answer, Target},
    wait,
};

/// A daemon whose one check, `slow`, is being run.
async fn in_the_middle_of_a_run(nats: &Nats) -> Daemon {
    let target = Target::start().await;
    target.set("/", Answer::json("{}").after(Duration::from_millis(1500)));
    let daemon = Daemon::serve_with(
        &format!(
            "[nats]\nurl = \"{}\"\n[[check]]\nname = \"slow\"\nurl = \"{}\"\ninterval = \"25s\"\ntimeout = \"5s\"",
            nats.url(),
            target.url("/")
        ),
        &["--fast-start"],
        &[],
    );
    wait::until("the run begins", async || {
        (target.hits("/") == 1).then_some(())
    })
    .await;
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_flight_is_finished_and_stored_before_the_daemon_ends() {
    let nats = Nats::start().await;
    let mut daemon = in_the_middle_of_a_run(&nats).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let js = nats.jetstream().await;
    let summary = nats
        .summary(&js, "slow")
        .await
        .expect("stored before the end");
    assert_eq!(summary["verdict"], "pass");
    assert_eq!(daemon.complaints(), Vec::<String>::new());
    assert_eq!(daemon.said("stopped"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_bounds_the_wait_and_names_what_was_cut() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/", Answer::json("{}").after(Duration::from_secs(60)));
    let mut daemon = Daemon::serve_with(
        &format!(
            "[nats]\nurl = \"{}\"\n[scheduler]\ngrace = \"500ms\"\n[[check]]\nname = \"hanging\"\nurl = \"{}\"\ninterval = \"2m\"\ntimeout = \"1m\"",
            nats.url(),
            target.url("/")
        ),
        &["--fast-start"],
        &[],
    );
    wait::until("the run begins", async || {
        (target.hits("/") == 1).then_some(())
    })
    .await;
    let began = Instant::now();
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
    let complaints = daemon.complaints().concat();
    assert!(
        complaints.contains("500ms") && complaints.contains("`hanging`"),
        "{complaints}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/", Answer::json("{}").after(Duration::from_secs(60)));
    let mut daemon = Daemon::serve_with(
        &format!(
            "[nats]\nurl = \"{}\"\n[scheduler]\ngrace = \"1m\"\n[[check]]\nname = \"hanging\"\nurl = \"{}\"\ninterval = \"2m\"\ntimeout = \"1m\"",
            nats.url(),
            target.url("/")
        ),
        &["--fast-start"],
        &[],
    );
    wait::until("the run begins", async || {
        (target.hits("/") == 1).then_some(())
    })
    .await;
    daemon.signal(Signal::INT);
    daemon.says("stopping").await;
    let (code, body) = daemon.readyz().await;
    assert_eq!((code, body["status"].as_str()), (503, Some("draining")));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_the_process_and_its_group_is_one() {
    let nats = Nats::start().await;
    let mut daemon = in_the_middle_of_a_run(&nats).await;
    // As timeout(1) does it.
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await.code(), Some(0));
    let js = nats.jetstream().await;
    assert!(nats.summary(&js, "slow").await.is_some(), "finished");
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_changed_and_a_bad_file_changes_nothing() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let head = format!(
        "[nats]\nurl = \"{}\"\n[defaults]\ninterval = \"200ms\"\ntimeout = \"150ms\"\n",
        nats.url()
    );
    let check = |name: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nurl = \"{}\"\n",
            target.url(&format!("/{name}"))
        )
    };
    let daemon = Daemon::serve(&format!("{head}{}{}", check("stays"), check("goes")));
    daemon.ready().await;
    wait::until("both run", async || {
        (target.hits("/stays") > 0 && target.hits("/goes") > 0).then_some(())
    })
    .await;

    fs::write(daemon.config(), format!("{head}[[chekc]]")).unwrap();
    daemon.signal(Signal::HUP);
    wait::until("the mistake is told", async || {
        daemon
            .complaints()
            .iter()
            .any(|line| line.contains("chekc"))
            .then_some(())
    })
    .await;
    let hits = target.hits("/goes");
    wait::until("the old checks go on", async || {
        (target.hits("/goes") > hits).then_some(())
    })
    .await;

    fs::write(
        daemon.config(),
        format!("{head}{}{}", check("stays"), check("comes")),
    )
    .unwrap();
    daemon.signal(Signal::HUP);
    let told = daemon.says("configuration reloaded").await;
    assert_eq!(
        (&told["added"], &told["removed"], &told["changed"]),
        (&"comes".into(), &"goes".into(), &"".into())
    );
    wait::until("the new check runs", async || {
        (target.hits("/comes") > 0).then_some(())
    })
    .await;
    let (gone, stays) = (target.hits("/goes"), target.hits("/stays"));
    wait::until("the kept one goes on", async || {
        (target.hits("/stays") > stays + 3).then_some(())
    })
    .await;
    assert!(
        target.hits("/goes") <= gone + 1,
        "a removed check runs no more"
    );
    assert_eq!(target.connections("/stays"), 1, "the connection is kept");
}
