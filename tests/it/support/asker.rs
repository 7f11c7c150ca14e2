//! A foreign client that asks, and asks again under the same id, until it has
//! an answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::ChildStdin,
};

use super::clients::Client;

/// When all is sent, and asked again, the last answer comes within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked for: a check under an id, after a wait.
#[derive(Clone, Debug)]
pub struct Wish {
    pub id: String,
    pub check: String,
    /// Whether by a publish alone, whose acknowledgement is the answer.
    pub publish: bool,
    pub after: Duration,
}

/// The answers, by id; of a publish there are none.
pub type Answers = BTreeMap<String, Vec<Answer>>;

/// A report, or a refusal that asking again does not change.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Report(Box<Value>),
    Refused(u64),
}

impl Answer {
    /// The run of the report.
    pub fn run(&self) -> Option<&str> {
        match self {
            Self::Report(report) => report["run"].as_str(),
            Self::Refused(_) => None,
        }
    }
}

/// Asks everything, each until it is answered.
pub async fn ask(client: Client, url: &str, wishes: &[Wish]) -> Answers {
    let mut child = client
        .command(url)
        .args(["requests", "supercheck.check"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = child.stdin.take().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answers = Answers::new();
    // What was sent and has no answer yet: ids may be asked several times.
    let mut open: BTreeMap<String, Vec<&Wish>> = BTreeMap::new();
    let mut left = wishes.iter();
    let mut next = left.next();
    let mut all_sent = Instant::now();
    let mut due = all_sent + next.map_or(PATIENCE, |wish| wish.after);
    while next.is_some() || !open.is_empty() {
        tokio::select! {
            line = told.next_line() => {
                let line = line.unwrap().expect("the client lives");
                let line: Value = serde_json::from_str(&line).unwrap();
                let id = line["id"].as_str().unwrap().to_owned();
                let those = open.get_mut(&id).expect("it was asked");
                let published = line["publish"].is_string();
                let at = those.iter().position(|wish| wish.publish == published);
                let at = at.expect("asked in this way");
                if let Some(answer) = answer(&line) {
                    those.remove(at);
                    if those.is_empty() {
                        open.remove(&id);
                    }
                    answers.entry(id).or_default().extend(answer);
                } else {
                    let waited = all_sent.elapsed();
                    assert!(waited < PATIENCE, "still {line}, of {those:?}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    send(&mut lines, those[at]).await;
                }
            }
            () = tokio::time::sleep_until(due.into()) => {
                let wish = next.expect("all answers within a minute");
                send(&mut lines, wish).await;
                open.entry(wish.id.clone()).or_default().push(wish);
                next = left.next();
                all_sent = Instant::now();
                // Answers that come meanwhile put off nothing.
                due = next.map_or(all_sent + PATIENCE, |wish| due + wish.after);
            }
        }
    }
    child.kill().await.unwrap();
    answers
}

async fn send(lines: &mut ChildStdin, wish: &Wish) {
    let mut line = json!({"body": wish.check, "id": wish.id, "timeout_ms": 4000});
    if wish.publish {
        line["body"] = json!("");
        line["publish"] = json!(format!("supercheck.requests.{}", wish.check));
    }
    lines
        .write_all(format!("{line}\n").as_bytes())
        .await
        .unwrap();
}

/// `None` when it is to be asked again; nothing for an acknowledgement.
fn answer(line: &Value) -> Option<Option<Answer>> {
    if line["seq"].is_u64() {
        return Some(None);
    }
    match line["code"].as_u64() {
        None if line["error"].is_null() => {
            let report = serde_json::from_str(line["body"].as_str()?).unwrap();
            Some(Some(Answer::Report(Box::new(report))))
        }
        // No answer at all, or one that says to ask again.
        None | Some(429 | 503 | 504) => None,
        Some(code) => Some(Some(Answer::Refused(code))),
    }
}

/// The runs that answered each id: one each, if all is well.
pub fn runs(answers: &Answers) -> BTreeMap<&str, BTreeSet<&str>> {
    answers
        .iter()
        .map(|(id, all)| (id.as_str(), all.iter().filter_map(Answer::run).collect()))
        .collect()
}
