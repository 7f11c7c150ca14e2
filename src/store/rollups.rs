//! The rollups in NATS: a value for each check and day, and how far they go.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use futures_util::{StreamExt as _, stream};

use super::{ROLLUP_BUCKET, Store, StoreError, Trouble, history, read};
use crate::{
    clock::Timestamp,
    report::Summary,
    rollup::{Day, Hour},
};

/// The key of the hour up to which all is rolled up. No check is called so.
const THROUGH: &str = "_through";

/// Days that are read at once.
const READS: usize = 32;

impl Store {
    /// A day of `check`, and its place; an empty one when there is none.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn rollup(&self, check: &str, day: u64) -> Result<(Day, u64), StoreError> {
        let stream = self.stream(&format!("KV_{ROLLUP_BUCKET}")).await?;
        let message = read::last(&stream, &subject(&format!("{check}.{day}"))).await?;
        Ok(message.map_or_else(Default::default, |message| {
            // What is no day is somebody else's, and is replaced.
            let day = serde_json::from_slice(&message.payload).unwrap_or_default();
            (day, message.sequence)
        }))
    }

    /// The hours of `days` of `check`.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn rollups(
        &self,
        check: &str,
        days: Vec<u64>,
    ) -> Result<BTreeMap<u64, Hour>, StoreError> {
        let mut gets = stream::iter(days)
            .map(|day| self.rollup(check, day))
            .buffered(READS);
        let mut hours = BTreeMap::new();
        while let Some(day) = gets.next().await {
            hours.extend(day?.0.hours);
        }
        Ok(hours)
    }

    /// Stores a day of `check` in the place of the one at `last`.
    ///
    /// # Errors
    /// [`Trouble::Outrun`] when another instance wrote meanwhile.
    pub async fn roll_up(
        &self,
        check: &str,
        day: u64,
        content: &Day,
        last: u64,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_vec(content)
            .map_err(|error| StoreError::new("store a rollup", Trouble::Other, error))?;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", last.to_string());
        self.confirmed(subject(&format!("{check}.{day}")), headers, body.into())
            .await
            .map(drop)
    }

    /// The hour up to which everything is rolled up, if anything is.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn rolled_up_through(&self) -> Result<Option<u64>, StoreError> {
        let stream = self.stream(&format!("KV_{ROLLUP_BUCKET}")).await?;
        let message = read::last(&stream, &subject(THROUGH)).await?;
        Ok(message.and_then(|message| serde_json::from_slice(&message.payload).ok()))
    }

    /// Notes that everything before the hour `through` is rolled up.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn note_rolled_up(&self, through: u64) -> Result<(), StoreError> {
        let body = through.to_string();
        self.confirmed(subject(THROUGH), HeaderMap::new(), body.into())
            .await
            .map(drop)
    }

    /// Every summary that was stored from then on and of a run before `until`,
    /// of all checks, oldest first.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn replay_all(
        &self,
        from: Timestamp,
        until: Timestamp,
        mut each: impl FnMut(&Summary),
    ) -> Result<(), StoreError> {
        self.replay_of("*", history::From::Time(from), |batch| {
            for past in &batch {
                if past.summary.checked_at < until {
                    each(&past.summary);
                }
            }
            Ok::<(), StoreError>(())
        })
        .await
    }
}

fn subject(key: &str) -> String {
    format!("$KV.{ROLLUP_BUCKET}.{key}")
}
