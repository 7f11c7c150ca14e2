//! The queue of scheduled slots, where instances share the schedule.
//!
//! Every instance puts every due slot in; its id makes it one message, and a
//! newer slot of a check takes the place of one that still waits.

use std::time::Duration;

use async_nats::HeaderMap;
use futures_util::{Stream, StreamExt as _, future::join_all};

use super::{
    SLOT_STREAM, Store, StoreError, Trouble,
    taken::{self, Taken},
    trouble,
};

/// The durable consumer that all instances share.
const CONSUMER: &str = "runners";
/// The queue of slots is heard of so often; silent for twice this time, it is
/// asked anew. What an instance that stands still is handed meanwhile nobody
/// runs until the next slot, so it is short.
pub const HEARTBEAT: Duration = Duration::from_millis(500);
const DOING: &str = "take due slots from the queue";

/// A due slot, handed to this instance.
#[derive(Debug)]
pub struct Slot {
    /// The check that is due.
    pub check: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub due: u64,
    /// How often it was handed out, this time included.
    pub deliveries: u64,
    /// The message.
    pub taken: Taken,
}

impl Store {
    /// Puts due slots in; each that is there already stays one. Returns those
    /// that NATS did not take in time.
    pub async fn offer_slots(
        &self,
        slots: Vec<(String, u64)>,
        patience: Duration,
    ) -> Vec<(String, StoreError)> {
        let offered = slots.into_iter().map(|(check, due)| async move {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", format!("{check}@{due}"));
            let subject = format!("supercheck.slots.{check}");
            let sent = self.confirmed(subject, headers, due.to_string().into());
            let sent = tokio::time::timeout(patience, sent).await;
            let silent = |late| Err(StoreError::new("put a slot in", Trouble::Away, late));
            let taken = sent.unwrap_or_else(silent);
            taken.err().map(|error| (check, error))
        });
        join_all(offered).await.into_iter().flatten().collect()
    }

    /// Whether an operator paused the queue of slots.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn slots_paused(&self) -> Result<bool, StoreError> {
        let subject = format!("CONSUMER.INFO.{SLOT_STREAM}.{CONSUMER}");
        let info: serde_json::Value = self
            .js
            .request(subject, &serde_json::json!({}))
            .await
            .map_err(|error| self.api_error(DOING.to_owned(), Trouble::Away, error))?;
        if info.get("config").is_none() {
            return Err(StoreError::new(
                DOING,
                Trouble::Away,
                std::io::Error::other("the consumer is not there"),
            ));
        }
        // A server before 2.11 cannot pause it.
        Ok(info.get("paused").and_then(serde_json::Value::as_bool) == Some(true))
    }

    /// Slots as they are handed to this instance.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn slots(
        &self,
        ahead: usize,
    ) -> Result<impl Stream<Item = Result<Slot, StoreError>> + use<>, StoreError> {
        let stream = self.js.get_stream(SLOT_STREAM).await.map_err(|error| {
            self.api_error(DOING.to_owned(), trouble::of_get_stream(&error), error)
        })?;
        let consumer = taken::consumer(&stream, CONSUMER)
            .await
            .map_err(|error| self.api_error(DOING.to_owned(), Trouble::Away, error))?;
        let taken = taken::take(self, &consumer, ahead, HEARTBEAT, DOING).await?;
        Ok(taken.map(|taken| taken.and_then(slot)))
    }
}

fn slot(taken: Taken) -> Result<Slot, StoreError> {
    let due = std::str::from_utf8(taken.body()).ok();
    Ok(Slot {
        check: taken.token().to_owned(),
        // What is no slot of ours is due now: it does no harm to run it.
        due: due.and_then(|due| due.parse().ok()).unwrap_or(u64::MAX),
        deliveries: taken.delivery()?.deliveries,
        taken,
    })
}
