//! What is drawn: shapes of statuses, bars of runs, lines of latencies.
//!
//! A status is told by its shape and its word, a run by its bar's height; the
//! colour only repeats it.

use crate::{
    report::{Status, Verdict},
    runner::{Brief, MAX_RECENT},
};

/// The shape of a status, in a box of 24 by 24.
pub const fn shape(status: Status) -> &'static str {
    match status {
        Status::Up => "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18zM8 12.5l2.7 2.7L16.2 9.6",
        Status::Degraded => "M12 4L2.8 20h18.4zM12 10v4.5M12 17.3v.01",
        Status::Down => "M8.5 3h7L21 8.5v7L15.5 21h-7L3 15.5v-7zM9 9l6 6M15 9l-6 6",
        Status::Unknown => {
            "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18zM9.5 9.5a2.5 2.5 0 1 1 3.9 2c-.9.6-1.4 1.1-1.4 2M12 16.8v.01"
        }
    }
}

/// The status that a verdict alone would make.
pub const fn status_of(verdict: Verdict) -> Status {
    match verdict {
        Verdict::Pass => Status::Up,
        Verdict::Warn => Status::Degraded,
        Verdict::Fail => Status::Down,
    }
}

/// The icon of a page, which is its status.
pub fn icon(status: Status) -> String {
    let colour = match status {
        Status::Up => "#2fa777",
        Status::Degraded => "#e59a1c",
        Status::Down => "#dc3d43",
        Status::Unknown => "#7b8494",
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 24 24\"><path d=\"{}\" \
         fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.6\" stroke-linecap=\"round\" \
         stroke-linejoin=\"round\"/></svg>",
        shape(status)
    )
}

/// Bars of one verdict, or one bar.
#[derive(Debug)]
pub struct Bar {
    /// The verdict.
    pub class: &'static str,
    /// The outline, in a box of 120 by 20.
    pub path: String,
    /// What it says in words.
    pub told: String,
}

/// The outline of a run's bar: the worse, the higher.
fn outline(path: &mut String, place: usize, verdict: Verdict) {
    let (x, height) = (
        place * 4,
        match verdict {
            Verdict::Pass => 11,
            Verdict::Warn => 15,
            Verdict::Fail => 20,
        },
    );
    path.push_str(&format!("M{x} {}h3v{height}h-3z", 20 - height));
}

/// The bars of the last runs, one path for each verdict; the newest is on the
/// right.
pub fn bars<'a>(runs: impl ExactSizeIterator<Item = &'a Brief>) -> Vec<Bar> {
    let mut paths = [String::new(), String::new(), String::new()];
    let first = MAX_RECENT.saturating_sub(runs.len());
    for (place, run) in (first..).zip(runs) {
        let [pass, warn, fail] = &mut paths;
        let path = match run.verdict() {
            Verdict::Pass => pass,
            Verdict::Warn => warn,
            Verdict::Fail => fail,
        };
        outline(path, place, run.verdict());
    }
    let verdicts = [Verdict::Pass, Verdict::Warn, Verdict::Fail];
    verdicts
        .into_iter()
        .zip(paths)
        .filter(|(_, path)| !path.is_empty())
        .map(|(verdict, path)| Bar {
            class: verdict.as_str(),
            path,
            told: String::new(),
        })
        .collect()
}

/// A bar for each of the last runs, which says when it was and how long it
/// took.
pub fn single_bars<'a>(runs: impl ExactSizeIterator<Item = &'a Brief>) -> Vec<Bar> {
    let first = MAX_RECENT.saturating_sub(runs.len());
    let bar = |(place, run): (usize, &Brief)| {
        let mut path = String::new();
        outline(&mut path, place, run.verdict());
        Bar {
            class: run.verdict().as_str(),
            path,
            told: format!(
                "{} at {}, {}",
                run.verdict(),
                run.checked_at(),
                latency(run.latency_ms())
            ),
        }
    };
    (first..).zip(runs).map(bar).collect()
}

/// The last runs in words, for who does not see the bars.
pub fn told<'a>(runs: impl ExactSizeIterator<Item = &'a Brief>) -> String {
    let all = runs.len();
    let (mut warn, mut fail) = (0, 0);
    for run in runs {
        match run.verdict() {
            Verdict::Pass => {}
            Verdict::Warn => warn += 1,
            Verdict::Fail => fail += 1,
        }
    }
    match (all, warn, fail) {
        (0, _, _) => "no runs yet".to_owned(),
        (all, 0, 0) => format!("the last {all} runs passed"),
        (all, warn, fail) => format!("of the last {all} runs {fail} failed and {warn} warned"),
    }
}

/// Points of the latencies, in a box of 90 by 20: zero is at the bottom.
pub fn spark<'a>(runs: impl ExactSizeIterator<Item = &'a Brief> + Clone) -> String {
    let most = runs.clone().map(|run| run.latency_ms()).fold(0.0, f64::max);
    if runs.len() < 2 || most <= 0.0 {
        return String::new();
    }
    let first = MAX_RECENT.saturating_sub(runs.len());
    let mut points = String::new();
    for (place, run) in (first..).zip(runs) {
        let height = 18.5 - run.latency_ms() / most * 17.0;
        points.push_str(&format!("{},{height:.1} ", place * 3 + 1));
    }
    points.truncate(points.trim_end().len());
    points
}

/// A latency, with a unit.
pub fn latency(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}

/// A time that has passed, in the two largest units.
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        s => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn runs(verdicts: &[Verdict]) -> Vec<Brief> {
        let run = |(place, verdict): (u64, &Verdict)| {
            let at = Timestamp::from_millis(place * 1000);
            Brief::new(at, *verdict, 5.0 * (place as f64))
        };
        (0..).zip(verdicts).map(run).collect()
    }

    #[test]
    fn the_newest_bar_is_on_the_right_and_the_worst_is_the_highest() {
        let runs = runs(&[Verdict::Fail, Verdict::Pass]);
        let bars = bars(runs.iter());
        assert_eq!(
            (bars[0].class, bars[0].path.as_str()),
            ("pass", "M116 9h3v11h-3z")
        );
        assert_eq!(
            (bars[1].class, bars[1].path.as_str()),
            ("fail", "M112 0h3v20h-3z")
        );
        assert_eq!(
            told(runs.iter()),
            "of the last 2 runs 1 failed and 0 warned"
        );
        assert_eq!(spark(runs.iter()), "85,18.5 88,1.5");
        assert_eq!(spark(runs[..1].iter()), "");
    }

    #[test]
    fn times_are_told_in_two_units() {
        let told = [59_999, 61_000, 7_380_000, 180_000_000].map(span);
        assert_eq!(told, ["59s", "1m 1s", "2h 3m", "2d 2h"]);
        assert_eq!(
            [0.25, 12.3, 1234.0].map(latency),
            ["0.2 ms", "12 ms", "1.23 s"]
        );
    }
}
