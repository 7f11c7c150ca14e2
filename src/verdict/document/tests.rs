//! Documents are recognised in their dialect and in no other, read in full,
//! and bounded, whatever stands in them.
//!
//! `tests/fixtures/dialects` holds an answer's body for each dialect and state.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    check::Rules,
    report::Verdict,
    verdict::{Judge, tests::answer},
};

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Every fixture, its HTTP status and its content type.
const ANSWERS: [(&str, u16, &str); 79] = [
    ("health+json/pass.json", 200, "application/health+json"),
    ("health+json/warn.json", 200, JSON),
    ("health+json/fail.json", 503, "Application/Health+JSON"),
    ("health+json/alias.json", 200, JSON),
    ("health+json/unknown.json", 200, "application/health+json"),
    (
        "spring-boot/pass.json",
        200,
        "application/vnd.spring-boot.actuator.v3+json",
    ),
    ("spring-boot/pass-v2.json", 200, JSON),
    ("spring-boot/pass-hidden.json", 200, JSON),
    ("spring-boot/warn.json", 200, JSON),
    ("spring-boot/fail.json", 503, JSON),
    ("spring-boot/fail-v2.json", 503, JSON),
    ("spring-boot/unknown.json", 200, JSON),
    ("microprofile/pass.json", 200, JSON),
    ("microprofile/fail.json", 503, JSON),
    ("microprofile/fail-not-started.json", 503, JSON),
    ("microprofile/unknown.json", 500, JSON),
    ("aspnet/pass.json", 200, JSON),
    ("aspnet/warn.json", 200, JSON),
    ("aspnet/fail.json", 503, JSON),
    ("aspnet/fail-documented.json", 503, JSON),
    ("aspnet/pass.txt", 200, TEXT),
    ("aspnet/warn.txt", 200, TEXT),
    ("aspnet/fail.txt", 503, TEXT),
    ("laravel-health/pass.json", 200, JSON),
    ("laravel-health/warn.json", 200, JSON),
    ("laravel-health/fail.json", 200, JSON),
    ("laravel-health/warn-stale.json", 200, JSON),
    ("laravel-health/unknown.json", 200, JSON),
    ("terminus/pass-nestjs.json", 200, JSON),
    ("terminus/fail-nestjs.json", 503, JSON),
    ("terminus/fail-nestjs-shutting-down.json", 503, JSON),
    ("terminus/pass-godaddy.json", 200, JSON),
    ("terminus/fail-godaddy.json", 503, JSON),
    ("kubernetes/pass.txt", 200, TEXT),
    ("kubernetes/fail.txt", 500, TEXT),
    ("consul/pass.json", 200, JSON),
    ("consul/warn.json", 429, JSON),
    ("consul/fail.json", 503, JSON),
    ("consul/fail-maintenance.json", 503, JSON),
    ("consul/pass.txt", 200, TEXT),
    ("consul/warn.txt", 429, TEXT),
    ("consul/fail.txt", 503, TEXT),
    ("django/pass.json", 200, JSON),
    ("django/warn.json", 200, JSON),
    ("django/fail.json", 500, JSON),
    ("ft/pass.json", 200, JSON),
    ("ft/warn.json", 200, JSON),
    ("ft/fail.json", 200, JSON),
    ("uw/pass.json", 200, JSON),
    ("uw/warn.json", 200, JSON),
    ("uw/fail.json", 200, JSON),
    ("dropwizard/pass.json", 200, JSON),
    ("dropwizard/warn-list.json", 200, JSON),
    ("dropwizard/fail.json", 500, JSON),
    ("dropwizard/fail-list.json", 503, JSON),
    ("health-go/pass.json", 200, JSON),
    ("health-go/warn.json", 200, JSON),
    ("health-go/fail.json", 503, JSON),
    ("health-go/fail-timeout.json", 503, JSON),
    ("alexliesenfeld/pass.json", 200, JSON),
    ("alexliesenfeld/fail.json", 503, JSON),
    ("alexliesenfeld/unknown.json", 200, JSON),
    ("nats/fail.json", 503, JSON),
    ("nats/fail-details.json", 503, JSON),
    ("plain/pass.json", 200, JSON),
    ("plain/fail.json", 200, JSON),
    ("plain/pass.txt", 200, TEXT),
    ("plain/warn.txt", 200, TEXT),
    ("plain/fail.txt", 200, TEXT),
    ("none/listing.json", 200, JSON),
    ("none/order.json", 200, JSON),
    ("none/jsend.json", 200, JSON),
    ("none/empty.json", 200, JSON),
    ("none/list.json", 200, JSON),
    ("none/text-in-json.json", 200, JSON),
    ("none/page.txt", 200, "text/html"),
    ("none/settings.json", 200, JSON),
    ("none/details.json", 200, JSON),
    ("none/checks.json", 200, JSON),
];

/// When the fixtures are asked for: half a minute after the results of Laravel.
const NOW: Timestamp = Timestamp::from_millis(1_638_879_830_000);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialects")
}

fn response(body: &[u8], http: u16, media: &str) -> Response {
    let mut response = answer(http, "", 1).response.unwrap();
    response.body = Bytes::copy_from_slice(body);
    response.headers = vec![("content-type".into(), media.into())];
    response
}

fn judged(response: Response, rules: &Rules) -> crate::verdict::Judgement {
    let mut observation = answer(200, "", 1);
    observation.started_at = NOW;
    observation.response = Some(response);
    Judge::new(rules).unwrap().judge(&observation)
}

fn fixtures() -> impl Iterator<Item = (&'static str, &'static str, Response)> {
    ANSWERS.into_iter().map(|(path, http, media)| {
        let body = fs::read(folder().join(path)).unwrap();
        let (dialect, _) = path.split_once('/').unwrap();
        (path, dialect, response(&body, http, media))
    })
}

#[test]
fn every_fixture_is_judged_as_expected() {
    let mut said = String::new();
    for (path, dialect, response) in fixtures() {
        let http = response.status;
        let judgement = judged(response, &Rules::default());
        let (verdict, message) = (judgement.verdict, &judgement.message);
        writeln!(said, "{path} ({http}): {verdict}, {message}").unwrap();
        let Some(document) = judgement.document else {
            assert_eq!(dialect, "none", "{path}");
            continue;
        };
        assert_eq!(document.dialect, dialect, "{path}");
        let state = path
            .split(['/', '.', '-'])
            .find(|word| ["pass", "warn", "fail", "unknown", "alias"].contains(word));
        let state = state.unwrap().replace("alias", "fail");
        assert_eq!(document.status.as_str(), state, "{path}");
        for part in document.components {
            let detail = part.detail.unwrap_or_default();
            let line = format!("  {:<7} {}  {detail}", part.status.as_str(), part.name);
            writeln!(said, "{}", line.trim_end()).unwrap();
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn every_fixture_is_in_the_table_and_every_dialect_has_some() {
    let mut found = BTreeSet::new();
    for dialect in fs::read_dir(folder()).unwrap() {
        let dialect = dialect.unwrap();
        for file in fs::read_dir(dialect.path()).unwrap() {
            let (dialect, file) = (dialect.file_name(), file.unwrap().file_name());
            found.insert(format!("{}/{}", dialect.display(), file.display()));
        }
    }
    let known: BTreeSet<_> = ANSWERS.map(|(path, ..)| path.to_owned()).into();
    assert_eq!(found, known);
    for name in NAMES {
        let states = |state: &str| {
            known
                .iter()
                .any(|path| path.starts_with(&format!("{name}/{state}")))
        };
        // What is well, nats-server says in a word that is anybody's.
        assert!(
            states("fail") && (states("pass") || name == "nats"),
            "{name}"
        );
    }
}

#[test]
fn a_document_is_in_one_dialect() {
    for (path, dialect, response) in fixtures() {
        let body = serde_json::from_slice(&response.body).ok();
        let answer = Answer::of(&response, body.as_ref(), NOW).unwrap();
        let mut by: Vec<_> = READERS
            .iter()
            .filter(|reader| (reader.recognise)(&answer))
            .map(|reader| reader.name)
            .collect();
        if by.len() > 1 {
            by.retain(|name| *name != "plain");
        }
        let wanted: &[&str] = if dialect == "none" { &[] } else { &[dialect] };
        assert_eq!(by, wanted, "{path}");
    }
}

#[test]
fn a_dialect_that_is_named_reads_the_same_and_refuses_what_it_cannot_read() {
    let forced = |response: &Response, name| {
        let body = serde_json::from_slice(&response.body).ok();
        read(Dialect::Named(name), response, body.as_ref(), NOW)
    };
    for (path, dialect, response) in fixtures() {
        let body = serde_json::from_slice(&response.body).ok();
        let seen = read(Dialect::Recognised, &response, body.as_ref(), NOW).unwrap();
        let off = read(Dialect::None, &response, body.as_ref(), NOW);
        assert_eq!(off, Ok(None), "{path}");
        for name in NAMES {
            match forced(&response, name) {
                Ok(reading) if name == dialect => assert_eq!(reading, seen, "{path}"),
                Ok(reading) => assert_eq!(reading.unwrap().document.dialect, name, "{path}"),
                Err(said) => assert!(said == name && name != dialect, "{path}: {name}"),
            }
        }
    }
    let page = response(b"<html>sign in</html>", 200, "text/html");
    for name in NAMES {
        assert_eq!(forced(&page, name), Err(name));
    }
    // What could be anybody's is one's own when it is named.
    let well = response(b"{\"status\":\"ok\"}", 200, JSON);
    let document = forced(&well, "nats").unwrap().unwrap().document;
    assert_eq!(
        (document.dialect.as_ref(), document.status),
        ("nats", Health::Pass)
    );
}

#[test]
fn text_is_read_with_care() {
    let reads = |body: &str, media: &str| {
        let response = response(body.as_bytes(), 200, media);
        let reading = read(Dialect::Recognised, &response, None, NOW).unwrap();
        reading.map(|reading| reading.document.dialect.into_owned())
    };
    for (body, media, dialect) in [
        ("Healthy", "text/plain", Some("aspnet")),
        ("Healthy\r\n", "TEXT/PLAIN; charset=utf-8", Some("aspnet")),
        ("healthy", "text/plain", Some("plain")),
        ("Healthy", "text/html", None),
        ("Healthy", "", None),
        ("Healthy now", "text/plain", None),
        ("ok", "text/plain", Some("plain")),
        ("ok", "application/octet-stream", None),
        ("okay", "text/plain", None),
        ("", "text/plain", None),
        (
            "[+]ping ok\nhealthz check passed",
            "text/plain",
            Some("kubernetes"),
        ),
        ("[+]ping ok\nhealthz check passed", "text/html", None),
        ("[+]ping ok", "text/plain", None),
        (
            "[+]ping ok\nsomething else\nhealthz check passed",
            "text/plain",
            None,
        ),
    ] {
        assert_eq!(reads(body, media).as_deref(), dialect, "{body:?} {media}");
    }
}

#[test]
fn a_great_many_parts_are_counted_and_the_worst_are_listed() {
    let mut checks = Map::new();
    for i in 0..5_000 {
        let status = if i % 1_000 == 999 { "DOWN" } else { "UP" };
        let name = format!("{i:04}{}", "x".repeat(500));
        checks.insert(
            name,
            json!({"status": status, "details": {"error": "y".repeat(2_000)}}),
        );
    }
    let body = json!({"status": "DOWN", "components": checks}).to_string();
    let judgement = judged(response(body.as_bytes(), 503, JSON), &Rules::default());
    let document = judgement.document.unwrap();
    assert_eq!(document.components.len(), MAX_COMPONENTS + 5);
    assert_eq!(document.omitted as usize, 4_995 - MAX_COMPONENTS);
    assert_eq!((document.counts.pass, document.counts.fail), (4_995, 5));
    for part in &document.components {
        assert_eq!(part.name.chars().count(), MAX_NAME + 1);
        assert_eq!(
            part.detail.as_ref().unwrap().chars().count(),
            MAX_DETAIL + 1
        );
    }
    assert!(
        judgement.message.chars().count() < 1_000,
        "{}",
        judgement.message
    );
}

#[test]
fn strangers_text_steers_no_terminal() {
    let evil = "\u{1b}[2J\u{7}\r\n\u{202e}<b>";
    let body = json!({"status": evil, "output": evil, "checks": {evil: [{"status": "fail", "output": evil}]}});
    let media = "application/health+json";
    let judgement = judged(
        response(body.to_string().as_bytes(), 503, media),
        &Rules::default(),
    );
    let document = judgement.document.unwrap();
    let part = &document.components[0];
    for text in [
        &part.name,
        part.detail.as_ref().unwrap(),
        document.detail.as_ref().unwrap(),
    ] {
        assert_eq!(text, "\u{fffd}[2J\u{fffd} \u{fffd}<b>");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    // Keys and words that mean something in some dialect, and any others.
    let words: Vec<&str> = "status checks components details info error output entries results \
        totalDuration finishedAt checkResults AggregatedStatus Service Checks schemaVersion ok \
        health healthy failures timestamp name UP DOWN OUT_OF_SERVICE up down pass warn fail \
        Healthy Degraded working passing warning severity ack errors type stream"
        .split_whitespace()
        .collect();
    let word = prop_oneof![
        4 => prop::sample::select(words).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_judged(body in any_json(), http in 100u16..600, named in prop::option::of(0..NAMES.len())) {
        let dialect = named.map_or(Dialect::Recognised, |i| Dialect::Named(NAMES[i]));
        let rules = Rules { dialect, ..Rules::default() };
        let judgement = judged(response(body.to_string().as_bytes(), http, JSON), &rules);
        let met = judgement.expectations.iter().all(|row| row.met);
        prop_assert_eq!(judgement.verdict == Verdict::Pass, met);
        if let Some(document) = judgement.document {
            let listed = document.components.len() + document.omitted as usize;
            let counts = document.counts;
            prop_assert!((counts.pass + counts.warn + counts.fail) as usize <= listed);
            prop_assert!(judgement.verdict >= document.status.verdict().unwrap_or(Verdict::Pass));
        }
    }

    #[test]
    fn any_text_is_judged(body in "\\PC{0,40}|(\\[[+-]\\]\\PC{0,9} (ok|failed: \\PC{0,9})\n){0,4}livez check (passed|failed)", http in 100u16..600) {
        let judgement = judged(response(body.as_bytes(), http, TEXT), &Rules::default());
        prop_assert!(judgement.verdict >= judgement.document.map_or(Verdict::Pass, |document| document.status.verdict().unwrap_or(Verdict::Pass)));
    }
}

/// Time that this thread has computed for, in nanoseconds: other programs do
/// not count.
fn computed() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn judging_takes_time_in_proportion_to_the_document() {
    let deep = |n: usize, key: &str| {
        let chain = |leaf: usize| {
            let mut value = json!({"status": "UP", "details": {"n": leaf}});
            for _ in 0..50 {
                value = json!({"status": "UP", "components": {key: value}});
            }
            value
        };
        let chains: Map<_, _> = (0..n / 20).map(|i| (i.to_string(), chain(i))).collect();
        json!({"status": "UP", "components": chains}).to_string()
    };
    let wide = |n: usize| {
        let parts: Map<_, _> = (0..n)
            .map(|i| (i.to_string(), json!({"status": "DOWN"})))
            .collect();
        json!({"status": "DOWN", "components": parts}).to_string()
    };
    let long = |n: usize, text: &str| {
        let checks: Vec<_> = (0..50)
            .map(|i| json!({"name": i.to_string(), "health": "degraded", "output": text.repeat(n)}))
            .collect();
        json!({"health": "degraded", "checks": checks}).to_string()
    };
    let inner = |n: usize| {
        let details: Map<_, _> = (0..n)
            .map(|i| (i.to_string(), json!([[], [[i]]])))
            .collect();
        json!({"status": "UP", "components": {"a": {"status": "UP", "details": details}}})
            .to_string()
    };
    let shapes: [(&str, &dyn Fn(usize) -> String); 7] = [
        ("deep", &|n| deep(n, "k")),
        ("deep, with blank names", &|n| deep(n, &" ".repeat(100))),
        ("wide", &wide),
        ("long", &|n| long(n, "no route to host ")),
        ("blank", &|n| long(n, " \n")),
        ("inner", &inner),
        ("a list", &|n| {
            json!(vec![json!({"healthy": true, "name": "x"}); n]).to_string()
        }),
    ];
    let judge = Judge::new(&Rules::default()).unwrap();
    for (shape, make) in shapes {
        // As much in many documents as in one: in the square, the one would
        // take 16 times as long.
        let took = |n: usize, times: usize| {
            let mut observation = answer(200, "", 1);
            observation.response = Some(response(make(n).as_bytes(), 200, JSON));
            let before = computed();
            for _ in 0..times {
                assert!(judge.judge(&observation).document.is_some(), "{shape}");
            }
            (computed() - before) / 1_000_000
        };
        let (many, one) = (took(250, 32), took(4_000, 2));
        assert!(one < 4 * many + 40, "{shape}: {many} ms, then {one} ms");
    }
}
