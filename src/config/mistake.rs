//! Mistakes in a configuration: what was found, where, and what helps; all of
//! them at once, in the order of the text.

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file: its number in the [`Book`], and the bytes.
    File(usize, Range<usize>),
    /// In an environment variable.
    Env(String),
    /// Nowhere: it is about the whole.
    Whole,
}

/// A mistake, or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    severity: &'static str,
    order: (usize, usize),
    head: Head,
    message: String,
    /// Another place that has to do with it.
    note: Option<(Head, String)>,
    hint: Option<String>,
}

/// A place, ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Head {
    File {
        path: Arc<str>,
        line: usize,
        column: usize,
        source: String,
        width: usize,
    },
    Env(String),
    Whole,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    mistakes: Vec<Mistake>,
    /// The main file, or "the environment".
    source: String,
}

/// The files read so far, and what was found in them.
#[derive(Debug, Default)]
pub(super) struct Book {
    files: Vec<(Arc<str>, Arc<str>)>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

impl Book {
    /// Adds a file, and returns its number.
    pub(super) fn add(&mut self, path: &str, text: &str) -> usize {
        self.files.push((path.into(), text.into()));
        self.files.len() - 1
    }

    /// The text of a place in a file.
    pub(super) fn text(&self, place: &Place) -> Option<&str> {
        let Place::File(file, span) = place else {
            return None;
        };
        self.files.get(*file)?.1.get(span.clone())
    }

    /// Writes down a mistake.
    pub(super) fn mistake(&mut self, at: &Place, message: impl Into<String>) -> &mut Mistake {
        let mistake = self.found("error", at, message.into());
        self.mistakes.push(mistake);
        // Just pushed.
        let last = self.mistakes.len() - 1;
        #[expect(
            clippy::indexing_slicing,
            reason = "the vector has just grown to hold it"
        )]
        &mut self.mistakes[last]
    }

    /// Adds a second place to the newest mistake.
    pub(super) fn note(&mut self, at: &Place, text: &str) {
        let head = self.head(at);
        if let Some(mistake) = self.mistakes.last_mut() {
            mistake.note = Some((head, text.to_owned()));
        }
    }

    /// Writes down something that is worth a word.
    pub(super) fn warn(&mut self, at: &Place, message: impl Into<String>, hint: &str) {
        let mut warning = self.found("warning", at, message.into());
        warning.hint(hint);
        self.warnings.push(warning);
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files
            .iter()
            .map(|(path, _)| PathBuf::from(&**path))
            .collect()
    }

    pub(super) fn warnings(&self) -> Vec<Mistake> {
        self.warnings.clone()
    }

    /// All mistakes in order, if there is one.
    pub(super) fn mistakes(self) -> Option<Mistakes> {
        let mut mistakes = self.mistakes;
        if mistakes.is_empty() {
            return None;
        }
        mistakes.sort_by_key(|mistake| mistake.order);
        let source = self
            .files
            .first()
            .map_or("the environment", |(path, _)| path)
            .to_owned();
        Some(Mistakes { mistakes, source })
    }

    fn found(&self, severity: &'static str, at: &Place, message: String) -> Mistake {
        let order = match at {
            Place::File(file, span) => (*file, span.start),
            Place::Env(_) => (usize::MAX - 1, 0),
            Place::Whole => (usize::MAX, 0),
        };
        Mistake {
            severity,
            order,
            head: self.head(at),
            message,
            note: None,
            hint: None,
        }
    }

    fn head(&self, at: &Place) -> Head {
        match at {
            Place::Env(name) => Head::Env(name.clone()),
            Place::Whole => Head::Whole,
            Place::File(file, span) => match self.files.get(*file) {
                Some((path, text)) => in_file(path, text, span),
                None => Head::Whole,
            },
        }
    }
}

/// Line and column of `span`, counted in characters from 1.
fn in_file(path: &Arc<str>, text: &str, span: &Range<usize>) -> Head {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let (before, after) = text.split_at(start);
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let (_, head) = before.split_at(line_start);
    let rest = after.lines().next().unwrap_or_default();
    let long = span.end.saturating_sub(start).min(rest.len());
    let width = rest
        .get(..long)
        .map_or(1, |part| part.chars().count())
        .max(1);
    let source = format!("{head}{rest}");
    Head::File {
        path: Arc::clone(path),
        line,
        column: head.chars().count() + 1,
        source,
        width,
    }
}

impl Mistake {
    /// Adds what helps.
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

impl Mistakes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.mistakes.len()
    }

    /// Whether there are none; there is always one.
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// For a configuration that could not be built without a mistake being
    /// written down: a bug, told as such.
    pub(super) fn unknown() -> Self {
        let book = Book::default();
        let message =
            "the configuration cannot be used, and supercheck does not know why".to_owned();
        Self {
            mistakes: vec![book.found("error", &Place::Whole, message)],
            source: "the configuration".to_owned(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            head,
            message,
            ..
        } = self;
        match head {
            Head::File {
                path,
                line,
                column,
                source,
                width,
            } => {
                let pad = " ".repeat(line.to_string().len());
                let indent = " ".repeat(column - 1);
                let marks = "^".repeat(*width);
                writeln!(f, "{path}:{line}:{column}: {severity}: {message}")?;
                writeln!(f, "{pad} |")?;
                writeln!(f, "{line} | {source}")?;
                write!(f, "{pad} | {indent}{marks}")?;
            }
            Head::Env(name) => write!(f, "{name}: {severity}: {message}")?,
            Head::Whole => write!(f, "{severity}: {message}")?,
        }
        if let Some((head, text)) = &self.note {
            match head {
                Head::File {
                    path, line, column, ..
                } => {
                    write!(f, "\n{path}:{line}:{column}: note: {text}")?;
                }
                Head::Env(name) => write!(f, "\n{name}: note: {text}")?,
                Head::Whole => write!(f, "\nnote: {text}")?,
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.mistakes {
            write!(f, "{mistake}\n\n")?;
        }
        let count = match self.mistakes.len() {
            1 => "1 mistake".to_owned(),
            n => format!("{n} mistakes"),
        };
        write!(f, "{count} in {}; nothing was started", self.source)
    }
}
