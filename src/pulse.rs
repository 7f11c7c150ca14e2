//! Proof that a loop still turns: who watches asks, and the loop answers when
//! it comes round. While nobody asks, nothing is done.

use std::sync::Arc;

use tokio::sync::Notify;

/// The pulse of one loop.
#[derive(Clone, Debug)]
pub struct Pulse {
    name: &'static str,
    asked: Arc<Notify>,
    answered: Arc<Notify>,
}

impl Pulse {
    /// The pulse of the loop called `name`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            asked: Arc::default(),
            answered: Arc::default(),
        }
    }

    /// The loop's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// For the loop, among what it waits for: answers whoever asks.
    pub async fn beat(&self) {
        self.asked.notified().await;
        self.answered.notify_one();
    }

    /// For who watches: asks, and waits for the answer.
    pub async fn felt(&self) {
        self.asked.notify_one();
        self.answered.notified().await;
    }

    /// Stops the loop here for ever, for tests: `SUPERCHECK_STALL` is a loop's
    /// name, `@`, and a file that must be there. A release has none of this.
    #[cfg(debug_assertions)]
    pub async fn stall(&self) {
        let stall = std::env::var("SUPERCHECK_STALL").unwrap_or_default();
        if let Some((name, file)) = stall.split_once('@')
            && name == self.name
            && std::path::Path::new(file).exists()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Nothing, in a release.
    #[cfg(not(debug_assertions))]
    pub async fn stall(&self) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_turns_is_felt_and_one_that_does_not_is_not() {
        let pulse = Pulse::new("loop");
        let beating = pulse.clone();
        let turns = async {
            loop {
                beating.beat().await;
            }
        };
        tokio::select! {
            () = turns => {}
            () = async { pulse.felt().await; pulse.felt().await } => {}
        }
        let felt = tokio::time::timeout(Duration::from_secs(60), pulse.felt()).await;
        assert!(felt.is_err(), "nobody turns any more");
    }
}
