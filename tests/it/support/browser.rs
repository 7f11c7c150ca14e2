//! A headless Chromium, driven as a person drives one.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{tools, wait};

/// What the browser needs to leave the network alone.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser of the test's own, ended when dropped.
pub struct Browser {
    pub client: Client,
    driver: String,
    session: String,
    _child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts it, if Debian's packages chromium and chromium-driver are there.
    pub async fn start() -> Option<Self> {
        let program = Path::new("/usr/bin/chromedriver");
        if !tools::has(program, "Chromium's driver") {
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = tokio::time::timeout(wait::LONG, async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the driver's port");
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
        });
        let driver = format!("http://127.0.0.1:{}", port.await.unwrap());
        let mut flags: Vec<_> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push("--window-size=1280,900".to_owned());
        let wanted = json!({
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&driver)
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Some(Self {
            client,
            driver,
            session,
            _child: child,
            _profile: profile,
        })
    }

    async fn post(&self, command: &str, body: &Value) -> Value {
        let url = format!("{}/session/{}/{command}", self.driver, self.session);
        let answer = reqwest::Client::new()
            .post(url)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["value"].clone()
    }

    /// What the page's console says, but for what is only information.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({"type": "browser"})).await;
        let lines = log.as_array().cloned().unwrap_or_default();
        lines
            .iter()
            .filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING")
            .map(ToString::to_string)
            .collect()
    }

    /// How the visitor likes it: `light` or `dark`, on a screen so wide.
    pub async fn prefers(&self, scheme: &str, width: u32, height: u32) {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        for (command, params) in [
            ("Emulation.setEmulatedMedia", media),
            ("Emulation.setDeviceMetricsOverride", screen),
        ] {
            let body = json!({"cmd": command, "params": params});
            self.post("goog/cdp/execute", &body).await;
        }
    }

    /// The value of a JavaScript expression.
    pub async fn eval(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.client.execute(&script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true.
    pub async fn shows(&self, what: &str, expression: &str) {
        wait::until(what, async || {
            (self.eval(expression).await == Value::Bool(true)).then_some(())
        })
        .await;
    }

    /// Keeps a picture as `target/screenshots/<name>.png`.
    pub async fn picture(&self, name: &str) {
        let folder = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| tools::root().join("target"), PathBuf::from)
            .join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let png = self.client.screenshot().await.unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }
}
