//! The door to NATS JetStream: buckets, reports, summaries.
//!
//! The one place that names `async-nats` (with `serve/service`). A [`Store`]
//! is cheap to clone; [`connection`] keeps it connected, [`keeper`] its buckets
//! made.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{self, context::ContextBuilder};
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    config::StoreSettings,
    request::{Record, RequestId},
};

pub mod ask;
mod batch;
pub mod buckets;
pub mod connection;
mod crowd;
pub mod embedded;
pub mod events;
pub mod examine;
pub mod flags;
pub mod history;
pub mod keeper;
pub mod ledger;
pub mod object;
mod pace;
pub mod permissions;
pub mod queue;
pub mod read;
mod reader;
pub mod rollups;
pub mod slots;
pub mod taken;
pub mod trouble;
pub mod wanted;
pub mod write;
pub mod writer;

pub use connection::{Link, connect};
pub use trouble::{StoreError, Trouble};

/// The object store of reports.
pub const OBJECT_BUCKET: &str = "supercheck";
/// The object store of the last failing report of each check.
pub const FAILURE_BUCKET: &str = "supercheck_failures";
/// The KV bucket of summaries.
pub const KV_BUCKET: &str = "supercheck_kv";

/// The work queue of on-demand requests.
pub const REQUEST_STREAM: &str = "SUPERCHECK_REQUESTS";
/// The KV bucket of what requests came to.
pub const LEDGER_BUCKET: &str = "supercheck_requests";
/// The KV bucket of hours and days: what the history came to.
pub const ROLLUP_BUCKET: &str = "supercheck_rollups";
/// The KV bucket of maintenance flags.
pub const FLAG_BUCKET: &str = "supercheck_maintenance";
/// The queue of scheduled slots, where instances share the schedule.
pub const SLOT_STREAM: &str = "SUPERCHECK_SLOTS";
/// The stream of all summaries.
pub const HISTORY_STREAM: &str = "SUPERCHECK_HISTORY";
/// The stream of status changes and refused requests.
pub const EVENT_STREAM: &str = "SUPERCHECK_EVENTS";

/// One publish or API request is given up after this long without an answer.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Publishes that may wait for their acknowledgement at once, over all of
/// supercheck; the recorder's own window is smaller.
const MAX_ACKS: usize = 8192;
/// Results that may wait to be passed on here; the server tells of them, too.
const MAX_TOLD: usize = 1024;

/// JetStream, as supercheck uses it.
#[derive(Clone, Debug)]
pub struct Store {
    client: async_nats::Client,
    js: jetstream::Context,
    settings: Arc<StoreSettings>,
    /// Names what this process writes.
    writer: Arc<str>,
    link: watch::Receiver<Link>,
    /// Set when the connection is given up on purpose.
    closing: Arc<AtomicBool>,
    refusals: Refusals,
    /// How often a connection was made.
    connections: watch::Receiver<u64>,
    missing: Missing,
    crowd: crowd::Crowd,
    /// What requests came to, for those who wait in this process.
    told: broadcast::Sender<(RequestId, Record)>,
}

/// What is done about a stream that somebody has deleted.
#[derive(Clone, Debug, Default)]
struct Missing {
    /// Wakes the keeper, which makes it again.
    wake: Arc<Notify>,
    /// Whether all streams were there once.
    prepared: Arc<AtomicBool>,
    /// How many were made anew since.
    made_anew: Arc<AtomicU64>,
    /// Whether the keeper has looked for them for a while, and cannot use them.
    unusable: Arc<AtomicBool>,
}

/// What the server refused last. It tells that beside the request, which then
/// just goes unanswered.
#[derive(Clone, Debug, Default)]
struct Refusals(Arc<watch::Sender<Option<String>>>);

impl Refusals {
    fn put(&self, refusal: Option<String>) -> Option<String> {
        self.0.send_replace(refusal)
    }
}

impl Store {
    fn new(
        client: async_nats::Client,
        settings: StoreSettings,
        link: watch::Receiver<Link>,
        closing: Arc<AtomicBool>,
        refusals: Refusals,
        connections: watch::Receiver<u64>,
    ) -> Self {
        let js = ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .max_ack_inflight(MAX_ACKS)
            .build(client.clone());
        Self {
            client,
            js,
            settings: Arc::new(settings),
            writer: nuid::next().to_string().into(),
            link,
            closing,
            refusals,
            connections,
            missing: Missing::default(),
            crowd: crowd::Crowd::default(),
            told: broadcast::Sender::new(MAX_TOLD),
        }
    }

    /// An error of the API: a request without an answer, while the server
    /// refused something, was what it refused.
    fn api_error<E>(&self, doing: String, trouble: Trouble, error: E) -> StoreError
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.look_for(trouble);
        match self.refusals.put(None) {
            Some(refusal) if trouble == Trouble::Away => {
                StoreError::new(doing, Trouble::Denied, refusal)
            }
            _ => StoreError::new(doing, trouble, error),
        }
    }

    /// Waits until the server refuses something for want of a permission.
    pub async fn refused(&self) -> StoreError {
        let mut last = self.refusals.0.subscribe();
        let is_permission = |last: &Option<String>| {
            last.as_ref()
                .is_some_and(|refusal| refusal.contains("Permissions Violation"))
        };
        // The sender lives in `self`, so the wait ends with a refusal only.
        drop(last.wait_for(is_permission).await);
        let refusal = self.refusals.put(None).unwrap_or_default();
        StoreError::new("use NATS", Trouble::Denied, refusal)
    }

    /// Has a stream that is missing made again.
    pub(crate) fn look_for(&self, trouble: Trouble) {
        if trouble == Trouble::Missing {
            self.missing.wake.notify_one();
        }
    }

    /// Whether NATS can be used now, and changes of it.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// How it stands with NATS, for those who ask: a server that has lost its
    /// cluster keeps a connection that is of no use. Whoever stores something
    /// goes on trying, and finds out first when that helps.
    pub fn standing(&self) -> Link {
        let link = *self.link.borrow();
        if link == Link::Ready && self.missing.unusable.load(Ordering::Relaxed) {
            return Link::Connected;
        }
        link
    }

    /// How often a connection was made anew, after the first.
    pub fn reconnects(&self) -> u64 {
        self.connections.borrow().saturating_sub(1)
    }

    /// How many streams were gone, with what they held, and made anew.
    pub fn streams_lost(&self) -> u64 {
        self.missing.made_anew.load(Ordering::Relaxed)
    }

    /// The connection, for the NATS service.
    pub(crate) const fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// How the buckets are meant to be.
    pub fn settings(&self) -> &StoreSettings {
        &self.settings
    }

    /// Sends what is still buffered and closes the connection.
    pub async fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        // Nothing more can be done about an error here: every write that
        // matters has been acknowledged before.
        let flushed = tokio::time::timeout(Duration::from_secs(1), self.client.flush()).await;
        if let Ok(Err(error)) = flushed {
            tracing::debug!(%error, "flush before closing");
        }
        if let Err(error) = self.client.drain().await {
            tracing::debug!(%error, "drain before closing");
        }
    }
}
