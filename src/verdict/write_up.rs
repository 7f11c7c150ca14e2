//! Writing a run up: check, observation and judgement become its report.

use crate::{
    check::Check,
    observation::Observation,
    report::{
        ComponentCounts, Details, Document, Maker, Report, ShownResponse, Summary, Trigger,
        Verdict, WIRE_VERSION, millis,
    },
    verdict::{Judgement, status::Standing},
};

/// Who made the run, and why.
#[derive(Clone, Debug)]
pub struct Making<'a> {
    /// Why it happened.
    pub trigger: Trigger,
    /// The daemon that ran it.
    pub instance: &'a str,
    /// Its id.
    pub run: String,
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
    let summary = Summary {
        v: WIRE_VERSION,
        check: check.name.as_str().to_owned(),
        url: check.shown_url.clone(),
        status: standing.status,
        verdict: judgement.verdict,
        since: standing.since,
        checked_at: observation.started_at,
        expires_at: observation.started_at + 2 * check.interval + check.timeout,
        interval_ms: u64::try_from(check.interval.as_millis()).unwrap_or(u64::MAX),
        latency_ms: millis(observation.latency),
        http_status: observation
            .response
            .as_ref()
            .map(|response| response.status),
        message: judgement.message,
        components: counts(judgement.document.as_ref()),
        consecutive: standing.consecutive,
        certificate_expires_at: certificate.as_ref().map(|c| c.chain_not_after),
        trigger: making.trigger,
        instance: making.instance.to_owned(),
        run: making.run,
    };
    let details = Details {
        phases_ms: observation.phases.into(),
        attempts: 1,
        response: ShownResponse::of(observation, judgement.json),
        document: judgement.document,
        expectations: judgement.expectations,
        certificate,
        request: None,
        supercheck: Maker::this(),
    };
    Report { summary, details }
}

fn counts(document: Option<&Document>) -> ComponentCounts {
    let mut counts = ComponentCounts::default();
    for component in document.iter().flat_map(|document| &document.components) {
        match component.status {
            Some(Verdict::Pass) => counts.pass += 1,
            Some(Verdict::Warn) => counts.warn += 1,
            Some(Verdict::Fail) => counts.fail += 1,
            None => {}
        }
    }
    counts
}
