//! What supercheck is built from: every crate's licence and source, and the
//! crates that it must not have, as `deny.toml` says.

use std::{fs, process::Command};

use serde_json::Value;

use crate::support::tools::root;

/// Whether a licence expression can be met with what is allowed.
fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    // Before SPDX, a slash was an or.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut left = words.as_slice();
    let met = any(&mut left, allowed);
    assert!(left.is_empty(), "what is `{expression}`?");
    met
}

fn any(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = all(words, allowed);
    while let Some(rest) = words.strip_prefix(&["OR"]) {
        *words = rest;
        // Both sides are read, whatever the first one says.
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(words, allowed);
    while let Some(rest) = words.strip_prefix(&["AND"]) {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let (first, rest) = words.split_first().expect("a licence");
    *words = rest;
    if *first == "(" {
        let met = any(words, allowed);
        *words = words.strip_prefix(&[")"]).expect("a closing bracket");
        return met;
    }
    if let [with, exception, rest @ ..] = *words
        && *with == "WITH"
    {
        *words = rest;
        return allowed(&format!("{first} WITH {exception}"));
    }
    allowed(first)
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    let allowed = |licence: &str| ["MIT", "ISC", "A WITH e"].contains(&licence);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT AND ISC OR GPL-3.0", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND GPL-3.0", false),
        ("A WITH e", true),
        ("A", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn every_crate_has_a_licence_and_a_source_that_are_allowed() {
    let deny = fs::read_to_string(root().join("deny.toml")).unwrap();
    let deny: Value = toml::from_str(&deny).unwrap();
    let has = |list: &Value, text: &str| list.as_array().unwrap().iter().any(|one| one == text);
    // Of this platform's crates alone: those of others are not there offline.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", host.unwrap()])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "all crates: {}", packages.len());
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let exception = deny["licenses"]["exceptions"].as_array().unwrap();
        let exception = exception.iter().find(|one| one["crate"] == name);
        let allowed = |licence: &str| {
            has(&deny["licenses"]["allow"], licence)
                || exception.is_some_and(|one| has(&one["allow"], licence))
        };
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_met(licence, &allowed) {
            wrong.push(format!("{name}: the licence {licence}"));
        }
        let source = package["source"].as_str();
        let registry = source.map(|source| source.trim_start_matches("registry+"));
        if registry.is_some_and(|registry| !has(&deny["sources"]["allow-registry"], registry)) {
            wrong.push(format!("{name}: the source {source:?}"));
        }
        let banned = deny["bans"]["deny"].as_array().unwrap();
        if banned.iter().any(|one| one["crate"] == name) {
            wrong.push(format!("{name}: it is banned"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
