//! The work queue of requests: putting one in, taking them out, and telling
//! whoever waits how they came out.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{
        self, AckKind,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    },
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::{REQUEST_STREAM, Store, StoreError, Trouble, trouble};
use crate::{
    clock::{self, Timestamp},
    request::{Record, RequestId},
};

/// The durable consumer that all instances share.
const CONSUMER: &str = "workers";
/// A request whose worker is silent for so long is handed to another.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// Requests that may be with workers at once, over all instances.
const MAX_ACK_PENDING: i64 = 8192;
/// Subject token of requests for URLs that are no configured check.
pub const URL_TOKEN: &str = "_url";
/// Finished requests are told on this subject, one token below it.
const RESULTS: &str = "supercheck.results";

/// A request that is in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its place.
    pub sequence: u64,
    /// Whether it was there already.
    pub duplicate: bool,
}

/// The queue, from the taking end.
#[derive(Clone, Debug)]
pub struct Queue {
    consumer: PullConsumer,
    store: Store,
    /// When the stream was made: sequences begin anew with each stream.
    pub epoch: i64,
    /// The last sequence when the queue was looked at.
    pub last: u64,
}

/// A request, delivered.
#[derive(Debug)]
pub struct Delivered {
    message: jetstream::Message,
    store: Store,
    /// The subject's last token: a check's name, or [`URL_TOKEN`].
    pub token: String,
    /// Its id, or one made of its place in the queue.
    pub id: Result<RequestId, crate::request::Refusal>,
    /// Its place in the queue.
    pub sequence: u64,
    /// The highest place that is surely taken.
    pub known: u64,
    /// How often it was delivered, this time included.
    pub deliveries: u64,
    /// How long ago it was put in the queue, by the server's clock then.
    pub age: Duration,
}

impl Store {
    /// Puts a request in the queue. Asked again with the same id, it stays one.
    ///
    /// # Errors
    /// When the queue is full ([`Trouble::Full`]) or NATS does not answer.
    pub async fn enqueue(
        &self,
        token: &str,
        id: &RequestId,
        body: Bytes,
    ) -> Result<Accepted, StoreError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id.as_str());
        let ack = self
            .confirmed(format!("supercheck.requests.{token}"), headers, body)
            .await?;
        Ok(Accepted {
            sequence: ack.sequence,
            duplicate: ack.duplicate,
        })
    }

    /// Finds the queue's consumer, or makes it.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn queue(&self) -> Result<Queue, StoreError> {
        let doing = "take requests from the queue";
        let stream = self.js.get_stream(REQUEST_STREAM).await.map_err(|error| {
            self.api_error(doing.to_owned(), trouble::of_get_stream(&error), error)
        })?;
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            deliver_policy: DeliverPolicy::All,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        };
        let consumer = stream
            .get_or_create_consumer(CONSUMER, config)
            .await
            .map_err(|error| self.api_error(doing.to_owned(), Trouble::Away, error))?;
        let info = stream.cached_info();
        Ok(Queue {
            consumer,
            store: self.clone(),
            epoch: info.created.timestamp_millis(),
            last: info.state.last_sequence,
        })
    }

    /// Tells whoever waits for `id` how it came out.
    ///
    /// # Errors
    /// When the connection takes no more. Who missed it reads the record.
    pub async fn tell(&self, id: &RequestId, record: &Record) -> Result<(), StoreError> {
        let doing = || format!("tell of request `{id}`");
        let body = serde_json::to_vec(record)
            .map_err(|error| StoreError::new(doing(), Trouble::Other, error))?;
        self.client
            .publish(format!("{RESULTS}.{}", id.token()), body.into())
            .await
            .map_err(|error| StoreError::new(doing(), Trouble::Away, error))
    }

    /// Everything that is told from now on.
    ///
    /// # Errors
    /// When the connection takes no more.
    pub async fn results(
        &self,
    ) -> Result<impl Stream<Item = (RequestId, Record)> + use<>, StoreError> {
        let told = self
            .client
            .subscribe(format!("{RESULTS}.*"))
            .await
            .map_err(|error| StoreError::new("hear of results", Trouble::Away, error))?;
        Ok(told.filter_map(|message| {
            let id = message
                .subject
                .rsplit('.')
                .next()
                .and_then(RequestId::of_token);
            let record = serde_json::from_slice(&message.payload).ok();
            std::future::ready(id.zip(record))
        }))
    }
}

impl Queue {
    /// Requests as they come, at most `ahead` of them before they are taken.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn requests(
        &self,
        ahead: usize,
    ) -> Result<impl Stream<Item = Result<Delivered, StoreError>> + use<>, StoreError> {
        let doing = "take requests from the queue";
        let messages = self
            .consumer
            .stream()
            .max_messages_per_batch(ahead)
            .expires(Duration::from_secs(10))
            .heartbeat(Duration::from_secs(3))
            .messages()
            .await
            .map_err(|error| StoreError::new(doing, Trouble::Away, error))?;
        let queue = self.clone();
        Ok(messages.map(move |message| {
            message
                .map_err(|error| StoreError::new(doing, Trouble::Away, error))
                .and_then(|message| queue.delivered(message))
        }))
    }

    fn delivered(&self, message: jetstream::Message) -> Result<Delivered, StoreError> {
        let info = message
            .info()
            .map_err(|error| StoreError::new("read a request", Trouble::Other, error))?;
        let given = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Msg-Id"));
        let id = match given {
            Some(id) => RequestId::new(id.as_str()),
            // Stable over redeliveries, and over streams of that name.
            None => RequestId::new(&format!("{}-{}", self.epoch, info.stream_sequence)),
        };
        let published = u64::try_from(info.published.timestamp_millis()).unwrap_or(0);
        let age = clock::now().since(Timestamp::from_millis(published));
        Ok(Delivered {
            token: message
                .subject
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .to_owned(),
            id,
            sequence: info.stream_sequence,
            known: info.stream_sequence + info.pending,
            deliveries: u64::try_from(info.delivered).unwrap_or(1),
            age,
            store: self.store.clone(),
            message,
        })
    }
}

impl Delivered {
    /// What was asked.
    pub fn body(&self) -> &Bytes {
        &self.message.payload
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
            tracing::debug!(%error, "give a request back");
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
        let doing = "take a finished request out of the queue";
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
