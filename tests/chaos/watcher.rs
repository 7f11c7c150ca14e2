//! A client that reads every summary and report again and again, in another
//! language and another process, and is believed more than supercheck.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    task::JoinHandle,
};

use crate::{support::clients::Client, truth::Truth};

/// Milliseconds between two looks at everything.
const PAUSE: &str = "200";

pub struct Watcher {
    child: Child,
    judging: JoinHandle<u64>,
}

/// Reads until it is ended; what is not allowed ends the judging with a panic.
pub fn watch(url: &str, truth: &Truth) -> Watcher {
    let names: Vec<_> = truth
        .names()
        .iter()
        .map(|name| json!([name, truth.url(name)]))
        .collect();
    let mut child = Client::NodeThree
        .command(url)
        .args(["observe", &Value::from(names).to_string(), PAUSE])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let truth = truth.clone();
    let judging = tokio::spawn(async move {
        let mut reads = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            let seen: Value = serde_json::from_str(&line).unwrap();
            let check = seen["check"].as_str().unwrap();
            let [from, to] = ["from", "to"].map(|key| seen[key].as_i64().unwrap());
            for (report, key) in [(false, "summary"), (true, "report")] {
                if seen[key].is_object() {
                    reads += 1;
                    truth.allows(check, report, &seen[key], from, to).unwrap();
                }
            }
        }
        reads
    });
    Watcher { child, judging }
}

impl Watcher {
    /// Ends it, and tells how much was read.
    pub async fn end(mut self) -> u64 {
        assert!(self.child.try_wait().unwrap().is_none(), "it gave up");
        self.child.kill().await.unwrap();
        let reads = self.judging.await.expect("all that was read is allowed");
        assert!(reads > 500, "only {reads} reads");
        reads
    }
}
