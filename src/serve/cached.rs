//! Answers that tell how long they hold: `Age`, `Cache-Control`, `ETag`.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;

use crate::{clock::Timestamp, report::Summary};

/// How long an answer holds.
#[derive(Clone, Copy, Debug)]
pub enum Lease {
    /// It is about one run: as long as that run's summary does.
    Run {
        /// When the run began to probe.
        checked_at: Timestamp,
        /// When its summary is stale.
        expires_at: Timestamp,
    },
    /// It may be another one the next moment: ask with the tag.
    Ask,
}

impl Lease {
    /// That of what `summary` says.
    pub fn of(summary: Option<&Summary>) -> Self {
        summary.map_or(Self::Ask, |summary| Self::Run {
            checked_at: summary.checked_at,
            expires_at: summary.expires_at,
        })
    }
}

/// Answers with `body`, or that the asker has it already.
pub fn answer(
    asked: &HeaderMap,
    body: impl Into<Bytes>,
    content_type: &'static str,
    lease: Lease,
    now: Timestamp,
) -> Response {
    let body = body.into();
    let tag = tag(&body);
    let held = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|held| matches!(held.trim(), held if held == tag || held == "*"));
    let mut response = if held {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(body).into_response()
    };
    let headers = response.headers_mut();
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, content_type);
    put(header::ETAG, &tag);
    match lease {
        Lease::Run {
            checked_at,
            expires_at,
        } => {
            let left = expires_at.since(now).as_secs();
            put(header::AGE, &now.since(checked_at).as_secs().to_string());
            if left == 0 {
                put(header::CACHE_CONTROL, "no-cache");
            } else {
                put(header::CACHE_CONTROL, &format!("max-age={left}"));
            }
        }
        Lease::Ask => put(header::CACHE_CONTROL, "no-cache"),
    }
    response
}

/// Weak, as the same JSON may be written in other bytes by another release.
fn tag(body: &Bytes) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("W/\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers()[name].to_str().unwrap()
    }

    #[test]
    fn an_answer_holds_as_long_as_its_run_and_is_not_sent_twice() {
        let at = Timestamp::from_millis;
        let lease = Lease::Run {
            checked_at: at(1_000),
            expires_at: at(24_000),
        };
        let first = answer(
            &HeaderMap::new(),
            "{}",
            "application/json",
            lease,
            at(6_500),
        );
        assert_eq!(header(&first, "age"), "5");
        assert_eq!(header(&first, "cache-control"), "max-age=17");
        let mut asked = HeaderMap::new();
        let tags = format!("\"x\", {}", header(&first, "etag"));
        asked.insert(header::IF_NONE_MATCH, tags.parse().unwrap());
        let again = answer(&asked, "{}", "application/json", lease, at(23_500));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(header(&again, "cache-control"), "no-cache");
        let changed = answer(&asked, "[]", "application/json", lease, at(6_500));
        assert_eq!(changed.status(), StatusCode::OK);
    }
}
