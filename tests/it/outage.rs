//! NATS away, back, refusing, full; and crashes of everything at any moment.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::commands::checking;
use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    proxy::Proxy,
    target::Target,
    wait,
};

pub fn config(nats: &str, target: &Target) -> String {
    format!(
        "[nats]\nurl = \"{nats}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"",
        target.url("/")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_while_nats_is_away_and_the_newest_is_stored_when_it_is_back() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let proxy = Proxy::to(nats.port).await;
    let daemon = Daemon::serve(&config(&proxy.url(), &target));
    daemon.ready().await;
    let js = nats.jetstream().await;
    wait::until("a summary", async || nats.summary(&js, "api").await).await;

    proxy.cut();
    wait::until("not ready", async || {
        let (code, body) = daemon.readyz().await;
        (code == 503 && body["nats"] == "away").then_some(())
    })
    .await;
    let cut_at = chrono::Utc::now();
    let hits = target.hits("/");
    wait::until("runs while NATS is away", async || {
        (target.hits("/") > hits + 10).then_some(())
    })
    .await;
    let (code, _, err) = run(&mut daemon.command(&["status"]));
    assert_eq!(code, 69, "{err}");

    proxy.mend();
    daemon.ready().await;
    wait::until("a summary of a run after the cut", async || {
        let summary = nats.summary(&js, "api").await?;
        let at = chrono::DateTime::parse_from_rfc3339(summary["checked_at"].as_str()?).ok()?;
        (at.to_utc() > cut_at).then_some(())
    })
    .await;
    assert_eq!(
        daemon.said("lost NATS; checks go on, the newest results are kept"),
        1
    );
    assert_eq!(daemon.said("connected to NATS"), 2);
    assert_eq!(daemon.complaints().len(), 1, "{:#?}", daemon.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_that_comes_after_the_daemon_is_found() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    nats.kill();
    let daemon = Daemon::serve(&config(&nats.url(), &target));
    let (code, body) = daemon.readyz().await;
    assert_eq!((code, &body["status"]), (503, &Value::from("not ready")));
    wait::until("runs without NATS", async || {
        (target.hits("/") > 2).then_some(())
    })
    .await;
    let told = daemon
        .says("NATS is not there; checks go on, and it is tried again")
        .await;
    assert_eq!(told["url"], nats.url());
    nats.start_again().await;
    daemon.ready().await;
    let js = nats.jetstream().await;
    wait::until("a summary", async || nats.summary(&js, "api").await).await;
    assert_eq!(daemon.complaints().len(), 1, "{:#?}", daemon.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn required_nats_that_is_away_ends_the_daemon_with_69() {
    let target = Target::start().await;
    let mut daemon = Daemon::serve_with(
        &config("nats://127.0.0.1:1", &target),
        &["--require-nats"],
        &[],
    );
    assert_eq!(daemon.ended().await.code(), Some(69));
    let mut command = daemon.command(&["serve", "--require-nats"]);
    let (code, _, err) = run(command.env("SUPERCHECK_HTTP__LISTEN", ""));
    assert_eq!(code, 69);
    for part in ["nats://127.0.0.1:1", "refused", "hint: is nats-server"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    assert_eq!(target.hits("/"), 0, "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn required_nats_that_cannot_be_used_ends_the_daemon_with_the_cause() {
    let nats = Nats::configured("debug: false").await;
    let target = Target::start().await;
    let (_home, mut command) = checking(&config(&nats.url(), &target));
    let (code, _, err) = run(command.args(["serve", "--require-nats"]));
    assert_eq!(code, 69);
    assert!(err.contains("JetStream") && err.contains("`-js`"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_is_named_as_such() {
    let nats = Nats::configured("debug: false").await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats.url(), &target));
    let told = daemon.says("NATS cannot be used; trying again").await;
    assert!(told["hint"].as_str().unwrap().contains("`-js`"), "{told}");
    let (code, out, _) = run(&mut daemon.command(&["doctor"]));
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("JetStream") && out.contains("`-js`"), "{out}");
    assert_eq!(daemon.readyz().await.0, 503);
    wait::until("runs all the same", async || {
        (target.hits("/") > 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_permissions_are_named() {
    let nats = Nats::configured(
        "jetstream { store_dir: \"%STORE%\" }\nauthorization { users: [{ user: u, password: p, permissions: { publish: { deny: \"$JS.API.STREAM.CREATE.>\" } } }] }",
    )
    .await;
    let target = Target::start().await;
    let url = format!("nats://u:p@127.0.0.1:{}", nats.port);
    let daemon = Daemon::serve(&config(&url, &target));
    let told = daemon
        .says("NATS cannot be used; trying again")
        .await
        .to_string();
    assert!(
        told.contains("ermission") && told.contains("$JS.API.STREAM.CREATE.OBJ_supercheck"),
        "{told}"
    );
    let (code, out, _) = run(&mut daemon.command(&["doctor", "--fix"]));
    assert_eq!(code, 2, "{out}");
    assert!(
        out.contains("$JS.API.STREAM.CREATE.OBJ_supercheck"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_without_the_password() {
    let nats = Nats::configured(
        "jetstream { store_dir: \"%STORE%\" }\nauthorization { user: u, password: right }",
    )
    .await;
    let target = Target::start().await;
    let url = format!("nats://u:wrong-password@127.0.0.1:{}", nats.port);
    let daemon = Daemon::serve(&config(&url, &target));
    wait::until("the refusal is logged", async || {
        daemon
            .complaints()
            .iter()
            .any(|line| line.to_lowercase().contains("authorization"))
            .then_some(())
    })
    .await;
    let (code, out, err) = run(&mut daemon.command(&["status"]));
    assert_eq!(code, 69);
    for text in [
        &out,
        &err,
        &daemon
            .log()
            .iter()
            .map(Value::to_string)
            .collect::<String>(),
    ] {
        assert!(!text.contains("wrong-password"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_storage_is_named() {
    let nats = Nats::configured("jetstream { store_dir: \"%STORE%\", max_file_store: 64KB }").await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats.url(), &target));
    let told = daemon.says("NATS cannot be used; trying again").await;
    assert!(
        told["hint"].as_str().unwrap().contains("max_file_store"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn full_storage_is_named_and_checks_go_on() {
    let nats = Nats::start().await;
    let js = nats.jetstream().await;
    js.create_stream(async_nats::jetstream::stream::Config {
        name: "OBJ_supercheck".to_owned(),
        subjects: vec![
            "$O.supercheck.C.>".to_owned(),
            "$O.supercheck.M.>".to_owned(),
        ],
        max_bytes: 30_000,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        allow_direct: true,
        allow_rollup: true,
        ..Default::default()
    })
    .await
    .unwrap();
    let target = Target::start().await;
    let long = format!("{{\"pad\":\"{}\"}}", "x".repeat(8000));
    target.set("/", crate::support::target::Answer::json(&long));
    // A small report still fits now and then.
    let small = format!(
        "\n[[check]]\nname = \"small\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"",
        target.url("/small")
    );
    let daemon = Daemon::serve(&(config(&nats.url(), &target) + &small));
    let told = daemon
        .says("reports are not stored; the newest are kept")
        .await;
    assert!(
        told["hint"].as_str().unwrap().contains("max_file_store"),
        "{told}"
    );
    let hits = target.hits("/");
    wait::until("runs go on", async || {
        (target.hits("/") > hits + 20).then_some(())
    })
    .await;
    // That it is full, and how the bucket differs: no flood.
    let complaints = daemon.complaints();
    assert!(complaints.len() <= 4, "{complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_another_kind_under_our_name_is_named() {
    let nats = Nats::start().await;
    let js = nats.jetstream().await;
    js.create_stream(async_nats::jetstream::stream::Config {
        name: "KV_supercheck_kv".to_owned(),
        subjects: vec!["something.else".to_owned()],
        ..Default::default()
    })
    .await
    .unwrap();
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats.url(), &target));
    let told = daemon.says("NATS cannot be used; trying again").await;
    let error = told["error"].as_str().unwrap();
    assert!(
        error.contains("KV_supercheck_kv") && error.contains("something.else"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_deleted_under_its_feet_is_made_again() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats.url(), &target));
    let js = nats.jetstream().await;
    wait::until("a summary", async || nats.summary(&js, "api").await).await;
    js.delete_stream("KV_supercheck_kv").await.unwrap();
    js.delete_stream("OBJ_supercheck").await.unwrap();
    wait::until("a summary again", async || nats.summary(&js, "api").await).await;
    wait::until("a report again", async || {
        nats.object(&js, &target.url("/")).await
    })
    .await;
    drop(daemon);
}

/// For a minute, the daemon or the server is killed at random moments. After
/// each restart every check has a report younger than the restart within
/// interval + timeout (and what a slow machine needs), and nothing corrupt is
/// ever read.
#[tokio::test(flavor = "multi_thread")]
async fn crashes_at_any_moment_leave_nothing_corrupt() {
    const CHECKS: usize = 20;
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let checks: String = (0..CHECKS)
        .map(|n| {
            format!(
                "[[check]]\nname = \"c{n}\"\nurl = \"{}\"\n",
                target.url(&format!("/{n}"))
            )
        })
        .collect();
    let mut daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[defaults]\ninterval = \"300ms\"\ntimeout = \"200ms\"\n{checks}",
        nats.url()
    ));
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let began = Instant::now();
    let mut crashes = 0;
    while began.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(random.u64(50..2000))).await;
        if random.bool() {
            daemon.crash_and_start_again();
        } else {
            nats.kill();
            nats.start_again().await;
        }
        crashes += 1;
        let restarted = chrono::Utc::now();
        let js = nats.jetstream().await;
        for n in 0..CHECKS {
            let url = target.url(&format!("/{n}"));
            wait::within(
                Duration::from_secs(10),
                "a report after the restart",
                async || {
                    let report: Value = serde_json::from_slice(&nats.object(&js, &url).await?)
                        .expect("what is read is never corrupt");
                    let at = chrono::DateTime::parse_from_rfc3339(report["checked_at"].as_str()?)
                        .unwrap();
                    (at.to_utc() > restarted).then_some(())
                },
            )
            .await;
            nats.summary(&js, &format!("c{n}"))
                .await
                .expect("a summary");
        }
    }
    assert!(crashes > 10, "{crashes} crashes are too few");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_nats_is_in_no_log_however_much_is_logged() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let url = format!("nats://u:hunter2@127.0.0.1:{}", nats.port);
    let daemon = Daemon::serve_with(&config(&url, &target), &[], &[("RUST_LOG", "trace")]);
    daemon.ready().await;
    let log: String = daemon.log().iter().map(Value::to_string).collect();
    assert!(log.contains("async_nats"), "the client logs, too");
    assert!(!log.contains("hunter2"), "{log}");
}

/// A server with a user `all`, and `u` who may not publish to `denied`.
async fn denying(denied: &str) -> Nats {
    Nats::configured(&format!(
        "jetstream {{ store_dir: \"%STORE%\" }}\nauthorization {{ users: [{{ user: all, password: p }}, {{ user: u, password: p, permissions: {{ publish: {{ deny: \"{denied}\" }} }} }}] }}"
    ))
    .await
}

fn as_user(user: &str, nats: &Nats) -> (tempfile::TempDir, Command) {
    checking(&format!(
        "[nats]\nurl = \"nats://{user}:p@127.0.0.1:{}\"\n[[check]]\nname = \"api\"\nurl = \"http://127.0.0.1:1/\"",
        nats.port
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_each_subject_that_may_not_be_published_to() {
    for (denied, named) in [
        ("$O.supercheck.>", "$O.supercheck.C._doctor"),
        ("$KV.supercheck_kv.>", "$KV.supercheck_kv._doctor"),
        ("supercheck.history.*", "supercheck.history._doctor"),
        ("supercheck.events.>", "supercheck.events._doctor"),
        ("$JS.API.>", "$JS.API.STREAM.INFO.OBJ_supercheck"),
    ] {
        let nats = denying(denied).await;
        let (_home, mut command) = as_user("all", &nats);
        assert_eq!(run(command.args(["doctor", "--fix"])).0, 0);
        let (_home, mut command) = as_user("u", &nats);
        let (code, out, err) = run(command.arg("doctor"));
        assert_eq!(code, 2, "{denied}: {out}{err}");
        assert!(
            out.contains(named) && out.contains("hint"),
            "{denied}: {out}"
        );
        // What was tried left nothing behind.
        let (_, out, _) = run(as_user("all", &nats).1.arg("doctor"));
        assert!(
            out.contains("`SUPERCHECK_HISTORY` holds 0 messages"),
            "{out}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_permission_is_told_which_is_missing() {
    let nats = denying("$JS.API.>").await;
    let (_home, mut command) = as_user("all", &nats);
    assert_eq!(run(command.args(["doctor", "--fix"])).0, 0);
    for reading in ["status", "status api", "report api", "history api"] {
        let (_home, mut command) = as_user("u", &nats);
        let (code, out, err) = run(command.args(reading.split(' ')));
        assert_eq!((code, out.as_str()), (69, ""), "{reading}: {err}");
        assert!(
            err.contains("Permissions Violation for Publish to \"$JS.API."),
            "{reading}: {err}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_once_that_it_can_hear_no_answer() {
    let nats = Nats::configured(
        "jetstream { store_dir: \"%STORE%\" }\nauthorization { users: [{ user: u, password: p, permissions: { subscribe: { deny: \"_INBOX.>\" } } }] }",
    )
    .await;
    let (_home, mut command) = as_user("u", &nats);
    let (code, out, _) = run(command.arg("doctor"));
    assert_eq!(code, 2, "{out}");
    let bad: Vec<_> = out.lines().filter(|line| line.starts_with("bad")).collect();
    assert_eq!(bad.len(), 1, "{out}");
    assert!(bad[0].contains("for Subscription to \"_INBOX."), "{out}");
}
