//! Consul's agent, `/v1/agent/health/service/…`: one service or several, or a
//! word as text. It answers 429 for a warning.

use serde_json::{Map, Value};

use super::{Answer, Health, Parts, Reader, health, health_at};

pub(super) const READER: Reader = Reader {
    name: "consul",
    warns: &[429],
    recognise,
    read,
};

const WORDS: [&str; 4] = ["passing", "warning", "critical", "maintenance"];
const STATUS: &str = "AggregatedStatus";

fn recognise(answer: &Answer<'_>) -> bool {
    let has = |value: &Value| value.get(STATUS).is_some_and(Value::is_string);
    match (answer.text(), answer.list()) {
        (Some(text), _) => WORDS.contains(&text),
        (None, Some(services)) => !services.is_empty() && services.iter().all(has),
        (None, None) => answer.word(STATUS).is_some(),
    }
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    if let Some(text) = answer.text() {
        return WORDS.contains(&text).then(|| health(text));
    }
    if let Some(service) = answer.root() {
        let status = health(answer.word(STATUS)?);
        checks(service, parts);
        return Some(status);
    }
    let mut worst = None;
    for service in answer.list()?.iter().filter_map(Value::as_object) {
        let id = service.get("Service").and_then(|service| {
            let id = service.get("ID").or(service.get("Service"))?;
            id.as_str()
        });
        parts.within(id.unwrap_or("?"), |parts| checks(service, parts));
        // What is unknown counts for nothing.
        worst = worst.max(health_at(service, STATUS).verdict());
    }
    Some(worst.map_or(Health::Unknown, Into::into))
}

fn checks(service: &Map<String, Value>, parts: &mut Parts) {
    let checks = service.get("Checks").and_then(Value::as_array);
    for check in checks.into_iter().flatten().filter_map(Value::as_object) {
        let name = ["Name", "CheckID"]
            .iter()
            .find_map(|key| check.get(*key)?.as_str().filter(|name| !name.is_empty()));
        parts.add(name.unwrap_or("?"), health_at(check, "Status"), |detail| {
            detail.first(check, &["Output", "Notes"]);
        });
    }
}
