//! What was done and what was seen, a row for each fault.

use std::{collections::BTreeMap, time::Duration};

/// What was seen of one kind of fault.
#[derive(Clone, Copy, Default)]
struct Row {
    times: u64,
    /// Of those, followed until everything was fresh again.
    followed: u64,
    slowest: Duration,
    /// The longest time in which a target was not asked, and should have been.
    unasked: i64,
}

#[derive(Default)]
pub struct Ledger(BTreeMap<String, Row>);

impl Ledger {
    /// A fault was made good, and everything was fresh again after `fresh`.
    pub fn note(&mut self, fault: &str, fresh: Option<Duration>, unasked: i64) {
        let row = self.0.entry(fault.to_owned()).or_default();
        row.times += 1;
        if let Some(fresh) = fresh {
            row.followed += 1;
            row.slowest = row.slowest.max(fresh);
        }
        row.unasked = row.unasked.max(unasked);
    }

    pub fn print(&self) {
        eprintln!(
            "| fault | times | fresh again within (times looked at) | longest time a target was not asked |"
        );
        eprintln!("|---|---|---|---|");
        for (fault, row) in &self.0 {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let unasked = row.unasked as f64 / 1000.0;
            eprintln!(
                "| {fault} | {} | {:.1} s ({}) | {unasked:.1} s |",
                row.times,
                row.slowest.as_secs_f64(),
                row.followed,
            );
        }
    }
}
