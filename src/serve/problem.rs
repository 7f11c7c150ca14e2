//! What cannot be answered, said as RFC 9457 has it, with what helps.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::request::Refusal;

/// Who is one too many may ask again after this time, in seconds: what goes back
/// for want of room is taken up again after as long, at the earliest.
const AGAIN_AFTER: HeaderValue = HeaderValue::from_static("2");

/// A problem, on its way to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    document: Box<Document>,
    challenge: Option<&'static str>,
}

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Document {
    /// Always `about:blank`: the status says which kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong.
    detail: String,
    /// What helps.
    hint: String,
    /// The request's id, to ask again with.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        let document = Document {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            hint: hint.into(),
            id: None,
        };
        Self {
            document: Box::new(document),
            challenge: None,
        }
    }

    /// The request is not one that can be read.
    pub fn malformed(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail, hint)
    }

    /// A token is missing or wrong; `challenge` says how to present one.
    pub fn unauthorized(detail: &str, hint: &str, challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, detail, hint)
        }
    }

    /// NATS does not give what is asked of it.
    pub fn away(error: &dyn std::error::Error) -> Self {
        let detail = format!("NATS cannot be used now: {}", crate::error::Chain(error));
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            detail,
            "ask again later; `/readyz` tells when NATS is back, and the newest of each check is \
             answered from memory meanwhile",
        )
    }

    /// The same, about the request with this id.
    pub fn about(mut self, id: Option<String>) -> Self {
        self.document.id = id;
        self
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What is wrong, and what helps.
    pub const fn document(&self) -> &Document {
        &self.document
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status =
            StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // What NATS calls it by is another word here.
        let hint = refusal
            .hint
            .replace("`supercheck.list`", "`/api/v1/checks`");
        Self::new(status, refusal.error, hint)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self.document).unwrap_or_default();
        let head = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response = (status, head, body).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, AGAIN_AFTER);
        }
        if let Some(challenge) = self.challenge {
            let value = HeaderValue::from_static(challenge);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}
