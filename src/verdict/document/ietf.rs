//! `application/health+json`, the IETF draft "Health Check Response Format for
//! HTTP APIs".

use serde_json::{Map, Value};

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "health+json",
    warns: &[],
    recognise,
    read,
};

/// The keys of the draft, in the spellings that its versions had.
const KEYS: [&str; 12] = [
    "status",
    "version",
    "releaseId",
    "releaseID",
    "notes",
    "output",
    "checks",
    "details",
    "links",
    "serviceId",
    "serviceID",
    "description",
];

fn recognise(answer: &Answer<'_>) -> bool {
    let Some(status) = answer.word("status") else {
        return false;
    };
    if answer.is("application/health+json") {
        return true;
    }
    // Without the media type, its own words or its own shape tell it.
    let own = ["pass", "warn", "fail"];
    match answer.root().and_then(|root| root.get("checks")) {
        Some(Value::Object(checks)) if checks.values().next().is_some_and(Value::is_array) => {
            health(status) != Health::Unknown
        }
        // `{"status": "fail", "data": …}` is JSend's, and many an API's.
        None | Some(Value::Object(_)) => {
            own.iter().any(|word| word.eq_ignore_ascii_case(status))
                && answer
                    .root()
                    .is_some_and(|root| root.keys().all(|key| KEYS.contains(&key.as_str())))
        }
        Some(_) => false,
    }
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let root = answer.root()?;
    let status = health(answer.word("status")?);
    parts.note(|detail| {
        detail.first(root, &["output", "notes"]);
    });
    for (name, checks) in answer.object("checks").into_iter().flatten() {
        match checks {
            Value::Array(checks) if checks.len() > 1 => parts.within(name, |parts| {
                for (i, check) in checks.iter().enumerate() {
                    if let Some(check) = check.as_object() {
                        let id = check.get("componentId").and_then(Value::as_str);
                        add(id.unwrap_or(&i.to_string()), check, parts);
                    }
                }
            }),
            Value::Array(checks) => {
                if let Some(check) = checks.first().and_then(Value::as_object) {
                    add(name, check, parts);
                }
            }
            Value::Object(check) => add(name, check, parts),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Some(status)
}

fn add(name: &str, check: &Map<String, Value>, parts: &mut Parts) {
    parts.add(name, health_at(check, "status"), |detail| {
        if !detail.first(check, &["output"]) && detail.first(check, &["observedValue"]) {
            detail.say(" ");
            detail.first(check, &["observedUnit"]);
        }
    });
}
