//! The queue of scheduled slots, where instances share the schedule.
//!
//! Every instance puts every due slot in; its id makes it one message, and a
//! newer slot of a check takes the place of one that still waits.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use futures_util::{Stream, StreamExt as _, future::join_all};

use super::{
    SLOT_STREAM, Store, StoreError, Trouble,
    taken::{self, Taken, ack_wait},
    trouble,
};

/// The durable consumer that all instances share.
const CONSUMER: &str = "runners";
/// Slots that may be with instances at once, over all of them.
const MAX_ACK_PENDING: i64 = 16_384;
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
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            deliver_policy: DeliverPolicy::All,
            ack_wait: ack_wait(),
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream
            .get_or_create_consumer(CONSUMER, config)
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
