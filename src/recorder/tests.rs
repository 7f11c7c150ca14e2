//! What is kept of finished runs until it is stored.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;
use crate::{
    check::Check,
    probe::tests::check,
    report::{Status, Summary, Trigger, Verdict},
};

/// A run of `name` that passed, and whose details are `size` bytes long.
fn run(name: &str, size: usize) -> Arc<Run> {
    judged(name, size, Verdict::Pass)
}

fn judged(name: &str, size: usize, verdict: Verdict) -> Arc<Run> {
    let summary = Summary {
        v: 1,
        check: name.into(),
        url: "".into(),
        status: Status::Up,
        verdict,
        since: clock::now(),
        checked_at: clock::now(),
        expires_at: clock::now(),
        interval_ms: 0,
        latency_ms: 0.0,
        http_status: None,
        message: String::new(),
        components: crate::report::ComponentCounts::default(),
        consecutive: 1,
        streak: None,
        unknown_since: None,
        gate: None,
        held: None,
        maintenance: false,
        maintenance_reason: None,
        reported_at: None,
        certificate_expires_at: None,
        held_back_until: None,
        trigger: Trigger::Schedule,
        instance: "".into(),
        run: String::new(),
    };
    let check: Check = check(name, "http://localhost/");
    let details = vec![b' '; size].into();
    Arc::new(Run::of(Arc::new(check), summary, details, false))
}

fn is(waiting: &Waiting, run: &Arc<Run>) -> bool {
    waiting.whole().is_some_and(|kept| Arc::ptr_eq(kept, run))
}

#[test]
fn the_newest_run_of_each_check_is_kept_and_the_longest_waiting_goes_first() {
    let recorder = Recorder::default();
    let (old, other, new) = (run("a", 1), run("b", 1), run("a", 2));
    for run in [&old, &other, &new] {
        recorder.offer(run);
    }
    assert_eq!((recorder.unstored(), recorder.lock().bytes), (2, 3));
    assert!(is(&recorder.take().unwrap(), &new));
    assert!(is(&recorder.take().unwrap(), &other));
    assert!(recorder.take().is_none());
    assert_eq!(recorder.unstored(), 2, "under way is not stored");
    assert_eq!(Arc::strong_count(&old), 1);
}

#[test]
fn beyond_the_bound_summaries_are_kept_without_their_reports() {
    // With its summary no more than a fourth.
    const PART: usize = MAX_KEPT / 4 - 1024;
    let recorder = Recorder::default();
    let runs: Vec<_> = ('a'..='e').map(|c| run(&c.to_string(), PART)).collect();
    for run in &runs {
        recorder.offer(run);
    }
    let four = runs[..4].iter().map(|run| run.size()).sum::<usize>();
    assert_eq!(recorder.lock().bytes, four);
    let [first, .., last] = runs.as_slice() else {
        unreachable!()
    };
    assert_eq!(Arc::strong_count(last), 1, "its report is let go");
    assert_eq!(recorder.bare(), 1);
    // What is under way still takes its place.
    let sent = recorder.take().unwrap();
    assert!(is(&sent, first));
    let newer = run("f", PART);
    recorder.offer(&newer);
    assert_eq!(Arc::strong_count(&newer), 1);
    recorder.settle(sent, true);
    recorder.offer(&newer);
    assert_eq!(Arc::strong_count(&newer), 2);

    let kept: Vec<_> = std::iter::from_fn(|| recorder.take()).collect();
    let names: Vec<_> = kept.iter().map(|kept| kept.check.as_str()).collect();
    assert_eq!(names, ["b", "c", "d", "e", "f"]);
    let What::Bare(summary) = &kept[3].what else {
        panic!("it is not whole");
    };
    let summary: Summary = serde_json::from_slice(summary).unwrap();
    assert_eq!(summary, last.summary);
    assert!(is(&kept[4], &newer));
    for kept in kept {
        recorder.settle(kept, true);
    }
    assert_eq!((recorder.unstored(), recorder.lock().bytes), (0, 0));
}

#[test]
fn what_could_not_be_stored_is_kept_unless_a_newer_run_has_come() {
    let recorder = Recorder::default();
    let (old, new) = (run("a", 1), run("a", 2));
    recorder.offer(&old);
    let sent = recorder.take().unwrap();
    recorder.settle(sent, false);
    let sent = recorder.take().unwrap();
    assert!(is(&sent, &old), "again");

    recorder.offer(&new);
    assert!(recorder.take().is_none(), "one at a time");
    recorder.settle(sent, false);
    let sent = recorder.take().unwrap();
    assert!(is(&sent, &new));
    assert!(recorder.take().is_none());
    recorder.settle(sent, true);
    assert_eq!((recorder.unstored(), recorder.lock().bytes), (0, 0));
}

#[tokio::test]
async fn drained_is_when_everything_is_stored() {
    let recorder = Recorder::default();
    recorder.drained().await;
    recorder.offer(&run("a", 1));
    let mut drained = Box::pin(recorder.drained());
    assert!(drained.as_mut().now_or_never().is_none());
    let sent = recorder.take().unwrap();
    assert!(drained.as_mut().now_or_never().is_none());
    recorder.settle(sent, false);
    assert!(drained.as_mut().now_or_never().is_none());
    let sent = recorder.take().unwrap();
    recorder.settle(sent, true);
    tokio::time::timeout(Duration::from_secs(5), drained)
        .await
        .unwrap();
}

#[test]
fn the_newest_failing_run_is_kept_until_it_is_stored() {
    let recorder = Recorder::default();
    let (first, failed, passed) = (
        judged("a", 1, Verdict::Fail),
        judged("a", 2, Verdict::Fail),
        run("a", 4),
    );
    let failure = |waiting: &Waiting| {
        let run = waiting.failure.as_ref().expect("the failing run");
        assert!(Arc::ptr_eq(run, &failed));
    };
    // A newer failing run takes its place, a passing one does not.
    for run in [&first, &failed, &passed] {
        recorder.offer(run);
    }
    assert_eq!((Arc::strong_count(&first), recorder.lock().bytes), (1, 6));
    let sent = recorder.take().unwrap();
    assert!(is(&sent, &passed));
    failure(&sent);
    // NATS did not take it: it goes with the next.
    recorder.offer(&run("a", 8));
    recorder.settle(sent, false);
    assert_eq!(recorder.lock().bytes, 10);
    let sent = recorder.take().unwrap();
    failure(&sent);
    recorder.settle(sent, false);
    let again = recorder.take().unwrap();
    failure(&again);
    recorder.settle(again, true);
    recorder.offer(&passed);
    assert!(recorder.take().unwrap().failure.is_none(), "it is stored");
}

#[test]
fn failing_reports_of_a_check_are_put_in_two_places_in_turn() {
    let recorder = Recorder::default();
    let mut places = Vec::new();
    for _ in 0..3 {
        recorder.offer(&judged("a", 1, Verdict::Fail));
        recorder.offer(&judged("b", 1, Verdict::Fail));
        for _ in 0..2 {
            let sent = recorder.take().unwrap();
            places.push((sent.check.to_string(), sent.second));
            recorder.settle(sent, true);
        }
    }
    for check in ["a", "b"] {
        let of = places.iter().filter(|(name, _)| name == check);
        let of: Vec<_> = of.map(|(_, second)| *second).collect();
        assert_eq!(of, [true, false, true], "{check}");
    }
}

#[test]
fn a_long_report_is_made_once_and_cut_to_what_is_taken() {
    let long = |length| {
        let summary = run("a", 1).summary.clone();
        let details = format!("{{\"response\":{{\"body\":\"{}\"}}}}", "x".repeat(length));
        let check = Arc::new(check("a", "http://localhost/"));
        Run::of(check, summary, details.into(), true)
    };
    for (length, shared) in [(300, false), (30_000, true)] {
        let run = long(length);
        let [one, other] = [(); 2].map(|()| run.answer(usize::MAX));
        assert_eq!(one, other);
        assert_eq!(one.as_ptr() == other.as_ptr(), shared);
        assert_eq!(run.body().unwrap().len(), length + 2);
        assert_eq!(run.document(), run.body());
        let summary: Summary = serde_json::from_slice(&run.encoded_summary()).unwrap();
        assert_eq!(summary, run.summary);
        assert_eq!(run.encoded_summary(), run.encoded().summary());
        // A server takes less, then one that takes more.
        for limit in [one.len() - 1, one.len() - 100, one.len()] {
            let cut = run.answer(limit);
            assert!(cut.len() <= limit);
            assert_eq!(cut == one, limit == one.len());
            assert_eq!(cut, run.answer(limit));
        }
    }
}
