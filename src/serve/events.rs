//! `GET /api/v1/events`: status changes as server-sent events, from where the
//! reader left off.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;

use super::{http::Face, params::Params, problem::Problem};

/// A silent stream sends a comment so often, so that both ends and whatever is
/// between them know that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The changes after `Last-Event-ID` (or `after`), and then as they come.
pub async fn events(
    State(face): State<Face>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let asked: Option<u64> = params.value("after")?;
    let check = params.text("check");
    params.finish()?;
    let last = match headers.get("last-event-id").map(|id| id.to_str()) {
        None => asked,
        Some(id) => Some(id.unwrap_or_default().trim().parse().map_err(|_| {
            Problem::malformed(
                "`Last-Event-ID` is not the id of an event",
                "send the id of the last event that came, or leave it out",
            )
        })?),
    };
    if let Some(name) = &check {
        face.cell(name)?;
    }
    let place = place(&face)?;
    let store = &face.desk().store;
    let changes = store.changes(check.as_deref(), last).await;
    let changes = changes.map_err(|error| Problem::away(&error))?;
    // When NATS goes, so does the stream: the reader comes back with its id.
    let events = changes.take_while(|change| std::future::ready(change.is_ok()));
    let events = events
        .filter_map(|change| std::future::ready(change.ok()))
        .map(|change| {
            let id = change.sequence.to_string();
            Event::default().event("change").id(id).data(change.json)
        });
    Ok(stream(&face, place, events))
}

/// A place among those who follow.
///
/// # Errors
/// When all are taken.
pub fn place(face: &Face) -> Result<OwnedSemaphorePermit, Problem> {
    face.followers().clone().try_acquire_owned().map_err(|_| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many follow events now",
            "ask again later",
        )
    })
}

/// Sends `events` until the daemon stops.
pub fn stream(
    face: &Face,
    place: OwnedSemaphorePermit,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let stop = face.stop().clone().cancelled_owned();
    // A word at once, so that the reader knows that it is heard.
    let hello = futures_util::stream::iter([Event::default().comment("supercheck")]);
    let events = hello.chain(events).take_until(stop).map(move |event| {
        // The place is held as long as the stream is.
        let _held = &place;
        Ok::<_, Infallible>(event)
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    let headers = response.headers_mut();
    for (name, value) in [("cache-control", "no-store"), ("x-accel-buffering", "no")] {
        let value = HeaderValue::from_static(value);
        headers.insert(name, value);
    }
    response
}
