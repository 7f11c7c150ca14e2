//! What a check costs: supercheck, storing everything, next to a bare reqwest
//! loop that stores nothing, on the same target in the same run.
//!
//! ```sh
//! tests/run --help > /dev/null   # gets the nats-server
//! cargo bench --bench checks -- [CHECKS] [INTERVAL_MS] [SECONDS]
//! ```
//!
//! Each program is a process of its own; CPU time is user + system of that
//! process as the kernel counts it, divided by the answers that the target
//! gave meanwhile. nats-server's share is told beside.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    reason = "a benchmark that panics has told enough"
)]

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, extract::State, http::header, routing::get};

/// 316 bytes, as health documents are.
const DOCUMENT: &str = r#"{"status":"pass","version":"1","releaseId":"1.2.3","serviceId":"f03e522f-1f44-4062-9b55-9587f91c9c41","description":"health of a service","checks":{"database:responseTime":[{"componentId":"dfd6cf2b","componentType":"datastore","observedValue":25,"observedUnit":"ms","status":"pass","time":"2026-01-17T03:36:48Z"}]}}"#;

fn main() {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let number = |at: usize, default: u64| {
        arguments
            .get(at)
            .map_or(default, |word| word.parse().expect("a number"))
    };
    match arguments.first().map(String::as_str) {
        Some("target") => target(),
        Some("bare") => bare(&arguments[1], number(2, 0), number(3, 0)),
        _ => compare(number(0, 1000), number(1, 1000), number(2, 20)),
    }
}

/// Runs each program in turn and prints what it cost.
fn compare(checks: u64, interval: u64, seconds: u64) {
    let home = tempfile::tempdir().unwrap();
    let mut target = ourselves(&["target"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let url = first_line(&mut target);
    println!(
        "{checks} checks every {interval} ms for {seconds} s, {} bytes each",
        DOCUMENT.len()
    );
    println!(
        "{:<28}{:>10}{:>16}{:>12}",
        "program", "checks/s", "CPU us/check", "memory MB"
    );

    let arguments = ["bare", &url, &checks.to_string(), &interval.to_string()];
    let mut bare = ourselves(&arguments).spawn().unwrap();
    let loop_cost = measure(&url, &[("bare reqwest loop", &bare)], seconds);
    end(&mut bare);

    let mut config = format!(
        "[defaults]\ninterval = \"{interval}ms\"\ntimeout = \"{}ms\"\n[nats]\nserver_binary = {:?}\nlisten = \"127.0.0.1:0\"\n",
        interval * 9 / 10,
        nats_server()
    );
    for n in 0..checks {
        config.push_str(&format!(
            "[[check]]\nname = \"c{n}\"\nurl = \"{url}/{n}\"\n"
        ));
    }
    fs::write(home.path().join("supercheck.toml"), config).unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_supercheck"))
        .args(["serve", "--config"])
        .arg(home.path().join("supercheck.toml"))
        .env("STATE_DIRECTORY", home.path())
        .env("SUPERCHECK_HTTP__LISTEN", "")
        .env("SUPERCHECK_LOG__FILTER", "warn")
        .spawn()
        .unwrap();
    let server = server_of(home.path());
    let costs = measure_pids(
        &url,
        &[("supercheck", daemon.id()), ("  its nats-server", server)],
        seconds,
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&daemon),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    daemon.wait().unwrap();
    end(&mut target);
    println!(
        "supercheck / bare loop, CPU: {:.2}; with its nats-server: {:.2}",
        costs[0] / loop_cost[0],
        (costs[0] + costs[1]) / loop_cost[0]
    );
}

fn measure(url: &str, programs: &[(&str, &Child)], seconds: u64) -> Vec<f64> {
    let pids: Vec<_> = programs
        .iter()
        .map(|(name, child)| (*name, child.id()))
        .collect();
    measure_pids(url, &pids, seconds)
}

/// Lets the programs warm up, then measures; returns CPU µs per check of each.
fn measure_pids(url: &str, programs: &[(&str, u32)], seconds: u64) -> Vec<f64> {
    std::thread::sleep(Duration::from_secs(3));
    let (hits, began) = (asked(url), Instant::now());
    let before: Vec<_> = programs.iter().map(|(_, pid)| cpu(*pid)).collect();
    std::thread::sleep(Duration::from_secs(seconds));
    #[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
    let checks = (asked(url) - hits) as f64;
    let rate = checks / began.elapsed().as_secs_f64();
    programs
        .iter()
        .zip(before)
        .map(|((name, pid), before)| {
            let each = (cpu(*pid) - before) * 1e6 / checks;
            println!("{name:<28}{rate:>10.0}{each:>16.1}{:>12.1}", memory(*pid));
            each
        })
        .collect()
}

/// User and system time of a process, in seconds (proc(5), fields 14 and 15).
fn cpu(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = text.rsplit(')').next().unwrap();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .map(|word| word.parse().unwrap_or(0.0))
        .collect();
    (fields[11] + fields[12]) / 100.0
}

/// Resident memory in megabytes.
fn memory(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<f64>()
        .unwrap()
        / 1024.0
}

/// The nats-server that serves from `state`.
fn server_of(state: &std::path::Path) -> u32 {
    let state = state.display().to_string();
    loop {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            let first = line.split('\0').next().unwrap_or_default();
            // `-t` only tries the configuration.
            if line.contains(&state) && first.contains("nats-server") && !line.contains("\0-t\0") {
                return pid;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn nats_server() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let binary = root.join("target/tools/nats-server-2.15.1");
    assert!(
        binary.exists(),
        "no {}: `deploy/get-nats-server 2.15.1 target/tools`",
        binary.display()
    );
    binary
}

fn ourselves(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(arguments);
    command
}

fn first_line(child: &mut Child) -> String {
    use std::io::BufRead as _;
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim().to_owned()
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// How many answers the target has given.
fn asked(url: &str) -> u64 {
    let url = format!("{url}/hits");
    runtime().block_on(async {
        let answer = reqwest::get(url).await.unwrap();
        answer.text().await.unwrap().parse().unwrap()
    })
}

/// A target that answers at once and counts.
fn target() {
    runtime().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        let hits = Arc::new(AtomicU64::new(0));
        let routes = Router::new()
            .route(
                "/hits",
                get(async |State(hits): State<Arc<AtomicU64>>| {
                    hits.load(Ordering::Relaxed).to_string()
                }),
            )
            .fallback(async |State(hits): State<Arc<AtomicU64>>| {
                hits.fetch_add(1, Ordering::Relaxed);
                (
                    [(header::CONTENT_TYPE, "application/health+json")],
                    DOCUMENT,
                )
            })
            .with_state(hits);
        axum::serve(listener, routes).await.unwrap();
    });
}

/// What one writes in an afternoon: a task per check that asks, reads the body
/// and keeps nothing.
fn bare(url: &str, checks: u64, interval: u64) {
    runtime().block_on(async {
        let client = reqwest::Client::new();
        for n in 0..checks {
            let (client, url) = (client.clone(), format!("{url}/{n}"));
            let phase = Duration::from_millis(interval * n / checks);
            tokio::spawn(async move {
                let start = tokio::time::Instant::now() + phase;
                let mut ticks = tokio::time::interval_at(start, Duration::from_millis(interval));
                loop {
                    ticks.tick().await;
                    let answer = client.get(&url).send().await.unwrap();
                    assert!(answer.status().is_success());
                    assert!(!answer.bytes().await.unwrap().is_empty());
                }
            });
        }
        std::future::pending::<()>().await;
    });
}
