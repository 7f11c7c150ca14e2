//! What is known of a check, for those who look at it: its newest summary, a
//! bounded row of its last runs, and counts of all.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::Ordering,
};

use super::{Cell, Runner};
use crate::{
    clock::Timestamp,
    report::{Summary, Verdict},
    rollup::{Hour, Hours},
    tally::{Durations, Spread},
};

/// So many runs of each check are kept; a newer one takes the oldest's place.
pub const MAX_RECENT: usize = 30;

/// A run in brief, in eight bytes: many are kept.
///
/// From the lowest bit up: its latency in microseconds, 15 bits of it and, in 5
/// more, how many bits were cut off below them; its verdict, 2 bits; when it
/// began, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brief(u64);

const MANTISSA: u32 = 15;
const EXPONENT: u32 = 5;
const LATENCY: u32 = MANTISSA + EXPONENT;
const VERDICT: u32 = 2;

impl Brief {
    /// The run that `summary` tells of.
    pub fn of(summary: &Summary) -> Self {
        Self::new(summary.checked_at, summary.verdict, summary.latency_ms)
    }

    /// A run whose probe took so many milliseconds, an hour at most.
    pub fn new(checked_at: Timestamp, verdict: Verdict, latency_ms: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is beyond becomes the least or the most"
        )]
        let micros = (latency_ms * 1000.0).round() as u32;
        let cut = (u32::BITS - micros.leading_zeros()).saturating_sub(MANTISSA);
        let latency = u64::from(micros >> cut << EXPONENT | cut);
        let verdict = match verdict {
            Verdict::Pass => 0,
            Verdict::Warn => 1,
            Verdict::Fail => 2,
        };
        // Enough for times up to the year 2109.
        let at = checked_at.as_millis().min(u64::MAX >> (LATENCY + VERDICT));
        Self(at << (LATENCY + VERDICT) | verdict << LATENCY | latency)
    }

    /// When it began to probe.
    pub const fn checked_at(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> (LATENCY + VERDICT))
    }

    /// How it was judged.
    pub const fn verdict(self) -> Verdict {
        match self.0 >> LATENCY & 3 {
            0 => Verdict::Pass,
            1 => Verdict::Warn,
            _ => Verdict::Fail,
        }
    }

    /// How long the probe took, in milliseconds, to one part in 16,000.
    pub fn latency_ms(self) -> f64 {
        let low = |bits: u32| self.0 & ((1 << bits) - 1);
        let micros = low(LATENCY) >> EXPONENT << low(EXPONENT);
        f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1000.0
    }
}

/// The last runs of a check.
#[derive(Debug, Default)]
pub struct Recent {
    runs: VecDeque<Brief>,
    counts: Counts,
    hours: Hours,
}

/// Every run since the daemon began, by verdict and by latency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Runs that passed.
    pub pass: u32,
    /// Runs that warned.
    pub warn: u32,
    /// Runs that failed.
    pub fail: u32,
    /// How long their probes took.
    pub latency: Spread<u32>,
}

impl Recent {
    /// Takes note of a run of this daemon's.
    pub fn ran(&mut self, summary: &Summary) {
        match summary.verdict {
            Verdict::Pass => self.counts.pass += 1,
            Verdict::Warn => self.counts.warn += 1,
            Verdict::Fail => self.counts.fail += 1,
        }
        let seconds = summary.latency_ms / 1000.0;
        if let Ok(latency) = std::time::Duration::try_from_secs_f64(seconds) {
            self.counts.latency.note(latency);
        }
        self.saw(summary);
    }

    /// Takes note of a run, whoever ran it; an older one than the newest is
    /// passed over.
    pub fn saw(&mut self, summary: &Summary) {
        let newest = self.runs.back().map(|run| run.checked_at());
        if newest.is_some_and(|newest| newest >= summary.checked_at) {
            return;
        }
        self.hours.count(summary);
        self.push(summary);
    }

    /// Goes on from a run that an earlier daemon counted.
    pub fn go_on_from(&mut self, summary: &Summary) {
        self.hours.go_on_from(summary);
        if self.runs.is_empty() {
            self.push(summary);
        }
    }

    fn push(&mut self, summary: &Summary) {
        if self.runs.len() == MAX_RECENT {
            self.runs.pop_front();
        }
        self.runs.push_back(Brief::of(summary));
    }

    /// Takes in runs from before those that are known, oldest first.
    fn recall(&mut self, past: &VecDeque<Brief>) {
        for run in past.iter().rev() {
            let oldest = self.runs.front().map(|run| run.checked_at());
            if self.runs.len() == MAX_RECENT {
                return;
            }
            if oldest.is_none_or(|oldest| run.checked_at() < oldest) {
                self.runs.push_front(*run);
            }
        }
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = &Brief> + Clone {
        self.runs.iter()
    }

    /// The counts.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Cell {
    /// The hours that are over at `now` and not stored yet, by day.
    pub fn hours_over(&self, now: Timestamp) -> BTreeMap<u64, BTreeMap<u64, Hour>> {
        self.lock().recent.hours.over(now)
    }

    /// Those hours are stored.
    pub fn hours_stored(&self, hours: &BTreeMap<u64, Hour>) {
        self.lock().recent.hours.stored(hours);
    }

    /// The hours that are not stored yet, up to `now`.
    pub fn hours_open(&self, now: Timestamp) -> BTreeMap<u64, Hour> {
        let mut state = self.lock();
        state.recent.hours.settle(now);
        state.recent.hours.open()
    }

    /// Takes in hours that were counted from the history.
    pub fn recall<'a>(&self, hours: impl Iterator<Item = (&'a u64, &'a Hour)>) {
        let mut state = self.lock();
        for (number, hour) in hours {
            state.recent.hours.add(*number, hour);
        }
    }

    /// Takes in runs from before the start, oldest first.
    pub fn recall_runs(&self, past: &VecDeque<Brief>) {
        self.lock().recent.recall(past);
    }

    /// Looks at the newest summary and the last runs, without copying them.
    pub fn look<T>(&self, look: impl FnOnce(Option<&Summary>, &Recent) -> T) -> T {
        let state = self.lock();
        look(state.newest(), &state.recent)
    }
}

impl Runner {
    /// The name of this instance.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// How long after their slots scheduled runs were begun.
    pub const fn lag(&self) -> &Durations {
        &self.lag
    }

    /// Runs that were begun and have not ended, waiting for a permit or probing.
    pub fn in_flight(&self) -> u64 {
        self.flights.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(at: u64) -> Brief {
        Brief::new(Timestamp::from_millis(at), Verdict::Pass, 1.0)
    }

    #[test]
    fn a_run_in_brief_is_as_it_was() {
        let now = crate::clock::now();
        for verdict in [Verdict::Pass, Verdict::Warn, Verdict::Fail] {
            for latency in [0.0, 0.001, 7.787, 32.767, 250.5, 30_000.0, 3_600_000.0] {
                let brief = Brief::new(now, verdict, latency);
                assert_eq!((brief.checked_at(), brief.verdict()), (now, verdict));
                let off = (brief.latency_ms() - latency).abs();
                let at_most = if latency < 32.768 {
                    0.0
                } else {
                    latency / 16_000.0
                };
                assert!(off <= at_most, "{latency} became {}", brief.latency_ms());
            }
        }
    }

    #[test]
    fn what_is_recalled_stands_before_what_is_known() {
        let times = |recent: &Recent| -> Vec<u64> {
            recent
                .runs()
                .map(|run| run.checked_at().as_millis())
                .collect()
        };
        let mut recent = Recent::default();
        recent.runs.extend([run(150), run(160)]);
        // The newest of them is known already, and one overtook another.
        recent.recall(&[run(120), run(140), run(130), run(150)].into());
        assert_eq!(times(&recent), [120, 130, 150, 160]);
        recent.recall(&(0..40).map(run).collect());
        assert_eq!(recent.runs.len(), MAX_RECENT);
        assert_eq!(times(&recent)[..2], [14, 15]);
        assert_eq!(times(&recent)[25..], [39, 120, 130, 150, 160]);
    }
}
