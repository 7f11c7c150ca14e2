//! The real binary: as a daemon, and as a command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::wait;

/// As it was built for the tests.
const BINARY: &str = env!("CARGO_BIN_EXE_supercheck");

/// A command line of the real binary, without this environment's settings.
pub fn supercheck() -> Command {
    program(Path::new(BINARY))
}

fn program(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SUPERCHECK_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Its exit code, stdout and stderr.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A running daemon, killed when dropped.
pub struct Daemon {
    home: TempDir,
    /// The binary that it starts as, if it is an older version.
    pub older: Option<PathBuf>,
    env: Vec<(String, String)>,
    arguments: Vec<String>,
    child: Child,
}

impl Daemon {
    /// Serves `config`, which need not say where to listen.
    pub fn serve(config: &str) -> Self {
        Self::serve_with(config, &[], &[])
    }

    /// Serves `config` with more arguments and environment.
    pub fn serve_with(config: &str, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("supercheck.toml"), config).unwrap();
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let child = spawn(Path::new(BINARY), home.path(), &arguments, &env);
        Self {
            home,
            older: None,
            env,
            arguments,
            child,
        }
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.home.path().join("supercheck.toml")
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// A command that reads the daemon's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = supercheck();
        command.arg("--config").arg(self.config()).args(arguments);
        command.envs(self.env.clone());
        command
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends it as a crash does, and starts it again.
    pub fn crash_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Starts it again, after it has ended.
    pub fn start_again(&mut self) {
        let binary = self.older.as_deref().unwrap_or(Path::new(BINARY));
        self.child = spawn(binary, self.home.path(), &self.arguments, &self.env);
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        wait::until("the daemon ends", async || self.child.try_wait().unwrap()).await
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Everything logged so far.
    pub fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.home.path().join("log")).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// How many lines say `message`.
    pub fn said(&self, message: &str) -> usize {
        let log = self.log();
        log.iter().filter(|line| line["message"] == message).count()
    }

    /// The lines at WARN or ERROR, as text.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.log();
        log.iter()
            .filter(|line| line["level"] == "WARN" || line["level"] == "ERROR")
            .map(ToString::to_string)
            .collect()
    }

    /// Waits for a line that says `message`, and returns its fields.
    pub async fn says(&self, message: &str) -> Value {
        wait::until(&format!("the daemon logs `{message}`"), async || {
            let log = self.log();
            let line = log.iter().find(|line| line["message"] == message)?;
            Some(line.clone())
        })
        .await
    }

    /// Waits for the HTTP listener, and returns its URL.
    pub async fn http(&self) -> String {
        self.says("listening").await;
        // The newest, should it have been started again.
        let log = self.log();
        let line = log.iter().rfind(|line| line["message"] == "listening");
        format!("http://{}", line.unwrap()["address"].as_str().unwrap())
    }

    /// The URL that the last start listens on, once it does.
    pub async fn http_again(&self) -> Option<String> {
        let log = self.log();
        let mut lines = log.iter().rev();
        let line = lines.find(|line| line["message"] == "listening")?;
        let url = format!("http://{}", line["address"].as_str()?);
        let answers = reqwest::get(format!("{url}/livez")).await;
        answers.is_ok().then_some(url)
    }

    /// What `/readyz` says.
    pub async fn readyz(&self) -> (u16, Value) {
        self.try_readyz().await.expect("the daemon answers")
    }

    /// The same, if it listens.
    pub async fn try_readyz(&self) -> Option<(u16, Value)> {
        let url = format!("{}/readyz", self.http().await);
        let answer = reqwest::get(url).await.ok()?;
        let code = answer.status().as_u16();
        let body = answer.bytes().await.ok()?;
        Some((code, serde_json::from_slice(&body).unwrap()))
    }

    /// Waits until NATS is usable for it.
    pub async fn ready(&self) {
        wait::until("the daemon is ready", async || {
            // One that was just started may not listen yet.
            (self.try_readyz().await?.1["nats"] == "ready").then_some(())
        })
        .await;
    }
}

fn spawn(binary: &Path, home: &Path, arguments: &[String], env: &[(String, String)]) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(home.join("log"))
        .unwrap();
    let mut command = program(binary);
    command
        .arg("--config")
        .arg(home.join("supercheck.toml"))
        .args(["--log", "json", "serve"])
        .args(arguments)
        .env("SUPERCHECK_HTTP__LISTEN", "127.0.0.1:0")
        .env("STATE_DIRECTORY", home.join("state"))
        .envs(env.iter().cloned())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().unwrap()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(25).collect();
            eprintln!(
                "the end of the daemon's log, newest first:\n{}",
                lines.join("\n")
            );
        }
        // It may have been ended by the test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
