//! nats-server's `/healthz`. What is well is only `{"status":"ok"}`, which
//! anybody's may be: it is read as `plain` unless this dialect is named.

use serde_json::Value;

use super::{Answer, Health, Parts, Reader, health};

pub(super) const READER: Reader = Reader {
    name: "nats",
    warns: &[],
    recognise,
    read,
};

fn recognise(answer: &Answer<'_>) -> bool {
    let own = ["status", "status_code", "error", "errors"];
    answer.says(&["error", "unavailable"])
        && answer.root().is_some_and(|root| {
            root.len() > 1 && root.keys().all(|key| own.contains(&key.as_str()))
        })
        && (answer.word("error").is_some() || answer.array("errors").is_some())
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let root = answer.root()?;
    let status = health(answer.word("status")?);
    parts.note(|detail| {
        detail.first(root, &["error"]);
    });
    let errors = answer.array("errors").unwrap_or_default();
    for error in errors.iter().filter_map(Value::as_object) {
        let text = |key: &str| error.get(key).and_then(Value::as_str);
        let name = ["account", "stream", "consumer"]
            .iter()
            .filter_map(|key| text(key))
            .collect::<Vec<_>>()
            .join("/");
        let name = if name.is_empty() {
            text("type").unwrap_or("?").to_ascii_lowercase()
        } else {
            name
        };
        parts.add(&name, Health::Fail, |detail| {
            detail.first(error, &["error"]);
        });
    }
    Some(status)
}
