//! Reading many summaries at once: one request brings the newest message on
//! each of many subjects, where the server knows how (2.11 and later).

use async_nats::Message;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{
    ACK_TIMEOUT, KV_BUCKET, Store, StoreError,
    read::{Known, READS},
    wanted::kv_stream,
};
use crate::report::Summary;

/// So many are asked for at once. The server answers for 1024 at most, and the
/// first answers come sooner when they are fewer.
const BATCH: usize = 256;
/// How many batches are read at once.
const BATCHES: usize = 8;
/// Statuses of an answer that is no message: the batch ends, and none of the
/// subjects has one.
const END: u16 = 204;
const NOT_FOUND: u16 = 404;

/// The newest message on each of these subjects.
#[derive(Serialize)]
struct Newest {
    multi_last: Vec<String>,
    batch: usize,
}

impl Store {
    /// The summaries under `names`, of those that have one.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn summaries_of(&self, names: &[String]) -> Result<Vec<Box<Summary>>, StoreError> {
        let batches: Vec<_> = names.chunks(BATCH).map(<[_]>::to_vec).collect();
        let mut reads = stream::iter(batches)
            .map(|names| self.some_summaries(names))
            .buffered(BATCHES);
        let mut found = Vec::with_capacity(names.len());
        while let Some(some) = reads.next().await {
            found.append(&mut some?);
        }
        Ok(found)
    }

    async fn some_summaries(&self, names: Vec<String>) -> Result<Vec<Box<Summary>>, StoreError> {
        match tokio::time::timeout(ACK_TIMEOUT, self.batch(&names)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => tracing::debug!(%error, "summaries are read one by one"),
            Err(_) => tracing::debug!("no batch came; summaries are read one by one"),
        }
        let mut gets = stream::iter(names)
            .map(|name| async move { self.summary(&name).await })
            .buffered(READS);
        let mut found = Vec::new();
        while let Some(known) = gets.next().await {
            if let Some(Known::Summary(summary)) = known? {
                found.push(summary);
            }
        }
        Ok(found)
    }

    /// What does not parse is somebody else's.
    async fn batch(&self, names: &[String]) -> Result<Vec<Box<Summary>>, async_nats::Error> {
        let subject = |name| format!("$KV.{KV_BUCKET}.{name}");
        let newest = serde_json::to_vec(&Newest {
            multi_last: names.iter().map(subject).collect(),
            batch: names.len(),
        })?;
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        let api = format!("$JS.API.DIRECT.GET.{}", kv_stream());
        self.client
            .publish_with_reply(api, inbox, newest.into())
            .await?;
        let mut found = Vec::with_capacity(names.len());
        while let Some(answer) = answers.next().await {
            match answer.status.map(|status| status.as_u16()) {
                None => found.extend(serde_json::from_slice::<Box<Summary>>(&answer.payload)),
                // The server sends no more bytes at once than it lets wait.
                Some(END) if left(&answer) != Some("0") => {
                    return Err("the batch was cut short".into());
                }
                Some(END | NOT_FOUND) => return Ok(found),
                Some(status) => {
                    let why = answer.description.unwrap_or_default();
                    return Err(format!("the server answers {status} {why}").into());
                }
            }
        }
        Err("the connection was closed".into())
    }
}

/// How many messages the server has left out at the end of a batch.
fn left(end: &Message) -> Option<&str> {
    let left = end.headers.as_ref()?.get("Nats-Num-Pending")?;
    Some(left.as_str())
}
