//! Expectations: which are taken, which are met, and what is said of the rest.

use std::time::Duration;

use super::*;
use crate::{
    check::{Dialect, Disagreement, Rules},
    clock::Timestamp,
    observation::Certificate,
    verdict::{
        Judge,
        tests::{answer, certificate, judge},
    },
};

/// Judges one CEL text on `{"status":"DEGRADED",…}`, answered 200 in 812 ms.
fn check(cel: &str, expected: Result<(), &str>) {
    let body = r#"{"status":"DEGRADED","db":{"up":true,"lag":7},"items":[{"ok":true},{"ok":false}],"none":[],"big":18446744073709551615}"#;
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
        (
            "body.items[1].ok",
            "`body.items[1].ok` is false, expected true",
        ),
        (
            "body.status.matches(\"^UP$\")",
            "`body.status` is \"DEGRADED\", which does not match \"^UP$\"",
        ),
        (
            "body.db.lag + 1 < 8",
            "`body.db.lag + 1` is 8, expected less than 8",
        ),
        (
            "(body.db.lag + 1) * 2 < 8",
            "`(body.db.lag + 1) * 2` is 16, expected less than 8",
        ),
        (
            "body.db.up ? body.db.lag < 5 : false",
            "`body.db.lag` is 7, expected less than 5",
        ),
        (
            "body.status.startsWith(\"UP\")",
            "`body.status` is \"DEGRADED\", which does not start with \"UP\"",
        ),
        (
            "status == 201 || status == 204",
            "`status` is 200, expected 201, and `status` is 200, expected 204",
        ),
    ] {
        check(cel, Err(finding));
    }
}

#[test]
fn what_should_not_hold_and_does_is_said_for_a_person() {
    for (cel, finding) in [
        ("!has(body.db)", "`body.db` is there"),
        ("!body.db.up", "`body.db.up` is true, expected false"),
        (
            "!(body.status in [\"DOWN\", \"DEGRADED\"])",
            "`body.status` is \"DEGRADED\", expected none of \"DOWN\", \"DEGRADED\"",
        ),
        (
            "!body.status.startsWith(\"DE\")",
            "`body.status` is \"DEGRADED\", which starts with \"DE\"",
        ),
        (
            "!(body.db.lag > 5)",
            "`body.db.lag` is 7, expected at most 5",
        ),
    ] {
        check(cel, Err(finding));
    }
}

#[test]
fn which_item_of_a_list_it_was_is_said() {
    for (cel, finding) in [
        (
            "body.items.all(i, i.ok)",
            "`i.ok` is false, expected true, where `i` is `body.items[1]`",
        ),
        (
            "body.items.all(i, i.lag < 5)",
            "`i.lag` is not there, where `i` is `body.items[0]`",
        ),
        (
            "body.db.all(key, key != \"up\")",
            "`key` is \"up\", expected anything but \"up\", where `key` is \"up\"",
        ),
        (
            "body.items.exists(i, i.ok == 1)",
            "`i.ok == 1` holds for none of the 2 in `body.items`",
        ),
        ("body.none.exists(i, i.ok)", "`body.none` is empty"),
        (
            "body.items.exists_one(i, has(i.ok))",
            "`has(i.ok)` does not hold for one in `body.items` alone",
        ),
        (
            "!body.items.exists(i, !i.ok)",
            "`!i.ok` holds where `i` is `body.items[1]`",
        ),
        (
            "size(body.items.filter(i, !i.ok)) == 0",
            "`size(body.items.filter(i, !i.ok))` is 1, expected 0",
        ),
        (
            "body.items.map(i, i.ok) == [true]",
            "`body.items.map(i, i.ok)` is a list of 2, expected a list of 1",
        ),
    ] {
        check(cel, Err(finding));
    }
}

#[test]
fn what_cannot_be_worked_out_is_said_for_a_person() {
    for (cel, finding) in [
        ("body.cache.up", "`body.cache` is not there"),
        ("body.db.size == 1", "`body.db.size` is not there"),
        ("body.items[5].ok", "`body.items[5]` is not there"),
        ("has(body.cache)", "`body.cache` is not there"),
        (
            "body.stauts == \"UP\"",
            "`body.stauts` is not there; did you mean `status`?",
        ),
        (
            "body[\"db\"].lagg == 7",
            "`body[\"db\"].lagg` is not there; did you mean `lag`?",
        ),
        (
            "headers[\"content-typ\"] == \"x\"",
            "`headers[\"content-typ\"]` is not there; did you mean `content-type`?",
        ),
        (
            "body.status < 5",
            "`body.status` is \"DEGRADED\" (a string), which cannot be compared with 5 (an int)",
        ),
        (
            "body.db.lag.startsWith(\"7\")",
            "`body.db.lag` is 7 (an int), which `startsWith` does not take",
        ),
        (
            "size(body.db.lag) == 1",
            "`body.db.lag` is 7 (an int), which `size` does not take",
        ),
        (
            "body.status && true",
            "`body.status` is \"DEGRADED\", not true or false",
        ),
        (
            "body.status.all(c, c == \"x\")",
            "`body.status` is \"DEGRADED\", not a list",
        ),
        (
            "(has(body.cache) && body.cache.up) || body.other == 1",
            "`body.other` is not there",
        ),
        (
            "certificate.expires_in > duration(\"336h\")",
            "`certificate.expires_in` is not there: the target showed no certificate",
        ),
    ] {
        check(cel, Err(finding));
    }
}

#[test]
fn certificates_and_documents_are_in_scope() {
    let mut observation = answer(
        200,
        r#"{"status":"DOWN","components":{"db":{"status":"DOWN","details":{"error":"refused"}},"disk":{"status":"UP"}}}"#,
        1,
    );
    observation.started_at = Timestamp::from_millis(1_795_500_000_000);
    observation.certificate = Some(Certificate {
        not_after: observation.started_at + Duration::from_hours(400),
        chain_not_after: observation.started_at + Duration::from_hours(300),
        ..certificate()
    });
    let said = |observation: &Observation, cel: &str| {
        let rules = Rules {
            status: vec![200],
            dialect: Dialect::Recognised,
            certificate_warn: Duration::ZERO,
            on_disagreement: Disagreement::Http,
            expect: vec![cel.into()],
            ..Rules::default()
        };
        judge(&rules, observation)
    };
    for cel in [
        "certificate.expires_in > duration(\"299h\") && certificate.expires_in < duration(\"301h\")",
        "certificate.not_after > timestamp(\"2026-11-24T00:00:00Z\")",
        "certificate.chain_not_after < certificate.not_after",
        "certificate.subject == \"CN=api.example.com\" && \"api.example.com\" in certificate.names",
        "certificate.issuer.contains(\"Example\") && certificate.trusted && !certificate.self_signed",
        "document.dialect == \"spring-boot\" && document.status == \"fail\"",
        "document.components.exists(c, c.name == \"db\" && c.detail == \"refused\")",
        "size(document.components.filter(c, c.status == \"pass\")) == 1",
        "document.detail == \"\"",
    ] {
        assert_eq!(said(&observation, cel).1, "200 in 1.0 ms", "{cel}");
    }
    for (cel, finding) in [
        (
            "certificate.expires_in > duration(\"336h\")",
            "`certificate.expires_in` is 12days 12h, expected more than 14days",
        ),
        (
            "document.components.all(c, c.status == \"pass\")",
            "`c.status` is \"fail\", expected \"pass\", where `c` is `document.components[0]`",
        ),
    ] {
        assert_eq!(said(&observation, cel).1, finding, "{cel}");
    }
    observation.certificate = Some(certificate());
    let (_, finding) = said(&observation, "certificate.expires_in > duration(\"1h\")");
    assert!(
        finding.starts_with("`certificate.expires_in` is -56years"),
        "{finding}"
    );
    let plain = answer(200, "<html>", 1);
    for (cel, finding) in [
        (
            "document.status == \"pass\"",
            "`document.status` is not there: the answer is no health document",
        ),
        (
            "body.status == \"UP\"",
            "`body.status` is not there: the body is not JSON",
        ),
    ] {
        assert_eq!(said(&plain, cel).1, finding, "{cel}");
    }
}

#[test]
fn what_is_not_looked_at_costs_nothing() {
    let body = format!(
        "{{\"status\":\"UP\",\"items\":[{}0]}}",
        "0,".repeat(100_000)
    );
    let rules = |cel: &str| Rules {
        expect: vec![cel.into()],
        ..Rules::default()
    };
    let large = answer(200, &body, 12);
    let cel = "body.status == \"UP\" && has(body.items)";
    assert_eq!(judge(&rules(cel), &large).1, "200 in 12 ms");
    let items = ["{\"a\":[1,2,3,4,5,6,7,8,9]}"; 900].join(",");
    let wide = answer(200, &format!("{{\"items\":[{items}]}}"), 12);
    assert_eq!(
        judge(&rules("size(body.items) == 900"), &wide).1,
        "200 in 12 ms"
    );
    let deep =
        ["{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]}"; 900].join(",");
    let deep = answer(200, &format!("{{\"items\":[{deep}]}}"), 12);
    assert_eq!(
        judge(&rules("body.items.all(i, size(i.a) == 23)"), &deep).1,
        "`body.items.a` is too large to go through: expectations with `all`, `exists`, `map` or \
         `filter` judge 20000 values and 256 KiB of text at most"
    );
}

#[test]
fn what_a_regular_expression_goes_through_is_bounded_by_its_size() {
    // The worst there is: it takes a second for each MiB and KiB of its own.
    let worst = "text.matches(\"[ab]*a[ab]{1000}c\")";
    let simple = "text.matches(\"status: (up|ok)[0-9]?\")";
    let digits = "body.text.matches(r\"\\d+ days\") || body.n == 1";
    let items = "body.items.all(i, i.matches(\"^ab[ab]{100}\"))";
    let said = |cel: &str, body: &str| {
        let rules = Rules {
            expect: vec![cel.into()],
            ..Rules::default()
        };
        judge(&rules, &answer(200, body, 1)).1
    };
    let letters = "ab".repeat(512 * 1024);
    let text = |length: usize| letters.get(..length).unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(
        said(worst, text(64 * 1024)),
        "`text` is too large for the regular expression, which goes through 8 KiB at most"
    );
    assert!(said(worst, text(8 * 1024)).contains("does not match"));
    let found = format!("{}status: up1", text(1_000_000));
    assert_eq!(said(simple, &found), "200 in 1.0 ms");
    let json = |length| format!("{{\"text\":\"{}\",\"n\":1}}", text(length));
    assert_eq!(said(digits, &json(100 * 1024)), "200 in 1.0 ms");
    assert_eq!(
        said(digits, &json(200 * 1024)),
        "`body.text` is too large for the regular expression, which goes through 128 KiB at most"
    );
    let list = |length| {
        format!(
            "{{\"items\":[{}\"\"]}}",
            format!("\"{}\",", text(length)).repeat(99)
        )
    };
    assert_eq!(
        said(items, &list(2000)),
        "`body.items` is too large for the regular expression, which goes through 128 KiB at most"
    );
    assert!(!said(items, &list(1000)).contains("large"));
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
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
        "text.matches(body.pattern)",
        "(text + text).matches(\"a\")",
        "body.a.all(x, body.text.matches(\"a\"))",
        "text.matches(\"[a-z]{1000}{1000}\")",
        "body.a.all(x, x.matches(\"\\\\w{50}\"))",
        "body.a.all(x, text.contains(x))",
        "body.a.all(body, body == 1)",
        "body.a.filter(x, x > 1).all(x, x < 5)",
        "certificate.expire_in > duration(\"1h\")",
        "document.state == \"pass\"",
        "stauts == 200",
        "\"UP\"",
    ]
    .into_iter()
    .map(|cel| match Judge::examine(&cel.into()) {
        Ok(_) => format!("{cel}\n  taken"),
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
