//! Maintenance flags: set from outside, for a time, in a KV bucket, so that
//! they outlive a restart and every instance sees them.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::{FLAG_BUCKET, Store, StoreError, Trouble, read};
use crate::clock::Timestamp;

/// No flag lasts longer.
pub const MAX_FLAG: Duration = Duration::from_hours(30 * 24);

/// A check is in maintenance until some moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// Version of this form, 1.
    pub v: u32,
    /// The check's name.
    pub check: String,
    /// The first moment after.
    pub until: Timestamp,
    /// What it is for.
    #[serde(default)]
    pub reason: String,
}

impl Store {
    /// Sets `flag`, in place of an earlier one of its check.
    ///
    /// # Errors
    /// When NATS does not take it.
    pub async fn set_flag(&self, flag: &Flag) -> Result<(), StoreError> {
        let body = serde_json::to_vec(flag)
            .map_err(|error| StoreError::new("set a maintenance flag", Trouble::Other, error))?;
        self.confirmed(subject(&flag.check), HeaderMap::new(), body.into())
            .await
            .map(drop)
    }

    /// Takes the flag of `check` away.
    ///
    /// # Errors
    /// When NATS does not take it.
    pub async fn clear_flag(&self, check: &str) -> Result<(), StoreError> {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "PURGE");
        headers.insert("Nats-Rollup", "sub");
        self.confirmed(subject(check), headers, Bytes::new())
            .await
            .map(drop)
    }

    /// The flag of `check`, if there is one.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn flag(&self, check: &str) -> Result<Option<Flag>, StoreError> {
        let stream = self.stream(&format!("KV_{FLAG_BUCKET}")).await?;
        let message = read::last(&stream, &subject(check)).await?;
        // What was taken away is empty.
        Ok(message.and_then(|message| serde_json::from_slice(&message.payload).ok()))
    }

    /// Flags as they are set (and taken away: `None`) from now on.
    ///
    /// # Errors
    /// When the connection takes no more.
    pub async fn flags_to_come(
        &self,
    ) -> Result<impl Stream<Item = (String, Option<Flag>)> + use<>, StoreError> {
        let set = self.client.subscribe(subject("*")).await.map_err(|error| {
            StoreError::new("follow the maintenance flags", Trouble::Away, error)
        })?;
        Ok(set.filter_map(|message| {
            let check = message.subject.rsplit('.').next().map(str::to_owned);
            let flag = serde_json::from_slice(&message.payload).ok();
            std::future::ready(check.map(|check| (check, flag)))
        }))
    }
}

fn subject(check: &str) -> String {
    format!("$KV.{FLAG_BUCKET}.{check}")
}
