//! Runs of checks against real targets: permits, reports, single flight.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::*;
use crate::{
    probe::{
        ProberSettings,
        tests::{
            check,
            target::{Listening, OK},
        },
    },
    report::{Status, Verdict},
};

const LONG: Duration = Duration::from_secs(5);

/// A runner and what it hangs on.
struct Bench {
    runner: Arc<Runner>,
    recorder: Recorder,
    tasks: Tasks,
}

impl Bench {
    fn new(concurrency: usize, per_host: usize) -> Self {
        let (recorder, tasks) = (Recorder::default(), Tasks::default());
        let limits = Limits {
            concurrency,
            per_host,
            per_host_rate: None,
        };
        let runner = Runner::new(
            Prober::new(&ProberSettings::default()).unwrap(),
            "bench".to_owned(),
            limits,
            recorder.clone(),
            tasks.clone(),
        );
        Self {
            runner: Arc::new(runner),
            recorder,
            tasks,
        }
    }

    fn cell(&self, name: &str, url: &str) -> Arc<Cell> {
        let checks = [Arc::new(check(name, url))];
        let mut cells = self.runner.cells(&checks, &BTreeMap::new()).unwrap();
        cells.pop_first().unwrap().1
    }

    fn start(&self, cell: &Arc<Cell>) -> Started {
        self.runner.start(cell, Trigger::Schedule)
    }

    /// Waits for all runs to end.
    async fn done(&self) {
        assert_eq!(self.tasks.finish(LONG).await, 0);
    }
}

/// A target that answers when its gate is opened.
async fn gated() -> (Listening, watch::Sender<bool>) {
    let gate = watch::Sender::new(false);
    let opened = gate.clone();
    let target = Listening::serving(move |mut accepted| {
        let mut opened = opened.subscribe();
        async move {
            while accepted.request().await.is_some() {
                opened.wait_for(|open| *open).await.unwrap();
                accepted.say(OK).await?;
            }
            Ok(())
        }
    });
    (target.await, gate)
}

#[tokio::test]
async fn a_run_becomes_a_report_that_is_kept_and_offered() {
    let target = Listening::answering(OK).await;
    let bench = Bench::new(4, 4);
    let cell = bench.cell("api", &target.url("/"));
    assert!(cell.latest().is_none());
    assert_eq!(bench.start(&cell), Started::Yes);
    assert!(cell.in_flight());
    bench.done().await;
    assert!(!cell.in_flight());
    let run = cell.latest().unwrap();
    let summary = &run.summary;
    assert_eq!(
        (summary.verdict, summary.status),
        (Verdict::Pass, Status::Up)
    );
    assert_eq!((&*summary.check, &*summary.instance), ("api", "bench"));
    assert_eq!(
        (summary.http_status, summary.trigger),
        (Some(200), Trigger::Schedule)
    );
    let lasts = 2 * cell.check.interval + cell.check.timeout;
    assert_eq!(summary.expires_at, summary.checked_at + lasts);
    assert_eq!(bench.recorder.unstored(), 1);
}

#[tokio::test]
async fn a_target_that_is_down_is_a_report_too() {
    let gone = Listening::answering(OK).await.gone().await;
    let bench = Bench::new(4, 4);
    let cell = bench.cell("api", &gone);
    bench.start(&cell);
    bench.done().await;
    let run = cell.latest().unwrap();
    assert_eq!(run.summary.verdict, Verdict::Fail);
    assert_eq!(run.summary.message, "connection refused");
    assert!(run.body().is_none());
}

#[tokio::test]
async fn a_check_never_overlaps_itself_not_even_when_it_is_changed() {
    let (target, gate) = gated().await;
    let bench = Bench::new(4, 4);
    let before = [
        check("api", &target.url("/")),
        check("web", &target.url("/")),
    ]
    .map(Arc::new);
    let cells = bench.runner.cells(&before, &BTreeMap::new()).unwrap();
    let cell = &cells[&before[0].name];
    assert_eq!(bench.start(cell), Started::Yes);
    assert_eq!(bench.start(cell), Started::InFlight(Trigger::Schedule));
    target.asked(1).await;

    let changed = Arc::new(check("api", &target.url("/v2")));
    let after = [Arc::clone(&changed), Arc::clone(&before[1])];
    let after = bench.runner.cells(&after, &cells).unwrap();
    let unchanged = &before[1].name;
    assert!(Arc::ptr_eq(&after[unchanged], &cells[unchanged]));
    let new = &after[&changed.name];
    assert_eq!(bench.start(new), Started::InFlight(Trigger::Schedule));

    gate.send_replace(true);
    bench.done().await;
    assert_eq!(bench.start(new), Started::Yes);
    target.asked(2).await;
    assert!(target.requests()[1].starts_with("GET /v2 "));
    bench.done().await;
    assert_eq!(new.latest().unwrap().summary.consecutive, 2);
}

#[tokio::test]
async fn a_run_that_is_cut_off_frees_its_check() {
    let (target, _gate) = gated().await;
    let bench = Bench::new(4, 4);
    let cell = bench.cell("api", &target.url("/"));
    bench.start(&cell);
    target.asked(1).await;
    assert_eq!(bench.tasks.finish(Duration::ZERO).await, 1);
    assert!(!cell.in_flight() && cell.latest().is_none());
}

#[tokio::test]
async fn permits_bound_what_runs_at_once_in_all_and_at_one_host() {
    for (concurrency, per_host) in [(2, 8), (8, 2)] {
        let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let highest = Arc::clone(&peak);
        let target = Listening::serving(move |mut accepted| {
            let (now, peak) = (Arc::clone(&now), Arc::clone(&highest));
            async move {
                while accepted.request().await.is_some() {
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Time for others to come, if they may.
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    accepted.say(OK).await?;
                }
                Ok(())
            }
        })
        .await;
        let bench = Bench::new(concurrency, per_host);
        for n in 0..6 {
            let cell = bench.cell(&format!("c{n}"), &target.url("/"));
            assert_eq!(bench.start(&cell), Started::Yes);
        }
        bench.done().await;
        assert_eq!(target.requests().len(), 6);
        assert_eq!(peak.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_hanging_host_starves_nobody_else() {
    let (hanging, _gate) = gated().await;
    let healthy = Listening::answering(OK).await;
    let bench = Bench::new(3, 2);
    for n in 0..10 {
        bench.start(&bench.cell(&format!("slow{n}"), &hanging.url("/")));
    }
    hanging.asked(2).await;
    // Another name is another host.
    let other = format!("http://localhost:{}/", healthy.port());
    let cell = bench.cell("good", &other);
    bench.start(&cell);
    healthy.asked(1).await;
    assert_eq!(hanging.requests().len(), 2);
}

#[test]
fn a_panic_while_judging_fails_that_run_and_no_other() {
    let judgement = seen::guarded(|| panic!("on purpose"));
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert!(judgement.message.contains("supercheck broke"));
}

#[tokio::test]
async fn a_stored_summary_is_taken_up_and_an_outage_keeps_its_beginning() {
    let gone = Listening::answering(OK).await.gone().await;
    let first = Bench::new(1, 1);
    let cell = first.cell("api", &gone);
    first.start(&cell);
    first.done().await;
    let mut stored = cell.latest().unwrap().summary.clone();
    assert_eq!(stored.status, Status::Down);
    stored.since = clock::Timestamp::from_millis(1);

    // Both when it is read before the first run, and when after.
    let second = Bench::new(1, 1);
    let restarted = second.cell("api", &gone);
    restarted.adopt(Box::new(stored.clone()));
    cell.adopt(Box::new(stored.clone()));
    for (bench, cell) in [(second, restarted), (first, cell)] {
        bench.start(&cell);
        bench.done().await;
        let summary = cell.latest().unwrap().summary.clone();
        assert_eq!((summary.since, summary.consecutive), (stored.since, 2));
    }
}

/// A target that refuses the first `refused` requests, and a check that asks
/// up to three times.
async fn retried(refused: usize) -> (Listening, Bench, Arc<Cell>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let target = Listening::serving(move |mut accepted| {
        let asked = Arc::clone(&asked);
        async move {
            while accepted.request().await.is_some() {
                let n = asked.fetch_add(1, Ordering::SeqCst);
                let answer = if n < refused {
                    "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n"
                } else {
                    OK
                };
                accepted.say(answer).await?;
            }
            Ok(())
        }
    })
    .await;
    let bench = Bench::new(1, 1);
    let mut check = check("api", &target.url("/"));
    check.attempts = crate::check::Attempts {
        most: 3,
        delay: Duration::from_millis(20),
    };
    let cells = [Arc::new(check)];
    let mut cells = bench.runner.cells(&cells, &BTreeMap::new()).unwrap();
    let cell = cells.pop_first().unwrap().1;
    (target, bench, cell)
}

#[tokio::test]
async fn a_run_asks_again_until_an_attempt_does_not_fail() {
    for (refused, attempts, verdict) in [
        (0, 1, Verdict::Pass),
        (1, 2, Verdict::Pass),
        (2, 3, Verdict::Pass),
        (9, 3, Verdict::Fail),
    ] {
        let (target, bench, cell) = retried(refused).await;
        bench.start(&cell);
        bench.done().await;
        let run = cell.latest().unwrap();
        let summary = &run.summary;
        assert_eq!(target.requests().len(), attempts);
        assert_eq!((summary.verdict, summary.consecutive), (verdict, 1));
        let json: serde_json::Value = serde_json::from_slice(&run.encoded().report).unwrap();
        assert_eq!(json["attempts"], attempts);
        let failed = json["failed_attempts"].as_array();
        assert_eq!(failed.map_or(0, Vec::len), attempts - 1);
        for attempt in failed.into_iter().flatten() {
            assert_eq!(attempt["message"], "HTTP status 503, expected 200 to 299");
            let at: clock::Timestamp = serde_json::from_value(attempt["at"].clone()).unwrap();
            let pause = summary.checked_at.since(at);
            assert!(pause >= cell.check.attempts.delay, "{pause:?}");
        }
        assert_eq!(json.get("failed_attempts").is_some(), attempts > 1);
    }
}

#[tokio::test]
async fn a_target_that_asks_to_be_left_alone_is_and_whoever_asks_for_it_gets_a_run() {
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n";
    let target = Listening::answering(busy).await;
    let bench = Bench::new(4, 4);
    let cell = bench.cell("api", &target.url("/"));
    assert_eq!(bench.start(&cell), Started::Yes);
    let first = bench.runner.join(&cell, 0).await.unwrap();
    let summary = &first.summary;
    // Not for a day, but for ten intervals.
    let until = summary.checked_at + 10 * cell.check.interval;
    assert_eq!(summary.held_back_until, Some(until));
    assert_eq!(cell.held_back(summary.checked_at), Some(until));
    assert_eq!(cell.held_back(until), None);
    assert_eq!(bench.start(&cell), Started::HeldBack);
    assert_eq!(target.requests().len(), 1);
    bench.runner.learn(1);
    let asked = bench.runner.join(&cell, 1).await.unwrap();
    assert_ne!(asked.id(), first.id());
    assert_eq!(target.requests().len(), 2);
}

#[tokio::test]
async fn a_target_that_answers_well_or_asks_for_less_than_an_interval_is_not_left_alone() {
    for answer in [
        "HTTP/1.1 200 OK\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    ] {
        let target = Listening::answering(answer).await;
        let bench = Bench::new(4, 4);
        let cell = bench.cell("api", &target.url("/"));
        for _ in 0..2 {
            assert_eq!(bench.start(&cell), Started::Yes);
            let joined = bench.runner.join(&cell, 0).await.unwrap();
            assert_eq!(joined.summary.held_back_until, None);
        }
    }
}
