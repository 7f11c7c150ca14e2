//! What the test itself reads in NATS, between the faults and at the end.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use serde_json::Value;

use crate::{
    support::nats::Nats,
    truth::{INTERVAL_MS, Truth, now},
};

/// Waits until everything is fresh: of now, stored now. Tells how long it took.
pub async fn all_fresh(nats: &Nats, truth: &Truth) -> Result<Duration, String> {
    let (began, since) = (Instant::now(), now());
    let limit = Duration::from_millis(2 * INTERVAL_MS.unsigned_abs()) + truth.patience;
    let before = truth.lag.total();
    let js = nats.jetstream().await;
    for name in truth.names() {
        while !is_fresh(&js, &name, since).await {
            if began.elapsed() > limit + (truth.lag.total() - before) {
                return Err(format!("{name} is not fresh again within {limit:?}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(began.elapsed())
}

async fn is_fresh(js: &jetstream::Context, name: &str, since: i64) -> bool {
    let Ok(bucket) = js.get_key_value("supercheck_kv").await else {
        return false;
    };
    let Ok(Some(entry)) = bucket.entry(name).await else {
        return false;
    };
    let summary: Value = serde_json::from_slice(&entry.value).unwrap();
    let text = summary["checked_at"].as_str().unwrap();
    let checked = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    let stored = entry.created.timestamp_millis();
    stored >= since && checked.timestamp_millis() >= since
}

/// When all is quiet, the summary and the report are of one run.
pub async fn summaries_are_of_the_reports(nats: &Nats, truth: &Truth) -> Result<(), String> {
    let js = nats.jetstream().await;
    for name in truth.names() {
        let summary = nats.summary(&js, &name).await.ok_or("no summary")?;
        let report = nats.object(&js, &truth.url(&name)).await;
        let report = report.ok_or_else(|| format!("no report of {name}"))?;
        let report: Value = serde_json::from_slice(&report).unwrap();
        if summary["run"] != report["run"] {
            return Err(format!("{name}: {summary} is not of {report}"));
        }
    }
    Ok(())
}
