//! The clients that people already use, as programs in `tests/clients`.

use std::{path::PathBuf, process::Stdio};

use serde_json::Value;
use tokio::process::Command;

use super::tools;

/// A client library, in a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// npm `nats` 2.29.3 in Node.
    Node,
    /// npm `nats` 2.29.3 in Deno.
    Deno,
    /// `@nats-io/*` 3.x in Node.
    NodeThree,
    /// nats-py.
    Python,
}

impl Client {
    pub const ALL: [Self; 4] = [Self::Node, Self::Deno, Self::NodeThree, Self::Python];

    /// Those that could be had; the others are said by name.
    pub fn had() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|client| client.is_there())
            .collect()
    }

    fn is_there(self) -> bool {
        let path = match self {
            Self::Node => folder().join("node_modules/nats"),
            Self::Deno => deno(),
            Self::NodeThree => folder().join("node_modules/@nats-io/obj"),
            Self::Python => tools::tools().join("python/nats"),
        };
        tools::has(&path, &format!("the client {self:?}"))
    }

    /// The program, for the NATS at `url`.
    pub fn command(self, url: &str) -> Command {
        let mut command = match self {
            Self::Node | Self::NodeThree => Command::new("node"),
            Self::Deno => {
                let mut deno = Command::new(deno());
                deno.args([
                    "run",
                    "--allow-all",
                    "--no-lock",
                    "--node-modules-dir=manual",
                ]);
                deno
            }
            Self::Python => {
                let mut python = Command::new("python3");
                python.env("PYTHONPATH", tools::tools().join("python"));
                python
            }
        };
        let script = match self {
            Self::Node | Self::Deno => "nats2.mjs",
            Self::NodeThree => "nats3.mjs",
            Self::Python => "client.py",
        };
        command.current_dir(folder()).arg(script).arg(url);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs one command and reads the JSON that it prints.
    ///
    /// # Panics
    /// When it fails or prints something else.
    pub async fn call(self, url: &str, arguments: &[&str]) -> Value {
        let output = self.command(url).args(arguments).output().await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} {arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let stdout = String::from_utf8_lossy(&output.stdout);
            panic!("{self:?} {arguments:?} printed {stdout:?}: {error}")
        })
    }
}

fn folder() -> PathBuf {
    tools::root().join("tests/clients")
}

fn deno() -> PathBuf {
    folder().join("node_modules/.bin/deno")
}
