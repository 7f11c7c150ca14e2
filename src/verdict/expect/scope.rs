//! The variables of an expectation, made from what a probe saw.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cel::{
    Value,
    objects::{Key, Map},
};

use super::Scope;
use crate::{
    clock::Timestamp,
    observation::Certificate,
    report::{Component, Document, millis},
};

/// The variables that an expectation may name.
pub(super) const VARIABLES: [&str; 8] = [
    "status",
    "headers",
    "body",
    "text",
    "latency",
    "phases",
    "certificate",
    "document",
];

/// A list or object with more entries is not judged: one comprehension over
/// this many costs less than a millisecond.
const MAX_ITEMS: usize = 1000;

impl Scope<'_> {
    /// The value of a variable.
    ///
    /// # Errors
    /// When the body is too large to be judged.
    pub(super) fn variable(&self, name: &str) -> Result<Value, String> {
        let observation = self.observation;
        Ok(match name {
            "status" => Value::Int(self.response.status.into()),
            "headers" => {
                let headers = self.response.headers.iter().rev();
                map(headers.map(|(key, value)| (key.as_str(), string(value))))
            }
            "body" => match self.body {
                Some(body) => value("body", body)?,
                None => Value::Null,
            },
            "text" => string(&String::from_utf8_lossy(&self.response.body)),
            "latency" => duration(observation.latency),
            "phases" => {
                let phases = &observation.phases;
                let or_zero = |phase: Option<Duration>| duration(phase.unwrap_or_default());
                map([
                    ("dns", or_zero(phases.dns)),
                    ("connect", or_zero(phases.connect)),
                    ("first_byte", or_zero(phases.first_byte)),
                    ("transfer", or_zero(phases.transfer)),
                ])
            }
            "certificate" => observation
                .certificate
                .as_ref()
                .map_or(Value::Null, |it| certificate(it, observation.started_at)),
            "document" => self.document.map_or(Value::Null, document),
            _ => Value::Null,
        })
    }
}

fn certificate(certificate: &Certificate, now: Timestamp) -> Value {
    // What has expired has less than nothing left.
    let millis = |at: Timestamp| i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let left = millis(certificate.chain_not_after).saturating_sub(millis(now));
    map([
        ("subject", string(&certificate.subject)),
        ("issuer", string(&certificate.issuer)),
        ("not_after", timestamp(certificate.not_after)),
        ("chain_not_after", timestamp(certificate.chain_not_after)),
        (
            "names",
            Value::List(Arc::new(
                certificate.names.iter().map(|name| string(name)).collect(),
            )),
        ),
        ("self_signed", Value::Bool(certificate.self_signed)),
        ("trusted", Value::Bool(certificate.untrusted.is_none())),
        (
            "expires_in",
            Value::Duration(chrono::Duration::milliseconds(left)),
        ),
    ])
}

fn document(document: &Document) -> Value {
    let component = |part: &Component| {
        map([
            ("name", string(&part.name)),
            ("status", string(part.status.as_str())),
            ("detail", string(part.detail.as_deref().unwrap_or_default())),
        ])
    };
    let components = document.components.iter().map(component);
    map([
        ("dialect", string(&document.dialect)),
        ("status", string(document.status.as_str())),
        (
            "detail",
            string(document.detail.as_deref().unwrap_or_default()),
        ),
        ("components", Value::List(Arc::new(components.collect()))),
    ])
}

/// The value of a variable when nothing is known, for the dry run.
pub(super) fn empty(name: &str) -> Value {
    match name {
        "status" => Value::Int(0),
        "text" => string(""),
        "latency" => duration(Duration::ZERO),
        "phases" => {
            map(["dns", "connect", "first_byte", "transfer"]
                .map(|key| (key, duration(Duration::ZERO))))
        }
        "headers" => map([]),
        _ => Value::Null,
    }
}

fn string(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn duration(duration: Duration) -> Value {
    Value::Duration(chrono::Duration::from_std(duration).unwrap_or(chrono::Duration::MAX))
}

/// A moment; one after the last that there is in the calendar is that one.
fn timestamp(at: Timestamp) -> Value {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let time = chrono::DateTime::from_timestamp_millis(millis);
    Value::Timestamp(
        time.unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC)
            .into(),
    )
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let map: HashMap<Key, Value> = entries
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect();
    Value::Map(Map { map: Arc::new(map) })
}

/// JSON as CEL sees it; `at` is the path, for the message.
fn value(at: &str, json: &serde_json::Value) -> Result<Value, String> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(int), _, _) => Value::Int(int),
            (None, Some(uint), _) => Value::UInt(uint),
            (None, None, float) => Value::Float(float.unwrap_or(f64::NAN)),
        },
        Json::String(text) => string(text),
        Json::Array(items) => {
            few(at, items.len())?;
            let items = items.iter().map(|item| value(at, item));
            Value::List(Arc::new(items.collect::<Result<_, _>>()?))
        }
        Json::Object(entries) => {
            few(at, entries.len())?;
            let mut values = HashMap::with_capacity(entries.len());
            for (key, entry) in entries {
                values.insert(
                    Key::from(key.as_str()),
                    value(&format!("{at}.{key}"), entry)?,
                );
            }
            Value::Map(Map {
                map: Arc::new(values),
            })
        }
    })
}

fn few(at: &str, n_items: usize) -> Result<(), String> {
    if n_items <= MAX_ITEMS {
        return Ok(());
    }
    Err(format!(
        "`{at}` has {n_items} items; expectations judge {MAX_ITEMS} at most"
    ))
}

/// A value in a finding: strings in quotes, durations with a unit.
pub(super) fn shown(value: &Value) -> String {
    /// A longer string is cut.
    const MAX_SHOWN: usize = 120;
    let text = match value {
        Value::String(text) => format!("{text:?}"),
        Value::Int(int) => int.to_string(),
        Value::UInt(uint) => uint.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => "null".to_owned(),
        Value::Duration(length) => {
            let length = length.to_std().unwrap_or_default();
            if length.as_secs() >= 60 {
                humantime::format_duration(Duration::from_secs(length.as_secs())).to_string()
            } else {
                format!("{} ms", millis(length))
            }
        }
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Map(map) => format!("an object of {}", map.map.len()),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Timestamp(time) => time.to_rfc3339(),
        Value::Function(..) | Value::Opaque(_) | Value::Struct(_) => "something else".to_owned(),
    };
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN).chain(['…']).collect()
}
