//! Readers over HTTP: the page's weight and first byte, what a request costs,
//! and whether checks start in time all the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use axum::body::{Body, to_bytes};
use http::{Request, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{Length, Seen};
use crate::{
    figures::{
        Figures,
        Goal::{self, AtMost},
        Values,
    },
    machine::Window,
    processes::{Daemon, Nats, Plan, Target},
};

/// Readers at once.
const READERS: usize = 32;
/// Runs that a bar shows.
const RUNS: u64 = 30;
/// Looks at a page.
const LOOKS: usize = 200;
/// More than any answer has.
const LIMIT: usize = 64 << 20;

type Browser = Client<HttpConnector, Body>;

fn browser() -> Browser {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// What came, and how long its head took.
async fn get(browser: &Browser, url: &str, encoding: &str) -> (usize, Duration) {
    let request = Request::get(url)
        .header(header::ACCEPT_ENCODING, encoding)
        .body(Body::empty())
        .unwrap();
    let asked = Instant::now();
    let answer = browser.request(request).await.unwrap();
    let took = asked.elapsed();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    let body = to_bytes(Body::new(answer.into_body()), LIMIT).await;
    (body.unwrap().len(), took)
}

/// The status page, of few checks and of many.
pub async fn page(figures: &mut Figures) {
    for (row, checks) in [
        ("page, 10 checks", 10),
        ("page, 1,000 checks", 1_000),
        ("page, 10,000 checks", 10_000),
    ] {
        let target = Target::start();
        let server = Nats::start().await;
        let plan = Plan::new(checks, 1_000);
        let daemon = Daemon::start(&target, &plan, &server.url, &[]);
        daemon.ready().await;
        // Until every bar is full.
        let mut asked = 0;
        while asked < (RUNS + 1) * checks {
            tokio::time::sleep(Duration::from_millis(100)).await;
            asked += target.window().asked;
        }
        daemon.reload(&target, &Plan::new(checks, 10_000));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (browser, url) = (browser(), daemon.url("/"));
        let mut times = Values::default();
        for _ in 0..LOOKS {
            let (_, took) = get(&browser, &url, "identity").await;
            times.0.push(took.as_secs_f64() * 1e3);
            // Each of them is a new page, not one that was made just now.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.0.sort_unstable_by(f64::total_cmp);
        let (middle, late) = (times.median(), times.0[LOOKS * 99 / 100]);
        figures.note(row, "first byte, p50", middle, "ms", Goal::None);
        figures.note(row, "first byte, p99", late, "ms", AtMost(50.0));
        let (size, _) = get(&browser, &url, "identity").await;
        let (packed, _) = get(&browser, &url, "gzip").await;
        figures.note(row, "weight", size as f64 / 1e3, "KB", AtMost(500.0));
        let packed = packed as f64 / 1e3;
        figures.note(row, "weight, gzip", packed, "KB", AtMost(100.0));
    }
}

/// Readers who ask as fast as they are answered, while 1,000 checks start each
/// second.
pub async fn readers(length: Length, figures: &mut Figures) {
    let target = Target::start();
    let server = Nats::start().await;
    let plan = Plan::new(1_000, 1_000);
    let daemon = Daemon::start(&target, &plan, &server.url, &[]);
    daemon.ready().await;
    let programs = [&daemon.process, &server.process];
    let mut alone = Seen::default();
    alone.look(&target, &programs, length).await;
    let row = "1,000 checks a second, no readers";
    let quiet = alone.p99.median();
    figures.note(row, "deviation p99", alone.p99, "ms", Goal::None);
    for (row, path) in [
        ("and /api/v1/checks/<name>, 32 at once", "/api/v1/checks/c"),
        ("and /, 32 at once", "/"),
    ] {
        let (mut rate, mut cpu) = (Values::default(), Values::default());
        let mut seen = Seen::default();
        let soon = Length {
            windows: 1,
            ..length
        };
        let load = Load::begin(&daemon, path);
        for _ in 0..length.windows {
            let before = load.answers();
            let window = Window::begin(&[daemon.process.id()]);
            seen.look(&target, &programs, soon).await;
            let used = window.end();
            let answers = (load.answers() - before).max(1) as f64;
            rate.0.push(answers / used.seconds);
            let own = used.cpu[0] - alone.cpu[0].median() * 1e-6 * 1e3 * used.seconds;
            cpu.0.push(own * 1e6 / answers);
        }
        load.end();
        figures.note(row, "requests", rate, "/s", Goal::None);
        figures.note(row, "CPU each, checking left out", cpu, "us", Goal::None);
        let grown = seen.p99.median() - quiet;
        figures.note(row, "deviation p99", seen.p99, "ms", Goal::None);
        figures.note(row, "deviation p99, grown by", grown, "ms", AtMost(1.0));
        figures.note(row, "slots missed", seen.missed, "", AtMost(0.0));
    }
}

/// Readers on a thread of their own, which gives way to what is measured.
struct Load {
    answers: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Load {
    /// A path that does not end in `/` has a check's number after it.
    fn begin(daemon: &Daemon, path: &str) -> Self {
        let url = daemon.url(path);
        let (answers, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, end) = (Arc::clone(&answers), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            rustix::process::nice(10).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let browser = browser();
            let readers = (0..READERS).map(async |reader| {
                for n in (reader..).step_by(READERS) {
                    if end.load(Relaxed) {
                        return;
                    }
                    let url = match url.ends_with('/') {
                        true => url.clone(),
                        false => format!("{url}{}", n % 1_000),
                    };
                    get(&browser, &url, "identity").await;
                    count.fetch_add(1, Relaxed);
                }
            });
            runtime.block_on(futures_util::future::join_all(readers));
        });
        Self {
            answers,
            stop,
            thread,
        }
    }

    fn answers(&self) -> u64 {
        self.answers.load(Relaxed)
    }

    fn end(self) {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap();
    }
}
