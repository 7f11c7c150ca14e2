//! supercheck's own health, in the words that machines ask for it: `/livez`,
//! `/readyz`, `/health`, `/gtg/<group>`.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    cached::{Lease, answer},
    http::Face,
    listing::Filter,
    params::Params,
    problem::Problem,
};
use crate::{
    clock::{self, Timestamp},
    report::{Status, Verdict},
    store::Link,
};

/// The first result of a check is awaited for its interval, and no longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Threads that do not come round to anything for so long are stuck.
const STUCK: Duration = Duration::from_secs(5);

/// Whether the daemon can do its work.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// `ready`, `not ready` or `draining`.
    status: &'static str,
    /// How it stands with NATS.
    nats: &'static str,
    /// Checks whose first result is still awaited.
    awaited: usize,
}

/// Whether the threads that run the checks do anything. What they cannot do,
/// such as use NATS, does not count: a restart would not help.
pub async fn livez(State(face): State<Face>) -> Response {
    if tokio::time::timeout(STUCK, face.comes_round())
        .await
        .is_ok()
    {
        return no_store("ok\n");
    }
    let said = "the threads that run the checks are stuck\n";
    (StatusCode::SERVICE_UNAVAILABLE, no_store(said)).into_response()
}

/// Ready: NATS can be used, and each check has a result or had the time for
/// one.
pub async fn readyz(State(face): State<Face>) -> Response {
    let link = face.link();
    let nats = match link {
        Link::Ready => "ready",
        Link::Connected => "connected, but its buckets cannot be used",
        Link::Away => "away",
    };
    let awaited = awaited(&face);
    let (code, status) = if face.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if link == Link::Ready && awaited == 0 {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let readiness = Readiness {
        status,
        nats,
        awaited,
    };
    (code, no_store(Json(readiness))).into_response()
}

/// Checks whose first result is still awaited. Once there are none, checks
/// that are added later make nobody wait.
fn awaited(face: &Face) -> usize {
    if face.settled().load(Ordering::Relaxed) {
        return 0;
    }
    let age = face.age();
    let cells = face.cells();
    let late = |cell: &&_| {
        let cell: &std::sync::Arc<crate::runner::Cell> = cell;
        let time = (cell.check.interval + cell.check.timeout).min(PATIENCE);
        age < time && cell.look(|summary, _| summary.is_none())
    };
    let awaited = cells.values().filter(late).count();
    if awaited == 0 {
        face.settled().store(true, Ordering::Relaxed);
    }
    awaited
}

/// Health as draft-inadarei-api-health-check writes it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The worst of the parts.
    status: Verdict,
    /// Version of the API.
    version: &'static str,
    /// Version of supercheck.
    release_id: &'static str,
    /// What this is about.
    description: &'static str,
    /// What does not pass, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// The parts: NATS, and each check.
    checks: BTreeMap<String, [Part; 1]>,
}

/// One part.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Part {
    component_id: String,
    component_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    status: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    affected_endpoints: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

/// All checks as one health document; 503 when one of them is down.
pub async fn health(
    State(face): State<Face>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let filter = Filter::of_group_and_tag(&mut params);
    params.finish()?;
    let now = clock::now();
    let nats = face.link();
    let mut checks = BTreeMap::new();
    let (mut worst, mut bad, mut lease) = (Verdict::Pass, 0, Lease::Ask);
    for cell in face.cells().values().filter(|cell| filter.takes(cell)) {
        let part = cell.look(|summary, _| {
            lease = sooner(lease, Lease::of(summary));
            part(cell, summary, now)
        });
        worst = worst.max(part.status);
        bad += usize::from(part.status != Verdict::Pass);
        checks.insert(format!("{}:response-time", part.component_id), [part]);
    }
    let away = (nats != Link::Ready).then(|| "NATS cannot be used".to_owned());
    let status = if away.is_some() {
        Verdict::Warn
    } else {
        Verdict::Pass
    };
    let output = match (bad, &away) {
        (0, None) => None,
        (0, Some(away)) => Some(away.clone()),
        (bad, _) => Some(format!("{bad} of {} checks do not pass", checks.len())),
    };
    let part = Part {
        component_id: "nats".to_owned(),
        component_type: "datastore",
        observed_value: None,
        observed_unit: None,
        status,
        affected_endpoints: None,
        time: None,
        output: away,
    };
    checks.insert("nats:connection".to_owned(), [part]);
    let health = Health {
        status: worst.max(status),
        version: "1",
        release_id: env!("CARGO_PKG_VERSION"),
        description: "all checks of this supercheck",
        output,
        checks,
    };
    let body = serde_json::to_vec(&health).unwrap_or_default();
    let mut response = answer(&headers, body, "application/health+json", lease, now);
    if health.status == Verdict::Fail && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// The lease that ends first; the age is that of the oldest.
fn sooner(one: Lease, other: Lease) -> Lease {
    match (one, other) {
        (
            Lease::Run {
                checked_at,
                expires_at,
            },
            Lease::Run {
                checked_at: at,
                expires_at: until,
            },
        ) => Lease::Run {
            checked_at: checked_at.min(at),
            expires_at: expires_at.min(until),
        },
        (Lease::Ask, run) | (run, Lease::Ask) => run,
    }
}

fn part(
    cell: &crate::runner::Cell,
    summary: Option<&crate::report::Summary>,
    now: Timestamp,
) -> Part {
    let status = summary.map_or(Status::Unknown, |summary| summary.status_at(now));
    let verdict = match status {
        Status::Up => Verdict::Pass,
        Status::Degraded | Status::Unknown => Verdict::Warn,
        Status::Down => Verdict::Fail,
    };
    let output = match (summary, status) {
        (None, _) => Some("not checked yet".to_owned()),
        (Some(_), Status::Up) => None,
        (Some(summary), Status::Unknown) => Some(format!("stale: {}", summary.message)),
        (Some(summary), _) => Some(summary.message.clone()),
    };
    Part {
        component_id: cell.check.name.to_string(),
        component_type: "component",
        observed_value: summary.map(|summary| summary.latency_ms),
        observed_unit: summary.map(|_| "ms"),
        status: verdict,
        affected_endpoints: (status != Status::Up).then(|| [cell.check.shown_url.to_string()]),
        time: summary.map(|summary| summary.checked_at),
        output,
    }
}

/// Good to go: 200 while no check of the group is down or unknown.
pub async fn gtg(State(face): State<Face>, Path(group): Path<String>) -> Result<Response, Problem> {
    let now = clock::now();
    let (mut members, mut bad) = (0, Vec::new());
    for cell in face.cells().values() {
        if cell.check.group.as_deref() != Some(group.as_str()) {
            continue;
        }
        members += 1;
        let status = cell.look(|summary, _| summary.map_or(Status::Unknown, |s| s.status_at(now)));
        if matches!(status, Status::Down | Status::Unknown) {
            bad.push(format!("{} is {status}\n", cell.check.name));
        }
    }
    if members == 0 {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("no check is in the group `{group}`"),
            "groups are given to checks by `group` in the configuration",
        ));
    }
    Ok(if bad.is_empty() {
        no_store("OK\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, no_store(bad.concat())).into_response()
    })
}

fn no_store(body: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}
