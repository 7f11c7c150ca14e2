//! Writing one run: report and summary in one pipeline, one round trip.
//!
//! `ObjectStore::put` looks the object up first, waits for each message and
//! purges the old chunk, which makes readers that hold the old meta hang.
//! Here every write has fresh chunks, nothing is purged (the bucket's age
//! limit removes what was replaced), and all acknowledgements are awaited
//! together: a third of the server's work, and a reader always finds a whole
//! object.

use async_nats::{
    HeaderMap,
    jetstream::{context::PublishAckFuture, publish::PublishAck},
};
use bytes::Bytes;

use super::{
    FAILURE_BUCKET, KV_BUCKET, OBJECT_BUCKET, Store, StoreError, history,
    object::{self, Meta},
    trouble,
};
use crate::clock::Timestamp;

/// What one run leaves in NATS.
#[derive(Clone, Debug)]
pub struct Record {
    /// The check's name: the summary's key.
    pub check: String,
    /// The summary's JSON.
    pub summary: Bytes,
    /// The run's id: its message in the history is stored once.
    pub run: String,
    /// The report, unless it is too old for the cache.
    pub object: Option<Object>,
    /// The check's newest failing report, unless it is stored.
    pub failure: Option<Failure>,
}

/// A failing report, kept longer than others.
///
/// A bucket that keeps what was replaced for days must not grow with each
/// failing run. So each daemon has two places for the chunks of a check and
/// writes to them in turn: what is there makes way, and a reader who has the
/// meta of the one is not disturbed by the writing of the other.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The report's JSON.
    pub report: Bytes,
    /// Which of the two places it takes.
    pub second: bool,
}

/// A named object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its content.
    pub body: Bytes,
}

/// A record on its way: everything is sent, nothing acknowledged yet.
#[derive(Debug)]
pub struct Sent {
    check: String,
    acks: Vec<PublishAckFuture>,
}

impl Store {
    /// Sends `record`; [`Sent::stored`] waits for the acknowledgements.
    ///
    /// Records sent one after the other are stored in that order.
    ///
    /// # Errors
    /// When the connection takes no more, or a message is too large.
    pub async fn send(&self, record: &Record) -> Result<Sent, StoreError> {
        let mut acks = Vec::with_capacity(4);
        if let Some(object) = &record.object {
            let chunks = Chunks::Added(nuid::next().to_string());
            self.send_object(OBJECT_BUCKET, object, chunks, &mut acks)
                .await?;
        }
        if let Some(failure) = &record.failure {
            self.send_failure(&record.check, failure, &mut acks).await?;
        }
        let subject = format!("$KV.{KV_BUCKET}.{}", record.check);
        acks.push(
            self.publish(&record.check, subject, None, record.summary.clone())
                .await?,
        );
        if self.settings.history.enabled {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", record.run.as_str());
            let subject = history::subject(&record.check);
            acks.push(
                self.publish(
                    &record.check,
                    subject,
                    Some(headers),
                    record.summary.clone(),
                )
                .await?,
            );
        }
        Ok(Sent {
            check: record.check.clone(),
            acks,
        })
    }

    async fn send_failure(
        &self,
        check: &str,
        failure: &Failure,
        acks: &mut Vec<PublishAckFuture>,
    ) -> Result<(), StoreError> {
        let object = Object {
            name: check.to_owned(),
            body: failure.report.clone(),
        };
        let place = u8::from(failure.second);
        let chunks = Chunks::Replaced(format!("{}-{check}-{place}", self.writer));
        self.send_object(FAILURE_BUCKET, &object, chunks, acks)
            .await
    }

    /// Stores one report, and waits until it is stored.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn put(&self, object: &Object) -> Result<(), StoreError> {
        let mut acks = Vec::with_capacity(2);
        let chunks = Chunks::Added(nuid::next().to_string());
        self.send_object(OBJECT_BUCKET, object, chunks, &mut acks)
            .await?;
        let check = object.name.clone();
        Sent { check, acks }.stored().await
    }

    /// The chunks go first: one connection and one stream keep their order,
    /// so a meta is never there before its chunks.
    async fn send_object(
        &self,
        bucket: &str,
        object: &Object,
        chunks: Chunks,
        acks: &mut Vec<PublishAckFuture>,
    ) -> Result<(), StoreError> {
        let (token, mut first) = match chunks {
            Chunks::Added(token) => (token, None),
            Chunks::Replaced(token) => (token, Some(rollup())),
        };
        let limit = self.client.server_info().max_payload;
        // Room for headers; a server that has not told its limit takes chunks
        // of the usual size.
        let size = if limit > 2048 {
            object::CHUNK.min(limit - 1024)
        } else {
            object::CHUNK
        };
        let meta = Meta::new(
            bucket,
            &object.name,
            &token,
            &object.body,
            size,
            crate::clock::now(),
        );
        for chunk in object::chunks(&object.body, size) {
            let subject = object::chunk_subject(bucket, &token);
            acks.push(
                self.publish(&object.name, subject, first.take(), chunk)
                    .await?,
            );
        }
        let meta = serde_json::to_vec(&meta).map_err(|error| {
            StoreError::new("encode an object's meta", trouble::Trouble::Other, error)
        })?;
        let subject = object::meta_subject(bucket, &object.name);
        acks.push(
            self.publish(&object.name, subject, Some(rollup()), meta.into())
                .await?,
        );
        Ok(())
    }

    /// Publishes one message and waits until it is stored.
    pub(crate) async fn confirmed(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<PublishAck, StoreError> {
        let doing = subject.clone();
        let ack = self.publish(&doing, subject, Some(headers), body).await?;
        ack.await.map_err(|error| {
            let trouble = trouble::of_publish(&error);
            self.look_for(trouble);
            StoreError::new(format!("publish `{doing}`"), trouble, error)
        })
    }

    async fn publish(
        &self,
        what: &str,
        subject: String,
        headers: Option<HeaderMap>,
        body: Bytes,
    ) -> Result<PublishAckFuture, StoreError> {
        let sent = match headers {
            Some(headers) => self.js.publish_with_headers(subject, headers, body).await,
            None => self.js.publish(subject, body).await,
        };
        sent.map_err(|error| {
            StoreError::new(
                format!("store `{what}`"),
                trouble::of_publish(&error),
                error,
            )
        })
    }

    /// Whether a report checked at `checked_at` still belongs into the cache.
    pub fn is_fresh(&self, checked_at: Timestamp, now: Timestamp) -> bool {
        let ttl = self.settings.object_ttl;
        ttl.is_zero() || now.since(checked_at) < ttl
    }
}

/// What becomes of earlier chunks under the same token.
enum Chunks {
    /// There are none: the token is new.
    Added(String),
    /// They make way.
    Replaced(String),
}

/// What was there before under the same subject makes way.
fn rollup() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Rollup", "sub");
    headers
}

impl Sent {
    /// Waits until the server has stored everything.
    ///
    /// # Errors
    /// The first refusal, or that no answer came in time.
    pub async fn stored(self) -> Result<(), StoreError> {
        let mut failed = None;
        for ack in self.acks {
            let ack: Result<PublishAck, _> = ack.await;
            if let Err(error) = ack {
                failed.get_or_insert(error);
            }
        }
        match failed {
            None => Ok(()),
            Some(error) => {
                let trouble = trouble::of_publish(&error);
                Err(StoreError::new(
                    format!("store the report of `{}`", self.check),
                    trouble,
                    error,
                ))
            }
        }
    }
}
