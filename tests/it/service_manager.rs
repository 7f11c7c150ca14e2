//! What the daemon tells a service manager, and the health check of containers.

use std::{io::ErrorKind, os::unix::net::UnixDatagram, path::Path, sync::Mutex, time::Duration};

use rustix::process::Signal;

use crate::support::{
    daemon::{Daemon, run, supercheck},
    nats::Nats,
    target::{Answer, Target},
    wait,
};

/// The end at which systemd would listen.
struct Manager {
    socket: UnixDatagram,
    home: tempfile::TempDir,
    heard: Mutex<Vec<String>>,
}

impl Manager {
    fn listen() -> Self {
        let home = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            home,
            heard: Mutex::default(),
        }
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    /// Every line heard so far.
    fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock().unwrap();
        let mut datagram = [0; 4096];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(n) => {
                    let text = std::str::from_utf8(&datagram[..n]).unwrap();
                    heard.extend(text.lines().map(str::to_owned));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard.clone(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn count(&self, line: &str) -> usize {
        self.heard().iter().filter(|heard| *heard == line).count()
    }

    async fn hears(&self, line: &str) {
        let what = format!("the service manager hears `{line}`");
        wait::until(&what, async || (self.count(line) > 0).then_some(())).await;
    }

    fn serve(&self, config: &str, env: &[(&str, &str)]) -> Daemon {
        let socket = self.path().join("notify").display().to_string();
        let mut all = vec![("NOTIFY_SOCKET", socket.as_str())];
        all.extend(env);
        Daemon::serve_with(config, &["--fast-start"], &all)
    }
}

fn config(nats: &Nats, target: &Target) -> String {
    format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"\n",
        nats.url(),
        target.url("/")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_that_does_not_read_holds_up_nothing() {
    let (nats, target) = (Nats::start().await, Target::start().await);
    let manager = Manager::listen();
    // Until it takes no more.
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"X=1", manager.path().join("notify")).is_ok() {}
    let config = config(&nats, &target);
    let mut daemon = manager.serve(&config, &[("WATCHDOG_USEC", "100000")]);
    daemon.ready().await;
    let second = config.lines().skip(2).collect::<Vec<_>>().join("\n");
    let second = second.replace("api", "shop").replace("/\"\n", "/shop\"\n");
    std::fs::write(daemon.config(), format!("{config}{second}")).unwrap();
    daemon.signal(Signal::HUP);
    for path in ["/", "/shop"] {
        let asked = target.hits(path);
        wait::until(path, async || (target.hits(path) > asked + 2).then_some(())).await;
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_how_it_is_from_ready_to_stopping() {
    let mut nats = Nats::start().await;
    nats.kill();
    let target = Target::start().await;
    let manager = Manager::listen();
    let config = config(&nats, &target);
    let mut daemon = manager.serve(&config, &[]);
    // Without NATS it is ready all the same: checks run.
    manager.hears("READY=1").await;
    manager
        .hears("STATUS=1 check, NATS away: results are kept until it is back")
        .await;
    nats.start_again().await;
    manager.hears("STATUS=1 check, NATS connected").await;
    target.set("/", Answer::json("{}").status(503));
    manager
        .hears("STATUS=1 check, 1 down, NATS connected")
        .await;

    std::fs::write(daemon.config(), "[nats]\nurl = 4").unwrap();
    daemon.signal(Signal::HUP);
    manager.hears("RELOADING=1").await;
    manager
        .hears(
            "STATUS=1 check, 1 down, NATS connected; the newest configuration has mistakes and \
             is not used (see the log)",
        )
        .await;
    assert_eq!(manager.count("READY=1"), 2, "{:?}", manager.heard());
    std::fs::write(daemon.config(), config.replace("api", "shop")).unwrap();
    target.set("/", Answer::json("{}"));
    daemon.signal(Signal::HUP);
    wait::until("ready again", async || {
        (manager.count("READY=1") == 3).then_some(())
    })
    .await;
    assert_eq!(manager.count("STOPPING=1"), 0);
    assert_eq!(manager.count("WATCHDOG=1"), 0, "nobody asked for pings");
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert_eq!(manager.count("STOPPING=1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_scheduler_or_recorder_misses_the_watchdogs_ping() {
    for stuck in ["schedule", "recorder"] {
        let mut nats = Nats::start().await;
        let target = Target::start().await;
        let manager = Manager::listen();
        let trap = manager.path().join("trap");
        let stall = format!("{stuck}@{}", trap.display());
        let env = [("WATCHDOG_USEC", "800000"), ("SUPERCHECK_STALL", &stall)];
        let daemon = manager.serve(&config(&nats, &target), &env);
        let pings = || manager.count("WATCHDOG=1");
        wait::until("pings", async || (pings() >= 3).then_some(())).await;
        if stuck == "recorder" {
            // A recorder that waits for NATS is not stuck.
            nats.kill();
            daemon
                .says("lost NATS; checks go on, the newest results are kept")
                .await;
            let before = pings();
            wait::until("pings", async || (pings() >= before + 3).then_some(())).await;
            nats.start_again().await;
            daemon.ready().await;
        }
        std::fs::write(&trap, "").unwrap();
        let said = daemon
            .says("no sign of life; the watchdog's ping is held back")
            .await;
        assert_eq!(said["task"], stuck);
        let before = pings();
        // Pings would come every 200 ms; that none does takes time to see.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(pings(), before, "no ping once {stuck} is stuck");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_says_whether_the_daemon_is_ready() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let mut daemon = Daemon::serve(&config(&nats, &target));
    daemon.ready().await;
    let listen = daemon.http().await.replace("http://", "");
    let healthcheck = |listen: &str| {
        let mut command = daemon.command(&["healthcheck"]);
        run(command.env("SUPERCHECK_HTTP__LISTEN", listen))
    };
    // Ready is also that the first results are in.
    wait::until("it is ready", async || {
        (healthcheck(&listen).0 == 0).then_some(())
    })
    .await;
    // Without HTTP it asks through NATS.
    let (code, out, err) = healthcheck("");
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("answers on this NATS"), "{out}");
    let (code, _, err) = healthcheck("127.0.0.1:0");
    assert_eq!(code, 78, "{err}");
    nats.kill();
    wait::until("it is not ready", async || {
        (healthcheck(&listen).0 == 1).then_some(())
    })
    .await;
    let (code, out, _) = healthcheck("");
    assert_eq!(code, 1, "{out}");
    daemon.kill();
    let mut command = daemon.command(&["healthcheck"]);
    let (code, out, _) = run(command.env("SUPERCHECK_HTTP__LISTEN", &listen));
    assert_eq!(code, 1);
    assert!(out.contains("connection refused"), "{out}");
}

#[test]
fn manual_pages_and_completions_are_made_from_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, err) = run(supercheck().arg("man").arg(home.path()));
    assert_eq!(code, 0, "{err}");
    for page in ["supercheck", "supercheck-serve", "supercheck-config-check"] {
        let path = home.path().join(format!("{page}.1"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{text}");
    }
    let (_, page, _) = run(supercheck().arg("man"));
    assert!(page.contains("healthcheck caching daemon"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, err) = run(supercheck().args(["completions", shell]));
        assert_eq!(code, 0, "{err}");
        assert!(script.contains("healthcheck"), "{script}");
        assert!(
            !script.contains("embedded-nats-server"),
            "what is internal is not offered"
        );
    }
}
