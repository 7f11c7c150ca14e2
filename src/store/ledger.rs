//! The record of requests: `id.<token>` holds what a request came to, once and
//! for ever, and `run.<run>` holds the answer of a run.
//!
//! Reads that decide something go to the stream's leader; the compare-and-set
//! of [`Store::record`] is the authority.

use async_nats::{
    HeaderMap,
    jetstream::stream::{LastRawMessageErrorKind, Stream},
};
use bytes::Bytes;

use super::{LEDGER_BUCKET, Store, StoreError, Trouble, trouble, wanted::ledger_stream};
use crate::request::{Record, RequestId};

/// How a record came to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is ours.
    Made,
    /// Another was there first.
    Found(Record),
}

impl Store {
    /// What is recorded under `id`, as the stream's leader knows it.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn recorded(&self, id: &RequestId) -> Result<Option<Record>, StoreError> {
        let doing = || format!("read the record of request `{id}`");
        let Some(body) = self
            .leading(&ledger_stream(), &id_subject(id), doing)
            .await?
        else {
            return Ok(None);
        };
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|error| StoreError::new(doing(), Trouble::Other, error))
    }

    /// Records what request `id` came to, unless something is recorded already.
    ///
    /// # Errors
    /// When NATS does not answer; asked again, the outcome is the same.
    pub async fn record(&self, id: &RequestId, record: &Record) -> Result<Recorded, StoreError> {
        let doing = || format!("record request `{id}`");
        let body = serde_json::to_vec(record)
            .map_err(|error| StoreError::new(doing(), Trouble::Other, error))?;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
        match self.confirmed(id_subject(id), headers, body.into()).await {
            Ok(_) => Ok(Recorded::Made),
            Err(error) if error.trouble == Trouble::Outrun => {
                let found = self.recorded(id).await?;
                let found = found.ok_or(error)?;
                Ok(if found == *record {
                    Recorded::Made
                } else {
                    Recorded::Found(found)
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps the answer of a run.
    ///
    /// # Errors
    /// When NATS does not take it.
    pub async fn keep_answer(&self, run: &str, answer: Bytes) -> Result<(), StoreError> {
        self.confirmed(run_subject(run), HeaderMap::new(), answer)
            .await
            .map(drop)
    }

    /// The answer of a run, while it is kept.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn answer(&self, run: &str) -> Result<Option<Bytes>, StoreError> {
        self.leading(&ledger_stream(), &run_subject(run), || {
            format!("read the answer of run `{run}`")
        })
        .await
    }

    /// How large an answer may be to fit a message, headers aside.
    pub fn max_answer(&self) -> usize {
        // Room for headers and subjects.
        self.client
            .server_info()
            .max_payload
            .saturating_sub(16 * 1024)
            .max(16 * 1024)
    }

    /// The last message of `subject`, as the leader of the stream called
    /// `name` knows it.
    pub(super) async fn leading(
        &self,
        name: &str,
        subject: &str,
        doing: impl Fn() -> String,
    ) -> Result<Option<Bytes>, StoreError> {
        let stream: Stream<()> = self.stream(name).await?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message.payload)),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(cause) => {
                    Err(self.api_error(doing(), trouble::of_api(&cause), error))
                }
                LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::Other => {
                    Err(self.api_error(doing(), Trouble::Away, error))
                }
            },
        }
    }
}

fn id_subject(id: &RequestId) -> String {
    format!("$KV.{LEDGER_BUCKET}.id.{}", id.token())
}

fn run_subject(run: &str) -> String {
    format!("$KV.{LEDGER_BUCKET}.run.{run}")
}
