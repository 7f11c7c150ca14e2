//! The hot path of a check, counted in instructions, which repeat where time
//! does not; with the nanoseconds beside them.
//!
//! ```sh
//! cargo bench --bench hot               # fails when a step grew by more than 10 %
//! cargo bench --bench hot -- --record   # what is found is what holds from now on
//! ```
//!
//! Each step is run a few and many times under valgrind, and the difference
//! is divided by the difference of times: what it costs to begin is left out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a benchmark that panics has told enough"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use bytes::Bytes;
use supercheck::{
    check::Check,
    clock::Timestamp,
    config::{self, Sources},
    observation::{Observation, Phases, Response},
    report::{Encoded, Trigger},
    schedule::{Jitter, Layout, Schedule},
    store::object::{self, Meta},
    verdict::{
        Judge,
        status::{Standing, Turn},
        write_up::{Making, write_up},
    },
};

const DOCUMENT: &str = r#"{"status":"pass","version":"1","releaseId":"1.2.3","serviceId":"f03e522f-1f44-4062-9b55-9587f91c9c41","description":"health of a service","checks":{"database:responseTime":[{"componentId":"dfd6cf2b","componentType":"datastore","observedValue":25,"observedUnit":"ms","status":"pass","time":"2026-01-17T03:36:48Z"}]}}"#;

/// A step of the path, done so many times.
type Step = fn(u64);

const STEPS: [(&str, Step); 5] = [
    ("schedule", schedule),
    ("judge", judge),
    ("judge-cel", judge_cel),
    ("report", report),
    ("object", object),
];

/// How often a step is done to begin with, and how often more.
const FEW: u64 = 100;
const MORE: u64 = 1000;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [step, times] = words.as_slice()
        && let Some((_, step)) = STEPS.iter().find(|(name, _)| name == step)
    {
        step(times.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let record = words.iter().any(|word| word == "--record");
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("no valgrind: nothing is counted");
        return ExitCode::FAILURE;
    }
    let holds = recorded();
    let mut found = String::new();
    let mut grew = false;
    println!("| step | instructions | recorded | change | ns |\n|---|---:|---:|---:|---:|");
    for (name, step) in STEPS {
        let each = (counted(name, FEW + MORE) - counted(name, FEW)) / MORE;
        let before = holds.get(name).copied().unwrap_or(each);
        let change = 100 * each.cast_signed() / before.cast_signed() - 100;
        grew |= change > 10;
        let began = Instant::now();
        step(10 * MORE);
        let time = began.elapsed().as_nanos() / u128::from(10 * MORE);
        println!("| {name} | {each} | {before} | {change:+} % | {time} |");
        found.push_str(&format!("{name} {each}\n"));
    }
    if record {
        fs::write(file(), found).unwrap();
    } else if grew {
        println!("a step costs over 10 % more than recorded: find out why, or `--record` it");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/instructions.txt")
}

/// Instructions of each step, as recorded.
fn recorded() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(file()).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
        .collect()
}

/// Instructions of this program doing `step` so many times.
fn counted(step: &str, times: u64) -> u64 {
    let told = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args([step, &times.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stderr);
    let line = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = line.unwrap_or_else(|| panic!("{text}"));
    count.trim().parse().unwrap()
}

fn check(expect: &str) -> Check {
    let text = format!(
        "[[check]]\nname = \"c1\"\nurl = \"http://127.0.0.1:8080/health/1\"\nexpect = [{expect}]\n"
    );
    let sources = Sources {
        main: Some(("supercheck.toml".into(), text)),
        env: &BTreeMap::new(),
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        list: &|_| Ok(Vec::new()),
    };
    let config = config::load(&sources).unwrap().config;
    Check::clone(config.checks.first().unwrap())
}

fn observation() -> Observation {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Observation {
        started_at: Timestamp::from_millis(1_763_924_160_123),
        latency: Duration::from_micros(412),
        phases: Phases {
            first_byte: Some(Duration::from_micros(390)),
            transfer: Some(Duration::from_micros(22)),
            ..Phases::default()
        },
        response: Some(Response {
            status: 200,
            version: "HTTP/1.1",
            headers: vec![
                header("content-type", "application/health+json"),
                header("content-length", "316"),
                header("date", "Sun, 23 Nov 2025 18:56:00 GMT"),
                header("server", "nginx"),
            ],
            body: Bytes::from_static(DOCUMENT.as_bytes()),
            truncated: false,
            remote: None,
            redirects: Vec::new(),
        }),
        failure: None,
        certificate: None,
        reached: None,
    }
}

fn schedule(times: u64) {
    let names: Vec<_> = (0..1000).map(|n| format!("c{n}")).collect();
    let checks = names
        .iter()
        .map(|name| (name.as_str(), Duration::from_secs(1), ()));
    let layout = Layout {
        tick: 50,
        crowd: 64,
        fast_start: None,
        jitter: Jitter::NONE,
    };
    let mut schedule = Schedule::new(checks, layout, 0);
    let mut started = 0;
    while started < times {
        let due = schedule.next_due().unwrap();
        started += schedule.take_due(due).unwrap().members.len() as u64;
    }
}

fn judged(expect: &str, times: u64) {
    let (judge, observation) = (Judge::new(&check(expect).rules).unwrap(), observation());
    for _ in 0..times {
        black_box(judge.judge(black_box(&observation)));
    }
}

fn judge(times: u64) {
    judged("", times);
}

fn judge_cel(times: u64) {
    judged(r#"'body.status == "pass"'"#, times);
}

fn report(times: u64) {
    let (check, observation, instance) = (check(""), observation(), "host-1".into());
    let judgement = Judge::new(&check.rules).unwrap().judge(&observation);
    for _ in 0..times {
        let turn = Turn {
            verdict: judgement.verdict,
            at: observation.started_at,
            good_until: observation.started_at,
            withheld: false,
        };
        let standing = Standing::after(None, turn, check.thresholds);
        let making = Making::new(Trigger::Schedule, &instance, nuid::next().to_string());
        let judgement = judgement.clone();
        let report = write_up(&check, black_box(&observation), judgement, standing, making);
        let details = report.details.encode().unwrap();
        black_box(Encoded::new(&report.summary, &details));
    }
}

fn object(times: u64) {
    let body = vec![b'r'; 1_400];
    for _ in 0..times {
        let (name, now) = (
            black_box("http://127.0.0.1:8080/health/1"),
            Timestamp::default(),
        );
        let meta = Meta::new("supercheck", name, "token", &body, object::CHUNK, now);
        black_box(serde_json::to_vec(&meta).unwrap());
        black_box(object::meta_subject("supercheck", name));
    }
}
