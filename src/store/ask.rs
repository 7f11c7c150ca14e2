//! Asking a running daemon, as any client does.

use std::time::Duration;

use async_nats::{HeaderMap, RequestErrorKind};
use bytes::Bytes;
use serde_json::Value;

use super::{Store, StoreError, Trouble};
use crate::request::{Refusal, RequestId};

impl Store {
    /// Sends `body` to the endpoint at `subject` and waits for its answer.
    ///
    /// # Errors
    /// When nobody listens there, or nothing comes in time. A refusal is an
    /// answer.
    pub async fn ask(
        &self,
        subject: &str,
        body: String,
        id: Option<&RequestId>,
        timeout: Duration,
    ) -> Result<Result<Bytes, Refusal>, StoreError> {
        let doing = || format!("ask `{subject}`");
        let mut headers = HeaderMap::new();
        if let Some(id) = id {
            headers.insert("Nats-Msg-Id", id.as_str());
        }
        let request = async_nats::Request::new()
            .payload(body.into())
            .headers(headers)
            .timeout(Some(timeout));
        let answer = self
            .client
            .send_request(subject.to_owned(), request)
            .await
            .map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => StoreError::new(
                    doing(),
                    Trouble::NoDaemon,
                    "no supercheck daemon listens there",
                ),
                RequestErrorKind::TimedOut => {
                    StoreError::new(doing(), Trouble::Away, "no answer in time")
                }
                RequestErrorKind::InvalidSubject
                | RequestErrorKind::MaxPayloadExceeded
                | RequestErrorKind::Other => StoreError::new(doing(), Trouble::Other, error),
            })?;
        let code = answer
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Service-Error-Code"));
        let Some(code) = code else {
            return Ok(Ok(answer.payload));
        };
        let body: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        let word = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        Ok(Err(Refusal::new(
            code.as_str().parse().unwrap_or(500),
            word("error"),
            word("hint"),
        )))
    }
}
