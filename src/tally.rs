//! Counting what happens: cheap to add to from anywhere, read by the metrics.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Counts so many.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of a histogram's buckets, in seconds: from a fast answer of
/// the same machine to the longest usual timeout.
pub const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The bucket of a duration; the last one is for all that is longer.
pub fn bucket(duration: Duration) -> usize {
    let seconds = duration.as_secs_f64();
    BOUNDS
        .iter()
        .position(|bound| seconds <= *bound)
        .unwrap_or(BOUNDS.len())
}

/// Durations by size.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Durations by size, at one moment; of one check, whose runs are few, counted
/// in less room.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread<N = u64> {
    /// How many fell into each bucket of [`BOUNDS`], and beyond.
    pub buckets: [N; BOUNDS.len() + 1],
    /// All of them together, in seconds.
    pub sum: f64,
}

impl Durations {
    /// Counts `duration`, `n` times.
    pub fn note(&self, duration: Duration, n: u64) {
        if let Some(bucket) = self.buckets.get(bucket(duration)) {
            bucket.fetch_add(n, Ordering::Relaxed);
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.micros
            .fetch_add(micros.saturating_mul(n), Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn spread(&self) -> Spread {
        let mut spread = Spread::default();
        for (count, bucket) in spread.buckets.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        spread.sum = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        spread
    }
}

impl Spread<u32> {
    /// Counts `duration` once.
    pub fn note(&mut self, duration: Duration) {
        if let Some(count) = self.buckets.get_mut(bucket(duration)) {
            *count += 1;
        }
        self.sum += duration.as_secs_f64();
    }
}

impl<N: Copy + Into<u64>> Spread<N> {
    /// The same in more room.
    pub fn wide(&self) -> Spread {
        Spread {
            buckets: self.buckets.map(Into::into),
            sum: self.sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_longer_to_the_last() {
        let durations = Durations::default();
        durations.note(Duration::from_millis(1), 2);
        durations.note(Duration::from_micros(1001), 1);
        durations.note(Duration::from_secs(60), 1);
        let spread = durations.spread();
        assert_eq!(spread.buckets[..2], [2, 1]);
        assert_eq!(spread.buckets[BOUNDS.len()], 1);
        assert!((spread.sum - 60.003_001).abs() < 1e-9, "{}", spread.sum);
    }
}
