//! The configuration as written: one tree of places and values, from the main
//! file, the files in `conf.d` and the environment.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::{Sources, book::Book, environment, hide, mistake::Place, substitute};

/// A value and where it was written.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Place,
    /// Whether a `${…}` was replaced in it: then it may hold a secret.
    pub(super) secret: bool,
    /// The text with each replacement hidden.
    pub(super) shown: Option<String>,
    /// A mistake in it has been told; it counts as not written.
    pub(super) broken: bool,
}

/// A value as written.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    /// Text of an environment variable: read as whatever is wanted.
    Raw(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Entries),
    /// A kind that no setting takes; its name.
    Other(&'static str),
}

/// The values of a table. They are boxed since a map makes room for many,
/// and most tables have two or three.
pub(super) type Entries = BTreeMap<String, Box<Entry>>;

/// A value under a key.
#[derive(Clone)]
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
            broken: false,
        }
    }

    pub(super) fn table(at: Place) -> Self {
        Self::new(Value::Table(BTreeMap::new()), at)
    }

    /// A part of the text of an environment variable.
    pub(super) fn part(&self, text: &str) -> Self {
        Self {
            value: Value::Raw(text.to_owned()),
            ..self.clone()
        }
    }

    /// The entries, when it is a table.
    pub(super) fn entries_mut(&mut self) -> Option<&mut Entries> {
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

/// Reads everything there is into one tree; `None` when a file is so broken
/// that what follows from it would be guesses.
pub(super) fn plant(sources: &Sources<'_>, book: &mut Book) -> Option<Node> {
    let mut root = Some(Node::table(Place::Whole));
    let mut folder = None;
    if let Some((path, text)) = &sources.main {
        root = parse(path, text, book);
        folder = path.parent();
        for included in include(sources, path, book) {
            root = root.zip(included).map(|(mut root, included)| {
                merge(&mut root, included, book);
                root
            });
        }
    }
    let mut root = root?;
    environment::overrides(sources.env, &mut root, book);
    substitute::all(&mut root, sources, folder, book);
    Some(root)
}

/// Parses one file. An error within a value breaks that value alone; any other
/// leaves it open what belongs where, so there is no tree then.
fn parse(path: &Path, text: &str, book: &mut Book) -> Option<Node> {
    let file = book.add(&path.display().to_string(), text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let at = Place::File(file, table.span());
    let mut root = Node::new(entries(table.get_ref(), file), at);
    book.hide(file, hide::secrets(&root, text));
    let mut errors: Vec<_> = errors
        .into_iter()
        .map(|error| (error.span().unwrap_or(0..0), error))
        .collect();
    errors.sort_by_key(|(span, _)| span.start);
    for (span, error) in errors {
        let sound = break_value(&mut root, &span);
        if !sound {
            book.hide(file, hide::in_broken_line(text, span.start));
        }
        say(&error, &Place::File(file, span), book);
        if !sound {
            return None;
        }
    }
    Some(root)
}

/// Tells a syntax error.
fn say(error: &Error, at: &Place, book: &mut Book) {
    let said = error.message().replace('\n', ", ");
    let (message, hint) = if said == "duplicate key" {
        (
            "this is written twice".to_owned(),
            "keep one of the two; several checks are several `[[check]]`",
        )
    } else if said.starts_with("string values must be quoted") {
        (
            "this is no TOML value".to_owned(),
            "write text and durations in quotes: `interval = \"30s\"`",
        )
    } else if said.ends_with("string, expected `\"`") || said.ends_with("string, expected `'`") {
        (
            "this text has no end".to_owned(),
            "close it with the quote that opened it",
        )
    } else if said.contains(" array") && !said.contains("array table") {
        (said, "is the list before it closed with `]`?")
    } else {
        (
            said,
            "the file is TOML: `key = \"value\"`, `[section]`, `[[check]]`",
        )
    };
    book.mistake(at, message).hint(hint);
}

/// Marks the single value that `span` lies in as broken, if there is one.
fn break_value(node: &mut Node, span: &Range<usize>) -> bool {
    match &mut node.value {
        Value::Table(entries) => entries
            .values_mut()
            .any(|entry| break_value(&mut entry.node, span)),
        Value::List(items) => items.iter_mut().any(|item| break_value(item, span)),
        Value::Text(_) | Value::Raw(_) | Value::Integer(_) | Value::Bool(_) | Value::Other(_) => {
            let within = matches!(
                &node.at,
                Place::File(_, whole) if whole.start <= span.start && span.end <= whole.end
            );
            node.broken |= within;
            within
        }
    }
}

fn entries(table: &DeTable<'_>, file: usize) -> Value {
    let entry = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let entry = Entry {
            key_at: Place::File(file, key.span()),
            node: node(value, file),
        };
        (key.get_ref().to_string(), Box::new(entry))
    };
    Value::Table(table.iter().map(entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, file: usize) -> Node {
    let at = Place::File(file, value.span());
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
    Node::new(value, at)
}

/// Parses `conf.d/*.toml` beside the main file.
fn include(sources: &Sources<'_>, main: &Path, book: &mut Book) -> Vec<Option<Node>> {
    const READABLE: &str = "the user that supercheck runs as must be able to read it";
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let files = match (sources.list)(&folder) {
        Ok(files) => files,
        Err(error) => {
            let message = format!("list `{}`: {error}", folder.display());
            book.mistake(&Place::Whole, message).hint(READABLE);
            return Vec::new();
        }
    };
    let parse = |path| match (sources.read)(path) {
        Ok(text) => parse(path, &text, book),
        Err(error) => {
            let message = format!("open `{}`: {error}", path.display());
            book.mistake(&Place::Whole, message).hint(READABLE);
            None
        }
    };
    files
        .iter()
        .map(PathBuf::as_path)
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .map(parse)
        .collect()
}

/// Lists that an included file may add to.
const INCLUDED: [&str; 2] = ["check", "maintenance"];

/// Adds the checks of an included file and its maintenance, which are all that
/// it holds.
fn merge(root: &mut Node, mut included: Node, book: &mut Book) {
    let found = included.entries_mut().map(std::mem::take);
    for (key, entry) in found.unwrap_or_default() {
        let Entry { key_at, node } = *entry;
        if !INCLUDED.contains(&key.as_str()) {
            book.mistake(&key_at, format!("`{key}` in an included file"))
                .hint(
                    "files in `conf.d` hold `[[check]]` and `[[maintenance]]`; everything else \
                     goes into the main file",
                );
            continue;
        }
        let Value::List(mut added) = node.value else {
            book.mistake(&key_at, format!("`{key}` is not a list"))
                .hint(format!("write `[[{key}]]`, with two brackets"));
            continue;
        };
        let Some(entries) = root.entries_mut() else {
            continue;
        };
        let all = entries.entry(key).or_insert_with(|| {
            let node = Node::new(Value::List(Vec::new()), key_at.clone());
            Box::new(Entry { key_at, node })
        });
        if let Value::List(list) = &mut all.node.value {
            list.append(&mut added);
        }
    }
}
