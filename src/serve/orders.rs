//! What the JSON API does when it is told to: runs, reports of jobs, maintenance.
//! The same requests as through NATS, with their answers.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{api::JSON, desk::Answer, http::Face, params::Params, problem::Problem};

/// A request's body may take this many bytes; a longer one is refused.
const MAX_BODY: usize = 4096;
/// And must be there within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// `POST /api/v1/checks/<name>/run`: a report of a run that began after this
/// was asked, or one no older than `max_age`. The same request as through NATS.
pub async fn run(
    State(face): State<Face>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut ask = Map::new();
    let mut params = Params::read(query.as_deref())?;
    for key in ["max_age", "timeout"] {
        if let Some(value) = params.text(key) {
            ask.insert(key.to_owned(), value.into());
        }
    }
    params.finish()?;
    for (key, value) in object(&sent(body, MAX_BODY).await?)? {
        if !["max_age", "timeout", "id"].contains(&key.as_str()) {
            let detail = format!("unknown key `{key}`");
            let hint = "send nothing, or JSON with `max_age`, `timeout` or `id`";
            return Err(Problem::malformed(detail, hint));
        }
        ask.insert(key, value);
    }
    // What is unknown here may be known to another instance, and to the desk.
    ask.insert("check".to_owned(), name.into());
    let id = match headers.get("idempotency-key").map(|id| id.to_str()) {
        None => None,
        // A string of structured fields has quotes; many send it without.
        Some(Ok(id)) => Some(id.trim().trim_matches('"').to_owned()),
        Some(Err(_)) => {
            return Err(Problem::malformed(
                "`Idempotency-Key` is not ASCII",
                "send 1 to 128 letters, such as a UUID",
            ));
        }
    };
    let asked = Value::Object(ask).to_string();
    let answered = face.desk().check(asked.as_bytes(), id.as_deref()).await;
    said(answered)
}

/// `POST /api/v1/checks/<name>/push`: a job reports its own health.
pub async fn push(
    State(face): State<Face>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    Params::read(query.as_deref())?.finish()?;
    let cell = face.cell(&name)?;
    let room = if cell.check.is_push() {
        cell.check.target.max_body
    } else {
        MAX_BODY
    };
    let body = sent(body, room).await?;
    said(face.desk().push(&name, &body).await)
}

/// `POST /api/v1/checks/<name>/maintenance`: what happens to the check from now
/// on is marked for a while, or no longer.
pub async fn maintenance(
    State(face): State<Face>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    Params::read(query.as_deref())?.finish()?;
    let body = sent(body, MAX_BODY).await?;
    said(face.desk().maintain(&name, &body).await)
}

fn said(answer: Answer) -> Result<Response, Problem> {
    let body = answer.map_err(|(refusal, id)| Problem::from(refusal).about(id))?;
    let head = [
        (header::CONTENT_TYPE, JSON),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((head, body).into_response())
}

/// A request's body, of `room` bytes at most.
async fn sent(body: Body, room: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, room));
    match read.await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {room} bytes, or broke off"),
            "send less, or nothing",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come",
            "send it at once",
        )),
    }
}

/// The JSON object in a body; an empty body is an empty one.
fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem::malformed(
            format!("the body is no JSON object: {error}"),
            "send nothing, or such as `{\"max_age\": \"10s\"}`",
        )
    })
}
