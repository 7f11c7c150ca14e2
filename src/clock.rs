//! Time as supercheck writes it: the one place that asks the wall clock, and
//! the [`Timestamp`] that everything else is handed.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::trial;

/// A moment in wall-clock time, in whole milliseconds since the Unix epoch.
///
/// Written as RFC 3339 in UTC with milliseconds: `2026-11-23T18:56:00.123Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// Returns the wall-clock time now. Layers 1 and 2 are handed time instead.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Timestamp(trial::shifted(ms))
}

impl Timestamp {
    /// The moment `ms` milliseconds after the Unix epoch.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        let ms = u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The year 9999 is the last that RFC 3339 can write.
        const LAST: u64 = 253_402_300_799_999;
        let time = UNIX_EPOCH + Duration::from_millis(self.0.min(LAST));
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = humantime::TimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = humantime::parse_rfc3339(text)?;
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, UTC, with milliseconds"
        })
    }
}

/// Milliseconds since the Unix epoch that never jump: the wall clock is read
/// once, then time only flows. Schedules live on it, so that a step of the wall
/// clock neither bunches nor skips starts.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    wall: Timestamp,
    anchor: Instant,
}

impl Timeline {
    /// Begins at the wall-clock time now.
    pub fn begin() -> Self {
        Self {
            wall: now(),
            anchor: Instant::now(),
        }
    }

    /// Now, in milliseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        (self.wall + self.anchor.elapsed()).as_millis()
    }

    /// The instant at which [`Timeline::now`] will say `ms`.
    pub fn instant(&self, ms: u64) -> Instant {
        self.anchor + Timestamp::from_millis(ms).since(self.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_with_milliseconds_and_read_back() {
        let at = Timestamp::from_millis(1_763_924_160_123);
        assert_eq!(at.to_string(), "2025-11-23T18:56:00.123Z");
        assert_eq!("2025-11-23T18:56:00.123Z".parse(), Ok(at));
        assert_eq!(
            Timestamp::from_millis(u64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }
}
