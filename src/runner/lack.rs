//! What this process lacks when it cannot probe: that says nothing of a
//! target, and somebody must be told.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::observation::{Failure, Observation};

/// It is told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Tells now and then that probes cannot be made.
#[derive(Debug, Default)]
pub(super) struct Lack {
    told: Mutex<Option<Instant>>,
}

impl Lack {
    /// Whether supercheck itself could not probe.
    pub(super) fn keeps_from(&self, observation: &Observation) -> bool {
        let Some(Failure::Lacking(why)) = &observation.failure else {
            return false;
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            tracing::error!(
                error = why,
                hint = "raise the limit that is named (LimitNOFILE= of the service, `ulimit -n`)",
                "probes cannot be made; what is asked anew reads unknown"
            );
        }
        true
    }
}
