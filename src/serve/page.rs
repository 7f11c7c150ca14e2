//! The status page: whole without a script, live with one.
//!
//! Everything comes from here, so that no other host hears of who looks. The
//! templates escape whatever a check or a target says.

use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{
    cached::{Lease, answer},
    http::Face,
    problem::Problem,
};
use crate::{
    clock::{self, Timestamp},
    report::Status,
};

pub mod detail;
pub mod list;
pub mod live;
pub mod overview;
pub mod past;
pub mod pretty;
pub mod row;
pub mod shape;

pub use live::live;
pub use overview::Tally;
pub use past::{percent, uptime_of_30_days};
pub use shape::latency;

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What surrounds every page.
struct Frame {
    icon: Status,
    live: String,
    now: u64,
    time: Timestamp,
    version: &'static str,
    instance: String,
}

impl Frame {
    fn new(face: &Face, icon: Status, live: String, now: Timestamp) -> Self {
        Self {
            icon,
            live,
            now: now.as_millis(),
            time: now,
            version: env!("CARGO_PKG_VERSION"),
            instance: face.desk().runner.instance().to_owned(),
        }
    }
}

/// `GET /`: all checks.
pub async fn index(
    State(face): State<Face>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let asked = list::Asked::read(query.as_deref())?;
    Ok(html(list::html(&face, &asked, clock::now())))
}

/// `GET /checks/<name>`: one check.
pub async fn check(
    State(face): State<Face>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let range = past::Range::read(query.as_deref())?;
    let cell = face.cell(&name)?;
    let now = clock::now();
    let past = past::html(&face, &cell, range, now).await;
    Ok(html(detail::page(&face, &cell, past, now)))
}

/// `GET /static/<file>`: styles, script, icons.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let icon = || {
        let status: Status = name.strip_suffix(".svg")?.parse().ok()?;
        Some((shape::icon(status), "image/svg+xml"))
    };
    let (body, kind) = match name.as_str() {
        "page.css" => (STYLE.to_owned(), "text/css; charset=utf-8"),
        "page.js" => (SCRIPT.to_owned(), "text/javascript; charset=utf-8"),
        _ => icon().ok_or_else(|| {
            let detail = format!("there is no file `{name}`");
            Problem::new(StatusCode::NOT_FOUND, detail, "`/` is the status page")
        })?,
    };
    Ok(answer(&headers, body, kind, Lease::Ask, clock::now()))
}

fn html(page: String) -> Response {
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, page).into_response()
}
