//! `supercheck.push.<check>`: a job reports its own health.

use std::time::Duration;

use bytes::Bytes;

use super::desk::{Answer, Desk};
use crate::{
    request::{Refusal, What},
    worker::{find, unknown},
};

/// A report is stored within this time, or its job is told that it may not be.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

impl Desk {
    /// Takes the report of `check`'s job, and answers with the summary that it
    /// left, once it is stored.
    ///
    /// # Errors
    /// A refusal, for the job.
    pub async fn push(&self, check: &str, body: &Bytes) -> Answer {
        self.pushed(check, body)
            .await
            .map_err(|refusal| (refusal, None))
    }

    async fn pushed(&self, check: &str, body: &Bytes) -> Result<Bytes, Refusal> {
        let what = What::Check(check.to_owned());
        let cells = self.cells.borrow().clone();
        let cell = find(&cells, &what).ok_or_else(|| unknown(&cells, &what))?;
        if !cell.check.is_push() {
            return Err(Refusal::new(
                409,
                format!("`{check}` is asked by supercheck: nobody reports it"),
                "for a job that reports by itself, add a check with `push = true`",
            ));
        }
        let run = self.runner.push(&cell, body)?;
        let stored = tokio::time::timeout(STORE_TIMEOUT, run.stored.wait()).await;
        stored.map_err(|_| {
            Refusal::new(
                503,
                "the report is not stored yet: NATS did not take it in time",
                "report again, it does no harm; the newest report is kept until it is stored",
            )
        })?;
        Ok(run.encoded_summary())
    }
}
