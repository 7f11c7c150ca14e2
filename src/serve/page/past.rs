//! The history of a check: how it was for a day, a week or a month, from the
//! rollups; and its changes, from the events.

use std::collections::BTreeMap;

use askama::Template;

use super::{
    list::Choice,
    shape::{latency, span},
};
use crate::{
    clock::Timestamp,
    report::{Change, Status},
    rollup::{HOUR, Hour},
    runner::Cell,
    serve::{http::Face, params::Params, problem::Problem},
    store::{Link, StoreError},
};

/// The chart's width and the height of its bars.
const WIDTH: u64 = 720;
const HEIGHT: f64 = 160.0;
/// The latencies have the upper part, in which this is zero.
const FLOOR: f64 = 118.0;
/// What was up, and what was not, has the lower part, from here on.
const STRIP: f64 = 126.0;
/// Changes that are shown, the newest first.
const MAX_CHANGES: usize = 50;

/// How far back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// 24 hours, by the hour.
    Day,
    /// 7 days, by two hours.
    Week,
    /// 30 days, by 12 hours.
    Month,
}

impl Range {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// Reads the query of a check's page.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut params = Params::read(query)?;
        let text = params.text("range");
        params.finish()?;
        let Some(text) = text else {
            return Ok(Self::Day);
        };
        let known = Self::ALL.into_iter().find(|range| range.word() == text);
        known.ok_or_else(|| {
            Problem::malformed(
                format!("`range` cannot be `{text}`"),
                "use day, week or month",
            )
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// How many hours a slot has, and how many slots there are.
    const fn slots(self) -> (u64, u64) {
        match self {
            Self::Day => (1, 24),
            Self::Week => (2, 84),
            Self::Month => (12, 60),
        }
    }
}

struct Uptime {
    name: &'static str,
    value: String,
    known: String,
}

struct Part {
    class: Status,
    y: String,
    height: String,
}

struct Slot {
    x: String,
    width: String,
    parts: Vec<Part>,
    told: String,
}

struct Changed {
    time: Timestamp,
    when: String,
    status: Status,
    lasted: String,
    why: String,
}

#[derive(Default, Template)]
#[template(path = "past.html", config = "src/serve/page/askama.toml")]
struct PastPart {
    ranges: Vec<Choice>,
    trouble: Option<String>,
    uptimes: Vec<Uptime>,
    told: String,
    slots: Vec<Slot>,
    lines: Vec<String>,
    from: String,
    scale: String,
    changes: Vec<Changed>,
}

/// The part of a check's page that tells of the past.
pub async fn html(face: &Face, cell: &Cell, range: Range, now: Timestamp) -> String {
    let name = cell.check.name.as_str();
    let mut part = PastPart {
        ranges: Range::ALL
            .into_iter()
            .map(|one| Choice {
                word: one.word().to_owned(),
                href: format!("/checks/{name}?range={}#past", one.word()),
                chosen: one == range,
            })
            .collect(),
        ..PastPart::default()
    };
    match read(face, cell, range, now).await {
        Ok((hours, changes)) => fill(&mut part, &hours, &changes, range, now),
        Err(trouble) => part.trouble = Some(trouble),
    }
    part.render().unwrap_or_default()
}

/// The hours of the last 30 days, and the changes within `range`.
async fn read(
    face: &Face,
    cell: &Cell,
    range: Range,
    now: Timestamp,
) -> Result<(BTreeMap<u64, Hour>, Vec<Change>), String> {
    if face.link() != Link::Ready {
        return Err("NATS cannot be used now, and history is kept there.".to_owned());
    }
    let _place = face
        .replays()
        .try_acquire()
        .map_err(|_| "Too many read the history now; look again in a moment.".to_owned())?;
    let said =
        |error: StoreError| format!("History cannot be read: {}", crate::error::Chain(&error));
    let hours = hours(face, cell, now).await.map_err(said)?;
    let name = cell.check.name.as_str();
    let (slot, count) = range.slots();
    let since = now.as_millis().saturating_sub(slot * count * HOUR);
    let store = &face.desk().store;
    let changes = store
        .changes_since(name, Timestamp::from_millis(since))
        .await
        .map_err(said)?;
    Ok((hours, changes))
}

/// The hours of the last 30 days, as far as anything is known of them.
async fn hours(
    face: &Face,
    cell: &Cell,
    now: Timestamp,
) -> Result<BTreeMap<u64, Hour>, StoreError> {
    let this = now.as_millis() / HOUR;
    let days: Vec<u64> = (this.saturating_sub(30 * 24) / 24..=this / 24).collect();
    let name = cell.check.name.as_str();
    let mut hours = face.desk().store.rollups(name, days).await?;
    for (number, hour) in cell.hours_open(now) {
        let known = hours.entry(number).or_default();
        if hour.known_ms() > known.known_ms() {
            *known = hour;
        }
    }
    Ok(hours)
}

/// How long it was up, of how long anything was known, in milliseconds.
pub async fn uptime_of_30_days(face: &Face, cell: &Cell, now: Timestamp) -> Option<(u64, u64)> {
    let hours = hours(face, cell, now).await.ok()?;
    let mut sum = Hour::default();
    for hour in hours.values() {
        sum.add(hour);
    }
    let known = sum.known_ms();
    (known > 0).then_some((sum.up_ms + sum.degraded_ms, known))
}

fn fill(
    part: &mut PastPart,
    hours: &BTreeMap<u64, Hour>,
    changes: &[Change],
    range: Range,
    now: Timestamp,
) {
    part.uptimes = [("24 hours", 24), ("7 days", 7 * 24), ("30 days", 30 * 24)]
        .map(|(name, back)| uptime(name, back, hours, now))
        .into();
    let (each, count) = range.slots();
    let end = now.as_millis() / HOUR + 1;
    let begin = end.saturating_sub(each * count);
    let sums: Vec<(u64, Hour)> = (0..count)
        .map(|slot| {
            let first = begin + slot * each;
            let mut sum = Hour::default();
            for hour in hours.range(first..first + each).map(|(_, hour)| hour) {
                sum.add(hour);
            }
            (first, sum)
        })
        .collect();
    let most = sums
        .iter()
        .filter_map(|(_, sum)| mean(sum))
        .fold(0.0, f64::max);
    let (mut line, mut lines) = (String::new(), Vec::new());
    for (place, (first, sum)) in (0u32..).zip(&sums) {
        #[expect(clippy::cast_precision_loss, reason = "there are 84 slots at most")]
        let width = WIDTH as f64 / count as f64;
        let x = f64::from(place) * width;
        part.slots.push(slot(x, width, *first, each, sum, now));
        match mean(sum) {
            Some(latency) => {
                let y = FLOOR - latency / most.max(f64::MIN_POSITIVE) * (FLOOR - 8.0);
                line.push_str(&format!("{:.1},{y:.1} ", x + width / 2.0));
            }
            None => lines.push(std::mem::take(&mut line)),
        }
    }
    lines.push(line);
    lines.retain(|line| !line.is_empty());
    // A point alone is drawn as a short line.
    for line in &mut lines {
        if line.matches(',').count() == 1
            && let Some((x, y)) = line.trim_end().split_once(',')
            && let Ok(x) = x.parse::<f64>()
        {
            *line = format!("{:.1},{y} {:.1},{y}", x - 3.0, x + 3.0);
        }
    }
    part.lines = lines;
    part.from = day_and_hour(begin * HOUR);
    part.scale = match most {
        most if most > 0.0 => format!("the line: mean latency, up to {}", latency(most)),
        _ => "nothing was measured yet".to_owned(),
    };
    part.told = match part.uptimes.first() {
        Some(day) => format!("Up in the last 24 hours: {}, {}", day.value, day.known),
        None => String::new(),
    };
    part.changes = changed(changes, now);
}

fn mean(sum: &Hour) -> Option<f64> {
    (sum.runs() > 0).then(|| sum.latency_sum_ms / f64::from(sum.runs()))
}

/// Of the time that is known: what was up, degraded included.
fn uptime(name: &'static str, back: u64, hours: &BTreeMap<u64, Hour>, now: Timestamp) -> Uptime {
    let this = now.as_millis() / HOUR;
    let mut sum = Hour::default();
    for hour in hours
        .range((this + 1).saturating_sub(back)..)
        .map(|(_, hour)| hour)
    {
        sum.add(hour);
    }
    let known = sum.known_ms();
    Uptime {
        name,
        value: percent(sum.up_ms + sum.degraded_ms, known),
        known: match known {
            0 => "nothing is known".to_owned(),
            known => format!("of {} that are known", span(known)),
        },
    }
}

/// A share that says 100 % only when it is all.
#[expect(clippy::cast_precision_loss, reason = "a month has fewer milliseconds")]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    match part {
        part if part == whole => "100 %".to_owned(),
        _ => format!("{:.2} %", (share * 100.0).floor() / 100.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a month has fewer milliseconds")]
fn slot(x: f64, width: f64, first: u64, each: u64, sum: &Hour, now: Timestamp) -> Slot {
    let gone = now
        .as_millis()
        .saturating_sub(first * HOUR)
        .min(each * HOUR);
    let whole = gone.max(sum.known_ms()).max(1) as f64;
    let mut y = STRIP;
    let known = [
        (Status::Down, sum.down_ms),
        (Status::Degraded, sum.degraded_ms),
        (Status::Up, sum.up_ms),
        (Status::Unknown, gone.saturating_sub(sum.known_ms())),
    ];
    let mut parts = Vec::new();
    for (class, ms) in known {
        if ms == 0 {
            continue;
        }
        // A short outage is seen too.
        let least = if class == Status::Down { 4.0 } else { 0.5 };
        let height = (ms as f64 / whole * (HEIGHT - STRIP))
            .max(least)
            .min(HEIGHT - y);
        parts.push(Part {
            class,
            y: format!("{y:.1}"),
            height: format!("{height:.1}"),
        });
        y += height;
    }
    let up = percent(sum.up_ms + sum.degraded_ms, sum.known_ms());
    let told = match mean(sum) {
        Some(mean) => format!(
            "{}: {up} up, down for {}, {} runs, {} on average",
            day_and_hour(first * HOUR),
            span(sum.down_ms),
            sum.runs(),
            latency(mean)
        ),
        None => format!("{}: unknown", day_and_hour(first * HOUR)),
    };
    Slot {
        x: format!("{:.1}", x + 0.5),
        width: format!("{:.1}", (width - 1.0).max(0.8)),
        parts,
        told,
    }
}

/// Such as `2026-11-24 07:00`, in UTC.
fn day_and_hour(ms: u64) -> String {
    let mut text = Timestamp::from_millis(ms).to_string().replace('T', " ");
    text.truncate(16);
    text
}

fn changed(changes: &[Change], now: Timestamp) -> Vec<Changed> {
    let ends = changes.iter().skip(1).map(|next| next.since).chain([now]);
    let rows = changes.iter().zip(ends).map(|(change, end)| Changed {
        time: change.since,
        when: day_and_hour(change.since.as_millis()),
        status: change.to,
        lasted: span(end.as_millis().saturating_sub(change.since.as_millis())),
        why: change.message.clone(),
    });
    let mut rows: Vec<_> = rows.collect();
    rows.reverse();
    rows.truncate(MAX_CHANGES);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_said_only_when_it_is_all() {
        assert_eq!(percent(999_999, 1_000_000), "99.99 %");
        assert_eq!(percent(5, 5), "100 %");
        assert_eq!(percent(0, 0), "–");
    }

    #[test]
    fn what_nobody_saw_is_neither_up_nor_down() {
        let half = Hour {
            up_ms: HOUR / 2,
            pass: 1,
            latency_sum_ms: 5.0,
            ..Hour::default()
        };
        let now = Timestamp::from_millis(10 * HOUR);
        let hours = BTreeMap::from([(9, half)]);
        let day = uptime("24 hours", 24, &hours, now);
        assert_eq!(
            (day.value.as_str(), day.known.as_str()),
            ("100 %", "of 30m 0s that are known")
        );
        let drawn = slot(0.0, 30.0, 9, 1, &half, now);
        let classes: Vec<_> = drawn.parts.iter().map(|part| part.class).collect();
        assert_eq!(classes, [Status::Up, Status::Unknown]);
        let mut part = PastPart::default();
        fill(&mut part, &hours, &[], Range::Day, now);
        assert_eq!((part.slots.len(), part.lines.len()), (24, 1));
    }
}
