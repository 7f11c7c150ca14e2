//! `deploy/quickstart`, as a newcomer runs it.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    daemon::{run, supercheck},
    tools, wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn it_builds_serves_and_stops_everything() {
    let binary = tools::nats_server(tools::VERSIONS[0]).expect("run tests/run");
    let free = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string()
    };
    let (nats, http) = (free(), free());
    let folder = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut quickstart = Command::new(tools::root().join("deploy/quickstart"))
        .env("SUPERCHECK_NATS_SERVER", binary)
        .env("SUPERCHECK_NATS__LISTEN", &nats)
        .env("SUPERCHECK_HTTP__LISTEN", &http)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    // The release build takes minutes on a small machine.
    wait::within(
        Duration::from_secs(1800),
        "the checks are stored",
        async || {
            assert!(
                quickstart.try_wait().unwrap().is_none(),
                "it ended: {}",
                said()
            );
            let mut status = supercheck();
            status
                .current_dir(tools::root())
                .args(["--config", "config/demo.toml", "status", "--json"])
                .env("SUPERCHECK_NATS__LISTEN", &nats);
            let (_, out, _) = run(&mut status);
            let is = |check: &str, status: &str| {
                out.lines().any(|line| {
                    let row: serde_json::Value = serde_json::from_str(line).unwrap();
                    row["check"] == check && row["status"] == status
                })
            };
            (is("healthy", "up") && is("broken", "down") && is("degraded", "degraded"))
                .then_some(())
        },
    )
    .await;
    for command in ["status --watch", "report healthy", "doctor"] {
        assert!(
            said().contains(command),
            "it tells of `{command}`: {}",
            said()
        );
    }
    let pid = Pid::from_raw(i32::try_from(quickstart.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let exit = wait::until("it ends", async || quickstart.try_wait().unwrap()).await;
    assert_eq!(exit.code(), Some(0), "{}", said());
    for address in ["127.0.0.1:8089", &nats, &http] {
        wait::until("nothing listens any more", async || {
            TcpListener::bind(address).ok()
        })
        .await;
    }
}
