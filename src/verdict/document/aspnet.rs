//! ASP.NET Core HealthChecks: the JSON of HealthChecks UI, that of Microsoft's
//! documentation, and the plain text default.

use serde_json::Value;

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "aspnet",
    warns: &[],
    recognise,
    read,
};

const WORDS: [&str; 3] = ["Healthy", "Degraded", "Unhealthy"];

fn recognise(answer: &Answer<'_>) -> bool {
    match answer.text() {
        Some(text) => WORDS.contains(&text),
        None => {
            answer.says(&WORDS)
                && (answer.object("entries").is_some() || answer.object("results").is_some())
        }
    }
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    if let Some(text) = answer.text() {
        return WORDS.contains(&text).then(|| health(text));
    }
    let status = health(answer.word("status")?);
    let entries = answer.object("entries").or(answer.object("results"));
    for (name, entry) in entries.into_iter().flatten() {
        let Some(entry) = entry.as_object() else {
            continue;
        };
        parts.add(name, health_at(entry, "status"), |detail| {
            if !detail.first(entry, &["exception", "description"])
                && let Some(data) = entry.get("data").and_then(Value::as_object)
            {
                detail.facts(data, &[]);
            }
        });
    }
    Some(status)
}
