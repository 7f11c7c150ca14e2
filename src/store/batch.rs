//! Reading many summaries at once: one request brings the newest message on
//! each of many subjects, where the server knows how (2.11 and later).

use std::time::Duration;

use async_nats::Message;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{
    KV_BUCKET, Store, StoreError,
    read::{Known, READS},
    wanted::kv_stream,
};
use crate::report::Summary;

/// So many are asked for at once. The server answers for 1024 at most, and the
/// first answers come sooner when they are fewer.
const BATCH: usize = 256;
/// How many batches are read at once.
const BATCHES: usize = 8;
/// A batch comes within this time, or everything is read one by one: a user who
/// may not ask for batches gets no answer.
const IN_TIME: Duration = Duration::from_secs(2);
/// Statuses of an answer that is no message: the batch ends; none of the
/// subjects has one, or one that had is gone by now.
const END: u16 = 204;
const NOT_FOUND: u16 = 404;
const NONE: &str = "No Results";

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
        let mut found = Vec::with_capacity(names.len());
        let mut missed = Vec::new();
        // The first tells whether the server knows how.
        let (first, rest) = names.split_at(names.len().min(BATCH));
        if let Some(mut some) = self.batch_in_time(first).await {
            found.append(&mut some);
            let batches: Vec<_> = rest.chunks(BATCH).map(<[_]>::to_vec).collect();
            let mut reads = stream::iter(batches)
                .map(|names| async { (self.batch_in_time(&names).await, names) })
                .buffered(BATCHES);
            while let Some((some, mut names)) = reads.next().await {
                match some {
                    Some(mut some) => found.append(&mut some),
                    None => missed.append(&mut names),
                }
            }
        } else {
            missed = names.to_vec();
        }
        let mut gets = stream::iter(missed)
            .map(|name| async move { self.summary(&name).await })
            .buffered(READS);
        while let Some(known) = gets.next().await {
            if let Some(Known::Summary(summary)) = known? {
                found.push(summary);
            }
        }
        Ok(found)
    }

    /// All of the summaries, or nothing when they are to be read one by one.
    async fn batch_in_time(&self, names: &[String]) -> Option<Vec<Box<Summary>>> {
        match tokio::time::timeout(IN_TIME, self.batch(names)).await {
            Ok(Ok(found)) => return Some(found),
            Ok(Err(error)) => tracing::debug!(%error, "summaries are read one by one"),
            Err(_) => tracing::debug!("no batch came; summaries are read one by one"),
        }
        // If it was refused, that says nothing of what is asked next.
        self.refusals.put(None);
        None
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
        // As the last message says; 2.11 counts one less at the end.
        let mut last = false;
        while let Some(answer) = answers.next().await {
            let why = answer.description.as_deref().unwrap_or_default();
            match answer.status.map(|status| status.as_u16()) {
                None => {
                    last = is_last(&answer);
                    found.extend(serde_json::from_slice::<Box<Summary>>(&answer.payload));
                }
                Some(END) if last && is_last(&answer) => return Ok(found),
                // The server sends no more bytes at once than it lets wait.
                Some(END) => return Err("the batch was cut short".into()),
                Some(NOT_FOUND) if why == NONE => return Ok(found),
                Some(status) => {
                    return Err(format!("the server answers {status} {why}").into());
                }
            }
        }
        Err("the connection was closed".into())
    }
}

/// Whether the server has no more messages of the batch.
fn is_last(answer: &Message) -> bool {
    let headers = answer.headers.as_ref();
    let left = headers.and_then(|headers| headers.get("Nats-Num-Pending"));
    left.is_some_and(|left| left.as_str() == "0")
}
