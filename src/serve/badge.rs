//! Badges for README files and wikis: SVG, and what shields.io reads.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::json;

use super::{
    cached::{Lease, answer},
    http::Face,
    page,
    problem::Problem,
};
use crate::{clock, report::Status, runner::Cell, store::Link};

/// What a badge says.
struct Badge {
    label: String,
    message: String,
    colour: &'static str,
}

const GREEN: &str = "#1a7f4b";
const AMBER: &str = "#9a5b00";
const RED: &str = "#c62a2f";
const GREY: &str = "#5f6876";

/// `GET /badge/<check>/{status,uptime,latency}.{svg,json}`.
pub async fn badge(
    State(face): State<Face>,
    Path((name, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cell = face.cell(&name)?;
    let now = clock::now();
    let lease = cell.look(|summary, _| Lease::of(summary));
    let (what, end) = file.split_once('.').unwrap_or((file.as_str(), ""));
    let badge = match what {
        "status" => status(&cell),
        "latency" => latency(&cell),
        "uptime" => uptime(&face, &cell).await,
        _ => return Err(missing(&file)),
    };
    match end {
        "svg" => Ok(answer(&headers, badge.svg(), "image/svg+xml", lease, now)),
        "json" => {
            let body = json!({
                "schemaVersion": 1, "label": badge.label, "message": badge.message,
                "color": badge.colour, "isError": badge.colour == RED,
            });
            Ok(answer(
                &headers,
                body.to_string(),
                "application/json",
                lease,
                now,
            ))
        }
        _ => Err(missing(&file)),
    }
}

fn missing(file: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is no badge `{file}`"),
        "there are status, uptime and latency, as .svg, or .json for shields.io",
    )
}

fn status(cell: &Cell) -> Badge {
    let status = cell.look(|summary, _| {
        summary.map_or(Status::Unknown, |summary| summary.status_at(clock::now()))
    });
    Badge {
        label: cell.check.name.to_string(),
        message: status.to_string(),
        colour: match status {
            Status::Up => GREEN,
            Status::Degraded => AMBER,
            Status::Down => RED,
            Status::Unknown => GREY,
        },
    }
}

/// Of the last runs, that in the middle.
fn latency(cell: &Cell) -> Badge {
    let mut all: Vec<f64> =
        cell.look(|_, recent| recent.runs().map(|run| run.latency_ms()).collect());
    all.sort_by(f64::total_cmp);
    let median = all.get(all.len() / 2);
    Badge {
        label: format!("{} latency", cell.check.name),
        message: median.map_or_else(|| "unknown".to_owned(), |ms| page::latency(*ms)),
        colour: if median.is_some() { GREEN } else { GREY },
    }
}

async fn uptime(face: &Face, cell: &Cell) -> Badge {
    let share = if face.link() == Link::Ready {
        page::uptime_of_30_days(face, cell, clock::now()).await
    } else {
        None
    };
    Badge {
        label: format!("{} uptime 30d", cell.check.name),
        message: share.map_or_else(
            || "unknown".to_owned(),
            |(up, known)| page::percent(up, known),
        ),
        colour: match share {
            None => GREY,
            // 99.9 %, 99 %.
            Some((up, known)) if (known - up) * 1000 <= known => GREEN,
            Some((up, known)) if (known - up) * 100 <= known => AMBER,
            Some(_) => RED,
        },
    }
}

impl Badge {
    fn svg(&self) -> String {
        // Letters of 11 px Verdana are some 7 px wide.
        let width = |text: &str| text.chars().count() * 7 + 12;
        let (left, right) = (width(&self.label), width(&self.message));
        let all = left + right;
        let (label, message, colour) = (escaped(&self.label), escaped(&self.message), self.colour);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" \
             aria-label=\"{label}: {message}\"><title>{label}: {message}</title>\
             <clipPath id=\"r\"><rect width=\"{all}\" height=\"20\" rx=\"4\"/></clipPath>\
             <g clip-path=\"url(#r)\"><rect width=\"{left}\" height=\"20\" fill=\"#3b4350\"/>\
             <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/></g>\
             <g fill=\"#fff\" text-anchor=\"middle\" font-size=\"11\" \
             font-family=\"Verdana,DejaVu Sans,sans-serif\">\
             <text x=\"{}\" y=\"14\" textLength=\"{}\">{label}</text>\
             <text x=\"{}\" y=\"14\" textLength=\"{}\">{message}</text></g></svg>",
            left / 2,
            left - 12,
            left + right / 2,
            right - 12,
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
