//! What a damaged store costs, and that everything comes back by itself.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::HeaderMap;
use serde_json::Value;

use crate::support::{daemon::Daemon, nats::Nats, target::Target, wait};

/// Every file that holds messages, below `folder`.
fn blocks(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(blocks(&path));
        } else if path.extension().is_some_and(|end| end == "blk") {
            found.push(path);
        }
    }
    found
}

/// Writes nonsense over the middle third of a file, as a bad disk does.
fn corrupt(path: &Path) -> bool {
    let mut bytes = fs::read(path).unwrap();
    let third = bytes.len() / 3;
    for byte in &mut bytes[third..2 * third] {
        *byte ^= 0xa5;
    }
    fs::write(path, &bytes).unwrap();
    third > 0
}

async fn ask(client: &async_nats::Client, id: &str) -> Option<Value> {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    let request = async_nats::Request::new()
        .payload("api".into())
        .headers(headers)
        .timeout(Some(Duration::from_secs(5)));
    let answer = client
        .send_request("supercheck.check", request)
        .await
        .ok()?;
    serde_json::from_slice(&answer.payload).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupted_block_files_cost_what_was_in_them_and_everything_is_fresh_again() {
    let store = tempfile::tempdir().unwrap();
    let path = store.path().display();
    let mut nats = Nats::configured(&format!("jetstream {{ store_dir: \"{path}\" }}")).await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"300ms\"\ntimeout = \"200ms\"",
        nats.url(),
        target.url("/")
    ));
    daemon.ready().await;
    let client = nats.client().await;
    wait::until("an answer", async || ask(&client, "before").await).await;
    wait::until("some history", async || {
        (target.hits("/") > 10).then_some(())
    })
    .await;

    nats.kill();
    let corrupted = blocks(store.path())
        .iter()
        .filter(|path| corrupt(path))
        .count();
    assert!(corrupted >= 4, "only {corrupted} files hold something");
    nats.start_again().await;
    let restarted = chrono::Utc::now();
    daemon.ready().await;

    let now = |json: &Value| {
        let at = chrono::DateTime::parse_from_rfc3339(json["checked_at"].as_str()?).ok()?;
        (at.to_utc() > restarted).then_some(())
    };
    let js = nats.jetstream().await;
    wait::until("a summary of now", async || {
        now(&nats.summary(&js, "api").await?)
    })
    .await;
    wait::until("a report of now", async || {
        let report = nats.object(&js, &target.url("/")).await?;
        now(&serde_json::from_slice(&report).expect("what is read is never corrupt"))
    })
    .await;
    let client = nats.client().await;
    let asked = wait::until("an answer again", async || ask(&client, "after").await).await;
    assert_eq!(asked["status"], "up", "{asked}");
    let again = wait::until("the same again", async || ask(&client, "after").await).await;
    assert_eq!(again["run"], asked["run"]);
    let complaints = daemon.complaints();
    assert!(complaints.len() <= 6, "{complaints:#?}");
}
