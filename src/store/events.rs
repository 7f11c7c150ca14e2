//! Status changes: one message per change, in the order of the changes.
//!
//! The last message of a check says what was announced last, and each is
//! written with that message's sequence as its condition: so a change is
//! announced once, however many daemons there are and however often they
//! start.

use async_nats::{HeaderMap, jetstream::stream::Stream};

use super::{EVENT_STREAM, Store, StoreError, Trouble, read};
use crate::report::{Change, Status};

/// The subject of refused requests.
pub const REQUESTS: &str = "supercheck.events._requests";

/// What was announced of a check last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Announced {
    /// Its place in the stream; zero when nothing was.
    pub sequence: u64,
    /// The change.
    pub change: Option<Change>,
}

impl Announced {
    /// The status that was announced.
    pub fn status(&self) -> Status {
        let change = self.change.as_ref();
        change.map_or(Status::Unknown, |change| change.to)
    }
}

impl Store {
    /// What was announced of `check` last.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn announced(&self, check: &str) -> Result<Announced, StoreError> {
        let stream: Stream<()> = self.stream(EVENT_STREAM).await?;
        let message = read::last(&stream, &subject(check)).await?;
        Ok(
            message.map_or_else(Announced::default, |message| Announced {
                sequence: message.sequence,
                change: serde_json::from_slice(&message.payload).ok(),
            }),
        )
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

fn subject(check: &str) -> String {
    format!("supercheck.events.{check}")
}
