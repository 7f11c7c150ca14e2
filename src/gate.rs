//! Whether supercheck's own network is up.
//!
//! When its own line is cut, every target fails, and none of them is down. So
//! a few URLs that hardly ever fail together stand for the network: while none
//! of them answers the gate is closed, and runs that fail say nothing of their
//! targets.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::Mutex, time::Instant};

use crate::{config, probe::Prober};

/// What a run says that fails behind the closed gate.
pub const CLOSED: &str = "supercheck's own network is down: the gate's URLs do not answer";

/// What is known of supercheck's own network.
#[derive(Debug)]
pub struct Gate {
    settings: config::Gate,
    closed: AtomicBool,
    /// When the last look began. Whoever looks holds it, so that those who ask
    /// meanwhile share the next look.
    looked: Mutex<Option<Instant>>,
}

impl Gate {
    /// A gate that is open until it is found closed; `None` without a URL to
    /// ask.
    pub fn new(settings: &config::Gate) -> Option<Self> {
        (!settings.urls.is_empty()).then(|| Self {
            settings: settings.clone(),
            closed: AtomicBool::new(false),
            looked: Mutex::default(),
        })
    }

    /// Whether it was closed when it was last looked at.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether it is closed by a look that begins now or later.
    pub async fn look(&self, prober: &Prober) -> bool {
        let asked = Instant::now();
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|at| at < asked) {
            let began = Instant::now();
            self.turn(!self.is_answered(prober).await);
            *looked = Some(began);
        }
        self.is_closed()
    }

    /// Looks at every interval, and never returns.
    pub async fn watch(&self, prober: &Prober) {
        loop {
            self.look(prober).await;
            tokio::time::sleep(self.settings.interval).await;
        }
    }

    /// Whether any of the URLs answers, whatever the answer is.
    async fn is_answered(&self, prober: &Prober) -> bool {
        let timeout = self.settings.timeout;
        let urls = self.settings.urls.iter();
        let mut asked: FuturesUnordered<_> =
            urls.map(|url| prober.probe(&url.target, timeout)).collect();
        while let Some(observation) = asked.next().await {
            if observation.response.is_some() {
                return true;
            }
        }
        false
    }

    fn turn(&self, closed: bool) {
        if self.closed.swap(closed, Ordering::Relaxed) == closed {
            return;
        }
        if closed {
            tracing::warn!("{CLOSED}; what fails now does not count");
        } else {
            tracing::info!("supercheck's own network is up again; what fails counts");
        }
    }
}
