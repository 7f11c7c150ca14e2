//! How long this machine stood still: what nobody could do anything about is
//! held against nobody.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Utc;

/// The meter looks so often.
const STEP: i64 = 50;
/// A look that is later than this was kept from looking.
const LATE: i64 = 150;

#[derive(Clone, Default)]
pub struct Lag {
    /// When, and for how long, in milliseconds, oldest first.
    stood: Arc<Mutex<Vec<(i64, i64)>>>,
}

impl Lag {
    pub fn measure() -> Self {
        let lag = Self::default();
        let stood = Arc::clone(&lag.stood);
        // A thread of its own: what keeps this one waits for the processor.
        std::thread::spawn(move || {
            let mut last = Utc::now().timestamp_millis();
            loop {
                std::thread::sleep(Duration::from_millis(STEP.unsigned_abs()));
                let now = Utc::now().timestamp_millis();
                if now - last > LATE {
                    stood.lock().unwrap().push((last, now - last));
                }
                last = now;
            }
        });
        lag
    }

    /// How much of the time between these it stood still, in milliseconds.
    pub fn between(&self, from: i64, to: i64) -> i64 {
        let stood = self.stood.lock().unwrap();
        let within = stood
            .iter()
            .rev()
            .take_while(|(at, long)| at + long >= from);
        within
            .map(|(at, long)| ((at + long).min(to) - (*at).max(from)).max(0))
            .sum()
    }

    /// How much it stood still in all.
    pub fn total(&self) -> Duration {
        let ms: i64 = self
            .stood
            .lock()
            .unwrap()
            .iter()
            .map(|(_, long)| long)
            .sum();
        Duration::from_millis(ms.unsigned_abs())
    }
}
