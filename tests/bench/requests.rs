//! What an on-demand request costs, and how long it takes beyond the probe.
//!
//! ```sh
//! deploy/get-nats-server 2.15.1 target/tools
//! cargo bench --bench requests
//! ```
//!
//! One daemon on its embedded nats-server, one target that answers at once, all
//! on this machine. CPU is user + system of the process, per request.

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
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};

const CHECKS: usize = 100;
const DOCUMENT: &str =
    r#"{"status":"pass","checks":{"database:responseTime":[{"status":"pass"}]}}"#;

#[tokio::main]
async fn main() {
    let home = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::new().fallback(async || DOCUMENT);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let port = free_port();
    let mut daemon = serve(home.path(), &target, port);
    let client = connect(port).await;
    let server = server_of(home.path());
    let pids = [daemon.id(), server];

    let idle = latencies(&client, "supercheck.check", None, 300, 1, pids).await;
    told("request, one at a time", &idle);
    let paced = latencies(&client, "supercheck.check", Some(500), 5000, 256, pids).await;
    told("request, 500 a second", &paced);
    let flood = latencies(&client, "supercheck.check", None, 20_000, 256, pids).await;
    told("request, 256 at once", &flood);
    let cached = latencies(&client, "supercheck.get", None, 50_000, 64, pids).await;
    told("supercheck.get, 64 at once", &cached);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// What was measured of one way of asking.
struct Measured {
    rate: f64,
    /// Of each answer, beyond the probe that it reports, sorted.
    beyond: Vec<f64>,
    daemon: f64,
    server: f64,
}

fn told(what: &str, measured: &Measured) {
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a short list"
        )]
        let index = ((measured.beyond.len() - 1) as f64 * share) as usize;
        measured.beyond[index]
    };
    println!(
        "{what:<28}{:>8.0}/s   beyond the probe: p50 {:>6.2} ms, p99 {:>6.2} ms   CPU us each: daemon {:>5.0}, nats-server {:>5.0}",
        measured.rate,
        at(0.5),
        at(0.99),
        measured.daemon,
        measured.server
    );
}

async fn latencies(
    client: &async_nats::Client,
    subject: &'static str,
    rate: Option<u64>,
    count: usize,
    at_once: usize,
    pids: [u32; 2],
) -> Measured {
    let before = pids.map(cpu);
    let began = Instant::now();
    let client = Arc::new(client.clone());
    let answers = stream::iter(0..count)
        .then(|n| async move {
            if let Some(rate) = rate {
                let due = began + Duration::from_micros(n as u64 * 1_000_000 / rate);
                tokio::time::sleep_until(due.into()).await;
            }
            n
        })
        .map(|n| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let asked = Instant::now();
                let body = format!("c{}", n % CHECKS).into();
                let answer = client.request(subject, body).await.unwrap();
                let took = asked.elapsed().as_secs_f64() * 1e3;
                let report: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
                took - report["latency_ms"].as_f64().unwrap_or(0.0)
            })
        })
        .buffer_unordered(at_once);
    let mut beyond = Vec::with_capacity(count);
    let mut answers = std::pin::pin!(answers);
    while let Some(each) = answers.next().await {
        beyond.push(each.unwrap());
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of a short run")]
    let n = count as f64;
    let rate = n / began.elapsed().as_secs_f64();
    let after = pids.map(cpu);
    beyond.sort_unstable_by(f64::total_cmp);
    Measured {
        rate,
        beyond,
        daemon: (after[0] - before[0]) * 1e6 / n,
        server: (after[1] - before[1]) * 1e6 / n,
    }
}

fn serve(home: &Path, target: &str, port: u16) -> std::process::Child {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let binary = root.join("target/tools/nats-server-2.15.1");
    assert!(
        binary.exists(),
        "`deploy/get-nats-server 2.15.1 target/tools` gets the server"
    );
    let mut config = format!(
        "[nats]\nserver_binary = {binary:?}\nlisten = \"127.0.0.1:{port}\"\n[scheduler]\nper_host = 256\n[defaults]\ninterval = \"1h\"\n"
    );
    for n in 0..CHECKS {
        config.push_str(&format!(
            "[[check]]\nname = \"c{n}\"\nurl = \"{target}/{n}\"\n"
        ));
    }
    fs::write(home.join("supercheck.toml"), config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_supercheck"))
        .args(["serve", "--config"])
        .arg(home.join("supercheck.toml"))
        .env("STATE_DIRECTORY", home)
        .env("SUPERCHECK_HTTP__LISTEN", "")
        .env("SUPERCHECK_LOG__FILTER", "error")
        .spawn()
        .unwrap()
}

async fn connect(port: u16) -> async_nats::Client {
    loop {
        if let Ok(client) = async_nats::connect(format!("nats://127.0.0.1:{port}")).await
            && client.request("supercheck.list", "".into()).await.is_ok()
        {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
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

/// The nats-server that serves from `state`.
fn server_of(state: &Path) -> u32 {
    let state = state.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_string_lossy().parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let first = line.split('\0').next()?;
            (line.contains(&state) && first.contains("nats-server")).then_some(pid)
        })
        .next()
        .expect("a nats-server runs")
}
