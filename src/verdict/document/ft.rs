//! The FT's health check standard, `/__health`.

use serde_json::{Map, Value};

use super::{Answer, Health, Parts, Reader};

pub(super) const READER: Reader = Reader {
    name: "ft",
    warns: &[],
    recognise,
    read,
};

fn recognise(answer: &Answer<'_>) -> bool {
    let root = answer.root();
    root.is_some_and(|root| root.contains_key("schemaVersion"))
        && answer.array("checks").is_some_and(|checks| {
            let ok = |check: &Value| check.get("ok").is_some_and(Value::is_boolean);
            checks.first().is_none_or(ok)
        })
}

/// Severity 1 is an outage; 2 and 3 are troubles that can wait.
fn state(check: &Map<String, Value>) -> Health {
    match (check.get("ok").and_then(Value::as_bool), severity(check)) {
        (Some(true), _) => Health::Pass,
        (Some(false), 2..) => Health::Warn,
        (Some(false), _) => Health::Fail,
        (None, _) => Health::Unknown,
    }
}

fn severity(map: &Map<String, Value>) -> u64 {
    map.get("severity").and_then(Value::as_u64).unwrap_or(1)
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let root = answer.root()?;
    for check in answer.array("checks")?.iter().filter_map(Value::as_object) {
        let name = ["name", "id"]
            .iter()
            .find_map(|key| check.get(*key)?.as_str());
        let health = state(check);
        parts.add(name.unwrap_or("?"), health, |detail| {
            let keys = ["checkOutput", "technicalSummary"];
            if health == Health::Pass || !detail.first(check, &keys) {
                return;
            }
            if check
                .get("ack")
                .and_then(Value::as_str)
                .is_some_and(|ack| !ack.is_empty())
            {
                detail.say("; acknowledged: ");
                detail.first(check, &["ack"]);
            }
        });
    }
    // `ok` of the whole is left out by older libraries.
    let own = if root.contains_key("ok") {
        state(root)
    } else {
        Health::Unknown
    };
    let worst = own.verdict().max(parts.worst().verdict());
    Some(worst.map_or(Health::Unknown, Into::into))
}
