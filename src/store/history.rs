//! What was: every summary, replayed from its stream.

use std::time::Duration;

use futures_util::stream;

use super::{
    HISTORY_STREAM, Store, StoreError,
    reader::{self, Reader},
};
use crate::{check::CheckName, clock::Timestamp, report::Summary};

/// How many summaries are fetched at once.
const BATCH: usize = 500;
/// A batch is awaited so long; what is stored comes at once.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

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
        let reader = self.past(check, from, reader::REPLAYS).await?;
        let mut left = reader.pending();
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let batch = reader.batch(most, FETCH_TIMEOUT, past).await?;
            if batch.is_empty() {
                // What was counted has expired meanwhile.
                return Ok(());
            }
            left = left.saturating_sub(batch.len() as u64);
            each(batch)?;
        }
        Ok(())
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
        let reader = self.past(check.as_str(), from, reader::FOLLOWS).await?;
        reader.follow(past).await
    }

    /// When the oldest summary was stored; `None` when there is none.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn history_since(&self) -> Result<Option<Timestamp>, StoreError> {
        let state = self.info(HISTORY_STREAM).await?.map(|info| info.state);
        Ok(state.filter(|state| state.messages > 0).map(|state| {
            let first = state.first_timestamp.timestamp_millis();
            Timestamp::from_millis(u64::try_from(first).unwrap_or(0))
        }))
    }

    async fn past(
        &self,
        check: &str,
        from: From,
        forgotten: Duration,
    ) -> Result<Reader, StoreError> {
        let begin = match from {
            From::Time(at) => reader::since(at),
            From::After(sequence) => reader::after(sequence),
        };
        let what = (HISTORY_STREAM, subject(check));
        self.reader(DOING, what, begin, forgotten).await
    }
}

const DOING: &str = "read the history";

/// What is no summary (somebody else's message) is passed over.
fn past(message: &async_nats::jetstream::Message) -> Option<Past> {
    let summary = serde_json::from_slice(&message.payload).ok()?;
    let sequence = message.info().ok()?.stream_sequence;
    Some(Past { sequence, summary })
}
