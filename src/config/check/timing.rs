//! When a check is due, and how long one probe may take.

use std::time::Duration;

use super::{
    super::{
        book::Book,
        fields::Fields,
        mistake::Place,
        value::{At, Given},
    },
    Defaults,
};
use crate::check::CheckName;

/// A shorter interval is a load test, not a check.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
pub(super) const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Timing {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    /// Where the interval was written, if anywhere.
    pub(super) at: Option<Place>,
}

pub(super) fn read(
    fields: &mut Fields<'_>,
    defaults: &Defaults,
    name: Option<&At<CheckName>>,
    book: &mut Book,
) -> Timing {
    let interval = fields.duration("interval", book);
    let timeout = fields.duration("timeout", book);
    let own = interval.place().or(timeout.place()).cloned();
    let interval = interval.or(&defaults.interval);
    let timeout = timeout.or(&defaults.timeout);
    judge(&interval, &timeout, own, name, book);
    let (interval, at) = match interval {
        Given::Set(found) => (found.value, Some(found.at)),
        Given::Unset | Given::Misread => (DEFAULT_INTERVAL, None),
    };
    let timeout = match timeout {
        Given::Set(found) => found.value,
        // A short interval brings a short timeout with it.
        Given::Unset | Given::Misread => DEFAULT_TIMEOUT.min(interval * 4 / 5),
    };
    Timing {
        interval,
        timeout,
        at,
    }
}

/// Tells of one mistake at most: at the check's `own` setting, or else where
/// it was inherited, and there once for all checks.
fn judge(
    interval: &Given<Duration>,
    timeout: &Given<Duration>,
    own: Option<Place>,
    name: Option<&At<CheckName>>,
    book: &mut Book,
) {
    let every = match interval {
        Given::Set(found) => found.value,
        Given::Unset => DEFAULT_INTERVAL,
        Given::Misread => return,
    };
    let (interval_at, timeout_at) = (interval.place().cloned(), timeout.place().cloned());
    let timeout = match timeout {
        Given::Set(found) => Some(found.value),
        Given::Unset => None,
        Given::Misread => return,
    };
    let (at, message, hint) = if every < MIN_INTERVAL {
        let hint = "make it `100ms` or more".to_owned();
        (interval_at, "the interval is too short".to_owned(), hint)
    } else if timeout.is_some_and(|timeout| timeout.is_zero()) {
        let hint = "such as `3s`".to_owned();
        (timeout_at, "a timeout of nothing".to_owned(), hint)
    } else if let Some(timeout) = timeout.filter(|timeout| *timeout >= every) {
        let who = name.map_or_else(
            || "the check".to_owned(),
            |name| format!("check `{}`", name.value),
        );
        let message = format!("{who} may still be running when it is next due");
        let hint = format!(
            "make `interval` ({}) longer than `timeout` ({})",
            humantime::format_duration(every),
            humantime::format_duration(timeout)
        );
        (own.or(interval_at).or(timeout_at), message, hint)
    } else {
        return;
    };
    let at = at.unwrap_or(Place::Whole);
    if !book.told(&at) {
        book.mistake(&at, message).hint(hint);
    }
}
