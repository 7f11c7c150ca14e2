//! The JSON API for readers: checks, reports, and what was.

use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    cached::{Lease, answer},
    http::Face,
    listing::{Filter, row, rows},
    params::Params,
    problem::Problem,
};
use crate::{
    check::CheckName,
    clock,
    store::{StoreError, history::From},
};

/// What the API answers in.
pub const JSON: &str = "application/json";
/// Checks on a page unless it says, and at most.
const PAGE: usize = 100;
/// Checks and summaries on a page at most.
pub const MAX_PAGE: usize = 1000;

/// `GET /api/v1/checks`: the newest of all checks, narrowed and in pages.
pub async fn checks(
    State(face): State<Face>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let filter = Filter::of_query(&mut params)?;
    let limit = params.count("limit", PAGE, MAX_PAGE)?;
    params.finish()?;
    let now = clock::now();
    let (rows, next) = rows(&face.cells(), &filter, limit, now);
    let body = json!({"checks": rows, "next": next}).to_string();
    Ok(answer(&headers, body, JSON, Lease::Ask, now))
}

/// `GET /api/v1/checks/<name>`: the newest of one check, and its last runs.
pub async fn check(
    State(face): State<Face>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cell = face.cell(&name)?;
    face.desk().hits.count();
    let now = clock::now();
    let mut body = row(&cell, now);
    let (lease, recent) = cell.look(|summary, recent| {
        let runs = recent.runs().map(|run| {
            json!({
                "checked_at": run.checked_at(),
                "verdict": run.verdict(),
                "latency_ms": run.latency_ms(),
            })
        });
        (Lease::of(summary), Value::Array(runs.collect()))
    });
    if let Some(body) = body.as_object_mut() {
        body.insert("recent".to_owned(), recent);
    }
    Ok(answer(&headers, body.to_string(), JSON, lease, now))
}

/// `GET /api/v1/checks/<name>/report`: the newest report, as it is stored.
pub async fn report(
    State(face): State<Face>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cell = face.cell(&name)?;
    face.desk().hits.count();
    let now = clock::now();
    let newest = cell.newest();
    if let Some(run) = cell.latest()
        && newest.as_ref().is_some_and(|newest| newest.run == run.id())
    {
        let lease = Lease::of(Some(&run.summary));
        return Ok(answer(&headers, run.encoded().report, JSON, lease, now));
    }
    // An earlier daemon or another instance may have left one.
    let store = &face.desk().store;
    let stored = store.report(&cell.check.object).await;
    match stored.map_err(|error| Problem::away(&error))? {
        Some(body) => Ok(answer(
            &headers,
            body,
            JSON,
            Lease::of(newest.as_ref()),
            now,
        )),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no report of `{name}` now"),
            "it has not been checked yet, or its report has expired; \
             `POST …/run` has it checked",
        )),
    }
}

/// Why a replay ends early.
enum Stop {
    /// The page is full.
    Full,
    Away(StoreError),
}

impl std::convert::From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Away(error)
    }
}

/// `GET /api/v1/checks/<name>/history`: what was, oldest first.
pub async fn history(
    State(face): State<Face>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let now = clock::now();
    let since = params.moment("since", now)?;
    let after: Option<u64> = params.value("after")?;
    if after.is_some_and(|after| i64::try_from(after).is_err()) {
        let detail = "`after` is no place in the history";
        return Err(Problem::malformed(
            detail,
            "use the `next` of the page before",
        ));
    }
    let limit = params.count("limit", PAGE, MAX_PAGE)?;
    params.finish()?;
    let cell = face.cell(&name)?;
    let _place = face.replays().try_acquire().map_err(|_| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many read the history now",
            "ask again in a moment",
        )
    })?;
    let hour = clock::Timestamp::from_millis(now.as_millis().saturating_sub(3_600_000));
    let from = match after {
        Some(sequence) => From::After(sequence),
        None => From::Time(since.unwrap_or(hour)),
    };
    let (mut past, mut last) = (Vec::new(), None);
    let store = &face.desk().store;
    let check: &CheckName = &cell.check.name;
    let each = |batch: Vec<crate::store::history::Past>| {
        for one in batch {
            if past.len() == limit {
                return Err(Stop::Full);
            }
            last = Some(one.sequence);
            past.push(one.summary);
        }
        Ok(())
    };
    let next = match store.replay(check, from, each).await {
        Ok(()) => None,
        Err(Stop::Full) => last,
        Err(Stop::Away(error)) => return Err(Problem::away(&error)),
    };
    let body = json!({"summaries": past, "next": next}).to_string();
    Ok(answer(&headers, body, JSON, Lease::Ask, now))
}
