//! Windows over days, weeks and changes of the clock.

use super::*;
use crate::probe::tests::check;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn recurring(schedule: &str, duration: &str, zone: &str) -> Window {
    let duration = humantime::parse_duration(duration).unwrap();
    let when = Recurring::new(schedule, duration, zone.parse().unwrap()).unwrap();
    Window {
        name: "deploy".to_owned(),
        selector: Selector::default(),
        when: When::Recurring(Box::new(when)),
    }
}

/// The moments, in UTC, at which the window opens and closes from `from` on.
fn turns(window: &Window, from: &str, count: usize) -> Vec<String> {
    let (mut open, mut until) = window.at(at(from));
    let mut turns = Vec::new();
    while turns.len() < count {
        let (now, next) = window.at(until);
        assert!(next > until, "it goes on");
        if now != open {
            let text = until.to_string();
            let sign = if now { '+' } else { '-' };
            turns.push(format!("{sign}{}", text.get(5..16).unwrap()));
        }
        (open, until) = (now, next);
    }
    turns
}

#[test]
fn a_window_opens_at_its_times_and_stays_open_for_its_duration() {
    let nightly = recurring("0 2 * * *", "2h", "UTC");
    assert_eq!(
        turns(&nightly, "2026-01-01T00:00:00Z", 4),
        [
            "+01-01T02:00",
            "-01-01T04:00",
            "+01-02T02:00",
            "-01-02T04:00"
        ]
    );
    for (moment, open) in [
        ("2026-01-01T01:59:59.999Z", false),
        ("2026-01-01T02:00:00.000Z", true),
        ("2026-01-01T03:59:59.999Z", true),
        ("2026-01-01T04:00:00.000Z", false),
    ] {
        assert_eq!(nightly.at(at(moment)).0, open, "{moment}");
    }
    // One that begins again before it ends is open all the time.
    let always = recurring("0 * * * *", "90m", "UTC");
    let mut moment = at("2026-01-01T00:10:00Z");
    for _ in 0..100 {
        let (open, until) = always.at(moment);
        assert!(open && until > moment);
        moment = until;
    }
    let friday = recurring("30 22 * * FRI", "3h", "America/New_York");
    assert_eq!(
        turns(&friday, "2026-01-01T00:00:00Z", 2),
        ["+01-03T03:30", "-01-03T06:30"]
    );
}

#[test]
fn a_window_over_a_change_of_the_clock_takes_its_real_time_and_opens_once() {
    // On 29 March 2026 02:00 in Berlin becomes 03:00, on 25 October 03:00
    // becomes 02:00.
    let early = recurring("30 1 * * *", "2h", "Europe/Berlin");
    assert_eq!(
        turns(&early, "2026-03-28T12:00:00Z", 4),
        [
            "+03-29T00:30",
            "-03-29T02:30",
            "+03-29T23:30",
            "-03-30T01:30"
        ]
    );
    // 02:30 does not exist on that day: it opens when it would have been.
    let missing = recurring("30 2 * * *", "1h", "Europe/Berlin");
    assert_eq!(
        turns(&missing, "2026-03-28T12:00:00Z", 4),
        [
            "+03-29T01:00",
            "-03-29T02:00",
            "+03-30T00:30",
            "-03-30T01:30"
        ]
    );
    // 02:30 comes twice: it opens with the first.
    assert_eq!(
        turns(&missing, "2026-10-24T12:00:00Z", 4),
        [
            "+10-25T00:30",
            "-10-25T01:30",
            "+10-26T01:30",
            "-10-26T02:30"
        ]
    );
}

#[test]
fn a_window_that_comes_once_does_not_come_again() {
    let once = Window {
        name: "move".to_owned(),
        selector: Selector::default(),
        when: When::Once {
            from: at("2026-01-01T00:00:00Z"),
            until: at("2026-01-02T00:00:00Z"),
        },
    };
    for (moment, open) in [
        ("2025-12-31T23:59:59.999Z", false),
        ("2026-01-01T00:00:00Z", true),
        ("2026-01-01T23:59:59.999Z", true),
        ("2026-01-02T00:00:00Z", false),
    ] {
        assert_eq!(once.at(at(moment)).0, open, "{moment}");
    }
}

#[test]
fn what_is_no_pattern_or_never_comes_is_refused() {
    for (schedule, why) in [
        ("61 * * * *", "bounds"),
        ("0 2 * *", "5 fields"),
        ("0 0 2 * * *", "5 fields"),
        ("0 0 30 2 *", "no such day"),
        ("whenever", "pattern"),
    ] {
        let error = Recurring::new(schedule, Duration::from_secs(60), Tz::UTC).unwrap_err();
        assert!(error.contains(why), "{schedule}: {error}");
    }
    assert!(Recurring::new("@daily", Duration::from_secs(60), Tz::UTC).is_ok());
}

#[test]
fn a_window_is_for_the_checks_that_it_names_in_any_way() {
    let mut api = check("api", "http://localhost/");
    api.group = Some("shop".to_owned());
    api.tags = vec!["eu".to_owned()];
    let list = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    for (checks, groups, tags, is_for) in [
        (&[][..], &[][..], &[][..], true),
        (&["api"], &[], &[], true),
        (&["web"], &[], &[], false),
        (&["web"], &["shop"], &[], true),
        (&[], &["office"], &["eu"], true),
        (&[], &[], &["us"], false),
    ] {
        let mut window = recurring("@daily", "1h", "UTC");
        window.selector = Selector {
            checks: list(checks),
            groups: list(groups),
            tags: list(tags),
        };
        assert_eq!(window.is_for(&api), is_for, "{:?}", window.selector);
    }
}
