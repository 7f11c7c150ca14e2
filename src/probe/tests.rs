//! Targets that answer well, badly, too much, too late or not at all, each a
//! real listener on this host.

use std::time::Duration;

use url::Url;

use super::{Prober, ProberSettings};
use crate::{
    check::{Check, CheckName, Route, Rules, Secret, Target, Thresholds},
    observation::{Failure, Observation, Phase, Response},
};

mod broken;
mod certificates;
mod good;
mod http2;
mod kept;
mod large;
mod names;
mod redirects;
mod secrets;
mod silent;
pub(crate) mod target;
mod tls;

use target::{Listening, OK};

/// The timeout of targets that answer: nothing here should need it.
const LONG: Duration = Duration::from_secs(5);
/// The timeout of targets that do not.
const SHORT: Duration = Duration::from_millis(200);
/// A probe may end this much after its timeout, on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

fn prober() -> Prober {
    Prober::new(&ProberSettings::default()).unwrap()
}

/// A plain question to `url`.
pub(crate) fn get(url: &str) -> Target {
    Target {
        url: Url::parse(url).unwrap(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: None,
        max_redirects: 3,
        max_body: 64 * 1024,
        route: Route::default(),
    }
}

/// A check called `name` that asks a plain question to `url`.
pub(crate) fn check(name: &str, url: &str) -> Check {
    Check {
        name: CheckName::new(name).unwrap(),
        target: get(url),
        object: url.to_owned(),
        shown_url: url.to_owned(),
        interval: 2 * LONG,
        timeout: LONG,
        group: None,
        tags: Vec::new(),
        rules: Rules::default(),
        thresholds: Thresholds::default(),
    }
}

fn with_header(mut target: Target, name: &str, value: &str) -> Target {
    target.headers.push((name.to_owned(), Secret::new(value)));
    target
}

/// Probes `target`, then a healthy one with the same prober: whatever the
/// first did must not be felt by the second.
async fn observe(target: &Target, timeout: Duration) -> Observation {
    let prober = prober();
    let observation = prober.probe(target, timeout).await;
    assert!(
        observation.latency <= timeout + SLACK,
        "took {:?}",
        observation.latency
    );
    let healthy = Listening::answering(OK).await;
    let next = prober.probe(&get(&healthy.url("/")), LONG).await;
    assert_eq!(next.failure, None);
    assert_eq!(answer(&next).body, "ok");
    observation
}

/// What comes of one exchange in which the target says `answer`.
async fn told(answer: &'static str) -> Observation {
    let target = Listening::answering(answer).await;
    observe(&get(&target.url("/")), LONG).await
}

fn answer(observation: &Observation) -> &Response {
    assert_eq!(observation.failure, None);
    observation.response.as_ref().unwrap()
}

/// The text of a failure that must be there.
fn failure(observation: &Observation) -> &Failure {
    observation.failure.as_ref().expect("a failure")
}

fn timed_out(observation: &Observation, phase: Phase) {
    let failure = failure(observation);
    assert!(
        matches!(failure, Failure::Timeout { during, .. } if *during == phase),
        "{failure:?}"
    );
}

fn closed(observation: &Observation, phase: Phase) {
    assert_eq!(failure(observation), &Failure::Closed { during: phase });
}
