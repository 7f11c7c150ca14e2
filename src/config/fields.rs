//! Typed reading of a table: each value is asked for by name and kind; what is
//! of another kind, or was never asked for, is a mistake.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other kind is the same mistake"
)]

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    book::Book,
    mistake::Place,
    tree::{Entries, Node, Value},
    value::{At, Given, Text, duration, number, refuse, size, text, unquoted},
};
use crate::{check::Secret, near::nearest};

/// A check is asked for about so many values.
const ASKED: usize = 64;

/// A table being read.
pub(super) struct Fields<'a> {
    entries: Option<&'a Entries>,
    /// What was asked for, some of it more than once.
    asked: Vec<&'static str>,
    /// Where the table is.
    pub(super) at: Place,
}

impl<'a> Fields<'a> {
    /// Reads `node`, when it is a table.
    pub(super) fn of(node: &'a Node) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return None;
        };
        Some(Self {
            entries: Some(entries),
            asked: Vec::with_capacity(ASKED),
            at: node.at.clone(),
        })
    }

    /// Tells of the one of two settings that is there without the other.
    pub(super) fn pair(&self, one: &str, other: &str, book: &mut Book) {
        for (here, missing) in [(one, other), (other, one)] {
            if let Some(entry) = self.entries.and_then(|entries| entries.get(here))
                && self.lacks(missing)
            {
                let message = format!("`{here}` without `{missing}`");
                book.mistake(&entry.key_at, message)
                    .hint("set both or neither");
            }
        }
    }

    /// The table under `name`; an empty one when there is none.
    pub(super) fn section(&mut self, name: &'static str, book: &mut Book) -> Self {
        if let Some(node) = self.node(name) {
            match Self::of(node) {
                Some(fields) => return fields,
                None => book
                    .mistake(
                        &node.at,
                        format!("`{name}` is {}, not a section", node.kind()),
                    )
                    .hint(format!("write `[{name}]`, and its settings below it")),
            }
        }
        Self::none()
    }

    /// A table that is not there.
    pub(super) fn none() -> Self {
        Self {
            entries: None,
            asked: Vec::new(),
            at: Place::Whole,
        }
    }

    /// The node under `name`, unless it is known to be broken.
    pub(super) fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.push(name);
        let node = &self.entries?.get(name)?.node;
        (!node.broken).then_some(node)
    }

    /// Where `name` is written; the table, when it is not.
    pub(super) fn place(&self, name: &str) -> Place {
        let entry = self.entries.and_then(|entries| entries.get(name));
        entry.map_or_else(|| self.at.clone(), |entry| entry.node.at.clone())
    }

    /// Whether anything is written under `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries
            .is_some_and(|entries| entries.contains_key(name))
    }

    /// Whether nobody wrote `name`, nor misspelt it: that is told as such.
    pub(super) fn lacks(&self, name: &str) -> bool {
        let keys = self.entries.into_iter().flatten();
        !self.has(name) && nearest(name, keys.map(|(key, _)| key.as_str())).is_none()
    }

    /// Tells of every key that nobody asked for.
    pub(super) fn finish(self, book: &mut Book) {
        for (key, entry) in self.entries.into_iter().flatten() {
            if !self.asked.contains(&key.as_str()) {
                let hint = match nearest(key, self.asked.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are `{}`", self.names().join("`, `")),
                };
                book.mistake(&entry.key_at, format!("unknown key `{key}`"))
                    .hint(hint);
            }
        }
    }

    /// What was asked for, each once.
    fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for name in &self.asked {
            if !names.contains(name) {
                names.push(*name);
            }
        }
        names
    }

    /// Text.
    pub(super) fn text(&mut self, name: &'static str, book: &mut Book) -> Option<Text> {
        let node = self.node(name)?;
        let text = text(node);
        if text.is_none() {
            refuse(name, node, "text in quotes", book);
        }
        text
    }

    /// Text that must not be shown.
    pub(super) fn secret(&mut self, name: &'static str, book: &mut Book) -> Option<Secret> {
        self.text(name, book).map(|text| Secret::new(text.value))
    }

    /// A path.
    pub(super) fn path(&mut self, name: &'static str, book: &mut Book) -> Option<PathBuf> {
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
        if value.is_none() {
            refuse(name, node, &unquoted("`true` or `false`", node), book);
        }
        value
    }

    /// A number within `range`.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u32>,
        book: &mut Book,
    ) -> Option<At<u32>> {
        let node = self.node(name)?;
        match number(node).filter(|number| range.contains(number)) {
            Some(value) => Some(At {
                value,
                at: node.at.clone(),
            }),
            None => {
                let (low, high) = range.into_inner();
                let wanted = format!("a whole number from {low} to {high}");
                refuse(name, node, &unquoted(&wanted, node), book);
                None
            }
        }
    }

    /// A duration with a unit.
    pub(super) fn duration(&mut self, name: &'static str, book: &mut Book) -> Given<Duration> {
        let Some(node) = self.node(name) else {
            return if self.has(name) {
                Given::Misread
            } else {
                Given::Unset
            };
        };
        match duration(node) {
            Ok(value) => Given::Set(At {
                value,
                at: node.at.clone(),
            }),
            Err(Some((message, hint))) => {
                book.mistake(&node.at, message).hint(hint);
                Given::Misread
            }
            Err(None) => {
                refuse(name, node, "a duration in quotes, such as `\"30s\"`", book);
                Given::Misread
            }
        }
    }

    /// A number of bytes: `65536`, `"64KiB"`, `"1MB"`.
    pub(super) fn bytes(&mut self, name: &'static str, book: &mut Book) -> Option<At<u64>> {
        let node = self.node(name)?;
        let value = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) | Value::Raw(text) => size(text),
            _ => None,
        };
        if value.is_none() {
            let wanted = "a number of bytes, such as `1048576` or `\"1MiB\"`";
            refuse(name, node, wanted, book);
        }
        value.map(|value| At {
            value,
            at: node.at.clone(),
        })
    }

    /// A list of text; a variable may hold it with commas.
    pub(super) fn texts(&mut self, name: &'static str, book: &mut Book) -> Option<Vec<String>> {
        let texts = self.texts_at(name, book)?;
        Some(texts.into_iter().map(|text| text.value).collect())
    }

    /// A list of text, and where each was written.
    pub(super) fn texts_at(&mut self, name: &'static str, book: &mut Book) -> Option<Vec<Text>> {
        let wanted = "a list of text, such as `[\"a\", \"b\"]`";
        self.list(name, wanted, book, text)
    }

    /// A list of numbers.
    pub(super) fn numbers(&mut self, name: &'static str, book: &mut Book) -> Option<Vec<At<u32>>> {
        let wanted = "a list of numbers, such as `[200, 204]`";
        self.list(name, wanted, book, |node| {
            Some(At {
                value: number(node)?,
                at: node.at.clone(),
            })
        })
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
                let parts = text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                split = parts.map(|part| node.part(part)).collect::<Vec<_>>();
                &split
            }
            _ => {
                refuse(name, node, wanted, book);
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items.iter().filter(|item| !item.broken) {
            match read(item) {
                Some(value) => values.push(value),
                None => refuse(name, item, wanted, book),
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
        let value = words.iter().find(|(word, _)| *word == found.value);
        if value.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            // A long list hides the word that was meant.
            let near = nearest(&found.value, words.iter().map(|(word, _)| *word));
            let hint = match near.filter(|_| list.len() > 4) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write {}", list.join(" or ")),
            };
            book.mistake(&found.at, format!("{} is no `{name}`", found.said))
                .hint(hint);
        }
        value.map(|(_, value)| *value)
    }
}
