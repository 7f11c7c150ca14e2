//! Terminus for Node: @nestjs/terminus and godaddy's.

use serde_json::Value;

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "terminus",
    warns: &[],
    recognise,
    read,
};

fn recognise(answer: &Answer<'_>) -> bool {
    let root = answer.root();
    let has = |key: &str| root.is_some_and(|root| root.contains_key(key));
    answer.says(&["ok", "error", "shutting_down"])
        && has("details")
        && (has("info") || has("error"))
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let root = answer.root()?;
    let status = health(answer.word("status")?);
    match root.get("details") {
        Some(Value::Object(details)) => {
            for (name, part) in details {
                add(name, part, parts);
            }
        }
        // godaddy's hands through whatever a check threw.
        Some(cause) => parts.note(|detail| detail.value(cause)),
        None if status == Health::Fail => parts.note(|detail| {
            detail.first(root, &["error", "message"]);
        }),
        None => {}
    }
    Some(status)
}

fn add(name: &str, part: &Value, parts: &mut Parts) {
    match part {
        Value::Object(part) => parts.add(name, health_at(part, "status"), |detail| {
            if !detail.first(part, &["message", "error"]) {
                detail.facts(part, &["status"]);
            }
        }),
        Value::String(word) => parts.add(name, health(word), |detail| {
            if health(word) == Health::Unknown {
                detail.say(word);
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            parts.add(name, Health::Unknown, |detail| detail.value(part));
        }
    }
}
