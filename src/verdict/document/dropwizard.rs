//! Dropwizard: `/healthcheck` of its admin port, an object by name, and
//! `/health-check`, a list.

use serde_json::{Map, Value};

use super::{Answer, Health, Parts, Reader};

pub(super) const READER: Reader = Reader {
    name: "dropwizard",
    warns: &[],
    recognise,
    read,
};

fn recognise(answer: &Answer<'_>) -> bool {
    let own = |value: &Value| value.get("healthy").is_some_and(Value::is_boolean);
    let named = |value: &Value| own(value) && value.get("name").is_some_and(Value::is_string);
    match (answer.root(), answer.list()) {
        (Some(root), _) => !root.is_empty() && root.values().all(own),
        (None, Some(list)) => !list.is_empty() && list.iter().all(named),
        (None, None) => false,
    }
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    match (answer.root(), answer.list()) {
        (Some(root), _) => {
            for (name, check) in root {
                add(name, check.as_object()?, parts)?;
            }
        }
        (None, list) => {
            for check in list? {
                let check = check.as_object()?;
                add(check.get("name")?.as_str()?, check, parts)?;
            }
        }
    }
    Some(parts.worst())
}

fn add(name: &str, check: &Map<String, Value>, parts: &mut Parts) -> Option<()> {
    let healthy = check.get("healthy")?.as_bool()?;
    let critical = check.get("critical").and_then(Value::as_bool);
    let health = match (healthy, critical) {
        (true, _) => Health::Pass,
        (false, Some(false)) => Health::Warn,
        (false, Some(true) | None) => Health::Fail,
    };
    parts.add(name, health, |detail| {
        if !detail.first(check, &["message"])
            && let Some(error) = check.get("error").and_then(Value::as_object)
        {
            detail.first(error, &["message", "type"]);
        }
    });
    Some(())
}
