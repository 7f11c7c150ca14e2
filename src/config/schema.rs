//! The JSON Schema of the configuration file, from the table of settings.

use serde_json::{Map, Value, json};

use super::settings::{Kind, SECTIONS, SETTINGS, Setting};

/// The JSON Schema of the file.
pub fn schema() -> Value {
    let mut properties = Map::new();
    for section in SECTIONS {
        properties.insert(section.to_owned(), table(section, &[]));
    }
    let check = table("check", &["name"]);
    properties.insert("maintenance".to_owned(), maintenance());
    properties.insert("check".to_owned(), json!({"type": "array", "items": check}));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "supercheck configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn maintenance() -> Value {
    let text = |meaning| json!({"type": "string", "description": meaning});
    let texts =
        |meaning| json!({"type": "array", "items": {"type": "string"}, "description": meaning});
    let window = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "name": text("what it is for, as readers see it (default: maintenance)"),
            "checks": texts("the checks that it is for; none of checks, groups, tags: all"),
            "groups": texts("the groups that it is for"),
            "tags": texts("the tags that it is for"),
            "schedule": text("when it opens: minute, hour, day of the month, month, day of the week"),
            "duration": text("for how long"),
            "time_zone": text("whose clock the schedule follows (default: UTC)"),
            "from": text("or: the first moment, RFC 3339"),
            "until": text("and the first moment after"),
        },
    });
    json!({"type": "array", "items": window})
}

fn table(section: &str, required: &[&str]) -> Value {
    let settings = SETTINGS.iter().filter(|setting| setting.section == section);
    let properties: Map<_, _> = settings
        .map(|setting| (setting.name.to_owned(), property(setting)))
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn property(setting: &Setting) -> Value {
    let mut property = match setting.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Duration => json!({"type": "string", "examples": ["30s", "5m", "1h 30m"]}),
        Kind::Bytes => json!({"type": ["integer", "string"], "minimum": 0, "examples": ["64KiB"]}),
        Kind::Number => json!({"type": "integer", "minimum": 0}),
        Kind::Truth => json!({"type": "boolean"}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Numbers => json!({"type": "array", "items": {"type": "integer"}}),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::Headers => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Kind::Expect => json!({"type": "array", "items": {"anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["cel"],
                "properties": {
                    "cel": {"type": "string"},
                    "severity": {"type": "string", "enum": ["warn", "fail"]}
                }
            }
        ]}}),
    };
    if let Some(object) = property.as_object_mut() {
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!(" (default: {})", setting.default)
        };
        object.insert(
            "description".into(),
            format!("{}{default}", setting.meaning).into(),
        );
    }
    property
}
