//! On-demand check requests: what is asked, under which id, how it came out.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::near::nearest;

pub mod allow;

pub use allow::{Allowance, UrlPattern};

/// An id is at most this long, in bytes: its token is part of a subject.
pub const MAX_ID: usize = 128;

/// The keys of a request's JSON.
const KEYS: [&str; 5] = ["check", "url", "max_age", "id", "timeout"];

/// The id of a request: whatever is asked under one id has one result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// Takes any text of 1 to 128 bytes.
    ///
    /// # Errors
    /// When it is empty or longer.
    pub fn new(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.len() > MAX_ID {
            return Err(Refusal::malformed(
                format!("the request's id has {} bytes", text.len()),
                format!("use 1 to {MAX_ID} bytes, such as a UUID"),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as one token of a subject: base64url, without padding.
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// The id that a token stands for.
    pub fn of_token(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        Self::new(&String::from_utf8(bytes).ok()?).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A request as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// A check's name, or a URL; `None` where the subject says it.
    pub what: Option<What>,
    /// A report no older than this will do.
    pub max_age: Option<Duration>,
    /// The id under which the result is kept.
    pub id: Option<RequestId>,
    /// How long the asker waits.
    pub timeout: Option<Duration>,
}

/// What is to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A configured check, by name.
    Check(String),
    /// A URL: a configured check's, or one that is allowed.
    Url(String),
}

impl What {
    /// A name or URL as one types it.
    pub fn of(text: &str) -> Self {
        if text.contains("://") {
            Self::Url(text.to_owned())
        } else {
            Self::Check(text.to_owned())
        }
    }
}

impl What {
    /// The thing in one word, to tell one request from another.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Check(name) => format!("check:{name}"),
            Self::Url(url) => format!("url:{url}"),
        }
    }
}

impl Ask {
    /// Reads a bare name or URL, or JSON.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_BODY {
            return Err(Refusal::malformed(
                format!(
                    "the request has {} bytes, and {MAX_BODY} is the most",
                    body.len()
                ),
                EXAMPLE,
            ));
        }
        let text = std::str::from_utf8(body).map_err(|_| {
            Refusal::malformed("the request is not UTF-8", "send a check's name, or JSON")
        })?;
        let text = text.trim();
        if text.starts_with('{') {
            return Self::parse_json(text);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Refusal::malformed(
                "the request is neither a check's name, nor a URL, nor JSON",
                EXAMPLE,
            ));
        }
        let what = (!text.is_empty()).then(|| What::of(text));
        if let Some(What::Url(url)) = &what {
            without_user(url)?;
        }
        Ok(Self {
            what,
            max_age: None,
            id: None,
            timeout: None,
        })
    }

    fn parse_json(text: &str) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Refusal::malformed(format!("the request is not JSON: {error}"), EXAMPLE)
        })?;
        let Value::Object(object) = value else {
            return Err(Refusal::malformed("the request is no JSON object", EXAMPLE));
        };
        let (mut check, mut url, mut ask) = (None, None, Self::default());
        for (key, value) in object {
            let Value::String(value) = value else {
                return Err(Refusal::malformed(
                    format!("`{key}` is not a string"),
                    EXAMPLE,
                ));
            };
            match key.as_str() {
                "check" => check = Some(What::Check(value)),
                "url" => {
                    without_user(&value)?;
                    url = Some(What::Url(value));
                }
                "max_age" => ask.max_age = Some(duration(&key, &value)?),
                "timeout" => ask.timeout = Some(duration(&key, &value)?),
                "id" => ask.id = Some(RequestId::new(&value)?),
                _ => return Err(unknown(&key)),
            }
        }
        if check.is_some() && url.is_some() {
            return Err(Refusal::malformed(
                "the request has both `check` and `url`",
                "leave one of them out",
            ));
        }
        ask.what = check.or(url);
        Ok(ask)
    }
}

/// A request is a name, a URL, or little JSON.
const MAX_BODY: usize = 16 * 1024;

/// Names and passwords have no place in a request, which is recorded and
/// shown. They are not repeated in the refusal either.
fn without_user(url: &str) -> Result<(), Refusal> {
    let after = url.split_once(':').map_or(url, |(_, after)| after);
    let host = after.trim_start_matches(['/', '\\']);
    let end = host.find(['/', '\\', '?', '#']).unwrap_or(host.len());
    if host
        .get(..end)
        .is_some_and(|authority| authority.contains('@'))
    {
        return Err(Refusal::malformed(
            "the URL holds a user or a password",
            "leave it out: add a `[[check]]` for a target that asks for it",
        ));
    }
    Ok(())
}

const EXAMPLE: &str = "send a check's name, such as `api`, or JSON, such as \
                       `{\"check\": \"api\", \"max_age\": \"10s\"}`";

fn duration(key: &str, text: &str) -> Result<Duration, Refusal> {
    humantime::parse_duration(text).map_err(|_| {
        Refusal::malformed(
            format!("`{key}` is `{text}`, which is not a duration"),
            "write a number and a unit, such as `10s`, `500ms`, or `1m 30s`",
        )
    })
}

fn unknown(key: &str) -> Refusal {
    let hint = match nearest(key, KEYS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys: {}", KEYS.join(", ")),
    };
    Refusal::malformed(format!("unknown key `{key}`"), hint)
}

/// Why a request was not done. The codes are HTTP's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// 400 malformed, 403 not allowed, 404 no such check, 409 the id asked for
    /// something else, 429 too many wait, 500 given up, 503 NATS away or draining,
    /// 504 no result in time.
    pub code: u16,
    /// What is wrong.
    pub error: String,
    /// What helps.
    pub hint: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: u16, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            error: error.into(),
            hint: hint.into(),
        }
    }

    /// The request could not be read.
    pub fn malformed(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(400, error, hint)
    }
}

impl Refusal {
    /// The id was used for something else before.
    pub fn other_use(asked: &str) -> Self {
        Self::new(
            409,
            format!("this id was used for `{asked}`"),
            "use a new id for each thing that is asked",
        )
    }

    /// Nobody asks the target of a push check.
    pub fn of_push(check: &str) -> Self {
        Self::new(
            409,
            format!("`{check}` cannot be run: its job reports by itself"),
            format!(
                "`supercheck.get` has its newest report; the job sends them to `supercheck.push.{check}`"
            ),
        )
    }

    /// Its workers died, again and again.
    pub fn given_up(deliveries: u64) -> Self {
        Self::new(
            500,
            format!("given up after {deliveries} deliveries"),
            "the daemon's log tells why its workers ended",
        )
    }

    /// It waited for too long.
    pub fn too_old(age: Duration) -> Self {
        let age = Duration::from_secs(age.as_secs());
        Self::new(
            504,
            format!(
                "it waited for {} in the queue",
                humantime::format_duration(age)
            ),
            "ask again with a new id; is a supercheck daemon running?",
        )
    }
}

/// What is recorded under a request's id, once and for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this form, 1.
    pub v: u32,
    /// What was asked: `check:<name>` or `url:<url>`.
    pub asked: String,
    /// How it came out.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a request came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The id of the run that answers it.
    Run(String),
    /// Why it was refused.
    Refused(Refusal),
}

impl Record {
    /// A record of what `asked` came to.
    pub const fn new(asked: String, outcome: Outcome) -> Self {
        Self {
            v: 1,
            asked,
            outcome,
        }
    }
}

#[cfg(test)]
mod tests;
