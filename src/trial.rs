//! What tests may turn: a build with debug assertions dies at a step, keeps
//! another time, or is given up sooner, as these variables say. A release
//! build has none of this.

use std::{fs, net::SocketAddr, time::Duration};

/// Ends the process right after this step of a request: `ran` for any, `ran
/// order-66` for the one with that id.
pub const CRASH_AT: &str = "SUPERCHECK_TRIAL_CRASH_AT";
/// The same for a panic of the task at that step.
pub const PANIC_AT: &str = "SUPERCHECK_TRIAL_PANIC_AT";
/// Milliseconds by which the wall clock is ahead (behind, when negative), or a
/// file that says so.
pub const CLOCK_AHEAD: &str = "SUPERCHECK_TRIAL_CLOCK_AHEAD_MS";
/// Milliseconds after which a message whose worker is silent goes to another.
pub const ACK_WAIT: &str = "SUPERCHECK_TRIAL_ACK_WAIT_MS";
/// Judging an answer panics when this text stands in its body.
pub const PANIC_ON: &str = "SUPERCHECK_TRIAL_PANIC_ON";

/// The address of the one name server, whatever the system says.
pub const NAME_SERVER: &str = "SUPERCHECK_TRIAL_NAME_SERVER";

/// The steps of a request after which a crash is tried.
pub const STEPS: [&str; 7] = [
    "accepted",
    "delivered",
    "ran",
    "kept",
    "recorded",
    "stored",
    "told",
];

/// Ends the process as a crash does, or panics as a defect would, if this is
/// the step that was named.
pub fn step(name: &str, id: &str) {
    debug_assert!(STEPS.contains(&name), "{name} is not in the list");
    let is_named = |at: String| {
        let (step, whose) = at.split_once(' ').unwrap_or((&at, id));
        step == name && whose == id
    };
    if told(CRASH_AT).is_some_and(is_named) {
        std::process::abort();
    }
    assert!(!told(PANIC_AT).is_some_and(is_named), "as {PANIC_AT} says");
}

/// Panics as a defect in judging would, if `body` is the one that was named.
pub(crate) fn judging(body: &[u8]) {
    let Some(poison) = told(PANIC_ON) else { return };
    let within = |body: &[u8]| {
        body.windows(poison.len())
            .any(|part| part == poison.as_bytes())
    };
    assert!(poison.is_empty() || !within(body), "poisoned by {PANIC_ON}");
}

/// The time `ms` by a clock that may be wrong on purpose.
pub(crate) fn shifted(ms: u64) -> u64 {
    let Some(ahead) = told(CLOCK_AHEAD) else {
        return ms;
    };
    let ahead = ahead.parse().ok().or_else(|| {
        let text = fs::read_to_string(ahead).ok()?;
        text.parse().ok()
    });
    ms.saturating_add_signed(ahead.unwrap_or(0))
}

/// Where names are looked up, if not where the system says.
pub(crate) fn name_server() -> Option<SocketAddr> {
    told(NAME_SERVER)?.parse().ok()
}

/// `usual`, unless a test cannot wait so long.
pub(crate) fn ack_wait(usual: Duration) -> Duration {
    let ms = told(ACK_WAIT).and_then(|ms| ms.parse().ok());
    ms.map_or(usual, Duration::from_millis)
}

fn told(name: &str) -> Option<String> {
    cfg!(debug_assertions)
        .then(|| std::env::var(name).ok())
        .flatten()
}
