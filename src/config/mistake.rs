//! Mistakes in a configuration: what was found, where, and what helps; all of
//! them at once, in the order of the text.

use std::{fmt, ops::Range, sync::Arc};

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file: its number in the order of reading, and the bytes.
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
    pub(super) at: Place,
    head: Head,
    message: String,
    /// Another place that has to do with it.
    note: Option<(Head, String)>,
    hint: Option<String>,
}

/// A place, ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    File {
        path: Arc<str>,
        line: usize,
        column: usize,
        /// The line of the file, with secrets hidden.
        source: String,
        /// What stands before the marks, so that tabs stay tabs.
        indent: String,
        marks: String,
    },
    Env(String),
    Whole,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    pub(super) mistakes: Vec<Mistake>,
}

impl Mistake {
    pub(super) fn new(severity: &'static str, at: Place, head: Head, message: &str) -> Self {
        Self {
            severity,
            at,
            head,
            message: printable(message),
            note: None,
            hint: None,
        }
    }

    /// Adds what helps.
    pub(super) fn hint(&mut self, hint: impl AsRef<str>) {
        self.hint = Some(printable(hint.as_ref()));
    }

    /// Adds another place.
    pub(super) fn note(&mut self, head: Head, text: &str) {
        self.note = Some((head, text.to_owned()));
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

    /// Where they are: "a.toml", "a.toml and the environment", "3 files".
    fn places(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for mistake in &self.mistakes {
            let name = match &mistake.head {
                Head::File { path, .. } => path,
                Head::Env(_) => "the environment",
                Head::Whole => "the configuration",
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match names.as_slice() {
            [one] => (*one).to_owned(),
            [one, two] => format!("{one} and {two}"),
            many if self.all_in_files() => format!("{} files", many.len()),
            many => format!("{} places", many.len()),
        }
    }

    fn all_in_files(&self) -> bool {
        let in_file = |mistake: &Mistake| matches!(mistake.head, Head::File { .. });
        self.mistakes.iter().all(in_file)
    }
}

/// Text from a file as a terminal may have it: a control character could
/// rewrite what stands around it.
pub(super) fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}")
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            head,
            message,
            ..
        } = self;
        write_head(f, head, severity, message)?;
        if let Head::File {
            line,
            source,
            indent,
            marks,
            ..
        } = head
        {
            let pad = " ".repeat(line.to_string().len());
            write!(f, "\n{pad} |\n{line} | {source}\n{pad} | {indent}{marks}")?;
        }
        if let Some((head, text)) = &self.note {
            writeln!(f)?;
            write_head(f, head, "note", text)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// `file:line:column: severity: text`.
fn write_head(f: &mut fmt::Formatter<'_>, head: &Head, severity: &str, text: &str) -> fmt::Result {
    match head {
        Head::File {
            path, line, column, ..
        } => write!(f, "{path}:{line}:{column}: {severity}: {text}"),
        Head::Env(name) => write!(f, "{name}: {severity}: {text}"),
        Head::Whole => write!(f, "{severity}: {text}"),
    }
}

impl Mistakes {
    /// All of them, and what came of it: `nothing was started`.
    pub fn told(&self, outcome: &str) -> String {
        let mut text = String::new();
        for mistake in &self.mistakes {
            text.push_str(&format!("{mistake}\n\n"));
        }
        let count = match self.mistakes.len() {
            1 => "1 mistake".to_owned(),
            n => format!("{n} mistakes"),
        };
        text + &format!("{count} in {}; {outcome}", self.places())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told("nothing was started"))
    }
}
