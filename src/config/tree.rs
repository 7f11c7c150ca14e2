//! The configuration as written: one tree of places and values, from the main
//! file, the files in `conf.d` and the environment.

#![expect(clippy::wildcard_enum_match_arm, reason = "only text can be a name")]

use std::{collections::BTreeMap, ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Sources,
    mistake::{Book, Place},
    settings, substitute,
};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Place,
    /// Whether `${…}` was replaced in it: then it may hold a secret.
    pub(super) secret: bool,
    /// A string before `${…}` was replaced, with `…` in its place.
    pub(super) shown: Option<String>,
}

/// A value as written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    /// Text of an environment variable: read as whatever is wanted.
    Raw(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Entry>),
    /// A kind that no setting takes; its name.
    Other(&'static str),
}

/// A value under a key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where the key was written.
    pub(super) key_at: Place,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn new(value: Value, at: Place) -> Self {
        Self {
            value,
            at,
            secret: false,
            shown: None,
        }
    }

    pub(super) fn table() -> Self {
        Self::new(Value::Table(BTreeMap::new()), Place::Whole)
    }

    /// The entries, when it is a table.
    pub(super) fn entries_mut(&mut self) -> Option<&mut BTreeMap<String, Entry>> {
        if let Value::Table(entries) = &mut self.value {
            Some(entries)
        } else {
            None
        }
    }

    /// What kind of value this is, for a person.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) | Value::Raw(_) => "text",
            Value::Integer(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }
}

/// Reads everything there is into one tree.
pub(super) fn plant(sources: &Sources<'_>, book: &mut Book) -> Node {
    let mut root = Node::table();
    let mut folder = None;
    if let Some((path, text)) = &sources.main {
        root = parse(&path.display().to_string(), text, book);
        folder = path.parent();
        include(sources, path, &mut root, book);
    }
    overrides(sources.env, &mut root, book);
    substitute::all(&mut root, sources, folder, book);
    root
}

fn parse(path: &str, text: &str, book: &mut Book) -> Node {
    let file = book.add(path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let said = error.message().replace('\n', ", ");
        book.mistake(&Place::File(file, span), said)
            .hint("the file is TOML: `key = \"value\"`, `[section]`, `[[check]]`");
    }
    let span = table.span();
    Node::new(entries(table.get_ref(), file), Place::File(file, span))
}

fn entries(table: &DeTable<'_>, file: usize) -> Value {
    let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let node = node(value, file);
        (
            key.get_ref().to_string(),
            Entry {
                key_at: Place::File(file, key.span()),
                node,
            },
        )
    };
    Value::Table(table.iter().map(entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, file: usize) -> Node {
    let span: Range<usize> = value.span();
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number out of range"), Value::Integer),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, file)).collect()),
        DeValue::Table(table) => entries(table, file),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
    };
    Node::new(value, Place::File(file, span))
}

/// Adds the checks of `conf.d/*.toml` beside the main file.
fn include(sources: &Sources<'_>, main: &Path, root: &mut Node, book: &mut Book) {
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let files = match (sources.list)(&folder) {
        Ok(files) => files,
        Err(error) => {
            book.mistake(
                &Place::Whole,
                format!("list `{}`: {error}", folder.display()),
            );
            return;
        }
    };
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
    {
        let text = match (sources.read)(path) {
            Ok(text) => text,
            Err(error) => {
                book.mistake(&Place::Whole, format!("open `{}`: {error}", path.display()));
                continue;
            }
        };
        let mut included = parse(&path.display().to_string(), &text, book);
        for (key, entry) in included
            .entries_mut()
            .map(std::mem::take)
            .unwrap_or_default()
        {
            if key != "check" {
                book.mistake(&entry.key_at, format!("`{key}` in an included file"))
                    .hint("files in `conf.d` hold checks; everything else goes into the main file");
                continue;
            }
            match (root.entries_mut(), entry.node.value) {
                (Some(entries), Value::List(mut checks)) => {
                    let at = entry.key_at;
                    let all = entries.entry(key).or_insert_with(|| Entry {
                        key_at: at.clone(),
                        node: Node::new(Value::List(Vec::new()), at),
                    });
                    if let Value::List(list) = &mut all.node.value {
                        list.append(&mut checks);
                    }
                }
                (Some(_), _) => {
                    book.mistake(&entry.key_at, "`check` is not a list")
                        .hint("write `[[check]]`");
                }
                (None, _) => {}
            }
        }
    }
}

/// The seed's own variable.
const KV_TTL: &str = "SUPERCHECK_NATS_KV_TTL_SECS";

/// Sets what `SUPERCHECK_SECTION__KEY` variables say. Variables without a
/// double underscore are none of ours: Kubernetes makes `SUPERCHECK_PORT`.
fn overrides(env: &BTreeMap<String, String>, root: &mut Node, book: &mut Book) {
    if let Some(seconds) = env.get(KV_TTL) {
        let at = Place::Env(KV_TTL.to_owned());
        if seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0) {
            set(root, &["store", "kv_ttl"], format!("{seconds}s"), &at);
        } else {
            book.mistake(&at, format!("`{seconds}` is no number of seconds"))
                .hint("such as 86400");
        }
    }
    for (name, value) in env {
        let Some(path) = name
            .strip_prefix("SUPERCHECK_")
            .filter(|path| path.contains("__"))
        else {
            continue;
        };
        let at = Place::Env(name.clone());
        let path = path.to_lowercase();
        let parts: Vec<&str> = path.split("__").collect();
        match parts.as_slice() {
            ["check", check, key] if !check.is_empty() => {
                set_check(root, check, key, value.clone(), &at);
            }
            [section, _] if settings::SECTIONS.contains(section) => {
                set(root, &parts, value.clone(), &at);
            }
            _ => book.mistake(&at, "no setting has that name").hint(format!(
                "variables are SUPERCHECK_<SECTION>__<KEY> (sections: {}) and \
                 SUPERCHECK_CHECK__<NAME>__<KEY>",
                settings::SECTIONS.join(", ")
            )),
        }
    }
}

fn set(node: &mut Node, path: &[&str], value: String, at: &Place) {
    let (Some((first, rest)), Some(entries)) = (path.split_first(), node.entries_mut()) else {
        return;
    };
    let entry = entries.entry((*first).to_owned()).or_insert_with(|| Entry {
        key_at: at.clone(),
        node: Node::table(),
    });
    if rest.is_empty() {
        *entry = Entry {
            key_at: at.clone(),
            node: Node::new(Value::Raw(value), at.clone()),
        };
    } else {
        set(&mut entry.node, rest, value, at);
    }
}

/// Sets a key of the check called `name`, and makes the check if need be. A
/// variable's name has no `-`, so an underscore stands for it too.
fn set_check(root: &mut Node, name: &str, key: &str, value: String, at: &Place) {
    let Some(entries) = root.entries_mut() else {
        return;
    };
    let all = entries.entry("check".to_owned()).or_insert_with(|| Entry {
        key_at: at.clone(),
        node: Node::new(Value::List(Vec::new()), at.clone()),
    });
    let Value::List(checks) = &mut all.node.value else {
        return;
    };
    let is_it = |check: &Node, exact: bool| match &check.value {
        Value::Table(entries) => entries
            .get("name")
            .is_some_and(|entry| match &entry.node.value {
                Value::Text(found) | Value::Raw(found) if exact => found == name,
                Value::Text(found) | Value::Raw(found) => {
                    found.replace('-', "_") == name.replace('-', "_")
                }
                _ => false,
            }),
        _ => false,
    };
    let found = checks
        .iter()
        .position(|check| is_it(check, true))
        .or_else(|| checks.iter().position(|check| is_it(check, false)));
    let index = found.unwrap_or_else(|| {
        let mut check = Node::new(Value::Table(BTreeMap::new()), at.clone());
        set(&mut check, &["name"], name.to_owned(), at);
        checks.push(check);
        checks.len() - 1
    });
    if let Some(check) = checks.get_mut(index) {
        set(check, &[key], value, at);
    }
}
