//! What it costs to have the server sync to disk more often, up to each write.

use std::time::Duration;

use supercheck::store::connection::connect_now;

use super::{
    Length, ask,
    store::{defaults, written},
};
use crate::{
    figures::{Figures, Goal, Values},
    nats,
    processes::{Daemon, Nats, Plan, Target},
};

/// The server's own default, a middle way, and before each acknowledgement.
const INTERVALS: [&str; 3] = ["2m", "10s", "always"];

/// Checks stored, and requests answered, for each.
pub async fn sync(length: Length, figures: &mut Figures) {
    for interval in INTERVALS {
        let row = format!("nats sync_interval {interval}, 64 at once");
        let server = Nats::syncing(interval).await;
        let defaults = defaults();
        let store = connect_now(&defaults.nats, &server.url, defaults.store).await;
        let store = store.unwrap();
        store.prepare().await.unwrap();
        let mut stored = Values::default();
        for _ in 0..length.windows.max(3) {
            stored.0.push(written(&store, length.window).await);
        }
        figures.note(&row, "stored checks", stored, "/s", Goal::None);

        let target = Target::start();
        let daemon = Daemon::start(&target, &Plan::new(100, 600_000), &server.url, &[]);
        daemon.ready().await;
        let client = nats::client(&server.url).await;
        while client.request("supercheck.list", "".into()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut answered = Values::default();
        for _ in 0..length.windows.max(3) {
            let n = ask::answered(&client, "supercheck.check", length.window).await;
            answered.0.push(n as f64 / length.window.as_secs_f64());
        }
        figures.note(&row, "requests answered", answered, "/s", Goal::None);
    }
}
