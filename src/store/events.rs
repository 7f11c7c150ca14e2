//! Status changes: one message per change, in the order of the changes.
//!
//! The last message of a check says what was announced last, and each is
//! written with that message's sequence as its condition: so a change is
//! announced once, however many daemons there are and however often they
//! start.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{Message, consumer::DeliverPolicy, stream::Stream},
};
use bytes::Bytes;
use futures_util::stream;

use super::{EVENT_STREAM, Store, StoreError, Trouble, read, reader};
use crate::{
    clock::Timestamp,
    report::{Change, Status},
};

/// The subject of refused requests.
pub const REQUESTS: &str = "supercheck.events._requests";

/// What was announced of a check last. It is kept of every check, so it is no
/// more than what the next change is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its place in the stream; zero when nothing was.
    pub sequence: u64,
    /// The status that was announced.
    pub status: Status,
    /// When the run that showed it started probing.
    pub checked_at: Timestamp,
}

impl Announced {
    /// `change`, which has this place in the stream.
    pub const fn as_told(sequence: u64, change: &Change) -> Self {
        Self {
            sequence,
            status: change.to,
            checked_at: change.checked_at,
        }
    }

    /// At this place in the stream is nothing that can be read.
    const fn nothing(sequence: u64) -> Self {
        Self {
            sequence,
            status: Status::Unknown,
            checked_at: Timestamp::from_millis(0),
        }
    }
}

/// A change as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its place in the stream.
    pub sequence: u64,
    /// The change.
    pub json: String,
}

/// Changes that are read at once.
const MAX_CHANGES: usize = 5000;
/// They are awaited so long; what is stored comes at once.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    /// The changes of `check`, or of all checks, that come after the place
    /// `last`; without one, those to come.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn changes(
        &self,
        check: Option<&str>,
        last: Option<u64>,
    ) -> Result<impl stream::Stream<Item = Result<Stored, StoreError>> + use<>, StoreError> {
        let end = self.info(EVENT_STREAM).await?;
        let end = end.map_or(0, |info| info.state.last_sequence);
        let begin = match last {
            // A place beyond the end is of a stream that is no more.
            Some(last) if last <= end => reader::after(last),
            Some(_) | None => DeliverPolicy::New,
        };
        let what = (EVENT_STREAM, subject(check.unwrap_or("*")));
        let reader = self
            .reader("follow the changes", what, begin, reader::FOLLOWS)
            .await?;
        reader.follow(stored).await
    }

    /// The changes of `check` since `at`, oldest first; of very many, the first.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn changes_since(
        &self,
        check: &str,
        at: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        let what = (EVENT_STREAM, subject(check));
        let begin = reader::since(at);
        let reader = self
            .reader("read the changes", what, begin, reader::REPLAYS)
            .await?;
        let pending = usize::try_from(reader.pending()).unwrap_or(usize::MAX);
        if pending == 0 {
            return Ok(Vec::new());
        }
        let change = |message: &Message| serde_json::from_slice(&message.payload).ok();
        reader
            .batch(pending.min(MAX_CHANGES), FETCH_TIMEOUT, change)
            .await
    }

    /// What was announced of `check` last.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn announced(&self, check: &str) -> Result<Announced, StoreError> {
        let stream: Stream<()> = self.stream(EVENT_STREAM).await?;
        let message = read::last(&stream, &subject(check)).await?;
        let Some(message) = message else {
            return Ok(Announced::nothing(0));
        };
        let change = serde_json::from_slice(&message.payload);
        Ok(change.map_or_else(
            |_| Announced::nothing(message.sequence),
            |change| Announced::as_told(message.sequence, &change),
        ))
    }

    /// Announces `change` as the one after `last`.
    ///
    /// # Errors
    /// [`Trouble::Outrun`] when another change was announced meanwhile, or
    /// this one already, its answer lost.
    pub async fn announce(&self, last: u64, change: &Change) -> Result<u64, StoreError> {
        let body = serde_json::to_vec(change)
            .map_err(|error| StoreError::new("announce a change", Trouble::Other, error))?;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", last.to_string());
        let ack = self
            .confirmed(subject(&change.check), headers, body.into())
            .await?;
        Ok(ack.sequence)
    }

    /// Leaves a trace of a refused request.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn announce_refusal(
        &self,
        id: &str,
        event: &serde_json::Value,
    ) -> Result<(), StoreError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("refused-{id}"));
        self.confirmed(REQUESTS.to_owned(), headers, event.to_string().into())
            .await
            .map(drop)
    }
}

/// Refused requests have a subject beside those of the checks.
fn stored(message: &Message) -> Option<Stored> {
    if message.subject.as_str() == REQUESTS {
        return None;
    }
    let json = String::from_utf8(Bytes::clone(&message.payload).into()).ok()?;
    let sequence = message.info().ok()?.stream_sequence;
    Some(Stored { sequence, json })
}

fn subject(check: &str) -> String {
    format!("supercheck.events.{check}")
}
