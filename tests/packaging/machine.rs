//! A machine of the test's own: Debian with a booted systemd, in a container
//! without a network but its own loopback.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    command::{Ended, good, run},
    folder, network, wait,
};

/// A booted machine, turned off and thrown away when dropped.
pub struct Machine {
    nspawn: Child,
    /// Its init, as seen from here.
    leader: i32,
    _root: TempDir,
}

impl Machine {
    /// Boots a copy of `root`; `share` is at `/share` in it.
    pub async fn boot(root: &Path, share: &Path) -> Self {
        let copy = tempfile::tempdir_in(folder()).unwrap();
        let inner = copy.path().join("root");
        good(Command::new("cp").arg("-a").arg(root).arg(&inner));
        let log = fs::File::create(copy.path().join("console")).unwrap();
        let nspawn = Command::new("systemd-nspawn")
            .arg("--directory")
            .arg(&inner)
            .arg(format!("--bind-ro={}:/share", share.display()))
            .args(["--register=no", "--keep-unit", "--private-network"])
            .args(["--machine=supercheck", "--boot"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = nspawn.id();
        let mut machine = Self {
            nspawn,
            leader: 0,
            _root: copy,
        };
        machine.leader = wait::until("the machine's init", async || {
            let child = network::child_of(pid)?;
            let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
            (name.trim() == "systemd").then_some(child)
        })
        .await;
        machine
            .becomes("it is booted", "systemctl is-system-running", "running")
            .await;
        machine
    }

    /// Runs a line of shell in it.
    pub fn sh(&self, script: &str) -> Ended {
        let mut command = Command::new("nsenter");
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("NO_COLOR", "1")
            .args(["--target", &self.leader.to_string(), "--all"])
            .args(["sh", "-c", script]);
        run(&mut command)
    }

    /// Runs a line of shell in it, which must end well.
    pub fn does(&self, script: &str) -> String {
        let ended = self.sh(script);
        assert_eq!(ended.code, 0, "{script}: {ended:#?}");
        ended.out
    }

    /// Waits until the shell line prints `wanted`.
    pub async fn becomes(&self, what: &str, script: &str, wanted: &str) {
        let mut last = String::new();
        let limit = Duration::from_secs(60);
        let asked = wait::within(limit, what, async || {
            last = self.sh(script).out;
            (last == wanted).then_some(())
        });
        asked.await;
    }

    /// Does `work` in its network.
    pub fn inside<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        network::inside(self.leader, work)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.sh("journalctl --no-pager --lines 40").out;
            eprintln!("the end of the machine's journal:\n{journal}");
        }
        // Its processes die with its init.
        if let Some(leader) = Pid::from_raw(self.leader) {
            // It may be gone already.
            kill_process(leader, Signal::KILL).ok();
        }
        drop(self.nspawn.wait());
    }
}
