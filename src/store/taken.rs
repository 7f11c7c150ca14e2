//! A message taken from a queue: kept while it is worked on, given back, or
//! taken out for good.

use std::time::Duration;

use async_nats::jetstream::{
    self, AckKind,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    stream::{ConsumerError, Stream as Queue},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::{Store, StoreError, Trouble};
use crate::{error::Chain, trial};

/// A message whose worker is silent for so long is handed to another.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// How long that is: as above, unless a test cannot wait.
pub fn ack_wait() -> Duration {
    trial::ack_wait(ACK_WAIT)
}

/// A message, delivered.
#[derive(Debug)]
pub struct Taken {
    message: jetstream::Message,
    store: Store,
}

/// What the server says of a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// The message's place in the stream.
    pub sequence: u64,
    /// How many follow it.
    pub pending: u64,
    /// How often it was delivered, this time included.
    pub deliveries: u64,
    /// When it was stored, in milliseconds since the Unix epoch.
    pub published: u64,
}

/// Any number may be with the instances, each of which takes no more than it
/// has room for: what one of them gives back for a while stays with it, and
/// must not keep the others from being handed out.
const NO_LIMIT: i64 = -1;

/// Finds the durable consumer that all instances share, or makes it.
pub(crate) async fn consumer(queue: &Queue, name: &str) -> Result<PullConsumer, ConsumerError> {
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        ack_policy: AckPolicy::Explicit,
        deliver_policy: DeliverPolicy::All,
        ack_wait: ack_wait(),
        max_deliver: -1,
        max_ack_pending: NO_LIMIT,
        ..pull::Config::default()
    };
    let found = queue.get_or_create_consumer(name, config.clone()).await?;
    if found.cached_info().config.max_ack_pending == NO_LIMIT {
        return Ok(found);
    }
    // An earlier version made it.
    match queue.create_consumer(config).await {
        Ok(changed) => Ok(changed),
        Err(error) => {
            tracing::warn!(
                consumer = name, error = %Chain(&error),
                hint = "let the daemon change it, or set its `max_ack_pending` to -1",
                "a queue hands out a bounded number at once: a flood for one host may keep others waiting"
            );
            Ok(found)
        }
    }
}

/// Messages of `consumer` as they come, at most `ahead` of them fetched before
/// they are taken. When it is silent for twice `heartbeat`, that is an error;
/// who stands still is handed no more after four of them.
pub(crate) async fn take(
    store: &Store,
    consumer: &PullConsumer,
    ahead: usize,
    heartbeat: Duration,
    doing: &'static str,
) -> Result<impl Stream<Item = Result<Taken, StoreError>> + use<>, StoreError> {
    let messages = consumer
        .stream()
        .max_messages_per_batch(ahead)
        .expires(4 * heartbeat)
        .heartbeat(heartbeat)
        .messages()
        .await
        .map_err(|error| StoreError::new(doing, Trouble::Away, error))?;
    let store = store.clone();
    Ok(messages.map(move |message| {
        let store = store.clone();
        message
            .map(|message| Taken { message, store })
            .map_err(|error| StoreError::new(doing, Trouble::Away, error))
    }))
}

impl Taken {
    /// Its body.
    pub fn body(&self) -> &Bytes {
        &self.message.payload
    }

    /// The last token of its subject.
    pub(crate) fn token(&self) -> &str {
        self.message.subject.rsplit('.').next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.message.headers.as_ref()?;
        headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    pub(crate) fn delivery(&self) -> Result<Delivery, StoreError> {
        let info = self
            .message
            .info()
            .map_err(|error| StoreError::new("read a message", Trouble::Other, error))?;
        Ok(Delivery {
            sequence: info.stream_sequence,
            pending: info.pending,
            deliveries: u64::try_from(info.delivered).unwrap_or(1),
            published: u64::try_from(info.published.timestamp_millis()).unwrap_or(0),
        })
    }

    /// Says that it is being worked on: the server waits anew.
    pub async fn in_progress(&self) {
        if let Err(error) = self.message.ack_with(AckKind::Progress).await {
            tracing::debug!(%error, "in progress");
        }
    }

    /// Gives it back, to be delivered again after `delay`.
    pub async fn release(&self, delay: Option<Duration>) {
        if let Err(error) = self.message.ack_with(AckKind::Nak(delay)).await {
            tracing::debug!(%error, "give a message back");
        }
    }

    /// Takes it out of the queue, and waits until it is.
    ///
    /// A reply that says that nobody listens is an error here (`double_ack`
    /// takes it for a yes).
    ///
    /// # Errors
    /// When it may still be there: it is delivered again then.
    pub async fn done(&self) -> Result<(), StoreError> {
        let doing = "take a finished message out of its queue";
        let Some(reply) = self.message.reply.clone() else {
            return Ok(());
        };
        self.store
            .client
            .request(reply, "+ACK".into())
            .await
            .map(drop)
            .map_err(|error| StoreError::new(doing, Trouble::Away, error))
    }
}
