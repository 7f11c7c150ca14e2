//! Reading reports and summaries: direct gets with a digest check and no
//! consumer, so a reader neither hangs nor leaves anything behind.

use async_nats::jetstream::{
    message::StreamMessage,
    stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream as JetStream},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::{
    FAILURE_BUCKET, KV_BUCKET, OBJECT_BUCKET, Store, StoreError, Trouble,
    object::{self, Meta},
    wanted::{kv_stream, object_stream},
};
use crate::report::{Freshness, Summary};

/// How often an object that was overwritten while being read is read again.
const ATTEMPTS: u32 = 5;

/// How many values are read at once.
pub(super) const READS: usize = 64;

/// A value of the KV bucket that is no summary of ours.
#[derive(Debug)]
pub enum Known {
    /// A summary.
    Summary(Box<Summary>),
    /// Something else, put there by another client.
    Foreign {
        /// Its key.
        key: String,
        /// Its value.
        value: Bytes,
    },
}

impl Store {
    /// The report called `name`, or `None` when there is none.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn report(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.object(OBJECT_BUCKET, name).await
    }

    /// The last failing report of `check`, or `None` when there is none.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn last_failure(&self, check: &str) -> Result<Option<Bytes>, StoreError> {
        self.object(FAILURE_BUCKET, check).await
    }

    async fn object(&self, bucket: &str, name: &str) -> Result<Option<Bytes>, StoreError> {
        let doing = || format!("read the report `{name}`");
        let stream = self.stream(&object_stream(bucket)).await?;
        for _ in 0..ATTEMPTS {
            let subject = object::meta_subject(bucket, name);
            let Some(message) = last(&stream, &subject).await? else {
                return Ok(None);
            };
            let meta: Meta = serde_json::from_slice(&message.payload)
                .map_err(|error| StoreError::new(doing(), Trouble::Other, error))?;
            if meta.deleted {
                return Ok(None);
            }
            if let Some(body) = self.chunks_of(&stream, bucket, &meta).await?
                && meta.describes(&body)
            {
                return Ok(Some(body));
            }
            // A chunk is gone: it has expired a moment before its meta does,
            // or another client overwrote and purged it. Look again.
        }
        Ok(None)
    }

    async fn chunks_of(
        &self,
        stream: &JetStream<()>,
        bucket: &str,
        meta: &Meta,
    ) -> Result<Option<Bytes>, StoreError> {
        let subject = object::chunk_subject(bucket, &meta.nuid);
        if meta.chunks == 1 {
            return Ok(last(stream, &subject).await?.map(|message| message.payload));
        }
        let mut body = Vec::new();
        let mut sequence = None;
        for _ in 0..meta.chunks {
            let Some(message) = next(stream, &subject, sequence).await? else {
                return Ok(None);
            };
            sequence = Some(message.sequence + 1);
            body.extend_from_slice(&message.payload);
        }
        Ok(Some(body.into()))
    }

    /// The summary under `check`, or whatever another client put there.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn summary(&self, check: &str) -> Result<Option<Known>, StoreError> {
        let stream = self.stream(&kv_stream()).await?;
        let subject = format!("$KV.{KV_BUCKET}.{check}");
        let message = last(&stream, &subject)
            .await?
            .filter(|message| !is_tombstone(message));
        Ok(message.map(|message| known(check, message.payload)))
    }

    /// The same, as the stream's leader knows it: in a cluster another server
    /// may answer with the one before.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn newest_summary(&self, check: &str) -> Result<Option<Known>, StoreError> {
        let subject = format!("$KV.{KV_BUCKET}.{check}");
        let doing = || format!("read the summary of `{check}`");
        let body = self.leading(&kv_stream(), &subject, doing).await?;
        // A deleted key has an empty value.
        Ok(body
            .filter(|body| !body.is_empty())
            .map(|body| known(check, body)))
    }

    /// Whether some instance runs `check`: its summary is fresh.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn is_run(&self, check: &str) -> Result<bool, StoreError> {
        let now = crate::clock::now();
        Ok(match self.summary(check).await? {
            Some(Known::Summary(summary)) => summary.freshness(now) == Freshness::Fresh,
            _ => false,
        })
    }

    /// Summaries as they are stored from now on, by whichever instance.
    ///
    /// # Errors
    /// When the connection takes no more.
    pub async fn summaries_to_come(
        &self,
    ) -> Result<impl Stream<Item = Summary> + use<>, StoreError> {
        let subject = format!("$KV.{KV_BUCKET}.*");
        let stored = self
            .client
            .subscribe(subject)
            .await
            .map_err(|error| StoreError::new("follow the summaries", Trouble::Away, error))?;
        Ok(stored.filter_map(|message| {
            let summary: Option<Summary> = serde_json::from_slice(&message.payload).ok();
            let key = message.subject.rsplit('.').next();
            std::future::ready(summary.filter(|summary| Some(&*summary.check) == key))
        }))
    }

    /// Every value of the KV bucket, in the order of its keys.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn summaries(&self) -> Result<Vec<Known>, StoreError> {
        let doing = "list the summaries";
        if self.info(&kv_stream()).await?.is_none() {
            return Ok(Vec::new());
        }
        let kv = self
            .js
            .get_key_value(KV_BUCKET)
            .await
            .map_err(|error| StoreError::new(doing, Trouble::Away, error))?;
        let mut keys = kv
            .keys()
            .await
            .map_err(|error| StoreError::new(doing, Trouble::Away, error))?;
        let mut names = Vec::new();
        while let Some(key) = keys.next().await {
            names.push(key.map_err(|error| StoreError::new(doing, Trouble::Away, error))?);
        }
        names.sort_unstable();
        let mut found = Vec::with_capacity(names.len());
        let mut gets = futures_util::stream::iter(names)
            .map(|name| async move { self.summary(&name).await })
            .buffered(READS);
        while let Some(summary) = gets.next().await {
            found.extend(summary?);
        }
        Ok(found)
    }

    pub(crate) async fn stream(&self, name: &str) -> Result<JetStream<()>, StoreError> {
        self.js
            .get_stream_no_info(name)
            .await
            .map_err(|error| StoreError::new(format!("use stream `{name}`"), Trouble::Other, error))
    }
}

/// Reads a KV value; what does not parse is somebody else's.
fn known(key: &str, value: Bytes) -> Known {
    match serde_json::from_slice::<Summary>(&value) {
        Ok(summary) => Known::Summary(Box::new(summary)),
        Err(_) => Known::Foreign {
            key: key.to_owned(),
            value,
        },
    }
}

/// KV clients delete by a message without a value.
fn is_tombstone(message: &StreamMessage) -> bool {
    message
        .headers
        .get("KV-Operation")
        .is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"))
}

/// A longer subject is none that anybody could have published to: the server
/// takes lines of 4096 bytes.
const MAX_SUBJECT: usize = 4000;

/// The newest message on `subject`: none, too, where the stream is not there
/// yet. A stream that some client made without direct gets is asked through
/// the leader.
pub(crate) async fn last(
    stream: &JetStream<()>,
    subject: &str,
) -> Result<Option<StreamMessage>, StoreError> {
    let doing = || format!("read `{subject}`");
    if subject.len() > MAX_SUBJECT || subject.ends_with('.') {
        return Ok(None);
    }
    match stream.direct_get_last_for_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            DirectGetErrorKind::NotFound => Ok(None),
            DirectGetErrorKind::ErrorResponse(..)
            | DirectGetErrorKind::Request
            | DirectGetErrorKind::Other => {
                match stream.get_last_raw_message_by_subject(subject).await {
                    Ok(message) => Ok(Some(message)),
                    Err(raw) => match raw.kind() {
                        LastRawMessageErrorKind::NoMessageFound => Ok(None),
                        LastRawMessageErrorKind::JetStream(cause) => {
                            let trouble = super::trouble::of_api(&cause);
                            if trouble == Trouble::Missing {
                                Ok(None)
                            } else {
                                Err(StoreError::new(doing(), trouble, raw))
                            }
                        }
                        LastRawMessageErrorKind::InvalidSubject
                        | LastRawMessageErrorKind::Other => {
                            Err(StoreError::new(doing(), Trouble::Away, raw))
                        }
                    },
                }
            }
            DirectGetErrorKind::TimedOut => Err(StoreError::new(doing(), Trouble::Away, error)),
            DirectGetErrorKind::InvalidSubject => {
                Err(StoreError::new(doing(), Trouble::Other, error))
            }
        },
    }
}

/// The first message on `subject` at or after `sequence`.
async fn next(
    stream: &JetStream<()>,
    subject: &str,
    sequence: Option<u64>,
) -> Result<Option<StreamMessage>, StoreError> {
    let found = match sequence {
        Some(sequence) => {
            stream
                .direct_get_next_for_subject(subject, Some(sequence))
                .await
        }
        None => stream.direct_get_first_for_subject(subject).await,
    };
    match found {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::new(
            format!("read `{subject}`"),
            Trouble::Away,
            error,
        )),
    }
}
