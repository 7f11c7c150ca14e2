//! Utility Warehouse's operational endpoints, `/__/health`.

use serde_json::Value;

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "uw",
    warns: &[],
    recognise,
    read,
};

fn recognise(answer: &Answer<'_>) -> bool {
    let known = ["healthy", "degraded", "unhealthy"];
    answer
        .word("health")
        .is_some_and(|word| known.contains(&word))
        && answer.array("checks").is_some_and(|checks| {
            let has = |check: &Value| check.get("health").is_some_and(Value::is_string);
            checks.first().is_none_or(has)
        })
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let status = health(answer.word("health")?);
    let checks = answer.array("checks").unwrap_or_default();
    for check in checks.iter().filter_map(Value::as_object) {
        let name = check.get("name").and_then(Value::as_str).unwrap_or("?");
        parts.add(name, health_at(check, "health"), |detail| {
            detail.first(check, &["output", "impact"]);
        });
    }
    Some(status)
}
