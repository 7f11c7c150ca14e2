//! The record of requests: `id.<token>` holds what a request came to, once and
//! for ever, `run.<run>` holds the answer of a run, and `try.<token>` how often a
//! request was begun that may kill its workers.
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

    /// How often the request was tried, and nobody said how that ended.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn tries(&self, id: &RequestId) -> Result<u64, StoreError> {
        let doing = || format!("read the tries of request `{id}`");
        let tries = self
            .leading(&ledger_stream(), &try_subject(id), doing)
            .await?;
        let tries = tries.and_then(|tries| str::from_utf8(&tries).ok()?.parse().ok());
        Ok(tries.unwrap_or(0))
    }

    /// Notes that the request is tried, the how manieth time.
    ///
    /// # Errors
    /// When NATS does not take it.
    pub async fn note_try(&self, id: &RequestId, tries: u64) -> Result<(), StoreError> {
        let tries = tries.to_string().into();
        self.confirmed(try_subject(id), HeaderMap::new(), tries)
            .await
            .map(drop)
    }

    /// Notes that the tries so far ended well.
    ///
    /// # Errors
    /// When NATS does not take it.
    pub async fn forget_tries(&self, id: &RequestId) -> Result<(), StoreError> {
        self.note_try(id, 0).await
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

fn try_subject(id: &RequestId) -> String {
    format!("$KV.{LEDGER_BUCKET}.try.{}", id.token())
}
