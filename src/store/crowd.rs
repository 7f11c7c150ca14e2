//! What foreign readers leave behind on the bucket of reports.
//!
//! Each `get` of a client library makes a consumer, which the server keeps for
//! 30 s or for five minutes. At every roll-up it goes through all of them (row
//! `crowd` of the load bench). So where there are hundreds, reports replace
//! earlier ones without a roll-up: the newest is found all the same, and what
//! it replaced goes with its chunks, by age.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{OBJECT_BUCKET, Store, wanted::object_stream};
use crate::error::Chain;

/// More consumers than this are a crowd.
pub(super) const CROWD: usize = 250;
/// Longer than reports usually stay.
const LONG: Duration = Duration::from_mins(10);
/// What helps.
pub(super) const HINT: &str = "each read of an object by a client library leaves one for 30 s or \
    more: let busy readers use `supercheck.get`, HTTP or direct gets, which leave none";

/// The consumers on the bucket of reports, when they were counted last.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd {
    consumers: Arc<AtomicUsize>,
    /// Whether it was told that they are many.
    told: Arc<AtomicBool>,
}

impl Store {
    /// Counts the consumers on the bucket of reports.
    pub async fn count_readers(&self) {
        match self.info(&object_stream(OBJECT_BUCKET)).await {
            Ok(Some(info)) => {
                // Where reports stay for long, nothing else takes the earlier
                // ones away.
                let ages = !info.config.max_age.is_zero() && info.config.max_age < LONG;
                let consumers = if ages { info.state.consumer_count } else { 0 };
                self.crowd.consumers.store(consumers, Ordering::Relaxed);
                // Once: they come and go.
                if self.is_crowded() && !self.crowd.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(consumers, hint = HINT, "readers leave many consumers");
                }
            }
            // Writers look for it.
            Ok(None) => {}
            Err(error) => tracing::debug!(error = %Chain(&error), "readers not counted"),
        }
    }

    /// Whether roll-ups of reports cost the server too much.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowd.consumers.load(Ordering::Relaxed) > CROWD
    }
}
