//! Health documents: what a target says of itself, in one of the dialects that
//! frameworks write, put into supercheck's words.
//!
//! A document is recognised by content type and shape, never by URL, with a
//! few look-ups in the body that is parsed already. What is recognised in no
//! dialect is no health document: it is not guessed at. Each dialect is one
//! file and one line of a table.

use serde_json::{Map, Value};

use crate::{
    check::Dialect,
    clock::Timestamp,
    observation::Response,
    report::{Document, Health},
};

mod alexliesenfeld;
mod aspnet;
mod consul;
mod django;
mod dropwizard;
mod ft;
mod health_go;
mod ietf;
mod kubernetes;
mod laravel;
mod microprofile;
mod nats;
mod parts;
mod plain;
mod spring;
mod terminus;
mod uw;

use parts::Parts;
pub use parts::{MAX_COMPONENTS, MAX_DETAIL, MAX_NAME};

/// Every dialect. The first that recognises a document reads it; `plain`, which
/// knows only a word, comes last.
const READERS: [Reader; 16] = [
    ietf::READER,
    spring::READER,
    microprofile::READER,
    aspnet::READER,
    laravel::READER,
    terminus::READER,
    kubernetes::READER,
    consul::READER,
    django::READER,
    ft::READER,
    uw::READER,
    dropwizard::READER,
    health_go::READER,
    alexliesenfeld::READER,
    nats::READER,
    plain::READER,
];

/// The names of all dialects.
pub const NAMES: [&str; READERS.len()] = {
    let mut names = [""; READERS.len()];
    let mut i = 0;
    while i < READERS.len() {
        #[expect(
            clippy::indexing_slicing,
            reason = "within the length, at compile time"
        )]
        {
            names[i] = READERS[i].name;
        }
        i += 1;
    }
    names
};

/// One dialect.
#[derive(Clone, Copy)]
struct Reader {
    /// Its name, in reports and in the configuration.
    name: &'static str,
    /// HTTP statuses by which it says "warning".
    warns: &'static [u16],
    /// Whether an answer is in it.
    recognise: fn(&Answer<'_>) -> bool,
    /// What an answer says in it; nothing, when it is not in it at all.
    read: fn(&Answer<'_>, &mut Parts) -> Option<Health>,
}

/// A document that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it says.
    pub document: Document,
    /// HTTP statuses that are warnings in its dialect.
    pub warns: &'static [u16],
}

/// Reads the answer as a health document. `body` is its body, when that is JSON.
///
/// # Errors
/// When it is not in the dialect that it must be in: the dialect's name.
pub fn read(
    dialect: Dialect,
    response: &Response,
    body: Option<&Value>,
    at: Timestamp,
) -> Result<Option<Reading>, &'static str> {
    let named = match dialect {
        Dialect::None => return Ok(None),
        Dialect::Recognised => None,
        Dialect::Named(name) => Some(name),
    };
    let reading = Answer::of(response, body, at).and_then(|answer| {
        let reader = READERS.iter().find(|reader| match named {
            Some(name) => reader.name == name,
            None => (reader.recognise)(&answer),
        })?;
        let mut parts = Parts::default();
        let status = (reader.read)(&answer, &mut parts)?;
        Some(Reading {
            document: parts.into_document(reader.name, status),
            warns: reader.warns,
        })
    });
    match (reading, named) {
        (None, Some(name)) => Err(name),
        (reading, _) => Ok(reading),
    }
}

/// Whether the answer calls itself a health document.
pub fn is_called_so(response: &Response) -> bool {
    let media = response.header("content-type").unwrap_or_default();
    ["application/health+json", "application/vnd.spring-boot."]
        .iter()
        .any(|known| {
            let start = media.get(..known.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(known))
        })
}

/// An answer, as far as dialects are told apart by it.
#[derive(Clone, Copy)]
struct Answer<'a> {
    /// The HTTP status.
    http: u16,
    /// The media type, without parameters.
    media: &'a str,
    body: Body<'a>,
    /// When it was asked for.
    at: Timestamp,
}

#[derive(Clone, Copy)]
enum Body<'a> {
    Json(&'a Value),
    /// White space around it is gone.
    Text(&'a str),
}

/// A longer text is a page, not a word on someone's health.
const MAX_TEXT: usize = 64 * 1024;

impl<'a> Answer<'a> {
    fn of(response: &'a Response, body: Option<&'a Value>, at: Timestamp) -> Option<Self> {
        let media = response.header("content-type").unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let body = match body {
            Some(json) => Body::Json(json),
            None if response.truncated || response.body.len() > MAX_TEXT => return None,
            None => Body::Text(std::str::from_utf8(response.content()).ok()?.trim()),
        };
        Some(Self {
            http: response.status,
            media,
            body,
            at,
        })
    }

    fn is(&self, media: &str) -> bool {
        self.media.eq_ignore_ascii_case(media)
    }

    /// The body, when it is a JSON object.
    fn root(&self) -> Option<&'a Map<String, Value>> {
        match self.body {
            Body::Json(json) => json.as_object(),
            Body::Text(_) => None,
        }
    }

    /// The body, when it is a JSON list.
    fn list(&self) -> Option<&'a [Value]> {
        match self.body {
            Body::Json(json) => json.as_array().map(Vec::as_slice),
            Body::Text(_) => None,
        }
    }

    /// The body, when it is text that says so.
    fn text(&self) -> Option<&'a str> {
        match self.body {
            Body::Text(text) if self.is("text/plain") => Some(text),
            Body::Json(_) | Body::Text(_) => None,
        }
    }

    /// The text under `key`.
    fn word(&self, key: &str) -> Option<&'a str> {
        self.root()?.get(key)?.as_str()
    }

    /// The object under `key`.
    fn object(&self, key: &str) -> Option<&'a Map<String, Value>> {
        self.root()?.get(key)?.as_object()
    }

    /// The list under `key`.
    fn array(&self, key: &str) -> Option<&'a [Value]> {
        self.root()?.get(key)?.as_array().map(Vec::as_slice)
    }

    /// Whether `status` is one of `words`, to the letter.
    fn says(&self, words: &[&str]) -> bool {
        self.word("status")
            .is_some_and(|word| words.contains(&word))
    }
}

/// What a word for a state means, in all dialects; the case is of no matter.
fn health(word: &str) -> Health {
    const WORDS: [(Health, &[&str]); 3] = [
        (
            Health::Pass,
            &[
                "pass", "passed", "passing", "ok", "up", "healthy", "working", "serving",
            ],
        ),
        (
            Health::Warn,
            &["warn", "warning", "degraded", "partially available"],
        ),
        (
            Health::Fail,
            &[
                "fail",
                "failed",
                "failing",
                "error",
                "down",
                "out_of_service",
                "unhealthy",
                "critical",
                "maintenance",
                "crashed",
                "unavailable",
                "shutting_down",
                "timeout during health check",
            ],
        ),
    ];
    WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|known| known.eq_ignore_ascii_case(word)))
        .map_or(Health::Unknown, |(health, _)| *health)
}

/// The state under `key`, if one is there.
fn health_at(map: &Map<String, Value>, key: &str) -> Health {
    map.get(key)
        .and_then(Value::as_str)
        .map_or(Health::Unknown, health)
}

#[cfg(test)]
mod tests;
