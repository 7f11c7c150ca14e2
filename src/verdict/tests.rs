//! Observations are judged as configured, and findings read well.

use bytes::Bytes;
use proptest::prelude::*;

use super::{expect::Condition, *};
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
            redirects: 0,
        }),
        failure: None,
        certificate: None,
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

fn judge(rules: &Rules, observation: &Observation) -> (Verdict, String) {
    let judgement = Judge::new(rules).unwrap().judge(observation);
    (judgement.verdict, judgement.message)
}

/// Judges one CEL text on `{"status":"DEGRADED",…}`, answered 200 in 812 ms.
fn check(cel: &str, expected: Result<(), &str>) {
    let body = r#"{"status":"DEGRADED","db":{"up":true,"lag":7},"items":[{"ok":true},{"ok":false}],"big":18446744073709551615}"#;
    let observation = answer(200, body, 812);
    let rules = Rules {
        expect: vec![cel.into()],
        ..Rules::default()
    };
    let (verdict, message) = judge(&rules, &observation);
    match expected {
        Ok(()) => assert_eq!(
            (verdict, message.as_str()),
            (Verdict::Pass, "200 in 812 ms"),
            "{cel}"
        ),
        Err(finding) => assert_eq!(
            (verdict, message.as_str()),
            (Verdict::Fail, finding),
            "{cel}"
        ),
    }
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
fn what_is_met_passes() {
    for cel in [
        "status == 200",
        "body.status == \"DEGRADED\" && latency > duration(\"300ms\")",
        "body.db.lag < 10",
        "body.db.lag == 7",
        "has(body.db) && !has(body.cache)",
        "body.items.exists(i, !i.ok)",
        "size(body.items) == 2",
        "status in [200, 204]",
        "headers[\"content-type\"].startsWith(\"application/\")",
        "text.contains(\"DEGRADED\") && text.matches(\"lag.:7\")",
        "phases.dns == duration(\"0s\")",
        "certificate == null",
        "body.big > 1u",
    ] {
        check(cel, Ok(()));
    }
}

#[test]
fn what_is_not_met_is_said_for_a_person() {
    for (cel, finding) in [
        (
            "body.status == \"UP\"",
            "`body.status` is \"DEGRADED\", expected \"UP\"",
        ),
        (
            "status == 200 && body.db.lag < 5",
            "`body.db.lag` is 7, expected less than 5",
        ),
        (
            "latency < duration(\"300ms\")",
            "`latency` is 812 ms, expected less than 300 ms",
        ),
        (
            "status in [201, 204]",
            "`status` is 200, expected one of 201, 204",
        ),
        ("body.cache.up", "`body.cache` is not there"),
        ("body.db.size == 1", "`body.db.size` is not there"),
        ("body.items[5].ok", "`body.items[5]` is not there"),
        ("has(body.cache)", "`has(body.cache)` is false"),
        ("!body.db.up", "`!body.db.up` is false"),
        ("body.items.all(i, i.ok)", "it is false"),
        (
            "body.status.startsWith(\"UP\")",
            "`body.status` is \"DEGRADED\", which does not start with \"UP\"",
        ),
        (
            "status == 201 || status == 204",
            "`status` is 200, expected 201, and `status` is 200, expected 204",
        ),
        (
            "certificate.expires_in > duration(\"336h\")",
            "`certificate.expires_in` is not there",
        ),
    ] {
        check(cel, Err(finding));
    }
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

#[test]
fn a_list_that_the_target_made_long_is_not_judged() {
    let body = format!("{{\"items\":[{}0]}}", "0,".repeat(1_000));
    let rules = Rules {
        expect: vec!["body.items.all(i, i == 0)".into()],
        ..Rules::default()
    };
    assert_eq!(
        judge(&rules, &answer(200, &body, 1)).1,
        "`body.items` has 1001 items; expectations judge 1000 at most"
    );
}

#[test]
fn bad_expectations_are_found_at_load() {
    let said: Vec<_> = [
        "status = 200",
        "body.status ==",
        "bdy.status == \"UP\"",
        "body.status",
        "status",
        "latency < duration(\"300 sekonds\")",
        "lenght(body.items) == 1",
        "body.a.all(x, body.b.all(y, x == y))",
        "text.matches(\"(\")",
        "\"UP\"",
    ]
    .into_iter()
    .map(|cel| match Judge::examine(&cel.into()) {
        Ok(()) => format!("{cel}\n  taken"),
        Err(error) => {
            let hint = error.hint.unwrap_or_default();
            format!(
                "{cel}\n  {} {:?}\n  hint: {hint}",
                error.message, error.span
            )
        }
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"));
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

#[test]
fn expectations_that_the_parser_might_not_survive_are_refused() {
    for cel in [
        "(".repeat(1000),
        format!("{}status{} == 200", "(".repeat(9), ")".repeat(9)),
        format!("1{} == 2", " + 1".repeat(500)),
        format!("status == 200{}", " || status == 200".repeat(60)),
        "!".repeat(2000),
        format!("text == \"{}\"", "x".repeat(3000)),
    ] {
        let error = Condition::new(&Expect {
            cel,
            severity: Severity::Fail,
        });
        let error = error.expect_err("it is refused");
        assert_eq!(error.hint.as_deref(), Some("split it in several"));
    }
    let fits = format!("{}status{} == 200", "(".repeat(8), ")".repeat(8));
    let quoted = format!("text != \"{}\"", "(((((((((((+++++++++++++".repeat(20));
    for cel in [fits, quoted] {
        let severity = Severity::Fail;
        Condition::new(&Expect { cel, severity }).unwrap();
    }
}
