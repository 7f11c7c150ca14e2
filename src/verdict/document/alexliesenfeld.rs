//! alexliesenfeld/health, for Go.

use serde_json::{Map, Value};

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "alexliesenfeld",
    warns: &[],
    recognise,
    read,
};

const WORDS: [&str; 3] = ["up", "down", "unknown"];

fn recognise(answer: &Answer<'_>) -> bool {
    let own = |check: &Value| {
        let status = check.get("status").and_then(Value::as_str);
        status.is_some_and(|word| WORDS.contains(&word))
    };
    answer.says(&WORDS)
        && answer
            .object("details")
            .is_some_and(|details| !details.is_empty() && details.values().all(own))
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let status = health(answer.word("status")?);
    let details = answer.object("details").into_iter().flatten();
    for (name, check) in details {
        if let Some(check) = check.as_object() {
            add(name, check, parts);
        }
    }
    Some(status)
}

fn add(name: &str, check: &Map<String, Value>, parts: &mut Parts) {
    parts.add(name, health_at(check, "status"), |detail| {
        detail.first(check, &["error"]);
    });
}
