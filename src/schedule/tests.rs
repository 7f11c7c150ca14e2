//! Runs are spread evenly, never drift, never overlap, and skips are counted.

use proptest::prelude::*;

use super::*;

const GRID: Layout = Layout {
    tick: 50,
    crowd: 0,
    fast_start: None,
    jitter: Jitter::NONE,
};

fn of(
    names: &[&'static str],
    interval_ms: u64,
    layout: Layout,
    now: u64,
) -> Schedule<&'static str> {
    let interval = Duration::from_millis(interval_ms);
    Schedule::new(
        names.iter().map(|name| (*name, interval, *name)),
        layout,
        now,
    )
}

/// Every start of a schedule up to `until`, when it is asked at each due time.
fn starts(schedule: &mut Schedule<&'static str>, until: u64) -> Vec<(u64, &'static str)> {
    let mut starts = Vec::new();
    while let Some(due) = schedule.next_due().filter(|due| *due <= until) {
        let due = schedule.take_due(due).unwrap();
        assert_eq!(due.missed, 0);
        starts.extend(due.members.iter().map(|name| (due.slot, *name)));
    }
    starts
}

#[test]
fn the_phase_of_a_name_never_changes() {
    // Instances of different versions agree on slots by these numbers.
    assert_eq!(phase("api", 10_000, 50), 9_350);
    assert_eq!(phase("search", 10_000, 50), 1_750);
    assert_eq!(phase("api", 10_000, 0), 6_387);
}

#[test]
fn starts_are_at_phase_plus_k_intervals_whenever_the_daemon_starts() {
    let phase = phase("api", 10_000, 50);
    for now in [0, 1, 9_999, 1_763_924_160_123] {
        let mut schedule = of(&["api"], 10_000, GRID, now);
        let starts = starts(&mut schedule, now + 60_000);
        assert_eq!(starts.len(), 6);
        for (at, _) in starts {
            assert!(at >= now);
            assert_eq!(at % 10_000, phase);
        }
    }
}

#[test]
fn a_late_call_skips_what_was_missed_and_moves_nothing() {
    let mut schedule = of(&["api"], 1_000, GRID, 0);
    let first = schedule.next_due().unwrap();
    let due = schedule.take_due(first + 3_700).unwrap();
    assert_eq!((due.slot, due.missed), (first + 3_000, 3));
    assert_eq!(schedule.next_due(), Some(first + 4_000));
}

#[test]
fn a_late_call_within_the_interval_misses_nothing() {
    let mut schedule = of(&["api"], 1_000, GRID, 0);
    let first = schedule.next_due().unwrap();
    let due = schedule.take_due(first + 999).unwrap();
    assert_eq!((due.slot, due.missed), (first, 0));
    assert_eq!(schedule.next_due(), Some(first + 1_000));
}

#[test]
fn a_fast_start_runs_everything_once_early_and_then_keeps_the_slots() {
    let layout = Layout {
        tick: 50,
        crowd: 0,
        fast_start: Some(1_000),
        jitter: Jitter::NONE,
    };
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut schedule = of(&names, 60_000, layout, 0);
    let mut early: Vec<_> = starts(&mut schedule, 1_000)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    early.sort_unstable();
    assert_eq!(early, names);
    let mut later = starts(&mut schedule, 60_999);
    later.sort_unstable_by_key(|(_, name)| *name);
    for (at, name) in later {
        assert_eq!(at % 60_000, phase(name, 60_000, 50));
    }
}

#[test]
fn ten_thousand_checks_are_a_few_hundred_entries_spread_evenly() {
    let names: Vec<String> = (0..10_000).map(|n| format!("check-{n}")).collect();
    let interval = Duration::from_secs(10);
    let schedule = Schedule::new(
        names.iter().map(|name| (name.as_str(), interval, ())),
        GRID,
        0,
    );
    assert_eq!(schedule.heap.len(), 200);
    // 50 a slot on average; a fair hash stays within 5 standard deviations.
    for group in &schedule.groups {
        assert!(
            (15..=85).contains(&group.members.len()),
            "{}",
            group.members.len()
        );
    }
}

proptest! {
    #[test]
    fn no_start_drifts_repeats_or_comes_early(
        name in "[a-z0-9]{1,12}",
        interval in 100u64..100_000,
        tick in prop_oneof![Just(0u64), 1u64..200],
        now in 0u64..2_000_000_000_000,
        delays in prop::collection::vec(0u64..300_000, 1..40),
    ) {
        let layout = Layout { tick, ..GRID };
        let mut schedule =
            Schedule::new([(name.as_str(), Duration::from_millis(interval), ())], layout, now);
        let phase = phase(&name, interval, tick);
        prop_assert!(phase < interval);
        let (mut clock, mut before, mut slots) = (now, None, 0u64);
        let first = schedule.next_due().unwrap();
        prop_assert!(first >= now && first < now + interval);
        for delay in delays {
            clock = clock.max(schedule.next_due().unwrap()) + delay;
            while let Some(due) = schedule.take_due(clock) {
                prop_assert_eq!(due.slot % interval, phase % interval);
                prop_assert!(due.slot <= clock && clock - due.slot < interval);
                if let Some(before) = before {
                    prop_assert!(due.slot > before);
                }
                before = Some(due.slot);
                slots += 1 + due.missed;
            }
            // Every slot up to now was either taken or counted as missed.
            prop_assert_eq!(slots, (clock - first) / interval + 1);
        }
    }
}

#[test]
fn a_crowded_tick_is_divided_and_no_check_leaves_its_tick() {
    let layout = Layout { crowd: 64, ..GRID };
    let grain = |checks, interval| layout.grain(std::iter::repeat_n(interval, checks));
    assert_eq!(grain(10_000, 10_000), 50, "50 in a tick are no crowd");
    assert_eq!(grain(10_000, 1_000), 6, "500 are");
    assert_eq!(grain(1_000_000, 1_000), 1);
    assert_eq!(GRID.grain(std::iter::repeat_n(1_000, 10_000)), 50);

    let names: Vec<_> = (0..10_000).map(|n| format!("c{n}")).collect();
    let checks = names
        .iter()
        .map(|name| (name.as_str(), Duration::from_secs(1), name.as_str()));
    let mut schedule = Schedule::new(checks, layout, 0);
    let (mut started, mut most) = (0, 0);
    while let Some(due) = schedule.next_due().filter(|due| *due < 1_000) {
        let due = schedule.take_due(due).unwrap();
        for name in due.members {
            assert_eq!(due.slot / 50 * 50, phase(name, 1_000, 50));
        }
        started += due.members.len();
        most = most.max(due.members.len());
    }
    assert_eq!(started, 10_000);
    assert!(most <= 2 * 64, "{most} at one instant");
}

#[test]
fn a_finer_grain_moves_a_check_by_less_than_the_coarser_one() {
    for name in ["api", "search", "c1", "c2", "c3"] {
        let at = |grain| place(name, 10_000, 50, grain);
        assert_eq!(at(50), phase(name, 10_000, 50));
        for coarse in [200, 100, 50, 25, 12, 6, 3] {
            assert!(at(coarse / 2).abs_diff(at(coarse)) < coarse, "{name}");
        }
    }
}

/// [`GRID`], with starts up to `most` milliseconds late.
fn jittered(most: u64, seed: u64) -> Layout {
    Layout {
        jitter: Jitter { most, seed },
        ..GRID
    }
}

#[test]
fn with_jitter_starts_come_within_it_and_slots_stay() {
    for (most, bound) in [(300, 300), (60_000, 1_000)] {
        let mut schedule = of(&["api"], 10_000, jittered(most, 7), 0);
        let mut moments = Vec::new();
        for _ in 0..200 {
            let at = schedule.next_due().unwrap();
            let due = schedule.take_due(at).unwrap();
            assert_eq!((due.slot % 10_000, due.at, due.missed), (9_350, at, 0));
            moments.push(at - due.slot);
        }
        assert!(moments.iter().all(|moment| *moment <= bound));
        // At random: near both ends, and evenly.
        let (least, greatest) = (moments.iter().min(), moments.iter().max());
        assert!(least < Some(&(bound / 10)), "{least:?}");
        assert!(greatest > Some(&(bound * 9 / 10)), "{greatest:?}");
        let mean = moments.iter().sum::<u64>() / 200;
        assert!(mean.abs_diff(bound / 2) < bound / 8, "{mean}");
    }
}

#[test]
fn checks_of_one_slot_and_other_seeds_start_at_other_moments() {
    // Both are due at the same slots without it.
    let names: Vec<_> = (0..20_000).map(|n| format!("c{n}")).collect();
    let twin = names[1..]
        .iter()
        .find(|name| phase(name, 10_000, 50) == phase(&names[0], 10_000, 50))
        .unwrap();
    let starts_of = |seed| {
        let both = [&names[0], twin];
        let checks = both.map(|name| (name.as_str(), Duration::from_secs(10), ()));
        let mut schedule = Schedule::new(checks, jittered(1_000, seed), 0);
        let mut starts = Vec::new();
        while starts.len() < 20 {
            let at = schedule.next_due().unwrap();
            let due = schedule.take_due(at).unwrap();
            assert_eq!(due.members.len(), 1);
            starts.push(at);
        }
        starts
    };
    assert_eq!(starts_of(1), starts_of(1), "instances of one seed agree");
    assert_ne!(starts_of(1), starts_of(2));
}

proptest! {
    #[test]
    fn jitter_neither_drops_nor_repeats_a_slot_also_over_reloads(
        interval in 100u64..100_000,
        most in 0u64..20_000,
        seed: u64,
        now in 0u64..2_000_000_000_000,
        steps in prop::collection::vec((1u64..300_000, any::<bool>()), 1..40),
    ) {
        let every = Duration::from_millis(interval);
        let lay_out = |now| Schedule::new([("api", every, ())], jittered(most, seed), now);
        let mut schedule = lay_out(now);
        let (mut clock, mut before) = (now, None);
        for (step, reload) in steps {
            clock += step;
            while let Some(due) = schedule.take_due(clock) {
                prop_assert!(due.slot <= due.at && due.at <= clock);
                prop_assert!(due.at - due.slot <= most.min(interval / 10));
                if let Some(before) = before {
                    prop_assert_eq!(due.slot, before + (1 + due.missed) * interval);
                }
                before = Some(due.slot);
            }
            if reload {
                schedule = lay_out(clock + 1);
            }
        }
    }
}

#[test]
fn a_few_checks_share_wake_ups_and_stay_spread() {
    let layout = Layout { crowd: 64, ..GRID };
    let grain = |checks, interval| layout.grain(std::iter::repeat_n(interval, checks));
    assert_eq!(grain(1, 10_000), 200);
    assert_eq!(grain(1_000, 10_000), 200, "5 in a tick, 20 in four");
    assert_eq!(grain(2_000, 10_000), 100);
    assert_eq!(GRID.grain([10_000]), 50);

    let places = |interval| {
        let names = (0..1_000).map(|n| format!("c{n}"));
        let places = names.map(|name| place(&name, interval, 50, 200));
        places.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(places(10_000).len(), 50);
    assert_eq!(places(1_000).len(), 10);
    assert_eq!(
        places(200).len(),
        4,
        "an interval is divided by the tick at least"
    );
    assert!(places(1_000).iter().all(|at| at % 100 == 0));
}
