//! Observations are judged as configured, and findings read well.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    check::Severity,
    clock::Timestamp,
    observation::{Certificate, Failure, Phase, Phases},
};

pub(super) fn answer(status: u16, body: &str, latency_ms: u64) -> Observation {
    Observation {
        started_at: Timestamp::from_millis(0),
        latency: Duration::from_millis(latency_ms),
        phases: Phases::default(),
        response: Some(Response {
            status,
            version: "HTTP/1.1",
            headers: vec![("content-type".into(), "application/json".into())],
            body: Bytes::copy_from_slice(body.as_bytes()),
            truncated: false,
            remote: None,
            redirects: Vec::new(),
        }),
        failure: None,
        certificate: None,
        reached: None,
    }
}

/// A certificate that expired long ago.
pub(super) fn certificate() -> Certificate {
    Certificate {
        subject: "CN=api.example.com".into(),
        issuer: "CN=Example CA".into(),
        not_after: Timestamp::from_millis(0),
        chain_not_after: Timestamp::from_millis(0),
        names: vec!["api.example.com".into(), "127.0.0.1".into()],
        self_signed: false,
        untrusted: None,
    }
}

pub(super) fn judge(rules: &Rules, observation: &Observation) -> (Verdict, String) {
    let judgement = Judge::new(rules).unwrap().judge(observation);
    (judgement.verdict, judgement.message)
}

#[test]
fn without_rules_any_2xx_passes() {
    let rules = Rules::default();
    assert_eq!(
        judge(&rules, &answer(204, "", 12)),
        (Verdict::Pass, "204 in 12 ms".into())
    );
    let (verdict, message) = judge(&rules, &answer(503, "", 12));
    assert_eq!(
        (verdict, message.as_str()),
        (Verdict::Fail, "HTTP status 503, expected 200 to 299")
    );
    assert_eq!(judge(&rules, &answer(301, "", 1)).0, Verdict::Fail);
}

#[test]
fn a_byte_order_mark_hides_no_document() {
    let rules = Rules {
        json: true,
        expect: vec!["body.status == \"DOWN\" && text.startsWith(\"{\")".into()],
        ..Rules::default()
    };
    let down = answer(200, "\u{feff}{\"status\":\"DOWN\"}", 1);
    let judgement = Judge::new(&rules).unwrap().judge(&down);
    assert_eq!(
        judgement.message,
        "HTTP status 200, but the document says fail"
    );
    let shown = crate::report::ShownResponse::of(&down, judgement.json).unwrap();
    assert_eq!(shown.body.get(), "{\"status\":\"DOWN\"}");
}

#[test]
fn a_health_document_that_was_cut_is_told_of() {
    let rules = Rules::default();
    let mut cut = answer(200, "{\"status\":\"pa", 1);
    let response = cut.response.as_mut().unwrap();
    response.truncated = true;
    assert_eq!(judge(&rules, &cut).0, Verdict::Pass, "it may be anything");
    let response = cut.response.as_mut().unwrap();
    response.headers[0].1 = "Application/health+json; charset=utf-8".to_owned();
    let told = "the health document was cut at 13 bytes, and is not judged: raise `max_body`";
    assert_eq!(judge(&rules, &cut), (Verdict::Warn, told.to_owned()));
    let blind = Rules {
        dialect: Dialect::None,
        ..Rules::default()
    };
    assert_eq!(judge(&blind, &cut).0, Verdict::Pass);
}

#[test]
fn listed_statuses_alone_pass() {
    let rules = Rules {
        status: vec![204, 404],
        ..Rules::default()
    };
    assert_eq!(judge(&rules, &answer(404, "", 1)).0, Verdict::Pass);
    assert_eq!(
        judge(&rules, &answer(200, "", 1)),
        (Verdict::Fail, "HTTP status 200, expected 204, 404".into())
    );
}

#[test]
fn a_slow_answer_warns() {
    let rules = Rules {
        max_latency: Some(Duration::from_millis(300)),
        ..Rules::default()
    };
    assert_eq!(
        judge(&rules, &answer(200, "", 812)),
        (
            Verdict::Warn,
            "answered in 812 ms, expected within 300ms".into()
        )
    );
    assert_eq!(judge(&rules, &answer(200, "", 300)).0, Verdict::Pass);
    assert_eq!(
        judge(&rules, &answer(500, "", 1_250)),
        (
            Verdict::Fail,
            "HTTP status 500, expected 200 to 299 (+1 more)".into()
        )
    );
}

#[test]
fn a_body_that_must_be_json_says_where_it_breaks() {
    let rules = Rules {
        json: true,
        ..Rules::default()
    };
    assert_eq!(judge(&rules, &answer(200, "{}", 1)).0, Verdict::Pass);
    assert_eq!(
        judge(&rules, &answer(200, "{\"a\":}", 1)).1,
        "the body is not JSON (application/json): expected value at line 1 column 6"
    );
    assert_eq!(judge(&rules, &answer(200, "", 1)).1, "the body is empty");
    let deep = "[".repeat(200_000);
    assert_eq!(judge(&rules, &answer(200, &deep, 1)).0, Verdict::Fail);
    let mut cut = answer(200, "{}", 1);
    cut.response.as_mut().unwrap().truncated = true;
    assert_eq!(judge(&rules, &cut).1, "the body was cut at 2 bytes");
}

#[test]
fn a_failure_says_how_it_failed() {
    let mut observation = answer(200, "", 3_000);
    observation.response = None;
    observation.failure = Some(Failure::Timeout {
        after: Duration::from_secs(3),
        during: Phase::Connect,
    });
    let rules = Rules {
        expect: vec!["status == 200".into()],
        ..Rules::default()
    };
    assert_eq!(
        judge(&rules, &observation),
        (Verdict::Fail, "no answer in 3s (connecting)".into())
    );
}

#[test]
fn an_expectation_may_warn_only() {
    let expect = Expect {
        cel: "body.n < 5".into(),
        severity: Severity::Warn,
    };
    let rules = Rules {
        expect: vec![expect],
        ..Rules::default()
    };
    assert_eq!(
        judge(&rules, &answer(200, r#"{"n":9}"#, 1)),
        (Verdict::Warn, "`body.n` is 9, expected less than 5".into())
    );
}

proptest! {
    #[test]
    fn any_bytes_are_judged(body in prop::collection::vec(any::<u8>(), 0..200), status in 100u16..600) {
        let mut observation = answer(status, "", 1);
        observation.response.as_mut().unwrap().body = body.into();
        let cel = "body.a.b == 1 || text.contains(\"x\") || body.exists(k, k == \"a\")";
        let rules = Rules { json: true, expect: vec![cel.into()], ..Rules::default() };
        let judgement = Judge::new(&rules).unwrap().judge(&observation);
        prop_assert_eq!(judgement.verdict == Verdict::Pass, judgement.expectations.iter().all(|row| row.met));
    }

    #[test]
    fn any_text_is_vetted(cel in "\\PC{0,40}") {
        // Taken or refused, never a panic.
        drop(Judge::examine(&cel.as_str().into()));
    }
}
