//! A real nats-server of the test's own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::jetstream;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{tools, wait};

/// A nats-server process with JetStream, ended when dropped.
pub struct Nats {
    binary: PathBuf,
    config: String,
    home: TempDir,
    child: Child,
    /// The port, the same over restarts.
    pub port: u16,
}

impl Nats {
    /// The newest server, with JetStream.
    ///
    /// # Panics
    /// When it is not there: no test can do without.
    pub async fn start() -> Self {
        Self::version(tools::VERSIONS[0])
            .await
            .expect("this test needs a nats-server; run tests/run")
    }

    /// The server of that version, if it could be had.
    pub async fn version(version: &str) -> Option<Self> {
        let config = "jetstream { store_dir: \"%STORE%\", %LIMITS% }";
        Self::release(version, config).await
    }

    /// The server of that version, if it could be had, with this configuration
    /// (`%LIMITS%` is what that version needs in `jetstream` for many readers).
    pub async fn release(version: &str, config: &str) -> Option<Self> {
        let binary = tools::nats_server(version)?;
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store").display().to_string();
        Some(Self::begin(binary, home, config.replace("%STORE%", &store)).await)
    }

    /// The newest server with this configuration (`%STORE%` is a folder for
    /// its JetStream).
    pub async fn configured(config: &str) -> Self {
        let binary = tools::nats_server(tools::VERSIONS[0]).expect("run tests/run");
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store").display().to_string();
        Self::begin(binary, home, config.replace("%STORE%", &store)).await
    }

    /// Three servers that know each other.
    pub async fn cluster() -> Vec<Self> {
        let ports = Self::routes::<3>();
        let routes = Self::urls(&ports);
        let nodes = (0..3).map(|n| Self::node(n, ports[n], ports[n], &routes, ""));
        futures_util::future::join_all(nodes).await
    }

    /// Ports where the servers of a cluster listen to each other.
    pub fn routes<const N: usize>() -> [u16; N] {
        // Kept open together, so that the ports differ, and none of those that
        // the system gives to others meanwhile.
        let free = std::iter::repeat_with(|| fastrand::u16(10_000..32_000));
        let mut listeners = free.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        let kept = [(); N].map(|()| listeners.next().unwrap());
        kept.map(|at| at.local_addr().unwrap().port())
    }

    /// What listens at these ports, as a server is told of it.
    pub fn urls(ports: &[u16]) -> Vec<String> {
        let url = |port| format!("nats://127.0.0.1:{port}");
        ports.iter().map(url).collect()
    }

    /// The server `n` of a cluster, which finds the others at `routes` and
    /// listens to them at `port`; those that it does not know are told `told`.
    /// The rest of its configuration is `more`.
    pub async fn node(n: usize, port: u16, told: u16, routes: &[String], more: &str) -> Self {
        Self::configured(&format!(
            "server_name: n{n}\njetstream {{ store_dir: \"%STORE%\", %LIMITS% }}\ncluster {{ name: test, listen: \"127.0.0.1:{port}\", advertise: \"127.0.0.1:{told}\", routes: {routes:?} }}\n{more}"
        ))
        .await
    }

    async fn begin(binary: PathBuf, home: TempDir, config: String) -> Self {
        let child = spawn(&binary, &home, &config, None);
        let mut nats = Self {
            binary,
            config,
            home,
            child,
            port: 0,
        };
        // The system picks the port; the server writes it down.
        nats.port = wait::until("the server's port", async || {
            let ports = nats.ports()?;
            ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
        })
        .await;
        nats
    }

    /// Where it tells of itself over HTTP, if it is configured to.
    pub fn monitoring(&self) -> String {
        let ports = self.ports().expect("it has begun");
        ports["monitoring"][0].as_str().unwrap().to_owned()
    }

    /// The URLs of its ports, which the server writes down when it has begun.
    fn ports(&self) -> Option<serde_json::Value> {
        let binary = self.binary.file_name().unwrap().to_string_lossy();
        let file = format!("{binary}_{}.ports", self.child.id());
        let text = fs::read_to_string(self.home.path().join(file)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("nats.log")).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Another release serves from the same store when it is started again.
    pub fn change_release(&mut self, version: &str) {
        self.binary = tools::nats_server(version).expect("run tests/run");
    }

    /// From now on it is configured so; what it can, it takes up at once.
    pub fn reload(&mut self, config: &str) {
        config.clone_into(&mut self.config);
        write_config(&self.binary, &self.home, config);
        self.signal(Signal::HUP);
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        wait::until("nats-server ends", async || self.child.try_wait().unwrap()).await;
    }

    /// Starts it again, on its port and with its data.
    pub async fn start_again(&mut self) {
        let spawn = || spawn(&self.binary, &self.home, &self.config, Some(self.port));
        self.child = spawn();
        let url = self.url();
        wait::until("nats-server takes connections", async || {
            // Somebody else's connection may have had its port for a moment.
            if self.child.try_wait().unwrap().is_some() {
                self.child = spawn();
            }
            async_nats::connect(&url).await.ok()
        })
        .await;
    }

    /// A client of the test's own.
    pub async fn client(&self) -> async_nats::Client {
        let url = self.url();
        wait::until("a connection", async || {
            async_nats::connect(&url).await.ok()
        })
        .await
    }

    /// JetStream for the test itself.
    pub async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.client().await)
    }

    /// The object's content as async-nats itself reads it, if it is there.
    pub async fn object(&self, js: &jetstream::Context, name: &str) -> Option<Vec<u8>> {
        use tokio::io::AsyncReadExt as _;
        let bucket = js.get_object_store("supercheck").await.ok()?;
        let mut object = bucket.get(name).await.ok()?;
        let mut body = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), object.read_to_end(&mut body));
        match read.await {
            Ok(read) => read.expect("a whole object"),
            // For a moment at its expiry an object's chunk is gone and its meta
            // is not, which the client's reader does not survive.
            Err(_) => {
                let gone = bucket.info(name).await.is_err();
                assert!(gone, "reading an object that is there hangs");
                return None;
            }
        };
        Some(body)
    }

    /// Waits for a summary of `check` that is so.
    pub async fn summary_that(
        &self,
        check: &str,
        what: &str,
        is: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let js = self.jetstream().await;
        wait::until(what, async || {
            let summary = self.summary(&js, check).await;
            summary.filter(|summary| is(summary))
        })
        .await
    }

    /// Waits until these changes of status are announced, as `from>to`, and
    /// returns the last.
    ///
    /// # Panics
    /// When another is.
    pub async fn announced(&self, expected: &[&str]) -> serde_json::Value {
        let js = self.jetstream().await;
        wait::until(&format!("{expected:?} announced"), async || {
            let stream = js.get_stream("SUPERCHECK_EVENTS").await.unwrap();
            let (mut steps, mut last) = (Vec::new(), serde_json::Value::Null);
            for sequence in 1..=stream.cached_info().state.last_sequence {
                let message = stream.get_raw_message(sequence).await.unwrap();
                last = serde_json::from_slice(&message.payload).unwrap();
                let word = |key: &str| last[key].as_str().unwrap().to_owned();
                steps.push(format!("{}>{}", word("from"), word("to")));
            }
            assert!(steps.len() <= expected.len(), "{steps:?}");
            assert!(steps.iter().eq(&expected[..steps.len()]), "{steps:?}");
            (steps.len() == expected.len()).then_some(last)
        })
        .await
    }

    /// The JSON of a summary, if it is there.
    pub async fn summary(&self, js: &jetstream::Context, check: &str) -> Option<serde_json::Value> {
        let bucket = js.get_key_value("supercheck_kv").await.ok()?;
        let value = bucket.get(check).await.ok()??;
        Some(serde_json::from_slice(&value).expect("a summary is JSON"))
    }
}

fn write_config(binary: &Path, home: &TempDir, config: &str) -> PathBuf {
    // As in the configurations that supercheck ships: a foreign client's read
    // of an object leaves a consumer for 30 s, and 2.15 has a limit.
    let limits = if binary.to_string_lossy().contains("2.15") {
        "limits { default_max_consumers: 100000 }"
    } else {
        ""
    };
    let path = home.path().join("nats.conf");
    fs::write(&path, config.replace("%LIMITS%", limits)).unwrap();
    path
}

fn spawn(binary: &PathBuf, home: &TempDir, config: &str, port: Option<u16>) -> Child {
    let path = write_config(binary, home, config);
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(home.path().join("nats.log"))
        .unwrap();
    Command::new(binary)
        .arg("--config")
        .arg(&path)
        .args(["--addr", "127.0.0.1", "--port"])
        .arg(port.map_or_else(|| "-1".to_owned(), |port| port.to_string()))
        .arg("--ports_file_dir")
        .arg(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Nats {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("nats.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(15).collect();
            eprintln!(
                "the end of nats-server's log, newest first:\n{}",
                lines.join("\n")
            );
        }
        // It may have been ended by the test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
