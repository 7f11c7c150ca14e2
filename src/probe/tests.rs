//! Targets that answer well, badly, too much, too late or not at all, each a
//! real listener on this host.

#![expect(
    clippy::duplicate_mod,
    reason = "the same tests for both ways of asking"
)]

use std::{sync::Arc, time::Duration};

use url::Url;

use super::{Prober, ProberSettings};
use crate::{
    check::{Attempts, Check, CheckName, Secret, Target, Thresholds},
    observation::{Failure, Observation, Phase, Response},
};

mod certificates;
mod http2;
mod routes;
pub(crate) mod target;
mod tcp;
mod tls;

use target::{Listening, OK};

/// What is observed is the same in both ways.
macro_rules! in_both_ways {
    ($($way:ident $lean:literal)*) => {$(
        #[path = "tests"]
        mod $way {
            use super::*;

            const LEAN: bool = $lean;

            fn prober() -> Prober {
                prober_with(&ProberSettings::default())
            }

            fn prober_with(settings: &ProberSettings) -> Prober {
                Prober::new(&ProberSettings { lean: LEAN, ..settings.clone() }).unwrap()
            }

            async fn observe(target: &Target, timeout: Duration) -> Observation {
                observe_with(prober(), target, timeout).await
            }

            async fn told(answer: &'static str) -> Observation {
                let target = Listening::answering(answer).await;
                observe(&get(&target.url("/")), LONG).await
            }

            mod broken;
            mod good;
            mod kept;
            mod large;
            mod names;
            mod reached;
            mod redirects;
            mod secrets;
            mod silent;
        }
    )*};
}

in_both_ways! {
    lean true
    whole false
}

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
        route: Arc::default(),
    }
}

/// A check called `name` that asks a plain question to `url`.
pub(crate) fn check(name: &str, url: &str) -> Check {
    Check {
        name: CheckName::new(name).unwrap(),
        target: get(url),
        object: url.into(),
        shown_url: url.into(),
        interval: 2 * LONG,
        timeout: LONG,
        group: None,
        tags: Vec::new(),
        rules: Arc::default(),
        thresholds: Thresholds::default(),
        attempts: Attempts::default(),
        grace: None,
    }
}

/// An answer that redirects.
fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn with_header(mut target: Target, name: &str, value: &str) -> Target {
    target.headers.push((name.to_owned(), Secret::new(value)));
    target
}

/// Probes `target`, then a healthy one with the same prober: whatever the
/// first did must not be felt by the second.
async fn observe(target: &Target, timeout: Duration) -> Observation {
    observe_with(prober(), target, timeout).await
}

async fn observe_with(prober: Prober, target: &Target, timeout: Duration) -> Observation {
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
