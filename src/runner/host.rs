//! A target host, shared by all checks that ask it: how many probes at once,
//! and how many starts a second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// What the probes of one host must wait for.
#[derive(Debug)]
pub(super) struct Host {
    permits: Semaphore,
    /// The share of runs that somebody asked for.
    pub(super) asked: Semaphore,
    /// The time between two starts; zero for any.
    gap: Duration,
    /// When the next probe may start.
    next: Mutex<Instant>,
}

impl Host {
    /// One that `at_once` probes may ask, `rate` of them a second.
    pub(super) fn new(at_once: usize, rate: Option<u32>) -> Self {
        Self {
            permits: Semaphore::new(at_once),
            asked: Semaphore::new((at_once / 2).max(1)),
            gap: rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.max(1)),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for the right to probe, and for its turn.
    pub(super) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.ok()?;
        if !self.gap.is_zero() {
            tokio::time::sleep_until(self.turn()).await;
        }
        Some(permit)
    }

    fn turn(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + self.gap;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_are_spread_over_the_second() {
        let host = Host::new(10, Some(4));
        let began = Instant::now();
        for start in 0..9 {
            drop(host.enter().await);
            assert_eq!(began.elapsed(), start * Duration::from_millis(250));
        }
        // What was not used is not saved up.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let began = Instant::now();
        for start in 0..3 {
            drop(host.enter().await);
            assert_eq!(began.elapsed(), start * Duration::from_millis(250));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_only_the_number_at_once_counts() {
        let host = Host::new(2, None);
        let began = Instant::now();
        let (one, two) = (host.enter().await, host.enter().await);
        let third = tokio::time::timeout(Duration::from_secs(1), host.enter());
        assert!(third.await.is_err());
        drop(one);
        assert!(host.enter().await.is_some());
        drop(two);
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
