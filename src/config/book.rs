//! The book that is kept while a configuration is read: the files, what in
//! them must stay hidden, and the mistakes found so far.

use std::{ops::Range, path::PathBuf, sync::Arc};

use super::{
    hide::HIDDEN,
    mistake::{Head, Mistake, Mistakes, Place, printable},
    pem::Pem,
};

/// The files read so far, and what was found in them.
#[derive(Default)]
pub(super) struct Book {
    files: Vec<File>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    /// Files that must hold certificates or a key, and where they are named.
    named: Vec<(Place, PathBuf, Pem)>,
}

struct File {
    path: Arc<str>,
    text: Arc<str>,
    /// Secrets in the text, in order.
    hidden: Vec<Range<usize>>,
}

impl Book {
    /// Adds a file, and returns its number.
    pub(super) fn add(&mut self, path: &str, text: &str) -> usize {
        self.files.push(File {
            path: path.into(),
            text: text.into(),
            hidden: Vec::new(),
        });
        self.files.len() - 1
    }

    /// Keeps parts of a file out of everything that is printed.
    pub(super) fn hide(&mut self, file: usize, secrets: impl IntoIterator<Item = Range<usize>>) {
        if let Some(file) = self.files.get_mut(file) {
            file.hidden.extend(secrets);
            file.hidden.sort_by_key(|secret| secret.start);
        }
    }

    /// The place of a part of the string `text`, which was read at `at`; all
    /// of it when the string does not stand in the file as it is.
    pub(super) fn within(&self, at: &Place, part: &Range<usize>, text: &str) -> Place {
        if let Place::File(file, whole) = at
            && let Some(found) = self.files.get(*file)
            && let Some(written) = found.text.get(whole.clone())
            && let Some(open) = written.find(text)
            // Two quotes, or six and perhaps a line break.
            && matches!(written.len() - text.len(), 2 | 6..=8)
        {
            let start = whole.start + open;
            return Place::File(*file, start + part.start..start + part.end);
        }
        at.clone()
    }

    /// The text of a place in a file, with secrets hidden.
    pub(super) fn text(&self, place: &Place) -> Option<String> {
        let Place::File(file, span) = place else {
            return None;
        };
        Some(self.files.get(*file)?.shown(span.clone()))
    }

    /// Writes down a mistake.
    pub(super) fn mistake(&mut self, at: &Place, message: impl AsRef<str>) -> &mut Mistake {
        let mistake = Mistake::new("error", at.clone(), self.head(at), message.as_ref());
        self.mistakes.push(mistake);
        // Just pushed.
        let last = self.mistakes.len() - 1;
        #[expect(
            clippy::indexing_slicing,
            reason = "the vector has just grown to hold it"
        )]
        &mut self.mistakes[last]
    }

    /// Notes that the file at `path` must hold `pem`.
    pub(super) fn names(&mut self, at: Place, path: PathBuf, pem: Pem) {
        self.named.push((at, path, pem));
    }

    /// The files that were noted.
    pub(super) fn named(&mut self) -> Vec<(Place, PathBuf, Pem)> {
        std::mem::take(&mut self.named)
    }

    /// Whether a mistake was found just there: what many checks inherit is told once.
    pub(super) fn told(&self, at: &Place) -> bool {
        self.mistakes.iter().any(|mistake| mistake.at == *at)
    }

    /// Adds a second place to the newest mistake.
    pub(super) fn note(&mut self, at: &Place, text: &str) {
        let head = self.head(at);
        if let Some(mistake) = self.mistakes.last_mut() {
            mistake.note(head, text);
        }
    }

    /// Writes down something that is worth a word.
    pub(super) fn warn(&mut self, at: &Place, message: impl AsRef<str>, hint: &str) {
        let mut warning = Mistake::new("warning", at.clone(), self.head(at), message.as_ref());
        warning.hint(hint);
        self.warnings.push(warning);
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files
            .iter()
            .map(|file| PathBuf::from(&*file.path))
            .collect()
    }

    pub(super) fn warnings(&self) -> Vec<Mistake> {
        self.warnings.clone()
    }

    /// All mistakes in the order of the files and the variables, if there is one.
    pub(super) fn mistakes(self) -> Option<Mistakes> {
        let mut mistakes = self.mistakes;
        if mistakes.is_empty() {
            return None;
        }
        mistakes.sort_by_cached_key(|mistake| match &mistake.at {
            Place::File(file, span) => (*file, span.start, String::new()),
            Place::Env(name) => (usize::MAX, 0, name.clone()),
            Place::Whole => (usize::MAX, 1, String::new()),
        });
        Some(Mistakes { mistakes })
    }

    fn head(&self, at: &Place) -> Head {
        match at {
            Place::Env(name) => Head::Env(name.clone()),
            Place::Whole => Head::Whole,
            Place::File(file, span) => match self.files.get(*file) {
                Some(file) => file.head(span),
                None => Head::Whole,
            },
        }
    }
}

impl File {
    /// Line and column of `span`, counted in characters from 1.
    fn head(&self, span: &Range<usize>) -> Head {
        let text = &*self.text;
        let start = text.floor_char_boundary(span.start);
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = start + after.lines().next().map_or(0, str::len);
        let end = text.floor_char_boundary(span.end.clamp(start, line_end));
        let prefix = cut_start(&self.shown(line_start..start));
        let source = cut_end(&format!("{prefix}{}", self.shown(start..line_end)));
        let marked = self.shown(start..end).chars().count();
        let room = source.chars().count() - prefix.chars().count();
        let (_, head) = before.split_at(line_start);
        Head::File {
            path: Arc::clone(&self.path),
            line: before.matches('\n').count() + 1,
            column: head.chars().count() + 1,
            source: printable(&source),
            indent: prefix.replace(|c| c != '\t', " "),
            marks: "^".repeat(marked.min(room).max(1)),
        }
    }

    /// A part of the text, with secrets hidden.
    fn shown(&self, span: Range<usize>) -> String {
        let part = |from, to| self.text.get(from..to).unwrap_or_default();
        let mut shown = String::new();
        let mut from = span.start;
        for secret in &self.hidden {
            if secret.start < span.end && secret.end > from {
                shown.push_str(part(from, secret.start));
                shown.push_str(HIDDEN);
                from = secret.end.min(span.end);
            }
        }
        shown.push_str(part(from, span.end));
        shown
    }
}

/// The end of what stands before a place, if it is long.
fn cut_start(text: &str) -> String {
    const ENOUGH: usize = 80;
    match text.chars().count().checked_sub(ENOUGH) {
        Some(more @ 1..) => format!("…{}", text.chars().skip(more).collect::<String>()),
        Some(0) | None => text.to_owned(),
    }
}

/// The start of a long line.
fn cut_end(text: &str) -> String {
    const ENOUGH: usize = 160;
    if text.chars().count() > ENOUGH {
        format!("{}…", text.chars().take(ENOUGH).collect::<String>())
    } else {
        text.to_owned()
    }
}
