//! What the targets really answered, and what may be said of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::support::{
    stage::Stage,
    target::{Answer, Target},
    wait,
};

/// Checks that are run each second: most are healthy, some flap, some never
/// answer, some always fail.
const STEADY: usize = 8;
const FLAPPING: usize = 4;
const INTERVAL_MS: i64 = 1000;
const TIMEOUT_MS: i64 = 800;
/// Reports live so long in the object store.
const TTL_MS: i64 = 30_000;
/// The server removes them this late, and clocks are read at other moments.
const SLACK_MS: i64 = 2500;

/// By check: since when, and whether it is healthy since then.
type Turns = BTreeMap<String, Vec<(i64, bool)>>;

#[derive(Clone)]
pub struct Truth {
    target: Target,
    random: Arc<Mutex<fastrand::Rng>>,
    /// Since when each check's target is healthy or not, oldest first.
    turns: Arc<Mutex<Turns>>,
}

fn now() -> i64 {
    Utc::now().timestamp_millis()
}

fn at(value: &Value, key: &str) -> i64 {
    let text = value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key}: {value}"));
    DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_millis()
}

impl Truth {
    pub fn of(target: Target, seed: u64) -> Self {
        let truth = Self {
            target,
            random: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            turns: Arc::default(),
        };
        for name in truth.names() {
            truth.set(
                &name,
                name.starts_with("steady") || name.starts_with("flapping"),
            );
        }
        truth
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The names of the scheduled checks.
    pub fn names(&self) -> Vec<String> {
        let steady = (0..STEADY).map(|n| format!("steady{n}"));
        let flapping = (0..FLAPPING).map(|n| format!("flapping{n}"));
        let bad = ["broken", "hanging"].map(str::to_owned);
        steady.chain(flapping).chain(bad).collect()
    }

    /// The URL of a check: its report's name.
    pub fn url(&self, name: &str) -> String {
        self.target.url(&format!("/{name}"))
    }

    /// Their configuration.
    pub fn checks(&self) -> String {
        let check = |name: String| {
            format!(
                "[[check]]\nname = \"{name}\"\nurl = \"{}\"\ninterval = \"{INTERVAL_MS}ms\"\ntimeout = \"{TIMEOUT_MS}ms\"\n",
                self.url(&name)
            )
        };
        self.names().into_iter().map(check).collect()
    }

    fn set(&self, name: &str, healthy: bool) {
        let answer = match (name, healthy) {
            ("hanging", _) => Answer::json("{}").after(Duration::from_secs(60)),
            (_, true) => Answer::json(r#"{"status":"UP"}"#),
            (_, false) => Answer::json(r#"{"status":"DOWN"}"#).status(503),
        };
        let path = format!("/{name}");
        let mut turns = self.turns.lock().unwrap();
        let turns = turns.entry(name.to_owned()).or_default();
        // In doubt it was healthy: a turn to the better is noted before it
        // happens, one to the worse after.
        if healthy {
            turns.push((now(), true));
            self.target.set(&path, answer);
        } else {
            self.target.set(&path, answer);
            turns.push((now(), false));
        }
    }

    /// After a while one target turns, or all fail and come back.
    pub async fn flap(&self) {
        let (pause, which, all) = {
            let mut random = self.random.lock().unwrap();
            (
                random.u64(200..1500),
                random.usize(..FLAPPING),
                random.u8(..20) == 0,
            )
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if all {
            self.all(false);
            tokio::time::sleep(Duration::from_millis(2 * pause)).await;
            self.all(true);
            return;
        }
        let name = format!("flapping{which}");
        let healthy = self.turns.lock().unwrap()[&name].last().unwrap().1;
        self.set(&name, !healthy);
    }

    /// All that can be healthy are.
    pub fn heal(&self) {
        self.all(true);
    }

    fn all(&self, healthy: bool) {
        for name in self.names() {
            if name.starts_with("steady") || name.starts_with("flapping") {
                self.set(&name, healthy);
            }
        }
    }

    /// Whether the target was healthy at some time between these.
    fn was_healthy(&self, name: &str, from: i64, to: i64) -> bool {
        let turns = self.turns.lock().unwrap();
        let turns = &turns[name];
        let ends = turns.iter().skip(1).map(|turn| turn.0).chain([i64::MAX]);
        turns
            .iter()
            .zip(ends)
            .any(|(&(since, healthy), until)| healthy && since <= to && until >= from)
    }

    /// Holds what a client read between `from` and `to` to what is promised.
    pub fn allows(
        &self,
        name: &str,
        report: bool,
        read: &Value,
        from: i64,
        to: i64,
    ) -> Result<(), String> {
        let checked = at(read, "checked_at");
        let wrong = |what: &str| Err(format!("{what}, read at {from} to {to}: {read}"));
        if report && from - checked > TTL_MS + SLACK_MS {
            return wrong("a report is older than it may be");
        }
        if checked > to + 100 || at(read, "since") > to + 100 {
            return wrong("it is of the future");
        }
        if at(read, "expires_at") != checked + 2 * INTERVAL_MS + TIMEOUT_MS {
            return wrong("it expires at another time than it should");
        }
        let good = read["status"] == "up" || read["verdict"] == "pass";
        if good && !self.was_healthy(name, checked - 100, checked + TIMEOUT_MS + 100) {
            return wrong("its target did not deserve that");
        }
        Ok(())
    }

    /// After the last fault everything is fresh within two intervals, and what
    /// a slow machine needs.
    pub async fn all_fresh(&self, stage: &Stage) {
        let since = now();
        let limit = Duration::from_millis(2 * INTERVAL_MS.unsigned_abs() + 3000);
        let nats = &stage.servers[0];
        let js = nats.jetstream().await;
        for name in self.names() {
            wait::within(limit, &format!("{name} is fresh"), async || {
                let summary = nats.summary(&js, &name).await?;
                (at(&summary, "checked_at") >= since).then_some(())
            })
            .await;
        }
    }

    /// Each change goes on from the one before.
    pub async fn events_alternate(&self, stage: &Stage) {
        let js = stage.servers[0].jetstream().await;
        let mut events = js.get_stream("SUPERCHECK_EVENTS").await.unwrap();
        let last = events.info().await.unwrap().state.last_sequence;
        let mut statuses: BTreeMap<String, String> = BTreeMap::new();
        for sequence in 1..=last {
            let message = events.get_raw_message(sequence).await.unwrap();
            let change: Value = serde_json::from_slice(&message.payload).unwrap();
            let check = change["check"].as_str().expect("no refusals").to_owned();
            let to = change["to"].as_str().unwrap().to_owned();
            let before = statuses.get(&check).map_or("unknown", String::as_str);
            assert_eq!(change["from"], before, "{change}");
            assert_ne!(to, before, "{change}");
            statuses.insert(check, to);
        }
        assert!(last > 20, "only {last} changes");
    }

    /// When all is quiet, the summary and the report are of one run.
    pub async fn summaries_are_of_the_reports(&self, stage: &Stage) {
        let nats = &stage.servers[0];
        let js = nats.jetstream().await;
        for name in self.names() {
            let summary = nats.summary(&js, &name).await.unwrap();
            let report = nats.object(&js, &self.url(&name)).await.unwrap();
            let report: Value = serde_json::from_slice(&report).unwrap();
            assert_eq!(summary["run"], report["run"], "{name}");
        }
    }
}
