//! The variables of an expectation, made from what a probe saw.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use cel::{
    Value,
    objects::{Key, Map},
};

use super::{Scope, wanted::Wanted};
use crate::{
    clock::Timestamp,
    line::line,
    observation::{Certificate, Response},
    report::{Component, Document},
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

/// Those of which the fields are known.
pub(super) const FIELDS: [(&str, &[&str]); 3] = [
    ("phases", &["dns", "connect", "first_byte", "transfer"]),
    (
        "certificate",
        &[
            "subject",
            "issuer",
            "names",
            "self_signed",
            "trusted",
            "not_after",
            "chain_not_after",
            "expires_in",
        ],
    ),
    ("document", &["dialect", "status", "detail", "components"]),
];

/// A list or object with more entries is not judged: one comprehension over
/// this many costs less than a millisecond.
const MAX_ITEMS: usize = 1000;
/// Where lists are gone through, each item may be held against all else: so
/// many values at most, in all,
const MAX_VALUES: usize = 20_000;
/// and so many bytes of text.
const MAX_TEXT: usize = 256 * 1024;

/// What bounds the cost of an expectation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Whether it goes through lists.
    pub(super) loops: bool,
    /// So much text at most goes through its regular expressions.
    pub(super) matched: usize,
}

impl Scope<'_> {
    /// The value of a variable, as far as it is wanted.
    ///
    /// # Errors
    /// When it is too large to be judged.
    pub(super) fn variable(
        &self,
        name: &str,
        wanted: &Wanted,
        bounds: Bounds,
    ) -> Result<Value, String> {
        let observation = self.observation;
        let headers = || self.response.iter().flat_map(|it| it.headers.iter().rev());
        Ok(match name {
            "status" => self
                .response
                .map_or(Value::Null, |it| Value::Int(it.status.into())),
            "headers" => {
                let size = headers().map(|(_, value)| value.len()).sum();
                bounds.hold(name, size)?;
                map(headers().map(|(key, value)| (key.as_str(), string(value))))
            }
            "body" => match self.body {
                Some(body) => {
                    let mut budget = Budget::new(bounds);
                    let root = Path {
                        within: None,
                        key: "body",
                    };
                    value(&root, body, Some(wanted), &mut budget)?
                }
                None => Value::Null,
            },
            "text" => {
                let body = self.response.map_or(&[][..], Response::content);
                bounds.hold(name, body.len())?;
                string(&String::from_utf8_lossy(body))
            }
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
            "document" => match self.document {
                Some(read) => {
                    let details = read.components.iter().filter_map(|it| it.detail.as_ref());
                    bounds.hold(name, details.map(String::len).sum())?;
                    document(read)
                }
                None => Value::Null,
            },
            _ => Value::Null,
        })
    }
}

impl Bounds {
    /// Whether so much text may be gone through.
    fn hold(self, name: &str, size: usize) -> Result<(), String> {
        if size <= self.matched {
            return Ok(());
        }
        Err(too_much_to_match(&name, self.matched))
    }
}

fn too_much_to_match(what: &dyn fmt::Display, room: usize) -> String {
    let room = room / 1024;
    format!(
        "`{what}` is too large for the regular expression, which goes through {room} KiB at most"
    )
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

/// Where in the body, for a message.
struct Path<'a> {
    within: Option<&'a Self>,
    key: &'a str,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = self.within {
            write!(f, "{within}.")?;
        }
        f.write_str(&line(self.key, 60))
    }
}

/// How much may still be made.
struct Budget {
    values: usize,
    text: usize,
    /// What the regular expressions left of the text at first.
    matched: usize,
}

impl Budget {
    fn new(bounds: Bounds) -> Self {
        // What is looked at once costs no more than it took to read.
        let (values, text) = if bounds.loops {
            (MAX_VALUES, MAX_TEXT)
        } else {
            (usize::MAX, usize::MAX)
        };
        Self {
            values,
            text: text.min(bounds.matched),
            matched: bounds.matched,
        }
    }

    fn spend(&mut self, at: &Path<'_>, text: usize) -> Result<(), String> {
        let left = self.values.checked_sub(1).zip(self.text.checked_sub(text));
        let Some((values, text)) = left else {
            if self.matched < MAX_TEXT && self.values > 0 {
                return Err(too_much_to_match(at, self.matched));
            }
            return Err(format!(
                "`{at}` is too large to go through: expectations with `all`, `exists`, `map` or \
                 `filter` judge {MAX_VALUES} values and {} KiB of text at most",
                MAX_TEXT / 1024
            ));
        };
        *self = Self {
            values,
            text,
            ..*self
        };
        Ok(())
    }
}

/// JSON as CEL sees it, as far as it is wanted; without `wanted`, all of it.
fn value(
    at: &Path<'_>,
    json: &serde_json::Value,
    wanted: Option<&Wanted>,
    budget: &mut Budget,
) -> Result<Value, String> {
    use serde_json::Value as Json;
    let wanted = wanted.filter(|wanted| !wanted.all);
    budget.spend(at, json.as_str().map_or(0, str::len))?;
    Ok(match (json, wanted) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(truth), _) => Value::Bool(*truth),
        (Json::Number(number), _) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(int), _, _) => Value::Int(int),
            (None, Some(uint), _) => Value::UInt(uint),
            (None, None, float) => Value::Float(float.unwrap_or(f64::NAN)),
        },
        (Json::String(text), _) => string(text),
        // Nobody looks within.
        (Json::Array(_), Some(_)) => Value::List(Arc::default()),
        (Json::Array(items), None) => {
            few(at, items.len())?;
            let items = items.iter().map(|item| value(at, item, None, budget));
            Value::List(Arc::new(items.collect::<Result<_, _>>()?))
        }
        (Json::Object(entries), wanted) => {
            let mut values = HashMap::new();
            let mut make = |key: &str, entry, wanted| {
                budget.text = budget.text.saturating_sub(key.len());
                let within = Path {
                    within: Some(at),
                    key,
                };
                values.insert(Key::from(key), value(&within, entry, wanted, budget)?);
                Ok::<_, String>(())
            };
            if let Some(wanted) = wanted {
                for (key, inner) in &wanted.within {
                    if let Some(entry) = entries.get(key) {
                        make(key, entry, Some(inner))?;
                    }
                }
            } else {
                few(at, entries.len())?;
                for (key, entry) in entries {
                    make(key, entry, None)?;
                }
            }
            Value::Map(Map {
                map: Arc::new(values),
            })
        }
    })
}

fn few(at: &Path<'_>, n_items: usize) -> Result<(), String> {
    if n_items <= MAX_ITEMS {
        return Ok(());
    }
    Err(format!(
        "`{at}` has {n_items} items; expectations judge {MAX_ITEMS} at most"
    ))
}
