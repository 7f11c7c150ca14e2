//! Readers of a stream: consumers that acknowledge nothing and that the server
//! forgets by itself.

use std::time::Duration;

use async_nats::jetstream::{
    Message,
    consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
    stream::Stream,
};
use futures_util::{StreamExt as _, stream};

use super::{Store, StoreError, Trouble, trouble};
use crate::clock::Timestamp;

/// A reader of what is stored is forgotten when it is silent for so long: it
/// is done then. The server takes a thousand of them by default.
pub(super) const REPLAYS: Duration = Duration::from_secs(5);
/// And so one who waits for what comes, should its connection be away.
pub(super) const FOLLOWS: Duration = Duration::from_secs(60);

/// One who reads a subject of a stream.
pub(super) struct Reader {
    /// What it reads for, as errors say it.
    doing: &'static str,
    consumer: Consumer<pull::Config>,
}

impl Store {
    /// A reader of `subject`, from a place in its stream.
    pub(super) async fn reader(
        &self,
        doing: &'static str,
        (stream, subject): (&str, String),
        deliver_policy: DeliverPolicy,
        inactive_threshold: Duration,
    ) -> Result<Reader, StoreError> {
        let stream: Stream = self.js.get_stream(stream).await.map_err(|error| {
            self.api_error(doing.to_owned(), trouble::of_get_stream(&error), error)
        })?;
        let config = pull::Config {
            filter_subject: subject,
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await;
        let consumer =
            consumer.map_err(|error| self.api_error(doing.to_owned(), Trouble::Away, error))?;
        Ok(Reader { doing, consumer })
    }
}

impl Reader {
    /// How many messages were there to be read at its beginning.
    pub(super) fn pending(&self) -> u64 {
        self.consumer.cached_info().num_pending
    }

    /// The next `most` messages, or fewer when no more come `within` a time,
    /// each as `read` has it.
    pub(super) async fn batch<T>(
        &self,
        most: usize,
        within: Duration,
        read: impl Fn(&Message) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let away = |error| StoreError::new(self.doing, Trouble::Away, error);
        let fetch = self.consumer.fetch().max_messages(most).expires(within);
        let mut messages = fetch.messages().await.map_err(|error| away(error.into()))?;
        let mut batch = Vec::with_capacity(most);
        while let Some(message) = messages.next().await {
            batch.extend(read(&message.map_err(away)?));
        }
        Ok(batch)
    }

    /// All messages, and those to come, each as `read` has it.
    pub(super) async fn follow<T>(
        self,
        read: impl Fn(&Message) -> Option<T>,
    ) -> Result<impl stream::Stream<Item = Result<T, StoreError>>, StoreError> {
        let doing = self.doing;
        let messages = self.consumer.messages().await;
        let messages = messages.map_err(|error| StoreError::new(doing, Trouble::Away, error))?;
        Ok(messages.filter_map(move |message| {
            std::future::ready(match message {
                Ok(message) => read(&message).map(Ok),
                Err(error) => Some(Err(StoreError::new(doing, Trouble::Away, error))),
            })
        }))
    }
}

/// Delivers what was stored at that moment or later.
pub(super) fn since(at: Timestamp) -> DeliverPolicy {
    let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    DeliverPolicy::ByStartTime {
        start_time: chrono::DateTime::from_timestamp_millis(at).unwrap_or_default(),
    }
}

/// Delivers what was stored after that place.
pub(super) const fn after(sequence: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence {
        start_sequence: sequence + 1,
    }
}
