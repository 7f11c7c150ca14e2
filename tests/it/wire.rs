//! What version 0.1 wrote is read for ever, what is written now has all that
//! version 0.1 wrote, and what a later version adds does no harm.

use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use supercheck::{
    report::{Change, Summary},
    request::Record,
};

use crate::support::{
    daemon::{Daemon, run, supercheck},
    nats::Nats,
    target::{Answer, Target},
    tools::root,
    wait,
};

fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures/wire/0.1").join(name)
}

fn written(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

/// Reads it, also with what a later version may add, and writes it again.
fn read_and_written<T: DeserializeOwned + Serialize>(name: &str) {
    let old = written(name);
    let mut later = old.clone();
    later["of_a_later_version"] = json!({"number": 1, "list": ["x"]});
    for value in [&old, &later] {
        let read: T =
            serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = serde_json::to_value(read).unwrap();
        for (key, value) in old.as_object().unwrap() {
            assert_eq!(again[key], *value, "{name}: `{key}`");
        }
    }
}

#[test]
fn what_an_earlier_version_wrote_is_read() {
    read_and_written::<Summary>("summary.json");
    // A report has the keys of a summary, and is read as one.
    serde_json::from_value::<Summary>(written("report.json")).unwrap();
    read_and_written::<Record>("record.json");
    read_and_written::<Record>("refused.json");
    read_and_written::<Change>("change.json");
}

#[test]
fn a_configuration_of_an_earlier_version_is_taken() {
    let path = fixture("supercheck.toml");
    let (code, out, err) = run(supercheck()
        .arg("--config")
        .arg(path)
        .args(["config", "check"]));
    assert_eq!(code, 0, "{out}{err}");
}

/// Every key that `old` has must be in `new`, with a value of the same kind.
fn has_all(place: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, old) in old {
                let place = format!("{place}.{key}");
                let new = new.get(key).unwrap_or_else(|| panic!("{place} is gone"));
                has_all(&place, old, new);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            if let (Some(old), Some(new)) = (old.first(), new.first()) {
                has_all(&format!("{place}[0]"), old, new);
            }
        }
        // What was absent may be there, and what was there absent.
        (Value::Null, _) | (_, Value::Null) => {}
        (old, new) => {
            let same = std::mem::discriminant(old) == std::mem::discriminant(new);
            assert!(same, "{place} was {old} and is {new}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_now_has_every_key_of_an_earlier_version() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let mut answer = Answer::json(&written("report.json")["response"]["body"].to_string());
    answer.content_type = "application/health+json";
    target.set("/", answer);
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"300ms\"\ntimeout = \"200ms\"",
        nats.url(),
        target.url("/")
    ));
    daemon.ready().await;
    let js = nats.jetstream().await;
    let report = wait::until("a report", async || {
        nats.object(&js, &target.url("/")).await
    })
    .await;
    let report = serde_json::from_slice(&report).unwrap();
    has_all("report", &written("report.json"), &report);
    let summary = wait::until("a summary", async || nats.summary(&js, "api").await).await;
    has_all("summary", &written("summary.json"), &summary);
    let change = wait::until("a change", async || {
        let events = js.get_stream("SUPERCHECK_EVENTS").await.ok()?;
        events.get_raw_message(1).await.ok()
    })
    .await;
    let change = serde_json::from_slice(&change.payload).unwrap();
    has_all("change", &written("change.json"), &change);
}
