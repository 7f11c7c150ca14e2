//! MicroProfile Health: Quarkus, Open Liberty, WildFly, Payara, Helidon.

use serde_json::Value;

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "microprofile",
    warns: &[],
    recognise,
    read,
};

fn recognise(answer: &Answer<'_>) -> bool {
    // Its schema forbids any other key.
    answer.says(&["UP", "DOWN"])
        && answer.root().is_some_and(|root| root.len() == 2)
        && answer.array("checks").is_some_and(|checks| {
            let first = checks.first();
            first.is_none_or(|check| check.get("name").is_some_and(Value::is_string))
        })
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let status = health(answer.word("status")?);
    let checks = answer.array("checks")?;
    for check in checks.iter().filter_map(Value::as_object) {
        let name = check.get("name").and_then(Value::as_str).unwrap_or("?");
        parts.add(name, health_at(check, "status"), |detail| {
            if let Some(data) = check.get("data").and_then(Value::as_object) {
                detail.facts(data, &[]);
            }
        });
    }
    if checks.is_empty() && status == Health::Fail {
        parts.note(|detail| detail.say("not started yet"));
    }
    // 500 says that the procedures could not be judged.
    Some(if answer.http == 500 {
        Health::Unknown
    } else {
        status
    })
}
