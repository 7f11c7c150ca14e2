//! What the targets really answered, and what may be said of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    lag::Lag,
    names::Names,
    support::target::{Answer, Target},
};

/// Checks that are run each second: most are healthy, some flap, some are down
/// only after several failing runs, some have names, one never answers, one
/// always fails.
const STEADY: usize = 8;
const FLAPPING: usize = 4;
const PATIENT: usize = 2;
const NAMED: usize = 3;
pub const INTERVAL_MS: i64 = 1000;
const TIMEOUT_MS: i64 = 800;
/// Reports live so long in the object store.
const TTL_MS: i64 = 30_000;
/// The server removes them this late, and clocks are read at other moments.
const SLACK_MS: i64 = 2500;
/// A target notes what it was asked this long before or after the daemon does.
const NEAR_MS: i64 = 150;
/// A daemon that lost its server tries again after 4 s at most, and a slow
/// machine needs its time.
const PATIENCE: Duration = Duration::from_secs(7);
/// Patient checks turn after so many runs.
const FAIL_AFTER: usize = 3;
const RECOVER_AFTER: usize = 2;
/// A change is announced this long after the runs that led there, while NATS
/// may be away.
const ANNOUNCED_MS: i64 = 30_000;

#[derive(Clone)]
pub struct Truth {
    pub target: Target,
    pub names: Names,
    pub lag: Lag,
    /// More than two intervals, it takes this long until all is fresh again.
    pub patience: Duration,
    random: Arc<Mutex<fastrand::Rng>>,
    /// Which targets are healthy now.
    healthy: Arc<Mutex<BTreeMap<String, bool>>>,
    /// By instance: since when its clock is ahead by how much, oldest first.
    ahead: Arc<Mutex<Clocks>>,
}

type Clocks = BTreeMap<String, Vec<(i64, i64)>>;

pub fn now() -> i64 {
    Utc::now().timestamp_millis()
}

fn at(value: &Value, key: &str) -> Result<i64, String> {
    let text = value[key]
        .as_str()
        .ok_or_else(|| format!("no {key}: {value}"))?;
    let at = DateTime::parse_from_rfc3339(text).map_err(|error| format!("{key}: {error}"))?;
    Ok(at.timestamp_millis())
}

impl Truth {
    pub fn of(target: Target, names: Names, lag: Lag, seed: u64) -> Self {
        let truth = Self {
            target,
            names,
            lag,
            patience: PATIENCE,
            random: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            healthy: Arc::default(),
            ahead: Arc::default(),
        };
        for name in truth.names() {
            truth.set(&name, name != "broken");
        }
        truth
    }

    /// The names of the scheduled checks.
    pub fn names(&self) -> Vec<String> {
        let some = |kind: &str, n: usize| (0..n).map(|n| format!("{kind}{n}")).collect();
        let all: [Vec<String>; 5] = [
            some("steady", STEADY),
            some("flapping", FLAPPING),
            some("patient", PATIENT),
            some("named", NAMED),
            ["broken", "hanging"].map(str::to_owned).to_vec(),
        ];
        all.concat()
    }

    /// Those that answer at once, whatever they answer.
    pub fn prompt(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| name != "hanging" && !name.starts_with("named"));
        names
    }

    /// The URL of a check: its report's name.
    pub fn url(&self, name: &str) -> String {
        if name.starts_with("named") {
            let port = self.target.port();
            return format!("http://{name}.chaos.example:{port}/{name}");
        }
        self.target.url(&format!("/{name}"))
    }

    /// Their configuration.
    pub fn checks(&self) -> String {
        let check = |name: String| {
            let more = match name.as_str() {
                // Every other one keeps its connection.
                "steady1" | "steady3" | "named0" | "named2" => {
                    "fresh_connection = true\n".to_owned()
                }
                name if name.starts_with("patient") => {
                    format!("fail_after = {FAIL_AFTER}\nrecover_after = {RECOVER_AFTER}\n")
                }
                _ => String::new(),
            };
            format!(
                "[[check]]\nname = \"{name}\"\nurl = \"{}\"\ninterval = \"{INTERVAL_MS}ms\"\ntimeout = \"{TIMEOUT_MS}ms\"\n{more}",
                self.url(&name)
            )
        };
        self.names().into_iter().map(check).collect()
    }

    fn set(&self, name: &str, healthy: bool) {
        let answer = match (name, healthy) {
            ("hanging", _) => Answer::json("{}").after(Duration::from_secs(60)),
            // Its report is larger than some messages may be at times.
            ("steady0", true) => Answer::json(&format!(
                r#"{{"status":"UP","pad":"{}"}}"#,
                "x".repeat(6000)
            )),
            (_, true) => Answer::json(r#"{"status":"UP"}"#),
            (_, false) => Answer::json(r#"{"status":"DOWN"}"#).status(503),
        };
        self.healthy
            .lock()
            .unwrap()
            .insert(name.to_owned(), healthy);
        self.target.set(&format!("/{name}"), answer);
    }

    /// After a while one target turns.
    pub async fn flap(&self) {
        let (pause, which) = {
            let mut random = self.random.lock().unwrap();
            (random.u64(200..1500), random.usize(..FLAPPING + PATIENT))
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let name = match which.checked_sub(FLAPPING) {
            None => format!("flapping{which}"),
            Some(which) => format!("patient{which}"),
        };
        let healthy = self.healthy.lock().unwrap()[&name];
        self.set(&name, !healthy);
    }

    /// All that can be healthy are, or are not.
    pub fn all(&self, healthy: bool) {
        for name in self.names() {
            if name != "broken" && name != "hanging" {
                self.set(&name, healthy);
            }
        }
    }

    /// The clock of `instance` is ahead by so many milliseconds from now on.
    pub fn clock(&self, instance: &str, ahead: i64) {
        let mut clocks = self.ahead.lock().unwrap();
        let steps = clocks.entry(instance.to_owned()).or_default();
        steps.push((now(), ahead));
    }

    /// By how much the instance's clock may have been ahead when it wrote what
    /// was read between these.
    fn ahead(&self, instance: &str, from: i64, to: i64) -> Vec<i64> {
        let clocks = self.ahead.lock().unwrap();
        let steps = clocks.get(instance).map_or(&[][..], Vec::as_slice);
        let begins = [(0, 0)].into_iter().chain(steps.iter().copied());
        let ends = steps.iter().map(|step| step.0).chain([i64::MAX]);
        begins
            .zip(ends)
            .filter(|((since, _), until)| *since <= to && *until >= from - TTL_MS - SLACK_MS)
            .map(|((_, ahead), _)| ahead)
            .collect()
    }

    /// Whether a clock was ever ahead by as much as it takes to write `at`.
    fn was_ever(&self, at: i64, by: i64) -> bool {
        let clocks = self.ahead.lock().unwrap();
        let most = clocks.values().flatten().map(|(_, ahead)| *ahead).max();
        at <= by + most.unwrap_or(0).max(0)
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
        let instance = read["instance"].as_str().unwrap_or_default();
        let told = at(read, "checked_at")?;
        let mut wrong = None;
        for ahead in self.ahead(instance, from, to) {
            match self.allows_at(name, report, read, told - ahead, (from, to)) {
                Ok(()) => return Ok(()),
                Err(what) => wrong = wrong.or(Some(what)),
            }
        }
        let wrong = wrong.expect("one of the clocks");
        Err(format!("{wrong}, read at {from} to {to}: {read}"))
    }

    fn allows_at(
        &self,
        name: &str,
        report: bool,
        read: &Value,
        checked: i64,
        (from, to): (i64, i64),
    ) -> Result<(), String> {
        let late = self.lag.between(checked, to);
        if report && from - checked > TTL_MS + SLACK_MS + late {
            return Err("a report is older than it may be".to_owned());
        }
        if checked > to + 100 || !self.was_ever(at(read, "since")?, to + 100) {
            return Err("it is of the future".to_owned());
        }
        if at(read, "expires_at")? - at(read, "checked_at")? != 2 * INTERVAL_MS + TIMEOUT_MS {
            return Err("it expires at another time than it should".to_owned());
        }
        self.deserves(name, read, checked)
    }

    /// Whether the target said, at that time, what is said of it.
    fn deserves(&self, name: &str, read: &Value, checked: i64) -> Result<(), String> {
        let (verdict, status) = (&read["verdict"], &read["status"]);
        let latency = read["latency_ms"].as_f64().unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a probe")]
        let ended = checked + latency as i64;
        let mut given = self.target.given(&format!("/{name}"), checked - NEAR_MS);
        given.retain(|given| given.at <= ended + NEAR_MS);
        if let Some(code) = read["http_status"].as_u64() {
            if !given.iter().any(|given| u64::from(given.status) == code) {
                return Err(format!("its target did not answer that, but {given:?}"));
            }
            let deserved = if code == 200 { "pass" } else { "fail" };
            if verdict != deserved {
                return Err(format!("its target deserved {deserved}"));
            }
        } else {
            if verdict != "fail" {
                return Err("nobody answered, and it does not fail".to_owned());
            }
            let unanswered = given.iter().any(|given| given.delay > TIMEOUT_MS);
            let unnamed = name.starts_with("named")
                && !self.names.were_known(checked - NEAR_MS, ended + NEAR_MS);
            let stood = self.lag.between(checked, ended) > TIMEOUT_MS / 4;
            if status != "unknown" && !unanswered && !unnamed && !stood {
                return Err(format!(
                    "its target did not deserve that, it gave {given:?}"
                ));
            }
        }
        let patient = name.starts_with("patient");
        let due = if verdict == "pass" { "up" } else { "down" };
        if status != due && status != "unknown" && !patient {
            return Err(format!("it should be {due}"));
        }
        Ok(())
    }

    /// Each change goes on from the one before, and comes after runs that
    /// deserve it. Tells how many there were.
    pub async fn events_are_deserved(&self, js: &jetstream::Context) -> Result<u64, String> {
        let mut events = js.get_stream("SUPERCHECK_EVENTS").await.unwrap();
        let state = events.info().await.unwrap().state.clone();
        let (first, last) = (state.first_sequence, state.last_sequence);
        let mut statuses: BTreeMap<String, String> = BTreeMap::new();
        for sequence in first..=last {
            let message = events.get_raw_message(sequence).await.unwrap();
            let change: Value = serde_json::from_slice(&message.payload).unwrap();
            let check = change["check"].as_str().ok_or("a refusal")?.to_owned();
            let to = change["to"]
                .as_str()
                .ok_or("a change to nothing")?
                .to_owned();
            let before = statuses.get(&check).map_or("unknown", String::as_str);
            if change["from"] != before || to == before {
                return Err(format!("it was {before}: {change}"));
            }
            let told = message.time.timestamp_millis();
            self.turn_is_deserved(&check, (before, &to), told)
                .map_err(|wrong| format!("{wrong}: {change}"))?;
            statuses.insert(check, to);
        }
        Ok(last)
    }

    fn turn_is_deserved(
        &self,
        check: &str,
        (from, to): (&str, &str),
        told: i64,
    ) -> Result<(), String> {
        // What those whose name is not known answered is not known either.
        if check.starts_with("named") || !self.names().iter().any(|name| name == check) {
            return Ok(());
        }
        let patient = check.starts_with("patient");
        let (wanted, runs) = match (to, patient) {
            ("down", true) => (false, FAIL_AFTER),
            // The first run that passes will do for one that was not known.
            ("up", true) if from != "unknown" => (true, RECOVER_AFTER),
            ("down", false) => (false, 1),
            ("up", _) => (true, 1),
            _ => return Err(format!("`{to}` is not to be announced")),
        };
        let given = self.target.given(&format!("/{check}"), told - ANNOUNCED_MS);
        let deserved = given.iter().filter(|given| {
            let healthy = given.status == 200 && given.delay < TIMEOUT_MS;
            given.at <= told + NEAR_MS && healthy == wanted
        });
        if deserved.count() < runs {
            return Err("the runs before do not deserve it".to_owned());
        }
        Ok(())
    }

    /// The longest time between these in which some prompt target was not
    /// asked, in milliseconds.
    pub fn unasked(&self, from: i64, to: i64) -> i64 {
        let gaps = self.prompt().into_iter().map(|name| {
            let given = self.target.given(&format!("/{name}"), from);
            let asked = given.iter().map(|given| given.at).filter(|at| *at < to);
            let ends: Vec<_> = [from].into_iter().chain(asked).chain([to]).collect();
            let gaps = ends.windows(2).map(|pair| pair[1] - pair[0]);
            gaps.max().unwrap_or(0)
        });
        gaps.max().unwrap_or(0)
    }
}
