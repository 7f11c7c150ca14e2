//! `/checks/<name>`: everything that is known of one check.

use std::sync::Arc;

use askama::Template;

use super::{
    Frame,
    overview::notice,
    pretty::pretty,
    row::Row,
    shape::{Bar, latency, shape, single_bars, span, status_of},
};
use crate::{
    clock::Timestamp,
    report::{Status, Summary, Verdict},
    runner::{Cell, Recent},
    serve::http::Face,
};

/// A report is shown up to so many bytes; all of it is at the API.
const MAX_REPORT: usize = 256 << 10;
/// Components and expectations are shown up to so many.
const MAX_PARTS: usize = 200;
/// A certificate that expires sooner is worth a colour.
const SOON: u64 = 14 * 86_400_000;

/// Something that is so.
struct Fact {
    name: &'static str,
    value: String,
    class: &'static str,
}

/// An expectation or a component, and how it came out.
struct Mark {
    class: Status,
    mark: &'static str,
    shape: &'static str,
    name: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "detail.html", config = "src/serve/page/askama.toml")]
struct DetailPart {
    row: Row,
    word: String,
    since: String,
    notice: Option<&'static str>,
    briefs: Vec<Bar>,
    latencies: String,
    facts: Vec<Fact>,
    findings: Vec<Mark>,
    dialect: String,
    components: Vec<Mark>,
}

/// A word with a way to it.
struct Link {
    word: String,
    href: String,
}

#[derive(Template)]
#[template(path = "check.html", config = "src/serve/page/askama.toml")]
struct CheckPage {
    frame: Frame,
    name: String,
    status: Status,
    group: Option<Link>,
    detail: String,
    past: String,
    report: String,
}

/// The page; `past` is its history.
pub fn page(face: &Face, cell: &Arc<Cell>, past: String, now: Timestamp) -> String {
    let row = Row::of(cell, now);
    let name = cell.check.name.to_string();
    let group = cell.check.group.as_ref().map(|group| Link {
        word: group.clone(),
        href: format!(
            "/?{}",
            form_urlencoded::Serializer::new(String::new())
                .append_pair("group", group)
                .finish()
        ),
    });
    let page = CheckPage {
        frame: Frame::new(face, row.status, format!("/live?check={name}"), now),
        status: row.status,
        group,
        detail: html(face, cell, now),
        past,
        report: report(cell),
        name,
    };
    page.render().unwrap_or_default()
}

/// The part that is renewed with each run.
pub fn html(face: &Face, cell: &Arc<Cell>, now: Timestamp) -> String {
    let row = Row::of(cell, now);
    let (briefs, latencies, facts, since) = cell.look(|summary, recent| {
        (
            single_bars(recent.runs()),
            latencies(recent),
            facts(cell, summary, now),
            summary.map(|summary| (summary.status, summary.since)),
        )
    });
    let since = match since {
        Some((status, since)) if status == row.status => {
            format!(
                "for {}, ",
                span(now.since(since).as_millis().try_into().unwrap_or(0))
            )
        }
        Some(_) | None => String::new(),
    };
    let latest = cell.latest();
    let details = latest.and_then(|run| run.details().ok());
    let document = details
        .as_ref()
        .and_then(|details| details.document.as_ref());
    let mut findings: Vec<_> = details
        .as_ref()
        .into_iter()
        .flat_map(|details| &details.expectations)
        .take(MAX_PARTS)
        .map(|one| {
            let verdict = if one.met {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            let word = if one.met { "met" } else { "not met" };
            mark(Some(verdict), word, &one.expect, one.finding.as_deref())
        })
        .collect();
    findings.sort_by_key(|mark| mark.class == Status::Up);
    let components = document
        .into_iter()
        .flat_map(|document| &document.components)
        .take(MAX_PARTS)
        .map(|one| {
            let verdict = one.status.verdict();
            mark(
                verdict,
                one.status.as_str(),
                &one.name,
                one.detail.as_deref(),
            )
        })
        .collect();
    let part = DetailPart {
        word: format!("is {}", row.status),
        since,
        notice: notice(face.link()),
        briefs,
        latencies,
        facts,
        findings,
        dialect: document.map_or_else(String::new, |document| document.dialect.to_string()),
        components,
        row,
    };
    part.render().unwrap_or_default()
}

fn mark(verdict: Option<Verdict>, word: &'static str, name: &str, detail: Option<&str>) -> Mark {
    let class = verdict.map_or(Status::Unknown, status_of);
    Mark {
        class,
        mark: word,
        shape: shape(class),
        name: name.to_owned(),
        detail: detail.unwrap_or_default().to_owned(),
    }
}

fn latencies(recent: &Recent) -> String {
    let all: Vec<f64> = recent.runs().map(|run| run.latency_ms()).collect();
    if all.is_empty() {
        return "no runs yet".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "there are 30 at most")]
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    format!(
        "latency {} on average, from {} to {}",
        latency(mean),
        latency(least),
        latency(most)
    )
}

fn facts(cell: &Cell, summary: Option<&Summary>, now: Timestamp) -> Vec<Fact> {
    let check = &cell.check;
    let every = |duration| humantime::format_duration(duration).to_string();
    let mut facts = Vec::new();
    let mut put = |name, value: String, class| facts.push(Fact { name, value, class });
    put(
        "Target",
        format!("{} {}", check.target.method, check.shown_url),
        "",
    );
    put(
        "Checked",
        format!(
            "every {}, within {}",
            every(check.interval),
            every(check.timeout)
        ),
        "",
    );
    if let Some(summary) = summary {
        let status = summary.http_status;
        put(
            "HTTP status",
            status.map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
            "",
        );
        put("Latency", latency(summary.latency_ms), "");
        let runs = if summary.consecutive == 1 {
            "run"
        } else {
            "runs"
        };
        put(
            "Verdict",
            format!("{} for {} {runs}", summary.verdict, summary.consecutive),
            "",
        );
        if let Some(at) = summary.certificate_expires_at {
            let left = at.as_millis().saturating_sub(now.as_millis());
            let (value, class) = match left {
                0 => (format!("expired on {at}"), "down"),
                left => {
                    let days = left / 86_400_000;
                    let class = if left < SOON { "degraded" } else { "" };
                    (format!("expires in {days} days"), class)
                }
            };
            put("Certificate", value, class);
        }
    }
    if let Some(summary) = summary.filter(|summary| summary.maintenance) {
        let reason = summary.maintenance_reason.clone();
        put(
            "Maintenance",
            reason.unwrap_or_else(|| "now".to_owned()),
            "degraded",
        );
    }
    if !check.tags.is_empty() {
        put("Tags", check.tags.join(", "), "");
    }
    if let Some(summary) = summary {
        put("Holds until", summary.expires_at.to_string(), "");
        put(
            "Run by",
            format!("{} ({})", summary.instance, summary.trigger),
            "",
        );
    }
    facts
}

/// The newest report, indented.
pub fn report(cell: &Cell) -> String {
    let Some(run) = cell.latest() else {
        return "There is no report in this daemon's memory yet.".to_owned();
    };
    let json = &run.encoded().report;
    if json.len() > MAX_REPORT {
        return format!("The report has {} bytes; see the API.", json.len());
    }
    pretty(&String::from_utf8_lossy(json))
}
