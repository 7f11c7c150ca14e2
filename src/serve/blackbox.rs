//! `/probe?target=…`: what blackbox_exporter's scrapers expect, from memory.
//!
//! A scrape configuration for it works by changing the address. Nothing is
//! probed: a target that is no check's is not found. What a good answer is, is
//! the check's own matter, so a module may be called anything; it only tells
//! which kind of check is meant where a target has no scheme.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use url::Url;

use super::{
    exposition::{Exposition, Kind},
    http::Face,
    params::Params,
    problem::Problem,
};
use crate::{
    clock::{self, Timestamp},
    report::{Freshness, ShownResponse, Summary, Verdict},
    run::Run,
    runner::Cell,
    triggers::Cells,
};

/// The newest run of a target, in blackbox_exporter's names.
pub async fn probe(
    State(face): State<Face>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let target = params.text("target");
    let module = params.text("module").unwrap_or_default();
    for ignored in ["debug", "hostname"] {
        params.text(ignored);
    }
    params.finish()?;
    let target = target.ok_or_else(|| {
        Problem::malformed(
            "`target` is missing",
            "write `/probe?target=<check or URL>`",
        )
    })?;
    let cell = face.targets().find(&target, &module).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("`{target}` is neither a check nor the URL of one"),
            "add a `[[check]]` for it: a scrape never probes; `/api/v1/checks` names all checks",
        )
    })?;
    face.desk().hits.count();
    let mut page = Exposition::for_asker(&headers);
    let now = clock::now();
    let newest = cell.newest();
    let fresh = newest.filter(|newest| newest.freshness(now) == Freshness::Fresh);
    let success = fresh
        .as_ref()
        .is_some_and(|newest| newest.verdict != Verdict::Fail);
    page.one(
        "probe_success",
        Kind::Gauge,
        "Whether the newest run passed or warned; 0 also when nothing fresh is known.",
        u8::from(success),
    );
    if let Some(newest) = &fresh {
        summary(&mut page, newest, now);
        let run = cell.latest().filter(|run| run.id() == newest.run);
        if let Some(run) = run {
            details(&mut page, &run);
        }
    }
    let head = [
        (header::CONTENT_TYPE, page.content_type()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((head, page.finish()).into_response())
}

fn summary(page: &mut Exposition, newest: &Summary, now: Timestamp) {
    let seconds = |at: Timestamp| std::time::Duration::from_millis(at.as_millis()).as_secs_f64();
    let mut one = |name, help: &str, value: f64| page.one(name, Kind::Gauge, help, value);
    one(
        "probe_duration_seconds",
        "How long the probe took.",
        newest.latency_ms / 1000.0,
    );
    if newest.url.starts_with("http") {
        one(
            "probe_http_status_code",
            "The HTTP status; 0 when no answer came.",
            newest.http_status.map_or(0.0, f64::from),
        );
        let ssl = newest.url.starts_with("https://");
        one(
            "probe_http_ssl",
            "Whether TLS was spoken.",
            f64::from(u8::from(ssl)),
        );
    }
    if let Some(at) = newest.certificate_expires_at {
        one(
            "probe_ssl_earliest_cert_expiry",
            "When the first certificate of the chain expires, as a Unix time.",
            seconds(at),
        );
    }
    one(
        "supercheck_check_age_seconds",
        "How long ago the run began.",
        now.since(newest.checked_at).as_secs_f64(),
    );
}

fn details(page: &mut Exposition, run: &Run) {
    let Ok(details) = run.details() else {
        return;
    };
    let phases = details.phases_ms;
    if run.summary.url.starts_with("http") {
        page.metric(
            "probe_http_duration_seconds",
            Kind::Gauge,
            "Where the probe's time went; connect holds the TLS handshake.",
        );
        for (phase, time) in [
            ("resolve", phases.dns),
            ("connect", phases.connect),
            ("processing", phases.first_byte),
            ("transfer", phases.transfer),
        ] {
            page.sample(&[("phase", phase)], time.unwrap_or(0.0) / 1000.0);
        }
    }
    let dns = phases.dns.unwrap_or(0.0) / 1000.0;
    let help = "How long the name lookup took.";
    page.one("probe_dns_lookup_time_seconds", Kind::Gauge, help, dns);
    if let Some(answer) = &details.response {
        response(page, answer);
    }
}

fn response(page: &mut Exposition, response: &ShownResponse) {
    let mut one = |name, help: &str, value: f64| page.one(name, Kind::Gauge, help, value);
    #[expect(clippy::cast_precision_loss, reason = "bodies are smaller")]
    one(
        "probe_http_uncompressed_body_length",
        "Bytes of the body that were read.",
        response.size as f64,
    );
    let length = response.headers.get("content-length");
    one(
        "probe_http_content_length",
        "The length that the answer said; -1 when it did not.",
        length
            .and_then(|length| length.parse().ok())
            .unwrap_or(-1.0),
    );
    let redirects = u32::try_from(response.redirects.len()).unwrap_or(u32::MAX);
    one(
        "probe_http_redirects",
        "The redirects that were followed.",
        redirects.into(),
    );
    let version = response.version.trim_start_matches("HTTP/");
    if let Ok(version) = version.parse() {
        let help = "The version of HTTP that was spoken.";
        one("probe_http_version", help, version);
    }
    if let Some(Ok(remote)) = response
        .remote
        .as_ref()
        .map(|remote| remote.parse::<SocketAddr>())
    {
        let protocol = if remote.is_ipv4() { 4.0 } else { 6.0 };
        one(
            "probe_ip_protocol",
            "Whether IPv4 or IPv6 was spoken.",
            protocol,
        );
    }
}

/// The checks by what they ask, made anew when there are others.
#[derive(Debug)]
pub struct Targets {
    cells: Arc<Cells>,
    by_url: HashMap<String, Arc<Cell>>,
}

impl Targets {
    /// Those of `cells`; of two checks that ask the same, the first by name.
    pub fn of(cells: Arc<Cells>) -> Self {
        let mut by_url = HashMap::new();
        for cell in cells.values() {
            if let Ok(url) = Url::parse(&cell.check.shown_url) {
                by_url.entry(url.into()).or_insert_with(|| Arc::clone(cell));
            }
        }
        Self { cells, by_url }
    }

    /// Whether they are those of `cells`.
    pub fn are_of(&self, cells: &Arc<Cells>) -> bool {
        Arc::ptr_eq(&self.cells, cells)
    }

    /// The check that is called so, or that asks that URL. Without a scheme it
    /// is `http://`, as blackbox_exporter has it, or a connection alone; where
    /// there are both, a module that is named for one of them decides.
    fn find(&self, target: &str, module: &str) -> Option<Arc<Cell>> {
        let named = crate::check::CheckName::new(target).ok();
        if let Some(cell) = named.and_then(|name| self.cells.get(&name)) {
            return Some(Arc::clone(cell));
        }
        let schemes: &[&str] = match module {
            _ if target.contains("://") => &[""],
            module if module.starts_with("tcp") => &["tcp://", "tls://", "http://"],
            _ => &["http://", "tcp://", "tls://"],
        };
        schemes.iter().find_map(|scheme| {
            let url = Url::parse(&format!("{scheme}{target}")).ok()?;
            self.by_url.get(url.as_str()).cloned()
        })
    }
}
