//! A client that reads every summary and report again and again, in another
//! language and another process, and is believed more than supercheck.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    task::JoinHandle,
};

use crate::{secrets, support::clients::Client, truth::Truth};

/// Milliseconds between two looks at everything: each read of a report leaves a
/// consumer on the server for 30 s, and thousands of them make it slow.
const PAUSE: &str = "4000";
/// More of what is wrong is of no use.
const MOST_WRONG: usize = 20;

pub struct Watcher {
    child: Child,
    judging: JoinHandle<Reads>,
    found: Arc<AtomicUsize>,
}

/// What was read, and what kept it from being read.
#[derive(Debug, Default)]
pub struct Reads {
    pub judged: u64,
    pub failed: BTreeMap<String, u64>,
    /// What is not allowed, the first of it.
    pub wrong: Vec<String>,
}

/// Has begun to read when this returns; reads and judges until it is ended.
pub async fn watch(client: Client, url: &str, truth: &Truth) -> Watcher {
    let names: Vec<_> = truth
        .names()
        .iter()
        .map(|name| json!([name, truth.url(name)]))
        .collect();
    let mut child = client
        .command(url)
        .args(["observe", &Value::from(names).to_string(), PAUSE])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap();
    let mut line = Some(first.expect("it reads"));
    let truth = truth.clone();
    let found = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&found);
    let judging = tokio::spawn(async move {
        let mut reads = Reads::default();
        while let Some(read) = line {
            let seen: Value = serde_json::from_str(&read).unwrap();
            let check = seen["check"].as_str().unwrap();
            let [from, to] = ["from", "to"].map(|key| seen[key].as_i64().unwrap());
            let mut judge = |found: Result<(), String>| {
                if let Err(wrong) = found
                    && reads.wrong.len() < MOST_WRONG
                {
                    eprintln!("WRONG {wrong}");
                    reads.wrong.push(wrong);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            };
            judge(secrets::absent("what is read", &read));
            for (report, key) in [(false, "summary"), (true, "report")] {
                if seen[key].is_object() {
                    reads.judged += 1;
                    judge(truth.allows(check, report, &seen[key], from, to));
                }
            }
            if let Some(error) = seen["error"].as_str() {
                *reads.failed.entry(error.to_owned()).or_default() += 1;
            }
            line = lines.next_line().await.ok().flatten();
        }
        reads
    });
    Watcher {
        child,
        judging,
        found,
    }
}

impl Watcher {
    /// How much was read that is not allowed.
    pub fn found(&self) -> usize {
        self.found.load(Ordering::SeqCst)
    }

    /// Ends it, and tells what was read.
    ///
    /// # Errors
    /// When it gave up.
    pub async fn end(mut self) -> Result<Reads, String> {
        let gave_up = self.child.try_wait().unwrap();
        drop(self.child.kill().await);
        let reads = self.judging.await.unwrap();
        match gave_up {
            Some(status) => Err(format!("it gave up: {status}")),
            None => Ok(reads),
        }
    }
}
