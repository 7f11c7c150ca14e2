//! `/metrics`: every check, and the daemon itself, for Prometheus.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};

use super::{
    exposition::{Exposition, Kind},
    http::Face,
};
use crate::{
    clock::{self, Timestamp},
    report::{Status, Summary},
    runner::{Cell, Counts},
    store::Link,
    tally::Spread,
};

/// Checks have histograms of their own up to so many, each of which takes 16
/// series; beyond it there is the one of all checks.
const MAX_HISTOGRAMS: usize = 1000;

/// A check at the moment of the scrape.
struct Seen {
    cell: Arc<Cell>,
    newest: Option<Summary>,
    counts: Counts,
}

/// Everything that is counted.
pub async fn metrics(State(face): State<Face>, headers: HeaderMap) -> Response {
    let mut page = Exposition::for_asker(&headers);
    let now = clock::now();
    let seen: Vec<Seen> = face
        .cells()
        .values()
        .map(|cell| {
            let (newest, counts) =
                cell.look(|summary, recent| (summary.cloned(), *recent.counts()));
            Seen {
                cell: Arc::clone(cell),
                newest,
                counts,
            }
        })
        .collect();
    standing(&mut page, &seen, now);
    newest(&mut page, &seen, now);
    counted(&mut page, &seen);
    daemon(&mut page, &face, &seen);
    requests(&mut page, &face);
    store(&mut page, &face);
    let head = [
        (header::CONTENT_TYPE, page.content_type()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, page.finish()).into_response()
}

impl Seen {
    fn name(&self) -> &str {
        self.cell.check.name.as_str()
    }

    fn status(&self, now: Timestamp) -> Status {
        let newest = self.newest.as_ref();
        newest.map_or(Status::Unknown, |newest| newest.status_at(now))
    }
}

fn standing(page: &mut Exposition, seen: &[Seen], now: Timestamp) {
    page.metric(
        "supercheck_check_info",
        Kind::Gauge,
        "What a check asks; always 1.",
    );
    for one in seen {
        let check = &one.cell.check;
        let group = check.group.as_deref().unwrap_or_default();
        let labels = [
            ("check", one.name()),
            ("url", &check.shown_url),
            ("group", group),
        ];
        page.sample(&labels, 1);
    }
    page.metric(
        "supercheck_check_up",
        Kind::Gauge,
        "Whether the check is up or degraded; 0 when it is down, or nothing fresh is known.",
    );
    for one in seen {
        let up = matches!(one.status(now), Status::Up | Status::Degraded);
        page.sample(&[("check", one.name())], u8::from(up));
    }
    page.metric(
        "supercheck_check_status",
        Kind::Gauge,
        "1 for the status that the check has.",
    );
    for one in seen {
        let status = one.status(now);
        for each in [Status::Up, Status::Degraded, Status::Down, Status::Unknown] {
            let labels = [("check", one.name()), ("status", each.as_str())];
            page.sample(&labels, u8::from(each == status));
        }
    }
}

fn newest(page: &mut Exposition, seen: &[Seen], now: Timestamp) {
    let seconds = |at: Timestamp| std::time::Duration::from_millis(at.as_millis()).as_secs_f64();
    let mut each = |name, help, value: &dyn Fn(&Summary) -> Option<f64>| {
        page.metric(name, Kind::Gauge, help);
        for one in seen {
            if let Some(value) = one.newest.as_ref().and_then(value) {
                page.sample(&[("check", one.name())], value);
            }
        }
    };
    each(
        "supercheck_check_last_latency_seconds",
        "How long the newest probe took.",
        &|newest| Some(newest.latency_ms / 1000.0),
    );
    each(
        "supercheck_check_http_status_code",
        "The HTTP status of the newest answer; absent when none came.",
        &|newest| newest.http_status.map(f64::from),
    );
    each(
        "supercheck_check_age_seconds",
        "How long ago the newest run began.",
        &|newest| Some(now.since(newest.checked_at).as_secs_f64()),
    );
    each(
        "supercheck_check_expiry_timestamp_seconds",
        "When the newest report is stale.",
        &|newest| Some(seconds(newest.expires_at)),
    );
    each(
        "supercheck_check_certificate_expiry_timestamp_seconds",
        "When the first certificate of the target's chain expires.",
        &|newest| newest.certificate_expires_at.map(seconds),
    );
}

fn counted(page: &mut Exposition, seen: &[Seen]) {
    page.metric(
        "supercheck_check_runs",
        Kind::Counter,
        "Runs since the start, by verdict.",
    );
    for one in seen {
        let Counts {
            pass, warn, fail, ..
        } = one.counts;
        for (verdict, runs) in [("pass", pass), ("warn", warn), ("fail", fail)] {
            page.sample(&[("check", one.name()), ("verdict", verdict)], runs);
        }
    }
    page.metric(
        "supercheck_check_skipped_slots",
        Kind::Counter,
        "Starts that were due and did not happen.",
    );
    for one in seen {
        page.sample(&[("check", one.name())], one.cell.skipped());
    }
    if seen.len() <= MAX_HISTOGRAMS {
        page.metric(
            "supercheck_check_latency_seconds",
            Kind::Histogram,
            "How long the probes of a check took.",
        );
        for one in seen {
            page.spread(&[("check", one.name())], &one.counts.latency.wide());
        }
    }
    let mut all = Spread::default();
    for one in seen {
        let latency = one.counts.latency.wide();
        for (sum, n) in all.buckets.iter_mut().zip(&latency.buckets) {
            *sum += n;
        }
        all.sum += latency.sum;
    }
    page.metric(
        "supercheck_latency_seconds",
        Kind::Histogram,
        "How long the probes of all checks took.",
    );
    page.spread(&[], &all);
}

fn daemon(page: &mut Exposition, face: &Face, seen: &[Seen]) {
    let desk = face.desk();
    page.metric(
        "supercheck_build_info",
        Kind::Gauge,
        "The version; always 1.",
    );
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let age = face.age().as_secs_f64();
    page.one(
        "supercheck_uptime_seconds",
        Kind::Gauge,
        "How long the daemon has run.",
        age,
    );
    page.one(
        "supercheck_checks",
        Kind::Gauge,
        "Configured checks.",
        seen.len(),
    );
    page.metric(
        "supercheck_schedule_lag_seconds",
        Kind::Histogram,
        "How long after their slots scheduled runs were begun.",
    );
    page.spread(&[], &desk.runner.lag().spread());
    let skipped: u64 = seen.iter().map(|one| one.cell.skipped()).sum();
    page.one(
        "supercheck_skipped_slots",
        Kind::Counter,
        "Starts that were due and did not happen, of all checks.",
        skipped,
    );
    page.one(
        "supercheck_runs_in_flight",
        Kind::Gauge,
        "Runs that wait for a permit or probe.",
        desk.runner.in_flight(),
    );
}

fn requests(page: &mut Exposition, face: &Face) {
    let desk = face.desk();
    page.metric(
        "supercheck_answers",
        Kind::Counter,
        "Questions answered from memory, and those that waited for a run.",
    );
    page.sample(&[("from", "memory")], desk.hits.total());
    page.sample(&[("from", "run")], desk.misses.total());
    page.one(
        "supercheck_requests_refused",
        Kind::Counter,
        "Requests refused, as the queue was full or too many waited.",
        desk.refused.total(),
    );
    let (requests, slots) = (&desk.runner.requests, &desk.runner.slots);
    page.metric(
        "supercheck_in_hand",
        Kind::Gauge,
        "What was taken out of a queue and waits for its run.",
    );
    page.sample(&[("queue", "requests")], requests.taken());
    page.sample(&[("queue", "slots")], slots.taken());
    page.metric(
        "supercheck_given_back",
        Kind::Counter,
        "What went back to a queue for a while, as its host had its share of those in hand.",
    );
    page.sample(&[("queue", "requests")], requests.denied.total());
    page.sample(&[("queue", "slots")], slots.denied.total());
    page.one(
        "supercheck_event_followers",
        Kind::Gauge,
        "Readers that follow server-sent events now.",
        super::http::MAX_FOLLOWERS.saturating_sub(face.followers().available_permits()),
    );
}

fn store(page: &mut Exposition, face: &Face) {
    let (desk, recorder) = (face.desk(), face.recorder());
    let usable = face.link() == Link::Ready;
    page.one(
        "supercheck_nats_up",
        Kind::Gauge,
        "Whether NATS can be used.",
        u8::from(usable),
    );
    page.one(
        "supercheck_nats_reconnects",
        Kind::Counter,
        "Connections to NATS after the first.",
        desk.store.reconnects(),
    );
    page.one(
        "supercheck_nats_streams_lost",
        Kind::Counter,
        "Streams that were gone, with what they held, and were made anew.",
        desk.store.streams_lost(),
    );
    page.one(
        "supercheck_unstored_runs",
        Kind::Gauge,
        "Runs that wait to be stored, or for their acknowledgement.",
        recorder.unstored(),
    );
    page.metric(
        "supercheck_store_seconds",
        Kind::Histogram,
        "How long storing a run took, from sending to the last acknowledgement.",
    );
    page.spread(&[], &recorder.figures().stored.spread());
    page.one(
        "supercheck_store_failures",
        Kind::Counter,
        "Writes that failed, and were tried again unless a newer run had come.",
        recorder.figures().failed.total(),
    );
    page.one(
        "supercheck_store_dropped",
        Kind::Counter,
        "Runs that were never stored, as a newer one of the check took their place.",
        recorder.replaced(),
    );
    page.one(
        "supercheck_store_reports_dropped",
        Kind::Counter,
        "Reports that were not kept until NATS took them, as too much waited; their summaries were.",
        recorder.bare(),
    );
    let announcer = desk.runner.announcer();
    page.one(
        "supercheck_unannounced_changes",
        Kind::Gauge,
        "Changes of status that wait to be announced.",
        announcer.waiting(),
    );
    page.one(
        "supercheck_changes_dropped",
        Kind::Counter,
        "Changes of status that were never announced, as too many of the check waited.",
        announcer.dropped(),
    );
}
