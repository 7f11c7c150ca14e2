//! When a check is due, how long one probe may take, and how often a run asks.

use std::time::Duration;

use super::{
    super::{
        book::Book,
        fields::Fields,
        mistake::Place,
        value::{At, Given, text},
    },
    Defaults,
};
use crate::check::{Attempts, CheckName};

/// A shorter interval is a load test, not a check.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
const TOO_SHORT: (&str, &str) = ("the interval is too short", "make it `100ms` or more");
pub(super) const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// What is sent in one of these may be done twice when it is sent twice.
const NOT_REPEATABLE: [&str; 2] = ["POST", "PATCH"];

pub(super) struct Timing {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) attempts: Attempts,
    /// Where the interval was written, if anywhere.
    pub(super) at: Option<Place>,
}

/// What was written, by the check or for all.
struct Written {
    interval: Given<Duration>,
    timeout: Given<Duration>,
    attempts: Attempts,
    /// Where the check itself wrote any of them.
    own: Option<Place>,
    /// Where the attempts were written.
    attempts_at: Option<Place>,
}

pub(super) fn read(
    fields: &mut Fields<'_>,
    defaults: &Defaults,
    name: Option<&At<CheckName>>,
    book: &mut Book,
) -> Timing {
    let written = written(fields, defaults, book);
    judge(&written, name, book);
    let Written {
        interval, attempts, ..
    } = written;
    let (interval, at) = match interval {
        Given::Set(found) => (found.value, Some(found.at)),
        Given::Unset | Given::Misread => (DEFAULT_INTERVAL, None),
    };
    let timeout = match written.timeout {
        Given::Set(found) => found.value,
        Given::Unset | Given::Misread => default_timeout(interval, attempts),
    };
    Timing {
        interval,
        timeout,
        attempts,
        at,
    }
}

/// Of a check that asks nothing.
pub(super) fn of_push(fields: &mut Fields<'_>, defaults: &Defaults, book: &mut Book) -> Timing {
    let interval = fields.duration("interval", book).or(&defaults.interval);
    let (interval, at) = match interval {
        Given::Set(found) => (found.value, Some(found.at)),
        Given::Unset | Given::Misread => (DEFAULT_INTERVAL, None),
    };
    if let Some(at) = &at
        && interval < MIN_INTERVAL
        && !book.told(at)
    {
        book.mistake(at, TOO_SHORT.0).hint(TOO_SHORT.1);
    }
    Timing {
        interval,
        timeout: DEFAULT_TIMEOUT,
        attempts: Attempts::default(),
        at,
    }
}

fn written(fields: &mut Fields<'_>, defaults: &Defaults, book: &mut Book) -> Written {
    let interval = fields.duration("interval", book);
    let timeout = fields.duration("timeout", book);
    let attempts = attempts(fields, book);
    let delay = attempt_delay(fields, book);
    let repeatable = fields
        .node("method")
        .and_then(text)
        .is_none_or(|method| !NOT_REPEATABLE.contains(&method.value.to_ascii_uppercase().as_str()));
    let own = interval.place().or(timeout.place());
    let own = own.or(attempts.as_ref().map(|found| &found.at)).cloned();
    // What must not be done twice is sent again only where that is said of
    // this very check.
    let attempts = attempts.or_else(|| defaults.attempts.clone().filter(|_| repeatable));
    let delay = delay.or(defaults.attempt_delay);
    let once = Attempts::default();
    Written {
        interval: interval.or(&defaults.interval),
        timeout: timeout.or(&defaults.timeout),
        own,
        attempts: Attempts {
            most: attempts.as_ref().map_or(once.most, |found| found.value),
            delay: delay.unwrap_or(once.delay),
        },
        attempts_at: attempts.map(|found| found.at),
    }
}

pub(super) fn attempts(fields: &mut Fields<'_>, book: &mut Book) -> Option<At<u32>> {
    fields.number("attempts", 1..=10, book)
}

pub(super) fn attempt_delay(fields: &mut Fields<'_>, book: &mut Book) -> Option<Duration> {
    match fields.duration("attempt_delay", book) {
        Given::Set(delay) => Some(delay.value),
        Given::Unset | Given::Misread => None,
    }
}

/// A short interval brings a short timeout with it, and so do many attempts;
/// nothing, when the delays between them leave no time.
fn default_timeout(interval: Duration, attempts: Attempts) -> Duration {
    let room = (interval * 4 / 5).saturating_sub(attempts.delays());
    DEFAULT_TIMEOUT.min(room / attempts.most)
}

/// Tells of one mistake at most: at the check's `own` setting, or else where
/// it was inherited, and there once for all checks.
fn judge(written: &Written, name: Option<&At<CheckName>>, book: &mut Book) {
    let attempts = written.attempts;
    let every = match &written.interval {
        Given::Set(found) => found.value,
        Given::Unset => DEFAULT_INTERVAL,
        Given::Misread => return,
    };
    let timeout = match &written.timeout {
        Given::Set(found) => found.value,
        Given::Unset => default_timeout(every, attempts),
        Given::Misread => return,
    };
    let interval_at = written.interval.place().cloned();
    let timeout_at = written.timeout.place().cloned();
    let attempts_at = written.attempts_at.clone();
    let own = written.own.clone();
    let (at, message, hint) = if every < MIN_INTERVAL {
        (interval_at, TOO_SHORT.0.to_owned(), TOO_SHORT.1.to_owned())
    } else if timeout.is_zero() && timeout_at.is_some() {
        let hint = "such as `3s`".to_owned();
        (timeout_at, "a timeout of nothing".to_owned(), hint)
    } else if attempts.together(timeout) >= every || timeout.is_zero() {
        let who = name.map_or_else(
            || "the check".to_owned(),
            |name| format!("check `{}`", name.value),
        );
        let message = format!("{who} may still be running when it is next due");
        let hint = how_to_fit(every, timeout, attempts);
        let at = own.or(attempts_at).or(interval_at).or(timeout_at);
        (at, message, hint)
    } else {
        return;
    };
    let at = at.unwrap_or(Place::Whole);
    if !book.told(&at) {
        book.mistake(&at, message).hint(hint);
    }
}

fn how_to_fit(every: Duration, timeout: Duration, attempts: Attempts) -> String {
    let said = humantime::format_duration;
    let every = said(every);
    if attempts.most == 1 {
        let timeout = said(timeout);
        return format!("make `interval` ({every}) longer than `timeout` ({timeout})");
    }
    let (most, delay) = (attempts.most, said(attempts.delay));
    if timeout.is_zero() {
        return format!(
            "{most} `attempts` with an `attempt_delay` of {delay} leave no time of the \
             `interval` ({every}): make it longer, or one of them less"
        );
    }
    format!(
        "make `interval` ({every}) longer than {}: {most} `attempts` of `timeout` ({}), and \
         `attempt_delay` ({delay}) between them",
        said(attempts.together(timeout)),
        said(timeout)
    )
}
