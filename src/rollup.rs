//! What an hour came to: runs, latencies, and how long a check was what.
//!
//! A day of hours is one value in NATS. The time that no summary covers is
//! nobody's: it counts neither as up nor as down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    report::{Status, Summary, Verdict, WIRE_VERSION},
};

/// An hour, in milliseconds.
pub const HOUR: u64 = 3_600_000;
/// Hours that wait to be stored, of each check; beyond it the oldest go.
pub const MAX_OPEN: usize = 32 * 24;

/// What an hour of a check came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hour {
    /// Runs that passed.
    pub pass: u32,
    /// Runs that warned.
    pub warn: u32,
    /// Runs that failed.
    pub fail: u32,
    /// How long it was up.
    pub up_ms: u64,
    /// How long it was degraded.
    pub degraded_ms: u64,
    /// How long it was down.
    pub down_ms: u64,
    /// All latencies together.
    pub latency_sum_ms: f64,
    /// The longest.
    pub latency_max_ms: f64,
}

impl Hour {
    /// For how long anything was known.
    pub const fn known_ms(&self) -> u64 {
        self.up_ms + self.degraded_ms + self.down_ms
    }

    /// How many runs there were.
    pub const fn runs(&self) -> u32 {
        self.pass + self.warn + self.fail
    }

    /// Takes in another part of the same time.
    pub fn add(&mut self, other: &Self) {
        self.pass += other.pass;
        self.warn += other.warn;
        self.fail += other.fail;
        self.up_ms += other.up_ms;
        self.degraded_ms += other.degraded_ms;
        self.down_ms += other.down_ms;
        self.latency_sum_ms += other.latency_sum_ms;
        self.latency_max_ms = self.latency_max_ms.max(other.latency_max_ms);
    }
}

/// The stored form: the hours of a day, by their number since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// Version of this form, 1.
    pub v: u32,
    /// The hours.
    pub hours: BTreeMap<u64, Hour>,
}

impl Default for Day {
    fn default() -> Self {
        Self {
            v: WIRE_VERSION,
            hours: BTreeMap::new(),
        }
    }
}

impl Day {
    /// Takes in hours; of two records of one hour, that which knows more wins,
    /// so that it does not matter who writes, nor how often. Returns whether
    /// anything changed.
    pub fn take(&mut self, hours: &BTreeMap<u64, Hour>) -> bool {
        let mut changed = false;
        for (number, hour) in hours {
            let own = self.hours.entry(*number).or_default();
            if hour.known_ms() > own.known_ms() || own.runs() == 0 && hour.runs() > 0 {
                *own = *hour;
                changed = true;
            }
        }
        changed
    }
}

/// The hours of a check that are not stored yet.
#[derive(Debug, Default)]
pub struct Hours {
    /// What the last summary said, from when until when it holds.
    last: Option<(Timestamp, Timestamp, Status)>,
    /// By number, ascending. Each check has one or two, for which a tree would
    /// take ten times the room.
    open: Vec<(u64, Hour)>,
}

impl Hours {
    /// Goes on from a summary that has been counted elsewhere.
    pub fn go_on_from(&mut self, summary: &Summary) {
        if self.last.is_none() {
            self.last = Some((summary.checked_at, summary.expires_at, summary.status));
        }
    }

    /// Counts a run, and the time since the one before it.
    pub fn count(&mut self, summary: &Summary) {
        let at = summary.checked_at;
        self.settle(at);
        self.last = Some((at, summary.expires_at, summary.status));
        let hour = self.hour(at.as_millis() / HOUR);
        match summary.verdict {
            Verdict::Pass => hour.pass += 1,
            Verdict::Warn => hour.warn += 1,
            Verdict::Fail => hour.fail += 1,
        }
        hour.latency_sum_ms += summary.latency_ms;
        hour.latency_max_ms = hour.latency_max_ms.max(summary.latency_ms);
        let beyond = self.open.len().saturating_sub(MAX_OPEN);
        self.open.drain(..beyond);
    }

    fn hour(&mut self, number: u64) -> &mut Hour {
        let place = match self
            .open
            .binary_search_by_key(&number, |(number, _)| *number)
        {
            Ok(place) => place,
            Err(place) => {
                self.open.reserve_exact(1);
                self.open.insert(place, (number, Hour::default()));
                place
            }
        };
        #[expect(clippy::indexing_slicing, reason = "it was found there, or put there")]
        &mut self.open[place].1
    }

    /// Counts the time up to `now`, as far as the last summary holds.
    pub fn settle(&mut self, now: Timestamp) {
        let Some((from, until, status)) = self.last else {
            return;
        };
        let (mut at, end) = (from.as_millis(), now.min(until).as_millis());
        while at < end {
            let number = at / HOUR;
            let next = end.min((number + 1) * HOUR);
            let hour = self.hour(number);
            match status {
                Status::Up => hour.up_ms += next - at,
                Status::Degraded => hour.degraded_ms += next - at,
                Status::Down => hour.down_ms += next - at,
                Status::Unknown => {}
            }
            at = next;
        }
        self.last = Some((Timestamp::from_millis(at), until, status));
    }

    /// Takes in an hour, or a part of one, that was counted elsewhere.
    pub fn add(&mut self, number: u64, hour: &Hour) {
        self.hour(number).add(hour);
    }

    /// The hours that are over at `now`, by day, which [`Hours::stored`]
    /// forgets.
    pub fn over(&mut self, now: Timestamp) -> BTreeMap<u64, BTreeMap<u64, Hour>> {
        let this = now.as_millis() / HOUR;
        self.settle(Timestamp::from_millis(this * HOUR));
        let mut days: BTreeMap<u64, BTreeMap<u64, Hour>> = BTreeMap::new();
        for (number, hour) in self.open.iter().filter(|(number, _)| *number < this) {
            days.entry(number / 24).or_default().insert(*number, *hour);
        }
        days
    }

    /// Forgets what is stored.
    pub fn stored(&mut self, hours: &BTreeMap<u64, Hour>) {
        self.open.retain(|(number, _)| !hours.contains_key(number));
    }

    /// All that is not stored yet.
    pub fn open(&self) -> BTreeMap<u64, Hour> {
        self.open.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests;
