//! The status over time: by examples, and by what must hold of any runs.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    observation::{Observation, Phases},
    probe::tests::check as a_check,
    report::Trigger,
    verdict::{
        Judgement,
        write_up::{Making, write_up},
    },
};

/// Runs are so far apart, in milliseconds, and good for twice that.
const APART: u64 = 10;

fn turn(n: u64, letter: char) -> Turn {
    let at = Timestamp::from_millis(n * APART);
    Turn {
        verdict: match letter {
            'p' => Verdict::Pass,
            'w' => Verdict::Warn,
            _ => Verdict::Fail,
        },
        at,
        good_until: at + Duration::from_millis(2 * APART),
        withheld: letter == 'g',
    }
}

fn fold(verdicts: &str, thresholds: Thresholds) -> Vec<Standing> {
    let mut standings: Vec<Standing> = Vec::new();
    for (n, letter) in (0..).zip(verdicts.chars()) {
        // A space is a run that did not happen.
        if letter != ' ' {
            let before = standings.last().copied();
            standings.push(Standing::after(before, turn(n, letter), thresholds));
        }
    }
    standings
}

const fn letter(status: Status) -> char {
    match status {
        Status::Up => 'U',
        Status::Degraded => 'D',
        Status::Down => 'X',
        Status::Unknown => '?',
    }
}

/// Folds a string of verdicts (`p`, `w`, `f`; `g` is a failure behind the
/// closed gate) and writes the statuses (`U` up, `D` degraded, `X` down, `?`
/// unknown).
fn check(fail_after: u32, recover_after: u32, verdicts: &str, expected: &str) {
    let thresholds = Thresholds {
        fail_after,
        recover_after,
    };
    let standings = fold(verdicts, thresholds);
    let seen: String = standings.iter().map(|s| letter(s.status)).collect();
    assert_eq!(seen, expected, "{verdicts} with {thresholds:?}");
}

#[test]
fn a_status_follows_the_verdicts_within_its_thresholds() {
    check(1, 1, "pwfp", "UDXU");
    check(2, 1, "pfpff", "UUUUX");
    check(3, 1, "fff", "??X");
    check(1, 2, "fpfppw", "XXXXUD");
    check(2, 3, "ffpwpp", "?XXXUU");
    check(2, 2, "wfw", "DDD");
}

#[test]
fn what_fails_behind_the_closed_gate_does_not_count() {
    check(1, 1, "pggp", "U??U");
    check(2, 1, "pfggfp", "UU??XU");
    check(2, 1, "pggfp", "U??UU");
    check(1, 1, "fggf", "X??X");
    check(1, 2, "fpgpp", "XX?XU");
    check(1, 1, "ggf", "??X");
}

#[test]
fn since_is_when_the_status_began() {
    let one = Thresholds::default();
    let at = |n| Timestamp::from_millis(n * APART);
    let [.., second] = fold("pp", one)[..] else {
        unreachable!()
    };
    assert_eq!((second.since, second.consecutive), (at(0), 2));
    let [.., third] = fold("ppf", one)[..] else {
        unreachable!()
    };
    assert_eq!((third.since, third.consecutive), (at(2), 1));
    // An outage has its beginning, whatever the gate hid of it.
    let standings = fold("pfggf", one);
    let since: Vec<_> = standings.iter().map(|s| s.since).collect();
    assert_eq!(since, [at(0), at(1), at(2), at(2), at(1)]);
}

#[test]
fn a_gap_is_told_by_the_first_run_after_it() {
    let one = Thresholds::default();
    let at = |n| Timestamp::from_millis(n * APART);
    for (verdicts, expected) in [
        ("pp", None),
        // One run missing is within what a record is good for.
        ("p p", None),
        ("p   p", Some(at(2))),
        ("p   pp", None),
        ("p   f", Some(at(2))),
        ("pggp", Some(at(1))),
        ("p   gp", Some(at(2))),
        ("gp", Some(at(0))),
        ("p", None),
    ] {
        let last = *fold(verdicts, one).last().unwrap();
        assert_eq!(last.unknown_since, expected, "{verdicts}");
    }
}

/// The standing as the next daemon reads it: through the summary's JSON.
fn restarted(standing: Standing) -> Standing {
    let observation = Observation {
        started_at: standing.good_until,
        latency: Duration::ZERO,
        phases: Phases::default(),
        response: None,
        failure: None,
        certificate: None,
        reached: None,
    };
    let judgement = Judgement {
        verdict: standing.verdict,
        message: String::new(),
        expectations: Vec::new(),
        document: None,
        json: false,
    };
    let check = a_check("api", "http://localhost/");
    let instance = "bench".into();
    let making = Making::new(Trigger::Schedule, &instance, String::new());
    let report = write_up(&check, &observation, judgement, standing, making);
    let json = serde_json::to_string(&report.summary).unwrap();
    Standing::of(&serde_json::from_str(&json).unwrap())
}

/// How many of the last runs are so, of those that count.
fn trailing(runs: &[char], is: impl Fn(char) -> bool) -> usize {
    let counted = runs.iter().rev().filter(|c| **c != 'g');
    counted.take_while(|c| is(**c)).count()
}

proptest! {
    #[test]
    fn whatever_the_verdicts_the_thresholds_hold(
        fail_after in 1..4u32,
        recover_after in 1..4u32,
        verdicts in "[pwfg ]{0,40}",
        restarts in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let thresholds = Thresholds { fail_after, recover_after };
        let mut before: Option<Standing> = None;
        let mut runs = Vec::new();
        for ((n, letter), restart) in (0..).zip(verdicts.chars()).zip(restarts) {
            if letter == ' ' {
                continue;
            }
            if restart {
                // A restart changes nothing.
                prop_assert_eq!(before.map(restarted), before);
            }
            let now = Standing::after(before, turn(n, letter), thresholds);
            runs.push(letter);
            let was = before.map_or(Status::Unknown, |before| before.counted().status);
            let counted = now.counted();
            // Withheld is unknown, and nothing else is withheld.
            prop_assert_eq!(now.held.is_some(), letter == 'g');
            if letter == 'g' {
                prop_assert_eq!(now.status, Status::Unknown);
                prop_assert_eq!(counted.status, was);
            }
            let failing = trailing(&runs, |c| c == 'f');
            let not_failing = trailing(&runs, |c| c != 'f');
            // Down begins with enough failing runs in a row that count, and
            // ends with enough that do not fail.
            if counted.status == Status::Down && was != Status::Down {
                prop_assert!(failing >= fail_after as usize, "{runs:?}");
            }
            if failing >= fail_after as usize {
                prop_assert_eq!(counted.status, Status::Down, "{:?}", runs);
            }
            if counted.status != Status::Down && was == Status::Down {
                prop_assert!(not_failing >= recover_after as usize, "{runs:?}");
            }
            // A run that does not fail says what it found, unless still down.
            match (letter, counted.status) {
                (_, Status::Down) => {}
                ('p', status) => prop_assert_eq!(status, Status::Up),
                ('w', status) => prop_assert_eq!(status, Status::Degraded),
                (_, status) => prop_assert_eq!(status, was),
            }
            // The beginning moves only with the status.
            if let Some(before) = before && counted.status == was {
                prop_assert_eq!(counted.since, before.counted().since);
            } else if before.is_some() {
                prop_assert_eq!(counted.since, turn(n, letter).at);
            }
            let alike = |c: char| (c == 'g' || c == 'f') == (now.verdict == Verdict::Fail)
                && (c == 'w') == (now.verdict == Verdict::Warn);
            let in_a_row = runs.iter().rev().take_while(|c| alike(**c)).count();
            prop_assert_eq!(now.consecutive as usize, in_a_row);
            before = Some(now);
        }
    }
}
