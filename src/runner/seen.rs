//! What a run saw: one probe, or a few attempts where the check asks for them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    check::Check,
    clock::Timestamp,
    observation::Observation,
    probe::Prober,
    report::{FailedAttempt, Verdict},
    trial,
    verdict::{Judge, Judgement},
};

/// A probe that ends so long after its timeout was not watched meanwhile: the
/// process was stopped, or had no CPU.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// What a run saw, and what is to be thought of it.
#[derive(Debug)]
pub struct Seen {
    /// The attempt that counts.
    pub observation: Observation,
    /// What is to be thought of it.
    pub judgement: Judgement,
    /// The attempts before.
    pub failed: Vec<FailedAttempt>,
    /// When the job of a push check last reported.
    pub reported_at: Option<Timestamp>,
}

/// Asks the target until an attempt does not fail, or there are no more.
pub async fn see(prober: &Prober, check: &Check, judge: &Judge) -> Seen {
    let mut failed = Vec::new();
    let mut left = check.attempts.most;
    loop {
        let observation = observe(prober, check).await;
        let judgement = guarded(|| {
            let response = observation.response.as_ref();
            trial::judging(response.map_or(&[], |response| &response.body));
            judge.judge(&observation)
        });
        left = left.saturating_sub(1);
        let response = observation.response.as_ref();
        let rest = response.and_then(|response| response.retry_after(observation.started_at));
        let left_alone = rest.is_some_and(|rest| rest > check.attempts.delay);
        if judgement.verdict != Verdict::Fail || left == 0 || left_alone {
            return Seen {
                observation,
                judgement,
                failed,
                reported_at: None,
            };
        }
        failed.push(FailedAttempt {
            at: observation.started_at,
            message: judgement.message,
        });
        tokio::time::sleep(check.attempts.delay).await;
    }
}

/// Probes; once more when this process itself stood still beyond the timeout,
/// which would be told as a failure of the target.
async fn observe(prober: &Prober, check: &Check) -> Observation {
    let began = Instant::now();
    let seen = prober.probe(&check.target, check.timeout).await;
    if seen.failure.is_none() || began.elapsed() < check.timeout + STOOD_STILL {
        return seen;
    }
    tracing::debug!(check = %check.name, "stood still during a probe; probing again");
    prober.probe(&check.target, check.timeout).await
}

/// Judges; a panic over one document becomes that run's finding.
pub(super) fn guarded(judge: impl FnOnce() -> Judgement) -> Judgement {
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| Judgement {
        verdict: Verdict::Fail,
        message: "supercheck broke while judging this answer; please report it".to_owned(),
        expectations: Vec::new(),
        document: None,
        json: false,
    })
}
