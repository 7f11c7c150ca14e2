//! What a good answer is: HTTP statuses, latency and expectations.

use std::{sync::LazyLock, time::Duration};

use super::{
    super::{
        book::Book,
        fields::Fields,
        tree::{Node, Value},
        value::{Given, Text, text},
    },
    Defaults,
};
use crate::{
    check::{Dialect, Disagreement, Expect, Rules, Severity, Thresholds},
    verdict::{Judge, document},
};

const EXAMPLE: &str = "write `expect = ['body.status == \"UP\"']`";

pub(super) fn read(
    fields: &mut Fields<'_>,
    scheme: &str,
    defaults: &Defaults,
    book: &mut Book,
) -> Rules {
    Rules {
        status: status(fields, book),
        max_latency: max_latency(fields, book).or(defaults.max_latency),
        json: fields.truth("json", book).unwrap_or(false),
        dialect: dialect(fields, book),
        on_disagreement: on_disagreement(fields, book).unwrap_or(defaults.on_disagreement),
        certificate_warn: certificate_warn(fields, book).unwrap_or(defaults.certificate_warn),
        expect: expectations(fields, scheme, book),
    }
}

fn dialect(fields: &mut Fields<'_>, book: &mut Book) -> Dialect {
    static WORDS: LazyLock<Vec<(&str, Dialect)>> = LazyLock::new(|| {
        let named = document::NAMES.map(|name| (name, Dialect::Named(name)));
        let words = [("auto", Dialect::Recognised), ("none", Dialect::None)];
        words.into_iter().chain(named).collect()
    });
    fields.word("dialect", &WORDS, book).unwrap_or_default()
}

pub(super) fn on_disagreement(fields: &mut Fields<'_>, book: &mut Book) -> Option<Disagreement> {
    let words = [
        ("worse", Disagreement::Worse),
        ("http", Disagreement::Http),
        ("document", Disagreement::Document),
    ];
    fields.word("on_disagreement", &words, book)
}

pub(super) fn certificate_warn(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    match fields.duration("certificate_warn", book) {
        Given::Set(warn) => Some(warn.value),
        Given::Unset | Given::Misread => None,
    }
}

pub(super) fn max_latency(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    match fields.duration("max_latency", book) {
        Given::Set(latency) => Some(latency.value),
        Given::Unset | Given::Misread => None,
    }
}

pub(super) fn thresholds(
    fields: &mut Fields<'_>,
    default: Thresholds,
    book: &mut Book,
) -> Thresholds {
    let mut count = |name, default| {
        fields
            .number(name, 1..=1000, book)
            .map_or(default, |number| number.value)
    };
    Thresholds {
        fail_after: count("fail_after", default.fail_after),
        recover_after: count("recover_after", default.recover_after),
    }
}

fn status(fields: &mut Fields<'_>, book: &mut Book) -> Vec<u16> {
    let mut status = Vec::new();
    for found in fields.numbers("status", book).unwrap_or_default() {
        match u16::try_from(found.value) {
            Ok(code) if (100..600).contains(&code) => status.push(code),
            _ => book
                .mistake(&found.at, format!("{} is no HTTP status", found.value))
                .hint("they are from 100 to 599"),
        }
    }
    status
}

fn expectations(fields: &mut Fields<'_>, scheme: &str, book: &mut Book) -> Vec<Expect> {
    let Some(node) = fields.node("expect") else {
        return Vec::new();
    };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        // A variable holds one expectation: CEL has commas of its own.
        Value::Raw(_) => std::slice::from_ref(node),
        Value::Text(_) | Value::Integer(_) | Value::Bool(_) | Value::Table(_) | Value::Other(_) => {
            book.mistake(&node.at, format!("`expect` is {}, not a list", node.kind()))
                .hint(EXAMPLE);
            return Vec::new();
        }
    };
    items
        .iter()
        .filter(|item| !item.broken)
        .filter_map(|item| expectation(item, scheme, book))
        .collect()
}

fn expectation(node: &Node, scheme: &str, book: &mut Book) -> Option<Expect> {
    let (cel, severity) = match (text(node), Fields::of(node)) {
        (Some(cel), _) => (Some((cel, node)), Severity::Fail),
        (None, Some(fields)) => with_severity(fields, book),
        (None, None) => {
            let message = format!("this is {}, not a condition", node.kind());
            book.mistake(&node.at, message).hint(EXAMPLE);
            return None;
        }
    };
    let (cel, node) = cel?;
    let expect = Expect {
        cel: cel.value.clone(),
        severity,
    };
    if node.secret {
        book.mistake(
            &cel.at,
            "the expectation may hold a secret, and reports show expectations",
        )
        .hint("write it without `${…}`");
    } else {
        examine(&expect, &cel, scheme, book);
    }
    Some(expect)
}

/// `{ cel = "…", severity = "warn" }`.
fn with_severity<'a>(
    mut fields: Fields<'a>,
    book: &mut Book,
) -> (Option<(Text, &'a Node)>, Severity) {
    let words = [("warn", Severity::Warn), ("fail", Severity::Fail)];
    let severity = fields.word("severity", &words, book).unwrap_or_default();
    if fields.lacks("cel") {
        book.mistake(&fields.at, "an expectation without `cel`")
            .hint("write `{ cel = 'body.status == \"UP\"', severity = \"warn\" }`");
    }
    let cel = fields.text("cel", book).zip(fields.node("cel"));
    fields.finish(book);
    (cel, severity)
}

/// Tells what is wrong with the CEL text.
fn examine(expect: &Expect, cel: &Text, scheme: &str, book: &mut Book) {
    let error = match Judge::examine(expect) {
        Ok(names) => return refuse_what_is_never_there(&names, cel, scheme, book),
        Err(error) => error,
    };
    let at = match &error.span {
        Some(span) => book.within(&cel.at, span, &expect.cel),
        None => cel.at.clone(),
    };
    let mistake = book.mistake(&at, error.message);
    if let Some(hint) = error.hint {
        mistake.hint(hint);
    }
}

/// Tells of a variable that is never there for a target of `scheme`.
fn refuse_what_is_never_there(names: &[&str], cel: &Text, scheme: &str, book: &mut Book) {
    let (known, whose): (&[&str], _) = match scheme {
        "tcp" => (&["latency", "phases"], "of a `tcp://` target"),
        "tls" => (
            &["latency", "phases", "certificate"],
            "of a `tls://` target",
        ),
        "push" => (
            &["body", "text", "document"],
            "where a job reports by itself",
        ),
        _ => return,
    };
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        book.mistake(&cel.at, format!("there is no `{name}` {whose}"))
            .hint(format!("there are `{}`", known.join("`, `")));
    }
}
