//! When checks are due. Pure: time comes in as milliseconds, due checks go out.
//!
//! A check's starts are at `phase + k × interval` since the Unix epoch, where
//! the phase is a hash of its name: the same after every restart and on every
//! instance. Checks that share interval and phase form one group, so 10,000
//! checks cost a few hundred heap entries and one sleep. With a [`Jitter`] each
//! check is on its own.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

mod jitter;

pub use jitter::Jitter;

/// So many ticks are joined at most: starts stay spread over time.
const MOST_JOINED: u64 = 4;
/// Joined ticks leave an interval so many places at least.
const FEWEST_PLACES: u64 = 10;

/// The starts of a set of checks; `T` stands for a check.
#[derive(Debug)]
pub struct Schedule<T> {
    jitter: Jitter,
    /// When each group is due.
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    groups: Vec<Group<T>>,
}

/// Checks that are always due together.
#[derive(Debug)]
struct Group<T> {
    /// Milliseconds from start to start; zero for a group that is due once.
    interval: u64,
    /// The next slot.
    slot: u64,
    /// What stands for its members when moments are drawn.
    hash: u64,
    members: Vec<T>,
}

/// Checks that are due now.
#[derive(Debug, PartialEq, Eq)]
pub struct Due<'a, T> {
    /// Which.
    pub members: &'a [T],
    /// Their slot, in milliseconds.
    pub slot: u64,
    /// Since when they are due: their slot, or a moment after it.
    pub at: u64,
    /// How many earlier slots of theirs went by unused.
    pub missed: u64,
}

/// How starts are laid out in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Starts are on a grid of this many milliseconds, so that one wake-up
    /// serves many checks; zero for none.
    pub tick: u64,
    /// Where more checks than this share a tick, it is divided, so that none
    /// starts late because of the others; where few do, a few ticks are joined,
    /// so that one wake-up serves more. Zero leaves ticks as they are.
    pub crowd: u64,
    /// Also run every check once within this many milliseconds of the start.
    pub fast_start: Option<u64>,
    /// How long after their slots starts come.
    pub jitter: Jitter,
}

impl Layout {
    /// How ticks are divided or joined for checks of these intervals: the
    /// milliseconds from one place to the next.
    pub fn grain(&self, intervals: impl IntoIterator<Item = u64>) -> u64 {
        // Checks in a million ticks, which is exact enough.
        let million = 1_000_000u64;
        let shares = intervals
            .into_iter()
            .map(|interval| (self.tick * million).checked_div(interval).unwrap_or(0));
        let mut crowd = shares.sum::<u64>() / million;
        let mut grain = self.tick;
        while self.crowd > 0 && crowd > self.crowd && grain > 1 {
            crowd /= 2;
            grain /= 2;
        }
        while crowd < self.crowd / 4 && grain < MOST_JOINED * self.tick {
            crowd *= 2;
            grain *= 2;
        }
        grain
    }
}

impl<T: Clone> Schedule<T> {
    /// Lays out `checks`, given as name, interval and check, from `now` on.
    pub fn new<'a>(
        checks: impl IntoIterator<Item = (&'a str, Duration, T)>,
        layout: Layout,
        now: u64,
    ) -> Self {
        let jitter = layout.jitter;
        // Key: interval, the first slot from `now` on, and what moments are
        // drawn by, if they are.
        let mut together = BTreeMap::<(u64, u64, u64), Vec<T>>::new();
        let checks: Vec<_> = checks
            .into_iter()
            .map(|(name, interval, check)| {
                let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
                (name, interval.max(1), check)
            })
            .collect();
        let grain = layout.grain(checks.iter().map(|(_, interval, _)| *interval));
        for (name, interval, check) in checks {
            let phase = place(name, interval, layout.tick, grain);
            let first = next_slot(now, interval, phase);
            if let Some(spread) = layout.fast_start.map(|spread| spread.min(interval)) {
                let once = now.saturating_add(phase.checked_rem(spread).unwrap_or(0));
                if once < first {
                    together
                        .entry((0, once, 0))
                        .or_default()
                        .push(check.clone());
                }
            }
            let (first, hash) = if jitter.most == 0 {
                (first, 0)
            } else {
                let hash = spread(name);
                // The start of a slot that has gone by may be yet to come.
                let before = first
                    .checked_sub(interval)
                    .filter(|slot| slot + jitter.moment(hash, interval, *slot) >= now);
                (before.unwrap_or(first), hash)
            };
            let key = (interval, first, hash);
            together.entry(key).or_default().push(check);
        }
        let mut heap = BinaryHeap::with_capacity(together.len());
        let mut groups = Vec::with_capacity(together.len());
        for ((interval, slot, hash), members) in together {
            let at = slot.saturating_add(jitter.moment(hash, interval, slot));
            heap.push(Reverse((at, groups.len())));
            groups.push(Group {
                interval,
                slot,
                hash,
                members,
            });
        }
        Self {
            jitter,
            heap,
            groups,
        }
    }

    /// When the next check is due; `None` when there are no checks.
    pub fn next_due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes a group that is due at `now`, until there is none.
    ///
    /// A late call does not move later starts. When it comes more than an
    /// interval late, the newest slot is the one taken, and those before it
    /// count as missed.
    pub fn take_due(&mut self, now: u64) -> Option<Due<'_, T>> {
        self.next_due().filter(|due| *due <= now)?;
        let Reverse((first, index)) = self.heap.pop()?;
        let group = self.groups.get_mut(index)?;
        let (interval, hash) = (group.interval, group.hash);
        let start = |slot: u64| slot.saturating_add(self.jitter.moment(hash, interval, slot));
        let (mut slot, mut at, mut missed) = (group.slot, first, 0);
        if let Some(since) = (now - slot).checked_div(interval) {
            // The newest one's moment may be yet to come.
            let newest = slot + since * interval;
            missed = since - u64::from(start(newest) > now);
            slot += missed * interval;
            at = start(slot);
            group.slot = slot.saturating_add(interval);
            self.heap.push(Reverse((start(group.slot), index)));
        }
        Some(Due {
            members: &group.members,
            slot,
            at,
            missed,
        })
    }
}

/// A check's place within its interval: a hash of its name, on the grid.
///
/// The hash must never change: instances and versions agree on slots by it.
pub fn phase(name: &str, interval: u64, tick: u64) -> u64 {
    let hash = spread(name);
    match interval.checked_div(tick) {
        Some(places) if places > 1 => (hash % places) * tick,
        _ => hash % interval.max(1),
    }
}

/// A check's place within its interval where ticks are divided or joined so
/// that places are `grain` milliseconds apart. A finer grain moves no check by
/// more than the coarser one, and none leaves its tick unless ticks are joined.
pub fn place(name: &str, interval: u64, tick: u64, grain: u64) -> u64 {
    let phase = phase(name, interval, tick);
    let places = interval.checked_div(tick).unwrap_or(0);
    if places <= 1 || grain == tick {
        return phase;
    }
    if grain < tick {
        let within = (spread(name) / places) % tick;
        return phase + within - within % grain.max(1);
    }
    // Also checks of a short interval are spread.
    let widest = (interval / FEWEST_PLACES).max(tick);
    let grain = grain.min(widest - widest % tick);
    phase - phase % grain
}

/// The first `phase + k × interval` that is not before `now`.
pub fn next_slot(now: u64, interval: u64, phase: u64) -> u64 {
    let since = now.saturating_sub(phase);
    phase + since.div_ceil(interval) * interval
}

/// FNV-1a, then mixed, since FNV's low bits alone are not even over names that
/// differ in their last letters.
fn spread(name: &str) -> u64 {
    mixed(name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// `MurmurHash3`'s finaliser.
const fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests;
