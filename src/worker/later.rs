//! Requests that come again: after how long, and which of them no more.

use std::{
    hash::{Hash as _, Hasher as _},
    time::Duration,
};

use super::Worker;
use crate::{
    error::Chain,
    request::{Refusal, RequestId},
    store::{StoreError, queue::Delivered},
};

/// A request that waited longer than this is refused.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(30 * 60);
/// From the next delivery on it is written down that a request is tried.
pub(super) const SUSPECT_DELIVERIES: u64 = 2;
/// So many tries that ended with their worker were enough.
const MAX_TRIES: u64 = 8;
/// Turns come within this time.
const TURNS: Duration = Duration::from_secs(2);
/// What goes back for want of room comes again after this time at least, at
/// first; then after four times the time before, up to a bound. At most it is
/// twice as long, so that not all come at once. The server hands out what comes
/// again before what is new.
const CROWDED: Duration = Duration::from_secs(2);
const MAX_CROWDED: Duration = Duration::from_secs(64);
/// For an instance that knows the check it is twice as long each time.
const ELSEWHERE: Duration = Duration::from_secs(1);
const MAX_ELSEWHERE: Duration = Duration::from_secs(16);

/// The request goes back to the queue.
#[derive(Clone, Copy)]
pub(super) enum Later {
    /// For another instance, or the next daemon.
    Now,
    /// NATS does not take or give something.
    Soon,
    /// For an instance that knows the check.
    Elsewhere,
    /// Its host has its share of what is in hand.
    Crowded,
}

impl Later {
    pub(super) fn delay(self, deliveries: u64) -> Option<Duration> {
        let before = u32::try_from(deliveries.saturating_sub(1)).unwrap_or(u32::MAX);
        let grown = |first: Duration, by: u32, most: Duration| {
            let grown = by.checked_pow(before).and_then(|by| first.checked_mul(by));
            grown.unwrap_or(most).min(most)
        };
        match self {
            Self::Now => None,
            Self::Soon => Some(Duration::from_secs(1)),
            Self::Elsewhere => Some(grown(ELSEWHERE, 2, MAX_ELSEWHERE)),
            Self::Crowded => {
                let least = grown(CROWDED, 4, MAX_CROWDED);
                Some(least.mul_f64(1.0 + fastrand::f64()))
            }
        }
    }
}

impl From<StoreError> for Later {
    fn from(error: StoreError) -> Self {
        tracing::debug!(error = %Chain(&error), "request goes back to the queue");
        Self::Soon
    }
}

impl Worker {
    /// Notes that a request, which was handed out before, is tried. One that
    /// was tried before, and whose worker did not live to say how that ended,
    /// may be what kills them: it waits for its turn, so that those it would
    /// take along get theirs before it, and in the end it is refused.
    pub(super) async fn suspect(
        &self,
        request: &Delivered,
        id: &RequestId,
    ) -> Result<Option<Refusal>, StoreError> {
        let tries = self.store.tries(id).await?;
        if tries >= MAX_TRIES {
            return Ok(Some(Refusal::given_up(request.deliveries)));
        }
        if tries > 0 {
            tokio::time::sleep(turn(id, request.deliveries)).await;
        }
        self.store.note_try(id, tries + 1).await?;
        Ok(None)
    }
}

/// How long a suspect waits: another while at each delivery, and the same for
/// the same one, so that over several each comes before any other.
fn turn(id: &RequestId, deliveries: u64) -> Duration {
    let mut hasher = std::hash::DefaultHasher::new();
    (id, deliveries).hash(&mut hasher);
    let ms = u64::try_from(TURNS.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hasher.finish() % ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_want_of_room_it_goes_back_for_longer_each_time_but_not_for_ever() {
        for (deliveries, least) in [(1, 2), (2, 8), (3, 32), (4, 64), (5, 64), (u64::MAX, 64)] {
            let delay = Later::Crowded.delay(deliveries).unwrap().as_secs_f64();
            let least = f64::from(least);
            assert!(
                (least..=2.0 * least).contains(&delay),
                "{deliveries}: {delay}"
            );
        }
        for (deliveries, delay) in [(1, 1), (2, 2), (5, 16), (u64::MAX, 16)] {
            let found = Later::Elsewhere.delay(deliveries);
            assert_eq!(found, Some(Duration::from_secs(delay)), "{deliveries}");
        }
        assert_eq!(Later::Now.delay(9), None);
        assert_eq!(Later::Soon.delay(9), Some(Duration::from_secs(1)));
    }
}
