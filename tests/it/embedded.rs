//! The embedded NATS: one binary and one nats-server beside it are enough.

use std::{fs, net::TcpListener};

use crate::support::{
    daemon::{Daemon, run},
    target::Target,
    tools, wait,
};

fn config(target: &Target, listen: &str) -> String {
    let binary = tools::nats_server(tools::VERSIONS[0]).expect("run tests/run");
    format!(
        "[nats]\nserver_binary = {binary:?}\nlisten = \"{listen}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"300ms\"\ntimeout = \"200ms\"",
        target.url("/")
    )
}

async fn url(daemon: &Daemon) -> String {
    let told = daemon.says("started the embedded nats-server").await;
    told["url"].as_str().unwrap().to_owned()
}

/// The process ids of the nats-servers that serve from `daemon`'s state.
fn servers(daemon: &Daemon) -> Vec<i32> {
    let state = daemon.state().display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(&state) && line.contains("nats-server")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_started_kept_running_and_stopped_last() {
    let target = Target::start().await;
    let mut daemon = Daemon::serve(&config(&target, "127.0.0.1:0"));
    let url = url(&daemon).await;
    daemon.ready().await;
    let client = async_nats::connect(&url).await.unwrap();
    let js = async_nats::jetstream::new(client);
    let kv = js.get_key_value("supercheck_kv").await.unwrap();
    wait::until("a summary", async || kv.get("api").await.unwrap()).await;

    // It dies: it is started again, with its data.
    let pid = *servers(&daemon).first().expect("a nats-server runs");
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait::until("another process", async || {
        let servers = servers(&daemon);
        servers
            .iter()
            .any(|other| *other != pid.as_raw_nonzero().get())
            .then_some(())
    })
    .await;
    daemon.ready().await;
    wait::until("a summary", async || kv.get("api").await.ok()?).await;

    assert_eq!(daemon.stop().await.code(), Some(0));
    assert_eq!(
        servers(&daemon),
        Vec::<i32>::new(),
        "nothing is left behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_dies_with_a_daemon_that_is_killed() {
    let target = Target::start().await;
    let mut daemon = Daemon::serve(&config(&target, "127.0.0.1:0"));
    daemon.ready().await;
    assert_eq!(servers(&daemon).len(), 1);
    daemon.kill();
    wait::until("the server ends", async || {
        servers(&daemon).is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let target = Target::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut daemon = Daemon::serve(&config(&target, &address));
    assert_eq!(daemon.ended().await.code(), Some(69));
    let (code, _, err) = run(daemon
        .command(&["serve"])
        .env("SUPERCHECK_HTTP__LISTEN", ""));
    assert_eq!(code, 69);
    assert!(
        err.contains(&address) && err.contains("`nats.url`") && err.contains("`nats.listen`"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_anywhere_says_how_to_get_one() {
    let daemon_home = tempfile::tempdir().unwrap();
    let mut command = crate::support::daemon::supercheck();
    command
        .arg("serve")
        .current_dir(daemon_home.path())
        .env("PATH", "/nowhere")
        .env("SUPERCHECK_HTTP__LISTEN", "")
        .env("SUPERCHECK_NATS__LISTEN", "127.0.0.1:0")
        .env("SUPERCHECK_CHECK__API__URL", "http://127.0.0.1:1/");
    let (code, _, err) = run(&mut command);
    assert_eq!(code, 69, "{err}");
    assert!(
        err.contains("install nats-server") && err.contains("nats.server_binary"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_never_share_a_store() {
    let target = Target::start().await;
    let first = Daemon::serve(&config(&target, "127.0.0.1:0"));
    first.ready().await;
    let mut second = first.command(&["serve"]);
    second
        .env("SUPERCHECK_HTTP__LISTEN", "")
        .env("STATE_DIRECTORY", first.state());
    let (code, _, err) = run(&mut second);
    assert_eq!(code, 69);
    assert!(
        err.contains("another supercheck") && err.contains("STATE_DIRECTORY"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_state_directory_is_a_backup() {
    let target = Target::start().await;
    let config = config(&target, "127.0.0.1:0");
    let mut daemon = Daemon::serve(&config);
    daemon.ready().await;
    let history = async |daemon: &Daemon| {
        let url = url(daemon).await;
        let mut command = daemon.command(&["history", "api", "--json"]);
        let (code, out, err) = run(command.env("SUPERCHECK_NATS__URL", url));
        // 3: nothing yet.
        assert!([0, 3].contains(&code), "{err}");
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let before = wait::until("a history", async || {
        let history = history(&daemon).await;
        (history.len() >= 3).then_some(history)
    })
    .await;
    assert_eq!(daemon.stop().await.code(), Some(0));

    let restored = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(daemon.state())
        .arg(restored.path())
        .status();
    assert!(copied.unwrap().success());
    drop(daemon);
    let state = restored.path().join("state").display().to_string();
    let daemon = Daemon::serve_with(&config, &[], &[("STATE_DIRECTORY", &state)]);
    daemon.ready().await;
    let after = history(&daemon).await;
    assert_eq!(after[..before.len()], before[..]);
}
