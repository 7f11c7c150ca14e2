//! How all of it is, at a glance.

use std::sync::Arc;

use askama::Template;

use super::{row::status, shape::shape};
use crate::{clock::Timestamp, report::Status, store::Link, triggers::Cells};

/// How many checks have which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks that are up.
    pub up: usize,
    /// Checks that are degraded.
    pub degraded: usize,
    /// Checks that are down.
    pub down: usize,
    /// Checks of which nothing fresh is known.
    pub unknown: usize,
}

impl Tally {
    /// Counts all checks.
    pub fn of(cells: &Arc<Cells>, now: Timestamp) -> Self {
        let mut tally = Self::default();
        for cell in cells.values() {
            match cell.look(|summary, _| status(summary, now)) {
                Status::Up => tally.up += 1,
                Status::Degraded => tally.degraded += 1,
                Status::Down => tally.down += 1,
                Status::Unknown => tally.unknown += 1,
            }
        }
        tally
    }

    /// All of them.
    pub const fn all(self) -> usize {
        self.up + self.degraded + self.down + self.unknown
    }

    /// The status of the whole: the worst that there is.
    pub const fn status(self) -> Status {
        match self {
            Self { down: 1.., .. } => Status::Down,
            Self { degraded: 1.., .. } => Status::Degraded,
            Self { unknown: 1.., .. } | Self { up: 0, .. } => Status::Unknown,
            Self { .. } => Status::Up,
        }
    }

    /// The whole in a sentence.
    pub fn headline(self) -> String {
        let all = self.all();
        let some = |n: usize, word: &str| {
            let are = if n == 1 { "is" } else { "are" };
            match all {
                1 => format!("The check is {word}"),
                all if n == all => format!("All {all} checks are {word}"),
                all => format!("{n} of {all} checks {are} {word}"),
            }
        };
        match self.status() {
            _ if all == 0 => "No checks are configured".to_owned(),
            Status::Down => some(self.down, "down"),
            Status::Degraded => some(self.degraded, "degraded"),
            Status::Unknown => some(self.unknown, "unknown"),
            Status::Up => some(self.up, "up"),
        }
    }

    /// The rest of it.
    fn line(self) -> String {
        let parts = [
            (self.down, "down"),
            (self.degraded, "degraded"),
            (self.unknown, "unknown"),
            (self.up, "up"),
        ];
        let told: Vec<_> = parts
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
        match (self.all(), told.len()) {
            (0, _) => "Add a [[check]] with a name and a url to the configuration.".to_owned(),
            (_, 1) => "Each target is asked once for all readers.".to_owned(),
            _ => told.join(" · "),
        }
    }
}

/// What is said when NATS cannot be used.
pub fn notice(link: Link) -> Option<&'static str> {
    match link {
        Link::Ready => None,
        Link::Connected | Link::Away => Some(
            "NATS cannot be used now. Checks go on, and what is shown comes from this daemon's \
             memory; history is not there until NATS is back.",
        ),
    }
}

struct View {
    state: &'static str,
    shape: &'static str,
    headline: String,
    line: String,
    notice: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "overview.html", config = "src/serve/page/askama.toml")]
struct OverviewPage {
    view: View,
}

/// The head of the list.
pub fn html(tally: Tally, link: Link) -> String {
    let status = tally.status();
    let view = View {
        state: status.as_str(),
        shape: shape(status),
        headline: tally.headline(),
        line: tally.line(),
        notice: notice(link),
    };
    OverviewPage { view }.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_said_first() {
        let of = |up, degraded, down, unknown| {
            let tally = Tally {
                up,
                degraded,
                down,
                unknown,
            };
            (tally.headline(), tally.line())
        };
        let said = |headline: &str, line: &str| (headline.to_owned(), line.to_owned());
        assert_eq!(
            of(3, 1, 1, 0),
            said("1 of 5 checks is down", "1 down · 1 degraded · 3 up")
        );
        assert_eq!(of(0, 0, 2, 0).0, "All 2 checks are down");
        assert_eq!(of(4, 2, 0, 1).0, "2 of 7 checks are degraded");
        assert_eq!(of(0, 0, 0, 1).0, "The check is unknown");
        assert_eq!(of(9, 0, 0, 0).0, "All 9 checks are up");
        assert_eq!(of(0, 0, 0, 0).0, "No checks are configured");
    }
}
