//! Time is counted once, and what nobody saw is nobody's.

use super::*;
use crate::report::{ComponentCounts, Trigger};

/// A summary of a run at `at` minutes that holds for `holds` minutes.
fn summary(at: u64, holds: u64, status: Status) -> Summary {
    let minutes = |minutes: u64| Timestamp::from_millis(minutes * 60_000);
    let verdict = match status {
        Status::Up | Status::Unknown => Verdict::Pass,
        Status::Degraded => Verdict::Warn,
        Status::Down => Verdict::Fail,
    };
    let json = serde_json::json!({
        "v": 1, "check": "api", "url": "http://x/", "status": status, "verdict": verdict,
        "since": minutes(0), "checked_at": minutes(at), "expires_at": minutes(at + holds),
        "interval_ms": 60_000, "latency_ms": 5.0, "http_status": 200, "message": "",
        "components": ComponentCounts::default(), "consecutive": 1,
        "trigger": Trigger::Schedule, "instance": "i", "run": at.to_string(),
    });
    serde_json::from_value(json).unwrap()
}

const MINUTE: u64 = 60_000;

#[test]
fn a_gap_is_unknown_and_an_hour_is_full_only_when_it_was_watched() {
    let mut hours = Hours::default();
    hours.count(&summary(0, 3, Status::Up));
    hours.count(&summary(2, 3, Status::Down));
    // Nobody looked from minute 5 to 50.
    hours.count(&summary(50, 30, Status::Degraded));
    hours.count(&summary(70, 3, Status::Up));
    let first = hours.open()[&0];
    assert_eq!((first.up_ms, first.down_ms), (2 * MINUTE, 3 * MINUTE));
    assert_eq!(first.degraded_ms, 10 * MINUTE);
    assert_eq!((first.pass, first.fail, first.warn), (1, 1, 1));
    assert_eq!(hours.open()[&1].degraded_ms, 10 * MINUTE);
}

#[test]
fn an_hour_is_settled_when_it_is_over_and_no_time_counts_twice() {
    let mut hours = Hours::default();
    hours.count(&summary(50, 60, Status::Up));
    let over = hours.over(Timestamp::from_millis(61 * MINUTE));
    assert_eq!(over[&0][&0].up_ms, 10 * MINUTE);
    hours.stored(&over[&0]);
    hours.count(&summary(80, 60, Status::Up));
    assert_eq!(hours.open().len(), 1);
    assert_eq!(hours.open()[&1].up_ms, 20 * MINUTE);
}

#[test]
fn what_knows_more_wins_whoever_writes_first() {
    let hour = |up_ms| {
        let hour = Hour {
            up_ms,
            pass: 1,
            ..Hour::default()
        };
        BTreeMap::from([(7, hour)])
    };
    let mut day = Day::default();
    assert!(day.take(&hour(10)));
    assert!(!day.take(&hour(10)));
    assert!(!day.take(&hour(9)));
    assert!(day.take(&hour(11)));
    let json = serde_json::to_string(&day).unwrap();
    assert_eq!(serde_json::from_str::<Day>(&json).unwrap(), day);
}

#[test]
fn a_restart_leaves_no_seam() {
    let mut before = Hours::default();
    before.count(&summary(0, 5, Status::Up));
    before.count(&summary(1, 5, Status::Up));
    // The next daemon: the past is replayed, and the living go on from it.
    let mut after = Hours::default();
    after.go_on_from(&summary(1, 5, Status::Up));
    after.count(&summary(3, 5, Status::Up));
    for (number, hour) in &before.open() {
        after.add(*number, hour);
    }
    assert_eq!(after.open()[&0].up_ms, 3 * MINUTE);
    assert_eq!(after.open()[&0].pass, 3);
}
