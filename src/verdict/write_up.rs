//! Writing a run up: check, observation and judgement become its report.

use std::{sync::Arc, time::Duration};

use crate::{
    check::Check,
    clock::Timestamp,
    observation::Observation,
    report::{
        Details, FailedAttempt, Gate, Maker, Report, ShownResponse, Summary, Trigger, WIRE_VERSION,
        millis,
    },
    verdict::{Judgement, status::Standing},
};

/// Who made the run, why, and under which circumstances.
#[derive(Clone, Debug)]
pub struct Making<'a> {
    /// Why it happened.
    pub trigger: Trigger,
    /// The daemon that ran it.
    pub instance: &'a Arc<str>,
    /// Its id.
    pub run: String,
    /// The attempts before the one that was judged.
    pub failed_attempts: Vec<FailedAttempt>,
    /// Set while supercheck's own network is down.
    pub gate: Option<Gate>,
    /// What the maintenance is for that the run fell into.
    pub maintenance: Option<Arc<str>>,
    /// When a push check's job last reported.
    pub reported_at: Option<Timestamp>,
}

impl<'a> Making<'a> {
    /// A run of one attempt, under no special circumstances.
    pub const fn new(trigger: Trigger, instance: &'a Arc<str>, run: String) -> Self {
        Self {
            trigger,
            instance,
            run,
            failed_attempts: Vec::new(),
            gate: None,
            maintenance: None,
            reported_at: None,
        }
    }
}

/// The report of a run that left the check in `standing`.
pub fn write_up(
    check: &Check,
    observation: &Observation,
    judgement: Judgement,
    standing: Standing,
    making: Making<'_>,
) -> Report {
    let certificate = observation.certificate.clone();
    let mut response = ShownResponse::of(observation, judgement.json);
    if let (Some(response), Trigger::Push) = (&mut response, making.trigger) {
        // Nobody asked over HTTP.
        response.status = None;
    }
    let summary = Summary {
        v: WIRE_VERSION,
        check: check.name.shared(),
        url: Arc::clone(&check.shown_url),
        status: standing.status,
        verdict: judgement.verdict,
        since: standing.since,
        checked_at: observation.started_at,
        expires_at: standing.good_until,
        interval_ms: u64::try_from(check.interval.as_millis()).unwrap_or(u64::MAX),
        latency_ms: millis(observation.latency),
        http_status: response.as_ref().and_then(|response| response.status),
        message: judgement.message,
        components: judgement
            .document
            .as_ref()
            .map(|document| document.counts)
            .unwrap_or_default(),
        consecutive: standing.consecutive,
        streak: (standing.streak != standing.consecutive).then_some(standing.streak),
        unknown_since: standing.unknown_since,
        gate: making.gate,
        held: standing.held,
        maintenance: making.maintenance.is_some(),
        maintenance_reason: making
            .maintenance
            .map(|reason| reason.to_string())
            .filter(|reason| !reason.is_empty()),
        reported_at: making.reported_at,
        certificate_expires_at: certificate.as_ref().map(|c| c.chain_not_after),
        held_back_until: held_back_until(check, observation),
        trigger: making.trigger,
        instance: Arc::clone(making.instance),
        run: making.run,
    };
    let details = Details {
        phases_ms: observation.phases.into(),
        attempts: u32::try_from(making.failed_attempts.len() + 1).unwrap_or(u32::MAX),
        failed_attempts: making.failed_attempts,
        response,
        reached: observation.reached.clone(),
        document: judgement.document,
        expectations: judgement.expectations,
        certificate,
        request: None,
        supercheck: Maker::this(),
    };
    Report { summary, details }
}

/// How long a target is left alone at most, in intervals and in time.
const LONGEST_REST: (u32, Duration) = (10, Duration::from_hours(1));

/// Until when the target asked to be left alone, within bounds.
fn held_back_until(check: &Check, observation: &Observation) -> Option<Timestamp> {
    let now = observation.started_at;
    let asked = observation.response.as_ref()?.retry_after(now)?;
    let (intervals, time) = LONGEST_REST;
    let rest = asked.min(check.interval * intervals).min(time);
    (rest > check.interval).then(|| now + rest)
}
