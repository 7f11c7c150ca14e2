//! What was: every summary, replayed from its stream.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream::Stream,
};
use futures_util::{StreamExt as _, stream};

use super::{HISTORY_STREAM, Store, StoreError, Trouble, trouble};
use crate::{check::CheckName, clock::Timestamp, report::Summary};

/// How many summaries are fetched at once.
const BATCH: usize = 500;
/// A batch is awaited so long; what is stored comes at once.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The server forgets a reader that is silent for so long.
const INACTIVE: Duration = Duration::from_secs(60);

/// The subject of a check's summaries.
pub fn subject(check: &str) -> String {
    format!("supercheck.history.{check}")
}

/// A place in the history, to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The first summary at or after this moment.
    Time(Timestamp),
    /// After this sequence.
    After(u64),
}

/// A summary and its place.
#[derive(Clone, Debug)]
pub struct Past {
    /// Its place in the stream.
    pub sequence: u64,
    /// What was.
    pub summary: Summary,
}

impl Store {
    /// The summaries of `check` that are stored now, oldest first, in bounded
    /// batches: `each` is called with one batch after the other.
    ///
    /// # Errors
    /// When NATS does not answer, or `each` says so.
    pub async fn replay<E>(
        &self,
        check: &CheckName,
        from: From,
        each: impl FnMut(Vec<Past>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: std::convert::From<StoreError>,
    {
        self.replay_of(check.as_str(), from, each).await
    }

    /// The same, of the check called so, or of all with `*`.
    pub(super) async fn replay_of<E>(
        &self,
        check: &str,
        from: From,
        mut each: impl FnMut(Vec<Past>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: std::convert::From<StoreError>,
    {
        let consumer = self.past(check, from).await?;
        let mut left = consumer.cached_info().num_pending;
        while left > 0 {
            let batch = self.batch(&consumer, left).await?;
            if batch.is_empty() {
                // What was counted has expired meanwhile.
                return Ok(());
            }
            left = left.saturating_sub(batch.len() as u64);
            each(batch)?;
        }
        Ok(())
    }

    async fn batch(
        &self,
        consumer: &async_nats::jetstream::consumer::Consumer<pull::Config>,
        left: u64,
    ) -> Result<Vec<Past>, StoreError> {
        let most = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
        let mut messages = consumer
            .fetch()
            .max_messages(most)
            .expires(FETCH_TIMEOUT)
            .messages()
            .await
            .map_err(|error| StoreError::new(DOING, Trouble::Away, error))?;
        let mut batch = Vec::with_capacity(most);
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| StoreError::new(DOING, Trouble::Away, error))?;
            batch.extend(past(&message));
        }
        Ok(batch)
    }

    /// The summaries of `check` from there on, and new ones as they come.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn follow(
        &self,
        check: &CheckName,
        from: From,
    ) -> Result<impl stream::Stream<Item = Result<Past, StoreError>> + use<>, StoreError> {
        let consumer = self.past(check.as_str(), from).await?;
        let messages = consumer
            .messages()
            .await
            .map_err(|error| StoreError::new(DOING, Trouble::Away, error))?;
        Ok(messages.filter_map(|message| {
            std::future::ready(match message {
                Ok(message) => past(&message).map(Ok),
                Err(error) => Some(Err(StoreError::new(DOING, Trouble::Away, error))),
            })
        }))
    }

    /// A reader of its own for one check, which the server forgets by itself.
    async fn past(
        &self,
        check: &str,
        from: From,
    ) -> Result<async_nats::jetstream::consumer::Consumer<pull::Config>, StoreError> {
        let stream: Stream = self.js.get_stream(HISTORY_STREAM).await.map_err(|error| {
            self.api_error(DOING.to_owned(), trouble::of_get_stream(&error), error)
        })?;
        let deliver_policy = match from {
            From::Time(at) => since(at),
            From::After(sequence) => DeliverPolicy::ByStartSequence {
                start_sequence: sequence + 1,
            },
        };
        let config = pull::Config {
            filter_subject: subject(check),
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        stream
            .create_consumer(config)
            .await
            .map_err(|error| self.api_error(DOING.to_owned(), Trouble::Away, error))
    }
}

/// Delivers what was stored at that moment or later.
pub(super) fn since(at: Timestamp) -> DeliverPolicy {
    let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    DeliverPolicy::ByStartTime {
        start_time: chrono::DateTime::from_timestamp_millis(at).unwrap_or_default(),
    }
}

const DOING: &str = "read the history";

/// What is no summary (somebody else's message) is passed over.
fn past(message: &async_nats::jetstream::Message) -> Option<Past> {
    let summary = serde_json::from_slice(&message.payload).ok()?;
    let sequence = message.info().ok()?.stream_sequence;
    Some(Past { sequence, summary })
}
