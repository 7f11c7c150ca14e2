//! Reports and summaries survive their JSON.

use std::time::Duration;

use super::*;
use crate::observation::{Observation, Phases};

fn report(body: &str, json: bool) -> Report {
    let observation = Observation {
        started_at: Timestamp::from_millis(1_000),
        latency: Duration::from_micros(1_234),
        phases: Phases {
            first_byte: Some(Duration::from_millis(1)),
            ..Phases::default()
        },
        response: Some(crate::observation::Response {
            status: 200,
            version: "HTTP/1.1",
            headers: vec![
                ("content-type".into(), "application/json".into()),
                ("set-cookie".into(), "session=secret".into()),
            ],
            body: Bytes::copy_from_slice(body.as_bytes()),
            truncated: false,
            remote: None,
            redirects: Vec::new(),
        }),
        failure: None,
        certificate: None,
        reached: None,
    };
    Report {
        summary: Summary {
            v: WIRE_VERSION,
            check: "api".into(),
            url: "http://x/".into(),
            status: Status::Up,
            verdict: Verdict::Pass,
            since: Timestamp::from_millis(0),
            checked_at: Timestamp::from_millis(1_000),
            expires_at: Timestamp::from_millis(24_000),
            interval_ms: 10_000,
            latency_ms: millis(observation.latency),
            http_status: Some(200),
            message: "200 in 1 ms".into(),
            components: ComponentCounts::default(),
            consecutive: 1,
            streak: None,
            unknown_since: None,
            gate: None,
            held: None,
            maintenance: false,
            maintenance_reason: None,
            reported_at: None,
            certificate_expires_at: None,
            held_back_until: None,
            trigger: Trigger::Schedule,
            instance: "i".into(),
            run: "r".into(),
        },
        details: Details {
            phases_ms: observation.phases.into(),
            attempts: 1,
            failed_attempts: Vec::new(),
            response: ShownResponse::of(&observation, json),
            document: None,
            expectations: Vec::new(),
            certificate: None,
            reached: None,
            request: None,
            supercheck: Maker::this(),
        },
    }
}

fn encoded(report: &Report) -> Encoded {
    Encoded::new(&report.summary, &report.details.encode().unwrap())
}

#[test]
fn the_encoded_report_is_the_summary_and_the_details_in_one_object() {
    let report = report(r#"{"b":1,"a":1.10}"#, true);
    let encoded = encoded(&report);
    let value: serde_json::Value = serde_json::from_slice(&encoded.report).unwrap();
    assert_eq!(value, serde_json::to_value(&report).unwrap());
    let back: Summary = serde_json::from_slice(&encoded.summary()).unwrap();
    assert_eq!(back, report.summary);
    let from_report: Summary = serde_json::from_slice(&encoded.report).unwrap();
    assert_eq!(from_report, report.summary);
}

#[test]
fn a_report_is_cut_at_its_body_to_fit() {
    for (body, json) in [
        ("\"ä\"".repeat(300), false),
        (format!("[\"{}\"]", "ä".repeat(300)), true),
    ] {
        let encoded = encoded(&report(&body, json));
        assert_eq!(encoded.within(usize::MAX), encoded.report);
        for limit in [encoded.report.len() - 1, 1000, 0] {
            let cut = encoded.within(limit);
            let value: serde_json::Value = serde_json::from_slice(&cut).unwrap();
            let response = &value["response"];
            assert_eq!(response["body_cut"], true);
            let kept = response["body"].as_str().expect("text");
            let whole = super::body(&encoded.report).unwrap();
            assert!(whole.starts_with(kept.as_bytes()));
            assert!(limit < 1000 || cut.len() <= limit && !kept.is_empty());
            let summary: Summary = serde_json::from_slice(&cut).unwrap();
            assert_eq!(serde_json::to_vec(&summary).unwrap(), encoded.summary());
        }
    }
}

#[test]
fn the_targets_json_keeps_its_key_order_and_numbers() {
    let body = r#"{"z":1.10,"a":12345678901234567890123,"m":1e400}"#;
    let encoded = encoded(&report(body, true));
    let text = std::str::from_utf8(&encoded.report).unwrap();
    assert!(text.contains(&format!("\"body\":{body}")), "{text}");
}

#[test]
fn a_body_that_is_not_json_is_text_and_cookies_are_not_shown() {
    let encoded = encoded(&report("it \"works\"\n", false));
    let text = std::str::from_utf8(&encoded.report).unwrap();
    assert!(text.contains(r#""body":"it \"works\"\n""#), "{text}");
    assert!(!text.contains("session"), "{text}");
}

#[test]
fn a_stale_summary_reads_unknown() {
    let summary = report("{}", true).summary;
    assert_eq!(
        summary.status_at(Timestamp::from_millis(24_000)),
        Status::Up
    );
    assert_eq!(
        summary.status_at(Timestamp::from_millis(24_001)),
        Status::Unknown
    );
}
