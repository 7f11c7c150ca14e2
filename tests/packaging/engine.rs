//! A container engine of the test's own, in a network of its own: whatever its
//! containers publish on 127.0.0.1 meets nothing of this machine's.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    command::{Ended, good, run},
    folder, network, tools, wait,
};

/// A running dockerd, ended when dropped, with everything that it runs.
pub struct Engine {
    unshare: Child,
    /// dockerd itself, as seen from here.
    leader: i32,
    home: TempDir,
}

impl Engine {
    /// Starts it on the images that `tests/run --packaging` has built.
    pub async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let log = fs::File::create(home.path().join("log")).unwrap();
        let within = |name: &str| home.path().join(name).display().to_string();
        let dockerd = format!(
            "ip link set lo up && exec dockerd --data-root '{}' --exec-root '{}' --pidfile '{}' --host 'unix://{}'",
            folder().join("docker").display(),
            within("exec"),
            within("pid"),
            within("socket"),
        );
        let unshare = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--pid",
                "--mount-proc",
                "--fork",
                "--kill-child",
            ])
            .args(["sh", "-c", &dockerd])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let leader = wait::until("the engine's process", async || {
            network::child_of(unshare.id())
        })
        .await;
        let engine = Self {
            unshare,
            leader,
            home,
        };
        wait::until("the engine answers", async || {
            (engine.docker(&["info"]).code == 0).then_some(())
        })
        .await;
        // What an earlier, broken off test has left.
        let left = engine.does(&["ps", "--all", "--quiet"]);
        for container in left.lines() {
            engine.does(&["rm", "--force", "--volumes", container]);
        }
        engine
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let socket = self.home.path().join("socket");
        command
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .current_dir(tools::root());
        command
    }

    /// `docker` with these arguments.
    pub fn docker(&self, arguments: &[&str]) -> Ended {
        run(self.program("/usr/bin/docker").args(arguments))
    }

    /// `docker` with these arguments, which must end well.
    pub fn does(&self, arguments: &[&str]) -> String {
        good(self.program("/usr/bin/docker").args(arguments))
    }

    /// Compose with one of our files, which must end well.
    pub fn compose(&self, file: &str, arguments: &[&str]) -> String {
        let mut compose = self.program("docker-compose");
        compose.args(["--project-name", "supercheck", "--file", file]);
        good(compose.args(arguments))
    }

    /// What the engine knows of a container or an image.
    pub fn inspect(&self, what: &str) -> Value {
        let text = self.does(&["inspect", what]);
        let list: Value = serde_json::from_str(&text).unwrap();
        list[0].clone()
    }

    /// Waits until the container's own health check passes.
    pub async fn healthy(&self, container: &str) {
        wait::until(&format!("{container} is healthy"), async || {
            let state = self.inspect(container)["State"].clone();
            assert_eq!(
                state["Running"],
                true,
                "{container}: {}",
                self.log(container)
            );
            (state["Health"]["Status"] == "healthy").then_some(())
        })
        .await;
    }

    /// What the container has logged.
    pub fn log(&self, container: &str) -> String {
        let ended = self.docker(&["logs", container]);
        ended.out + &ended.err
    }

    /// Does `work` where the engine publishes ports.
    pub fn inside<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        network::inside(self.leader, work)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let all = self.docker(&["ps", "--all", "--format", "{{.Names}}"]).out;
            for container in all.lines() {
                let log = self.log(container);
                let end: Vec<_> = log.lines().rev().take(15).collect();
                eprintln!(
                    "the end of {container}'s log, newest first:\n{}",
                    end.join("\n")
                );
            }
        }
        let all = self.docker(&["ps", "--all", "--quiet"]).out;
        for container in all.lines() {
            self.docker(&["rm", "--force", "--volumes", container]);
        }
        // Everything of it goes with its process namespace.
        self.unshare.kill().ok();
        self.unshare.wait().ok();
    }
}
