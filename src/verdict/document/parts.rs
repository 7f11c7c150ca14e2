//! The parts of a document, while it is read: counted all, kept in bounds.

use serde_json::{Map, Value};

use crate::{
    line::{Line, line},
    report::{Component, ComponentCounts, Document, Health},
};

/// So many parts are listed, and as many more of those that do not pass.
pub const MAX_COMPONENTS: usize = 100;
/// Characters of a part's name.
pub const MAX_NAME: usize = 120;
/// Characters of a detail.
pub const MAX_DETAIL: usize = 300;

/// The parts that a document names.
#[derive(Default)]
pub(super) struct Parts {
    components: Vec<Component>,
    /// Names of what the next part is in, joined, with `/` at the end.
    path: String,
    detail: Option<String>,
    counts: ComponentCounts,
    unknown: u32,
    omitted: u32,
}

impl Parts {
    /// Notes a part. Its detail is only asked for when it is kept.
    pub(super) fn add(&mut self, name: &str, status: Health, detail: impl FnOnce(&mut Detail)) {
        *match status {
            Health::Pass => &mut self.counts.pass,
            Health::Warn => &mut self.counts.warn,
            Health::Fail => &mut self.counts.fail,
            Health::Unknown => &mut self.unknown,
        } += 1;
        let room = match status {
            Health::Pass | Health::Unknown => MAX_COMPONENTS,
            Health::Warn | Health::Fail => 2 * MAX_COMPONENTS,
        };
        if self.components.len() >= room {
            self.omitted += 1;
            return;
        }
        let mut line = Line::new(MAX_NAME);
        line.say(&self.path);
        line.say(name);
        self.components.push(Component {
            name: line.into_text(),
            status,
            detail: said(detail),
        });
    }

    /// Reads parts that are within the part `name`.
    pub(super) fn within(&mut self, name: &str, read: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(&line(name, MAX_NAME));
        self.path.push('/');
        read(self);
        self.path.truncate(length);
    }

    /// Notes what the document says of the whole.
    pub(super) fn note(&mut self, detail: impl FnOnce(&mut Detail)) {
        self.detail = said(detail);
    }

    /// The worst state of a part; unknown when none is known.
    pub(super) const fn worst(&self) -> Health {
        if self.counts.fail > 0 {
            Health::Fail
        } else if self.counts.warn > 0 {
            Health::Warn
        } else if self.counts.pass > 0 {
            Health::Pass
        } else {
            Health::Unknown
        }
    }

    pub(super) fn into_document(self, dialect: &'static str, status: Health) -> Document {
        Document {
            dialect: dialect.into(),
            status,
            detail: self.detail,
            components: self.components,
            omitted: self.omitted,
            counts: self.counts,
        }
    }
}

fn said(detail: impl FnOnce(&mut Detail)) -> Option<String> {
    let mut line = Detail(Line::new(MAX_DETAIL));
    detail(&mut line);
    (!line.0.is_empty()).then(|| line.0.into_text())
}

/// Why a part is as it is, while it is put together.
pub(super) struct Detail(Line);

impl Detail {
    /// Adds `text`.
    pub(super) fn say(&mut self, text: &str) {
        self.0.say(text);
    }

    /// Adds what stands under the first of `keys` that says something.
    /// Whether one did.
    pub(super) fn first(&mut self, map: &Map<String, Value>, keys: &[&str]) -> bool {
        let mut found = keys.iter().filter_map(|key| map.get(*key));
        let Some(value) = found.find(|value| !is_silent(value)) else {
            return false;
        };
        self.value(value);
        true
    }

    /// Adds all that stands in `map`, as `key: value, key: value`, but for
    /// `known` keys.
    pub(super) fn facts(&mut self, map: &Map<String, Value>, known: &[&str]) {
        let mut gap = "";
        for (key, value) in map {
            if self.0.is_full() {
                return;
            }
            if known.contains(&key.as_str()) || is_silent(value) {
                continue;
            }
            self.say(gap);
            self.say(key);
            self.say(": ");
            self.value(value);
            gap = ", ";
        }
    }

    /// Adds a value.
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.say("null"),
            Value::Bool(truth) => self.say(if *truth { "true" } else { "false" }),
            Value::Number(number) => self.say(&number.to_string()),
            Value::String(text) => self.say(text),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    if self.0.is_full() {
                        return;
                    }
                    self.say(if i == 0 { "" } else { ", " });
                    self.value(item);
                }
            }
            Value::Object(map) => self.facts(map, &[]),
        }
    }
}

/// Whether a value says nothing.
fn is_silent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
