//! Spring Boot Actuator, `/actuator/health`, versions 2 and 3.

use serde_json::{Map, Value};

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "spring-boot",
    warns: &[],
    recognise,
    read,
};

const WORDS: [&str; 4] = ["UP", "DOWN", "OUT_OF_SERVICE", "UNKNOWN"];

fn recognise(answer: &Answer<'_>) -> bool {
    let (Some(root), Some(status)) = (answer.root(), answer.word("status")) else {
        return false;
    };
    let vendor = answer
        .media
        .get(..24)
        .is_some_and(|media| media.eq_ignore_ascii_case("application/vnd.spring-b"));
    if vendor || answer.object("components").is_some_and(are_components) {
        return true;
    }
    // Words of one's own are in capitals too.
    let capital = !status.is_empty() && status.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    if capital && answer.object("details").is_some_and(are_components) {
        return true;
    }
    // Details are hidden unless somebody turned them on.
    WORDS.contains(&status) && root.keys().all(|key| key == "status" || key == "groups")
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let root = answer.root()?;
    let status = health(answer.word("status")?);
    match children(root) {
        Some(components) => add_all(components, parts),
        None => parts.note(|detail| {
            if let Some(details) = answer.object("details") {
                detail.facts(details, &[]);
            }
        }),
    }
    Some(status)
}

fn add_all(components: &Map<String, Value>, parts: &mut Parts) {
    for (name, component) in components {
        let Some(component) = component.as_object() else {
            continue;
        };
        match children(component) {
            Some(children) => parts.within(name, |parts| add_all(children, parts)),
            None => parts.add(name, health_at(component, "status"), |detail| {
                if let Some(details) = component.get("details").and_then(Value::as_object)
                    && !detail.first(details, &["error"])
                {
                    detail.facts(details, &[]);
                }
            }),
        }
    }
}

/// The parts within: `components`, which version 2 called `details`.
fn children(component: &Map<String, Value>) -> Option<&Map<String, Value>> {
    ["components", "details"]
        .iter()
        .filter_map(|key| component.get(*key)?.as_object())
        .find(|map| are_components(map))
}

fn are_components(map: &Map<String, Value>) -> bool {
    let has_status = |value: &Value| value.get("status").is_some_and(Value::is_string);
    !map.is_empty() && map.values().all(has_status)
}
