//! The commands, as typed: what they print, and how they exit.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{
    daemon::{Daemon, run, supercheck},
    nats::Nats,
    target::{Answer, Target},
    wait,
};

/// A command line with this configuration, in a folder of its own.
pub fn checking(config: &str) -> (tempfile::TempDir, Command) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("supercheck.toml");
    std::fs::write(&path, config).unwrap();
    let mut command = supercheck();
    command.arg("--config").arg(path);
    (home, command)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_exits_like_a_nagios_plugin_and_says_why() {
    let target = Target::start().await;
    target.set("/down", Answer::json(r#"{"status":"DOWN"}"#).status(503));
    let (_home, _) = checking("");
    for (path, code, words) in [("/up", 0, "up "), ("/down", 2, "503")] {
        let (exit, out, err) = run(supercheck().args(["check", &target.url(path)]));
        assert_eq!(exit, code, "{out}{err}");
        assert!(out.contains(words), "{out}");
    }
    let (home, mut command) = checking(&format!(
        r#"
        [[check]]
        name = "api"
        url = "{}"
        expect = ['body.status == "UP"', {{ cel = 'body.queue < 10', severity = "warn" }}]
        "#,
        target.url("/api")
    ));
    target.set("/api", Answer::json(r#"{"status":"UP","queue":11}"#));
    let (exit, out, _) = run(command.args(["check", "api"]));
    assert_eq!(exit, 1, "{out}");
    assert!(
        out.contains("`body.queue` is 11, expected less than 10"),
        "said for people: {out}"
    );
    let (exit, out, _) = run(command.arg("--json"));
    assert_eq!(exit, 1);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["verdict"], "warn");
    assert_eq!(report["response"]["body"]["queue"], 11);
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_asks_again_as_often_as_the_daemon_would() {
    let target = Target::start().await;
    target.set("/api", Answer::json("{}").status(503));
    let (_home, mut command) = checking(&format!(
        "[[check]]\nname = \"api\"\nurl = \"{}\"\nattempts = 3\nattempt_delay = \"10ms\"",
        target.url("/api")
    ));
    let (exit, out, _) = run(command.args(["check", "api"]));
    assert_eq!((exit, target.hits("/api")), (2, 3), "{out}");
    let tell = |attempt| format!("attempt {attempt} failed: HTTP status 503");
    assert!(out.contains(&tell(1)) && out.contains(&tell(2)), "{out}");
    let (_, out, _) = run(command.arg("--json"));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["attempts"], 3);
    assert_eq!(report["failed_attempts"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_of_one_host_are_told_apart() {
    let target = Target::start().await;
    let urls = [target.url("/one"), target.url("/two")];
    let (code, out, err) = run(supercheck().arg("check").args(&urls));
    assert_eq!(code, 0, "{err}");
    assert!(urls.iter().all(|url| out.contains(url)), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_none_get_a_near_miss() {
    let (_home, mut command) =
        checking("[[check]]\nname = \"billing\"\nurl = \"http://127.0.0.1:1/\"");
    let (code, out, err) = run(command.args(["check", "biling"]));
    assert_eq!((code, out.as_str()), (64, ""), "{err}");
    assert!(
        err.contains("`biling`") && err.contains("`billing`"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_mistakes_exit_64_and_config_mistakes_78() {
    let (code, _, err) = run(supercheck().arg("--no-such-thing"));
    assert_eq!(code, 64, "{err}");
    let (_home, mut command) = checking("[[check]]\nname = \"Api\"\nintervall = \"5s\"\n");
    let (code, out, err) = run(command.args(["config", "check"]));
    assert_eq!((code, out.as_str()), (78, ""));
    for part in [
        ":2:8:",
        "Api",
        ":3:1:",
        "intervall",
        "`interval`",
        "`url`",
        "mistakes",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let (_home, mut command) = checking("[[check]]\nname = \"api\"\n");
    let (code, _, err) = run(command.arg("serve"));
    assert_eq!(code, 78, "{err}");
    assert!(err.contains("nothing was started"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_printed() {
    let target = Target::start().await;
    let (_home, mut command) = checking(&format!(
        "[[check]]\nname = \"api\"\nurl = \"{}\"\nobject = \"api\"\nheaders = {{ Authorization = \"Bearer ${{env:TOKEN}}\" }}",
        target.url("/").replace("http://", "http://u:hunter2@")
    ));
    command.env("TOKEN", "s3cr3t");
    for arguments in [&["config", "show"][..], &["check", "--json"], &["check"]] {
        let mut command = clone(&command);
        let (code, out, err) = run(command.args(arguments));
        assert_eq!(code, 0, "{err}");
        assert!(!out.contains("s3cr3t") && !out.contains("hunter2"), "{out}");
        assert!(!err.contains("s3cr3t") && !err.contains("hunter2"), "{err}");
    }
}

fn clone(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_a_table_and_exits_with_the_worst() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/down", Answer::json("{}").status(500));
    let daemon = Daemon::serve(&format!(
        r#"
        [nats]
        url = "{}"
        [defaults]
        interval = "500ms"
        timeout = "400ms"
        [[check]]
        name = "up"
        url = "{}"
        [[check]]
        name = "down"
        url = "{}"
        "#,
        nats.url(),
        target.url("/up"),
        target.url("/down")
    ));
    let js = nats.jetstream().await;
    for name in ["up", "down"] {
        wait::until("a summary", async || nats.summary(&js, name).await).await;
    }
    let (code, out, err) = run(&mut daemon.command(&["status"]));
    assert_eq!(code, 2, "{err}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].starts_with("CHECK"), "{out}");
    assert!(
        lines[1].starts_with("down") && lines[1].contains("500"),
        "{out}"
    );
    assert!(!out.contains('\x1b'), "no colour into a pipe");
    assert_eq!(run(&mut daemon.command(&["status", "up"])).0, 0);
    assert_eq!(run(&mut daemon.command(&["status", "nobody"])).0, 3);
    let (_, out, _) = run(&mut daemon.command(&["status", "--json", "up"]));
    let row: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&row["check"], &row["status"], &row["freshness"]),
        (&"up".into(), &"up".into(), &"fresh".into())
    );

    // `report` prints what is stored, by name or URL, byte for byte.
    let (code, by_name, _) = run(&mut daemon.command(&["report", "up"]));
    assert_eq!(code, 0);
    let report: Value = serde_json::from_str(&by_name).unwrap();
    assert_eq!(report["url"], target.url("/up").as_str());
    assert_eq!(
        run(&mut daemon.command(&["report", &target.url("/up")])).0,
        0
    );

    let (code, out, _) = run(&mut daemon.command(&["doctor"]));
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("ok       the history grows by "), "{out}");

    // A reader that goes away is no trouble of ours.
    let mut child = daemon
        .command(&["status", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let exit = wait::until("a closed pipe ends it", async || child.try_wait().unwrap()).await;
    assert_eq!(exit.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_json() {
    for of in ["config", "report", "summary"] {
        let (code, out, _) = run(supercheck().args(["schema", of]));
        assert_eq!(code, 0);
        let schema: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_when_nobody_reads_the_log_any_more() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let (_home, mut command) = checking(&format!(
        "[nats]\nurl = \"{}\"\n[http]\nlisten = \"\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"",
        nats.url(),
        target.url("/")
    ));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // As much as it can say: every line fails.
    command.arg("serve").env("RUST_LOG", "debug").stderr(writer);
    let mut daemon = command.spawn().unwrap();
    wait::until("runs", async || (target.hits("/") > 5).then_some(())).await;
    let pid = i32::try_from(daemon.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let exit = wait::until("it stops", async || daemon.try_wait().unwrap()).await;
    assert_eq!(exit.code(), Some(0));
}

#[test]
fn errors_that_nobody_reads_change_no_exit_code() {
    let (_home, mut command) = checking("[[check]]\nname = \"Api\"");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let exit = command.args(["config", "check"]).stderr(writer).status();
    assert_eq!(exit.unwrap().code(), Some(78));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_stored_yet_is_unknown_and_no_error() {
    let nats = Nats::start().await;
    let long = "x".repeat(5000);
    for arguments in [
        &["status"][..],
        &["status", "api"],
        &["report", "api"],
        &["report", "http://127.0.0.1:1/other"],
        &["report", ""],
        &["report", &long],
    ] {
        let (_home, mut command) = checking(&format!(
            "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"http://127.0.0.1:1/\"",
            nats.url()
        ));
        let (code, out, err) = run(command.args(arguments));
        assert_eq!(code, 3, "{arguments:?}: {out}{err}");
        assert!(!err.contains("error"), "{arguments:?}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlives_an_outage_of_nats_and_ends_with_ctrl_c() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"500ms\"\ntimeout = \"400ms\"",
        nats.url(),
        target.url("/")
    ));
    daemon.ready().await;
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| std::fs::File::create(home.path().join(name)).unwrap();
    let said = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap();
    let mut watch = daemon
        .command(&["status", "--watch", "--json"])
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn()
        .unwrap();
    let lines = || said("out").lines().count();
    wait::until("it shows", async || (lines() > 1).then_some(())).await;
    nats.kill();
    wait::until("it tells", async || {
        said("err").contains("trying again").then_some(())
    })
    .await;
    let shown = lines();
    nats.start_again().await;
    wait::until("it goes on", async || (lines() > shown + 1).then_some(())).await;
    for line in said("out").lines() {
        serde_json::from_str::<Value>(line).expect("each line is JSON, and no screen is cleared");
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(watch.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let exit = wait::until("it ends", async || watch.try_wait().unwrap()).await;
    assert_eq!(exit.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_rust_log_silences_nothing() {
    let nats = Nats::start().await;
    let config = format!("[nats]\nurl = \"{}\"", nats.url());
    let daemon = Daemon::serve_with(&config, &[], &[("RUST_LOG", "")]);
    daemon.says("serving").await;
}
