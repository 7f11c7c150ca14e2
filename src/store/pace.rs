//! How fast the history grows, and how much of the past it has room for: told
//! from the summaries that are there and the runs that are configured.

use std::time::Duration;

/// The history, as it is and as it grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Summaries that are there.
    pub(super) messages: u64,
    /// The bytes that they take.
    pub(super) bytes: u64,
    /// Scheduled runs.
    pub(super) runs_a_day: f64,
    /// The bytes that it may take; below one: as many as there are.
    pub(super) max_bytes: i64,
    /// How long a summary stays.
    pub(super) max_age: Duration,
}

impl Pace {
    /// What an operator wants to know of it, once there is something to tell
    /// it from.
    pub(super) fn told(self) -> Option<String> {
        if self.messages == 0 || self.runs_a_day <= 0.0 {
            return None;
        }
        let a_day = self.bytes as f64 / self.messages as f64 * self.runs_a_day;
        let grows = format!("the history grows by {} a day", size(a_day));
        if self.max_bytes < 1 {
            return Some(grows);
        }
        let room = self.max_bytes as f64;
        let holds = Duration::try_from_secs_f64(room / a_day * 86_400.0).unwrap_or(Duration::MAX);
        let (room, held) = (size(room), whole(holds.min(self.max_age)));
        let held = humantime::format_duration(held);
        Some(if holds < self.max_age {
            format!("{grows}; `history.max_bytes`, {room}, is the last {held} of it")
        } else {
            format!("{grows}; all of its {held} fit in `history.max_bytes`, {room}")
        })
    }
}

fn size(bytes: f64) -> String {
    if bytes < 999.95e6 {
        format!("{:.1} MB", bytes / 1e6)
    } else {
        format!("{:.1} GB", bytes / 1e9)
    }
}

/// In whole hours, or minutes if it is less than one.
fn whole(duration: Duration) -> Duration {
    let seconds = duration.as_secs();
    let unit = if seconds < 3600 { 60 } else { 3600 };
    Duration::from_secs(seconds.saturating_add(unit / 2) / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand checks, each every 10 s.
    const FAST: Pace = Pace {
        messages: 1000,
        bytes: 600_000,
        runs_a_day: 8_640_000.0,
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(7 * 86_400),
    };

    #[test]
    fn what_does_not_fit_is_told_in_hours() {
        assert_eq!(
            FAST.told().unwrap(),
            "the history grows by 5.2 GB a day; `history.max_bytes`, 1.1 GB, is the last 5h of it"
        );
        let faster = Pace {
            runs_a_day: 86_400_000.0,
            ..FAST
        };
        assert!(faster.told().unwrap().ends_with("is the last 30m of it"));
    }

    #[test]
    fn what_fits_is_told_as_such() {
        let slow = Pace {
            runs_a_day: 86_400.0,
            ..FAST
        };
        assert_eq!(
            slow.told().unwrap(),
            "the history grows by 51.8 MB a day; all of its 7days fit in `history.max_bytes`, \
             1.1 GB"
        );
        let unbounded = Pace {
            max_bytes: -1,
            ..slow
        };
        assert_eq!(
            unbounded.told().unwrap(),
            "the history grows by 51.8 MB a day"
        );
    }

    #[test]
    fn nothing_is_told_from_nothing() {
        let empty = Pace {
            messages: 0,
            ..FAST
        };
        let idle = Pace {
            runs_a_day: 0.0,
            ..FAST
        };
        assert_eq!((empty.told(), idle.told()), (None, None));
    }
}
