//! `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in any string;
//! `$${` writes a plain `${`.

use std::path::{Path, PathBuf};

use super::{
    Sources,
    book::Book,
    hide::HIDDEN,
    mistake::Place,
    tree::{Node, Value},
};

/// Replaces in every string of the tree.
pub(super) fn all(node: &mut Node, sources: &Sources<'_>, folder: Option<&Path>, book: &mut Book) {
    match &mut node.value {
        Value::Text(text) | Value::Raw(text) => {
            if !text.contains("${") {
                return;
            }
            match replace(text, &node.at, sources, folder, book) {
                Some(replaced) => {
                    node.shown = Some(replaced.shown);
                    node.secret = replaced.secret;
                    *text = replaced.text;
                }
                None => node.broken = true,
            }
        }
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| all(item, sources, folder, book)),
        Value::Table(entries) => {
            entries
                .values_mut()
                .for_each(|entry| all(&mut entry.node, sources, folder, book));
        }
        Value::Integer(_) | Value::Bool(_) | Value::Other(_) => {}
    }
}

/// Text with its references replaced.
#[derive(Default)]
struct Replaced {
    text: String,
    /// The same with every replacement hidden.
    shown: String,
    secret: bool,
}

/// Replaces every reference in `text`; `None` when one cannot be.
fn replace(
    text: &str,
    at: &Place,
    sources: &Sources<'_>,
    folder: Option<&Path>,
    book: &mut Book,
) -> Option<Replaced> {
    let mut out = Replaced::default();
    let mut sound = true;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let start = text.len() - rest.len() + before.len();
        if let Some(before) = before.strip_suffix('$') {
            out.plain(before);
            out.plain("${");
            rest = after;
            continue;
        }
        out.plain(before);
        let Some((reference, after)) = after.split_once('}') else {
            let at = book.within(at, &(start..text.len()), text);
            book.mistake(&at, "`${` without a `}`")
                .hint("write `$${` for a plain `${`");
            return None;
        };
        rest = after;
        match look_up(reference, sources, folder) {
            Ok(value) => {
                out.text.push_str(&value);
                out.shown.push_str(HIDDEN);
                out.secret = true;
            }
            Err((message, hint)) => {
                let at = book.within(at, &(start..text.len() - rest.len()), text);
                book.mistake(&at, message).hint(hint);
                sound = false;
            }
        }
    }
    out.plain(rest);
    sound.then_some(out)
}

impl Replaced {
    fn plain(&mut self, text: &str) {
        self.text.push_str(text);
        self.shown.push_str(text);
    }
}

fn look_up(
    reference: &str,
    sources: &Sources<'_>,
    folder: Option<&Path>,
) -> Result<String, (String, String)> {
    if let Some(name) = reference.strip_prefix("env:") {
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        return match (sources.env.get(name), default) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err((
                format!("the environment variable `{name}` is not set"),
                format!("set it, or write `${{env:{name}:-default}}`"),
            )),
        };
    }
    if let Some(path) = reference.strip_prefix("file:") {
        let path = absolute(Path::new(path), sources, folder);
        return match (sources.read)(&path) {
            Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => Err((
                format!("open `{}`: {error}", path.display()),
                "the user that supercheck runs as must be able to read it".to_owned(),
            )),
        };
    }
    Err((
        format!("`${{{reference}}}` is no reference"),
        "there are `${env:NAME}` and `${file:/path}`; `$${` writes a plain `${`".to_owned(),
    ))
}

/// Relative files are systemd's credentials, or beside the configuration.
fn absolute(path: &Path, sources: &Sources<'_>, folder: Option<&Path>) -> PathBuf {
    let credentials = sources.env.get("CREDENTIALS_DIRECTORY").map(Path::new);
    match credentials.or(folder) {
        Some(folder) if path.is_relative() => folder.join(path),
        _ => path.to_owned(),
    }
}
