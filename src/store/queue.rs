//! The work queue of requests: putting one in, taking them out, and telling
//! whoever waits how they came out.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{consumer::PullConsumer, stream::Stream},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast::error::RecvError;

use super::{
    REQUEST_STREAM, Store, StoreError, Trouble,
    taken::{self, Taken},
    trouble,
};
use crate::{
    clock::{self, Timestamp},
    request::{Record, RequestId},
};

/// The durable consumer that all instances share.
const CONSUMER: &str = "workers";
/// A queue that is not heard of for twice this time is asked anew.
const HEARTBEAT: Duration = Duration::from_millis(2500);
/// What is acknowledged is gone from the queue within this time.
const LEFT_BEHIND: Duration = Duration::from_secs(1);
/// What a crash of NATS has left in the queue is looked for so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
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
    /// The message.
    pub taken: Taken,
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
    /// When it was put in the queue, by the server's clock.
    pub published: Timestamp,
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
        let found = taken::consumer(&stream, CONSUMER).await;
        let mut workers =
            found.map_err(|error| self.api_error(doing.to_owned(), Trouble::Away, error))?;
        if forgotten(&stream, &mut workers).await {
            tracing::warn!("requests were left in the queue by a crash of NATS; they are taken up");
            // The next one finds everything that is there. What others have in
            // hand comes again, and has one result.
            let deleted = stream.delete_consumer(CONSUMER).await;
            deleted.map_err(|error| self.api_error(doing.to_owned(), Trouble::Away, error))?;
            let made = taken::consumer(&stream, CONSUMER).await;
            workers =
                made.map_err(|error| self.api_error(doing.to_owned(), Trouble::Away, error))?;
        }
        let info = stream.cached_info();
        Ok(Queue {
            consumer: workers,
            store: self.clone(),
            epoch: info.created.timestamp_millis(),
            last: info.state.last_sequence,
        })
    }

    /// How long ago a request was put in the queue: by our clock, unless that
    /// says longer than `at_most`; it may be wrong, and the server's decides.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn age(
        &self,
        request: &Delivered,
        at_most: Duration,
    ) -> Result<Duration, StoreError> {
        let age = clock::now().since(request.published);
        if age <= at_most {
            return Ok(age);
        }
        let subject = format!("STREAM.INFO.{REQUEST_STREAM}");
        let info: serde_json::Value =
            self.js.request(subject, &()).await.map_err(|error| {
                self.api_error("ask for the time".to_owned(), Trouble::Away, error)
            })?;
        // A server before 2.10 does not tell.
        let told = info.get("ts").and_then(serde_json::Value::as_str);
        let told = told.and_then(|told| {
            let told = chrono::DateTime::parse_from_rfc3339(told).ok()?;
            u64::try_from(told.timestamp_millis()).ok()
        });
        Ok(told.map_or(age, |told| {
            Timestamp::from_millis(told).since(request.published)
        }))
    }

    /// Tells whoever waits for `id` how it came out.
    ///
    /// # Errors
    /// When the connection takes no more. Who missed it reads the record.
    pub async fn tell(&self, id: &RequestId, record: &Record) -> Result<(), StoreError> {
        let doing = || format!("tell of request `{id}`");
        // Those who wait here need not wait for the server.
        drop(self.told.send((id.clone(), record.clone())));
        let body = serde_json::to_vec(record)
            .map_err(|error| StoreError::new(doing(), Trouble::Other, error))?;
        self.client
            .publish(format!("{RESULTS}.{}", id.token()), body.into())
            .await
            .map_err(|error| StoreError::new(doing(), Trouble::Away, error))
    }

    /// Everything that is told from now on, what is told here twice.
    ///
    /// # Errors
    /// When the connection takes no more.
    pub async fn results(
        &self,
    ) -> Result<impl futures_util::Stream<Item = (RequestId, Record)> + use<>, StoreError> {
        let told = self
            .client
            .subscribe(format!("{RESULTS}.*"))
            .await
            .map_err(|error| StoreError::new("hear of results", Trouble::Away, error))?;
        let there = told.filter_map(|message| {
            let id = message
                .subject
                .rsplit('.')
                .next()
                .and_then(RequestId::of_token);
            let record = serde_json::from_slice(&message.payload).ok();
            std::future::ready(id.zip(record))
        });
        let here = stream::unfold(self.told.subscribe(), async |mut told| {
            loop {
                match told.recv().await {
                    Ok(told_here) => return Some((told_here, told)),
                    // The server tells of those, too.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        // It ends with the server's.
        let there = there.map(Some).chain(stream::iter([None]));
        let all = stream::select(here.map(Some), there);
        let until = all.take_while(|told| std::future::ready(told.is_some()));
        Ok(until.filter_map(std::future::ready))
    }
}

impl Queue {
    /// Waits until requests are in the queue that nobody will be handed: it is
    /// to be opened again.
    pub async fn forgotten(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Ok(stream) = self.store.js.get_stream(REQUEST_STREAM).await
                && forgotten(&stream, &mut self.consumer.clone()).await
            {
                return;
            }
        }
    }

    /// Requests as they come, at most `ahead` of them before they are taken.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn requests(
        &self,
        ahead: usize,
    ) -> Result<impl futures_util::Stream<Item = Result<Delivered, StoreError>> + use<>, StoreError>
    {
        let doing = "take requests from the queue";
        let taken = taken::take(&self.store, &self.consumer, ahead, HEARTBEAT, doing).await?;
        let epoch = self.epoch;
        Ok(taken.map(move |taken| taken.and_then(|taken| delivered(epoch, taken))))
    }
}

/// Whether the oldest request is one that the consumer is done with, and was a
/// while ago: nats-server 2.9, killed, can keep what was acknowledged, and
/// would neither hand it out again nor forget it.
async fn forgotten(stream: &Stream, consumer: &mut PullConsumer) -> bool {
    let mut found = None;
    for wait in [Duration::ZERO, LEFT_BEHIND] {
        tokio::time::sleep(wait).await;
        let Ok(messages) = stream.get_info().await else {
            return false;
        };
        let Ok(done) = consumer.info().await else {
            return false;
        };
        let first = messages.state.first_sequence;
        let left = messages.state.messages > 0 && first <= done.ack_floor.stream_sequence;
        if !left || found.is_some_and(|before| before != first) {
            return false;
        }
        found = Some(first);
    }
    true
}

fn delivered(epoch: i64, taken: Taken) -> Result<Delivered, StoreError> {
    let delivery = taken.delivery()?;
    let id = match taken.header("Nats-Msg-Id") {
        Some(id) => RequestId::new(id),
        // Stable over redeliveries, and over streams of that name.
        None => RequestId::new(&format!("{epoch}-{}", delivery.sequence)),
    };
    Ok(Delivered {
        token: taken.token().to_owned(),
        id,
        sequence: delivery.sequence,
        known: delivery.sequence + delivery.pending,
        deliveries: delivery.deliveries,
        published: Timestamp::from_millis(delivery.published),
        taken,
    })
}
