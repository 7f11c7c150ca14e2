//! Writing one run: report and summary in one pipeline, one round trip.
//!
//! `ObjectStore::put` looks the object up first, waits for each message and
//! purges the old chunk, which makes readers that hold the old meta hang.
//! Here every write has fresh chunks, nothing is purged (the bucket's age
//! limit removes what was replaced), and all acknowledgements are awaited
//! together: a third of the server's work, and a reader always finds a whole
//! object.

use async_nats::{HeaderMap, jetstream::publish::PublishAck};
use bytes::Bytes;

use super::{
    FAILURE_BUCKET, KV_BUCKET, OBJECT_BUCKET, Store, StoreError, history,
    object::{self, Meta},
    trouble,
    writer::Writer,
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

/// One message of a record.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) headers: Option<HeaderMap>,
    pub(super) body: Bytes,
}

impl Store {
    /// Writes one record and waits until the server has stored all of it.
    ///
    /// # Errors
    /// The first refusal, or that no answer came in time.
    pub async fn write(&self, record: &Record) -> Result<(), StoreError> {
        let mut writer = Writer::open(self).await?;
        writer.send(record, ()).await;
        writer.next().await.map_or(Ok(()), |((), stored)| stored)
    }

    /// What `record` is on the wire, in the order in which it is sent.
    pub(super) fn messages(&self, record: &Record) -> Result<Vec<Message>, StoreError> {
        let mut messages = Vec::with_capacity(4);
        if let Some(object) = &record.object {
            let chunks = Chunks::Added(nuid::next().to_string());
            self.object_messages(OBJECT_BUCKET, object, chunks, &mut messages)?;
        }
        if let Some(failure) = &record.failure {
            self.failure_messages(&record.check, failure, &mut messages)?;
        }
        messages.push(Message {
            subject: format!("$KV.{KV_BUCKET}.{}", record.check),
            headers: None,
            body: record.summary.clone(),
        });
        if self.settings.history.enabled {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", record.run.as_str());
            messages.push(Message {
                subject: history::subject(&record.check),
                headers: Some(headers),
                body: record.summary.clone(),
            });
        }
        Ok(messages)
    }

    fn failure_messages(
        &self,
        check: &str,
        failure: &Failure,
        messages: &mut Vec<Message>,
    ) -> Result<(), StoreError> {
        let object = Object {
            name: check.to_owned(),
            body: failure.report.clone(),
        };
        let place = u8::from(failure.second);
        let chunks = Chunks::Replaced(format!("{}-{check}-{place}", self.writer));
        self.object_messages(FAILURE_BUCKET, &object, chunks, messages)
    }

    /// Stores one report, and waits until it is stored.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn put(&self, object: &Object) -> Result<(), StoreError> {
        let mut messages = Vec::with_capacity(2);
        let chunks = Chunks::Added(nuid::next().to_string());
        self.object_messages(OBJECT_BUCKET, object, chunks, &mut messages)?;
        let mut writer = Writer::open(self).await?;
        writer.send_as(&object.name, Ok(messages), ()).await;
        writer.next().await.map_or(Ok(()), |((), stored)| stored)
    }

    /// The chunks go first: one connection and one stream keep their order,
    /// so a meta is never there before its chunks.
    fn object_messages(
        &self,
        bucket: &str,
        object: &Object,
        chunks: Chunks,
        messages: &mut Vec<Message>,
    ) -> Result<(), StoreError> {
        let (token, mut first, meta_headers) = match chunks {
            Chunks::Added(token) => (token, None, (!self.is_crowded()).then(rollup)),
            Chunks::Replaced(token) => (token, Some(rollup()), Some(rollup())),
        };
        let limit = self.client.max_payload();
        // Room for headers; a server that has not told its limit takes chunks
        // of the usual size.
        let size = match limit {
            0 => object::CHUNK,
            limit => object::CHUNK.min(limit - 1024.min(limit / 2)),
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
            messages.push(Message {
                subject: object::chunk_subject(bucket, &token),
                headers: first.take(),
                body: chunk,
            });
        }
        let meta = serde_json::to_vec(&meta).map_err(|error| {
            StoreError::new("encode an object's meta", trouble::Trouble::Other, error)
        })?;
        messages.push(Message {
            subject: object::meta_subject(bucket, &object.name),
            headers: meta_headers,
            body: meta.into(),
        });
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
        let stored = async {
            let sent = self.js.publish_with_headers(subject, headers, body).await?;
            sent.await
        };
        stored.await.map_err(|error| {
            let trouble = trouble::of_publish(&error);
            self.look_for(trouble);
            StoreError::new(format!("publish `{doing}`"), trouble, error)
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
