//! Typed reading of a table: each value is asked for by name and kind; what is
//! of another kind, or was never asked for, is a mistake.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other kind is the same mistake"
)]

use std::{collections::BTreeMap, time::Duration};

use super::{
    mistake::{Book, Place},
    tree::{Entry, Node, Value},
};
use crate::{check::Secret, near::nearest};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Place,
}

/// A table being read.
pub(super) struct Fields<'a> {
    entries: Option<&'a BTreeMap<String, Entry>>,
    asked: Vec<&'static str>,
    /// Where the table is.
    pub(super) at: Place,
}

impl<'a> Fields<'a> {
    /// Reads `node`, which must be a table.
    pub(super) fn of(node: &'a Node, book: &mut Book) -> Self {
        let entries = if let Value::Table(entries) = &node.value {
            Some(entries)
        } else {
            book.mistake(&node.at, format!("this is {}, not a table", node.kind()))
                .hint("write `[section]`, or `[[check]]` for a check");
            None
        };
        Self {
            entries,
            asked: Vec::new(),
            at: node.at.clone(),
        }
    }

    /// The table under `name`; an empty one when there is none.
    pub(super) fn section(&mut self, name: &'static str, book: &mut Book) -> Self {
        match self.node(name) {
            Some(node) => Self::of(node, book),
            None => Self {
                entries: None,
                asked: Vec::new(),
                at: Place::Whole,
            },
        }
    }

    /// The node under `name`.
    pub(super) fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.push(name);
        Some(&self.entries?.get(name)?.node)
    }

    /// Tells of every key that nobody asked for.
    pub(super) fn finish(self, book: &mut Book) {
        for (key, entry) in self.entries.into_iter().flatten() {
            if !self.asked.contains(&key.as_str()) {
                let hint = match nearest(key, self.asked.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are `{}`", self.asked.join("`, `")),
                };
                book.mistake(&entry.key_at, format!("unknown key `{key}`"))
                    .hint(hint);
            }
        }
    }

    /// Text.
    pub(super) fn text(&mut self, name: &'static str, book: &mut Book) -> Option<At<String>> {
        let node = self.node(name)?;
        let value = text(node).map(str::to_owned);
        known(name, node, value, "text in quotes", book)
    }

    /// Text that must not be shown.
    pub(super) fn secret(&mut self, name: &'static str, book: &mut Book) -> Option<Secret> {
        self.text(name, book).map(|text| Secret::new(text.value))
    }

    /// A path.
    pub(super) fn path(
        &mut self,
        name: &'static str,
        book: &mut Book,
    ) -> Option<std::path::PathBuf> {
        self.text(name, book).map(|text| text.value.into())
    }

    /// True or false.
    pub(super) fn truth(&mut self, name: &'static str, book: &mut Book) -> Option<bool> {
        let node = self.node(name)?;
        let value = match &node.value {
            Value::Bool(truth) => Some(*truth),
            Value::Raw(text) => text.parse().ok(),
            _ => None,
        };
        known(name, node, value, "`true` or `false`", book).map(|found| found.value)
    }

    /// A number within `range`.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
        book: &mut Book,
    ) -> Option<u64> {
        let node = self.node(name)?;
        let found = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Raw(text) => text.parse().ok(),
            _ => None,
        };
        let (low, high) = (*range.start(), *range.end());
        let value = found.filter(|number| range.contains(number));
        let wanted = if high == u64::MAX {
            format!("a whole number from {low} on")
        } else {
            format!("a whole number from {low} to {high}")
        };
        known(name, node, value, &wanted, book).map(|found| found.value)
    }

    /// A duration with a unit.
    pub(super) fn duration(&mut self, name: &'static str, book: &mut Book) -> Option<At<Duration>> {
        const UNITS: &str = "write a number and a unit, such as `30s`, `5m`, or `1h 30m`";
        let node = self.node(name)?;
        if let Value::Integer(number) = &node.value {
            book.mistake(&node.at, format!("`{number}` has no unit"))
                .hint(format!(
                    "write `\"{number}s\"` for seconds, or `\"{number}ms\"`"
                ));
            return None;
        }
        let found = known(
            name,
            node,
            text(node),
            "a duration in quotes, such as `\"30s\"`",
            book,
        )?;
        match humantime::parse_duration(found.value) {
            Ok(value) => Some(At {
                value,
                at: found.at,
            }),
            Err(_) => {
                book.mistake(&node.at, format!("`{}` is not a duration", found.value))
                    .hint(UNITS);
                None
            }
        }
    }

    /// A number of bytes: `65536`, `"64KiB"`, `"1MB"`.
    pub(super) fn bytes(&mut self, name: &'static str, book: &mut Book) -> Option<u64> {
        let node = self.node(name)?;
        let value = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) | Value::Raw(text) => size(text),
            _ => None,
        };
        known(
            name,
            node,
            value,
            "a number of bytes, such as `65536` or `\"64KiB\"`",
            book,
        )
        .map(|found| found.value)
    }

    /// A list of text; a variable may hold it with commas.
    pub(super) fn texts(&mut self, name: &'static str, book: &mut Book) -> Option<Vec<String>> {
        self.list(name, "a list of text", book, |node| {
            text(node).map(str::to_owned)
        })
    }

    /// A list of numbers.
    pub(super) fn numbers(&mut self, name: &'static str, book: &mut Book) -> Option<Vec<At<u64>>> {
        let items = self.list(name, "a list of numbers", book, |node| {
            let value = match &node.value {
                Value::Integer(number) => u64::try_from(*number).ok(),
                Value::Raw(text) => text.trim().parse().ok(),
                _ => None,
            };
            value.map(|value| At {
                value,
                at: node.at.clone(),
            })
        })?;
        Some(items)
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        book: &mut Book,
        read: impl Fn(&Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let node = self.node(name)?;
        let split;
        let items: &[Node] = match &node.value {
            Value::List(items) => items,
            Value::Raw(text) => {
                let item =
                    |part: &str| Node::new(Value::Raw(part.trim().to_owned()), node.at.clone());
                split = text
                    .split(',')
                    .filter(|part| !part.trim().is_empty())
                    .map(item)
                    .collect::<Vec<_>>();
                &split
            }
            _ => {
                book.mistake(
                    &node.at,
                    format!("`{name}` is {}, not {wanted}", node.kind()),
                );
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match read(item) {
                Some(value) => values.push(value),
                None => {
                    book.mistake(
                        &item.at,
                        format!("this is {}; `{name}` is {wanted}", item.kind()),
                    );
                }
            }
        }
        Some(values)
    }

    /// One of `words`.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
        book: &mut Book,
    ) -> Option<T> {
        let found = self.text(name, book)?;
        let value = words
            .iter()
            .find(|(word, _)| *word == found.value)
            .map(|(_, value)| *value);
        if value.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            book.mistake(&found.at, format!("`{}` is no {name}", found.value))
                .hint(format!("there are {}", list.join(", ")));
        }
        value
    }
}

/// The text of a node.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) | Value::Raw(text) => Some(text),
        _ => None,
    }
}

fn known<T>(
    name: &str,
    node: &Node,
    value: Option<T>,
    wanted: &str,
    book: &mut Book,
) -> Option<At<T>> {
    match value {
        Some(value) => Some(At {
            value,
            at: node.at.clone(),
        }),
        None => {
            let found = book
                .text(&node.at)
                .map_or_else(|| node.kind().to_owned(), |text| format!("`{text}`"));
            // A variable or a secret is not repeated.
            let found = if node.secret {
                "this".to_owned()
            } else {
                found
            };
            book.mistake(&node.at, format!("{found} is not what `{name}` takes"))
                .hint(format!("write {wanted}"));
            None
        }
    }
}

/// Bytes with a unit.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
