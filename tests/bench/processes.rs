//! The programs that are measured, each a process of its own that ends with
//! its value.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use supercheck::schedule::{self, Jitter, Layout};

use super::target::Came;

/// How the daemon lays out starts, unless configured.
const LAYOUT: Layout = Layout {
    tick: 50,
    crowd: 64,
    fast_start: None,
    jitter: Jitter::NONE,
};

/// What is asked, how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub checks: u64,
    /// In milliseconds.
    pub interval: u64,
    /// Addresses that the target is asked at.
    pub hosts: u64,
    /// Bytes of an answer's body; 0 for the usual document.
    pub size: u64,
    /// So many of them ask where who connects hangs.
    pub dead: u64,
    /// Asked over TLS.
    pub tls: bool,
    /// Several instances share the checks.
    pub shared: bool,
}

impl Plan {
    pub const fn new(checks: u64, interval: u64) -> Self {
        Self {
            checks,
            interval,
            hosts: 1,
            size: 0,
            dead: 0,
            tls: false,
            shared: false,
        }
    }

    pub fn from_words(words: &[&str]) -> Self {
        let number = |at: usize| words[at].parse().unwrap();
        Self {
            checks: number(0),
            interval: number(1),
            hosts: number(2),
            size: number(3),
            tls: number(4) == 1,
            ..Self::new(0, 0)
        }
    }

    fn words(&self) -> [String; 5] {
        let tls = u64::from(self.tls);
        [self.checks, self.interval, self.hosts, self.size, tls].map(|number| number.to_string())
    }

    /// Where check `n` asks, whose slots are at `phase`.
    pub fn url(&self, port: &str, n: u64, phase: u64) -> String {
        let host = n % self.hosts;
        let host = match self.hosts {
            1 => "127.0.0.1".to_owned(),
            _ => format!("127.1.{}.{}", host / 250, 1 + host % 250),
        };
        let (interval, size) = (self.interval, self.size);
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{host}:{port}/c/{n}/{phase}/{interval}/{size}")
    }

    /// The checks, as the daemon is told of them.
    fn config(&self, target: &Target) -> String {
        let timeout = (self.interval * 9 / 10).min(3000);
        let mut config = format!(
            "[defaults]\ninterval = \"{}ms\"\ntimeout = \"{timeout}ms\"\n",
            self.interval
        );
        // One host is asked by all of them.
        config.push_str("[scheduler]\nper_host = 512\n");
        let mut grain = LAYOUT.grain((0..self.checks).map(|_| self.interval));
        if self.shared {
            config.push_str("mode = \"shared\"\n");
            grain = LAYOUT.tick;
        }
        for n in 0..self.checks {
            let name = format!("c{n}");
            let phase = schedule::place(&name, self.interval, LAYOUT.tick, grain);
            let url = match &target.dead {
                Some(dead) if n < self.dead => format!("http://127.2.0.1:{dead}/{n}"),
                _ => self.url(target.port(self), n, phase),
            };
            config.push_str(&format!("[[check]]\nname = \"{name}\"\nurl = \"{url}\"\n"));
            if self.tls {
                config.push_str("trust = \"any\"\n");
            }
        }
        config
    }
}

/// A child process, killed when dropped.
pub struct Process {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Process {
    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out }
    }

    /// This program in another role.
    fn role(words: &[&str]) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        Self::spawn(command.args(words).stdout(Stdio::piped()))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let out = self.out.as_mut().expect("its output is ours");
        out.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What is probed.
pub struct Target {
    pub process: Process,
    port: String,
    tls: String,
    /// Where who connects hangs.
    pub dead: Option<String>,
}

impl Target {
    pub fn start() -> Self {
        let mut process = Process::role(&["target", "false"]);
        let (port, tls) = (process.line(), process.line());
        Self {
            process,
            port,
            tls,
            dead: None,
        }
    }

    /// One with a port beside, where nobody takes connections.
    pub fn with_dead() -> Self {
        let mut process = Process::role(&["target", "true"]);
        let (port, tls) = (process.line(), process.line());
        let dead = process.line();
        Self {
            process,
            port,
            tls,
            dead: Some(dead),
        }
    }

    /// Where `plan` asks it.
    fn port(&self, plan: &Plan) -> &str {
        if plan.tls { &self.tls } else { &self.port }
    }

    /// What has come since the last look.
    pub fn window(&self) -> Came {
        serde_json::from_str(&self.ask("/window")).unwrap()
    }

    /// Another program begins.
    pub fn forget(&self) {
        self.ask("/forget");
    }

    fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: target\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.to_owned()
    }
}

/// The bare loop for `plan`.
pub fn bare(target: &Target, plan: &Plan) -> Process {
    let plan_words = plan.words();
    let mut words = vec!["bare", target.port(plan)];
    words.extend(plan_words.iter().map(String::as_str));
    Process::role(&words)
}

/// The bare responder, ready.
pub fn echo(url: &str) -> Process {
    let mut process = Process::role(&["echo", url]);
    assert_eq!(process.line(), "ready");
    process
}

/// The daemon's real binary.
pub struct Daemon {
    pub process: Process,
    port: u16,
    spawned: Instant,
    home: TempDir,
    /// How long after its start it told its service manager READY.
    told: mpsc::Receiver<Duration>,
}

impl Daemon {
    /// Serves `plan`, and storing in the nats-server at `nats`.
    pub fn start(target: &Target, plan: &Plan, nats: &str, options: &[&str]) -> Self {
        Self::serve(&plan.config(target), nats, options)
    }

    /// Serves `config`.
    pub fn serve(config: &str, nats: &str, options: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("supercheck.toml");
        fs::write(&file, config).unwrap();
        let port = free_port();
        let log = fs::File::create(home.path().join("log")).unwrap();
        let notices = UnixDatagram::bind(home.path().join("notify")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_supercheck"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("SUPERCHECK_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--config"])
            .arg(&file)
            .args(options)
            .env("STATE_DIRECTORY", home.path())
            .env("NOTIFY_SOCKET", home.path().join("notify"))
            .env("SUPERCHECK_NATS__URL", nats)
            .env("SUPERCHECK_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stderr(log);
        let spawned = Instant::now();
        let process = Process::spawn(&mut command);
        let (tell, told) = mpsc::channel();
        // A service manager reads whatever it is told.
        std::thread::spawn(move || {
            let mut notice = [0; 512];
            while let Ok(length) = notices.recv(&mut notice) {
                let told = String::from_utf8_lossy(&notice[..length]);
                if told.contains("READY=1") && tell.send(spawned.elapsed()).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            port,
            spawned,
            home,
            told,
        }
    }

    /// Waits until it tells its service manager READY; returns how long after
    /// its start that was.
    pub fn started(&self) -> Duration {
        self.told.recv().unwrap()
    }

    /// Waits until its results can be relied on.
    pub async fn ready(&self) {
        for _ in 0..60_000 {
            if self.is_ready().unwrap_or(false) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("not ready:\n{}", self.log());
    }

    fn is_ready(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: daemon\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    }

    /// The address of a page of its HTTP face.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// When it was started.
    pub fn spawned(&self) -> Instant {
        self.spawned
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Makes its file say something else, and has it read again.
    pub fn reload(&self, target: &Target, plan: &Plan) {
        let config = plan.config(target);
        fs::write(self.home.path().join("supercheck.toml"), config).unwrap();
        self.process.signal(Signal::HUP);
    }
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A nats-server with its store in a folder of its own.
pub struct Nats {
    pub process: Process,
    pub url: String,
    _home: TempDir,
}

impl Nats {
    /// Starts one and waits until it takes connections.
    pub async fn start() -> Self {
        Self::syncing("2m").await
    }

    /// One that syncs to disk so often: a duration, or `always`.
    pub async fn syncing(interval: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}, sync_interval: {interval}, limits {{ default_max_consumers: 100000 }} }}\n",
            home.path()
        );
        let file = home.path().join("nats.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(binary());
        command.arg("-c").arg(&file);
        let process = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let url = format!("nats://127.0.0.1:{port}");
        while async_nats::connect(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self {
            process,
            url,
            _home: home,
        }
    }
}

/// The nats-server of the tests, got if need be.
fn binary() -> PathBuf {
    const VERSION: &str = "2.15.1";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = env::var_os("SUPERCHECK_TEST_TOOLS")
        .map_or_else(|| root.join("target/tools"), PathBuf::from);
    let binary = tools.join(format!("nats-server-{VERSION}"));
    if !binary.exists() {
        let got = Command::new(root.join("deploy/get-nats-server"))
            .arg(VERSION)
            .arg(&tools)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(got.success(), "deploy/get-nats-server {VERSION} failed");
    }
    binary
}
