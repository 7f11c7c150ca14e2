//! Maintenance windows: times that the configuration sets aside, once or again
//! and again, for some checks or for all.
//!
//! Pure: a window is asked about a moment. Cron patterns follow the clock on
//! the wall of their time zone, durations are real time: a window of two hours
//! takes two hours, also when the clock is changed meanwhile.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::{check::Check, clock::Timestamp};

/// A maintenance window.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What it is for: the reason that readers see.
    pub name: String,
    /// The checks that it is for.
    pub selector: Selector,
    /// When it is open.
    pub when: When,
}

/// Checks by name, group and tag; any of these will do. Nothing: all checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Names.
    pub checks: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
}

/// When a window is open.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Once, from one moment to another.
    Once {
        /// The first moment.
        from: Timestamp,
        /// The first moment after.
        until: Timestamp,
    },
    /// Again and again.
    Recurring(Box<Recurring>),
}

/// From each time that a cron pattern names, for so long.
#[derive(Clone, Debug)]
pub struct Recurring {
    /// The pattern, as written.
    pub schedule: String,
    /// For how long.
    pub duration: Duration,
    /// Whose clock the pattern follows.
    pub zone: Tz,
    cron: Cron,
}

impl PartialEq for Recurring {
    fn eq(&self, other: &Self) -> bool {
        let said = |this: &Self| (this.schedule.clone(), this.duration, this.zone);
        said(self) == said(other)
    }
}

impl Window {
    /// Whether it is for `check`.
    pub fn is_for(&self, check: &Check) -> bool {
        let Selector {
            checks,
            groups,
            tags,
        } = &self.selector;
        (checks.is_empty() && groups.is_empty() && tags.is_empty())
            || checks.iter().any(|name| name == check.name.as_str())
            || groups
                .iter()
                .any(|group| check.group.as_ref() == Some(group))
            || tags.iter().any(|tag| check.tags.contains(tag))
    }

    /// Whether it is open at `at`, and until when that stays so at least.
    pub fn at(&self, at: Timestamp) -> (bool, Timestamp) {
        match &self.when {
            When::Once { from, until } => match () {
                () if at < *from => (false, *from),
                () if at < *until => (true, *until),
                () => (false, NEVER),
            },
            When::Recurring(recurring) => recurring.at(at),
        }
    }
}

/// Beyond any run.
const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

impl Recurring {
    /// Takes a cron pattern of five fields, or one such as `@daily`.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn new(schedule: &str, duration: Duration, zone: Tz) -> Result<Self, String> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(schedule).map_err(|error| {
            let text = error.to_string();
            text.trim_end_matches('.').to_lowercase()
        })?;
        let recurring = Self {
            schedule: schedule.to_owned(),
            duration,
            zone,
            cron,
        };
        // Any day will do: what comes at all comes again.
        let some_day = Timestamp::from_millis(0);
        if recurring.next(some_day).is_none() {
            return Err("there is no such day".to_owned());
        }
        Ok(recurring)
    }

    fn at(&self, at: Timestamp) -> (bool, Timestamp) {
        if let Some(ends) = self.last(at).map(|began| began + self.duration)
            && at < ends
        {
            return (true, ends);
        }
        (false, self.next(at).unwrap_or(NEVER))
    }

    /// The last beginning at `at` or before.
    fn last(&self, at: Timestamp) -> Option<Timestamp> {
        let at = self.on_the_wall(at)?;
        let last = self.cron.find_previous_occurrence(&at, true).ok()?;
        back(&last)
    }

    /// The first beginning after `at`.
    fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let at = self.on_the_wall(at)?;
        let next = self.cron.find_next_occurrence(&at, false).ok()?;
        back(&next)
    }

    /// In whole seconds: a pattern knows no smaller ones.
    fn on_the_wall(&self, at: Timestamp) -> Option<DateTime<Tz>> {
        let seconds = i64::try_from(at.as_millis() / 1000).ok()?;
        Some(DateTime::<Utc>::from_timestamp(seconds, 0)?.with_timezone(&self.zone))
    }
}

fn back(at: &DateTime<Tz>) -> Option<Timestamp> {
    let millis = u64::try_from(at.timestamp_millis()).ok()?;
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests;
