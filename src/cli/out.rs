//! What commands print: stdout, colour, tables, the runtime they run on.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Context as _;

use super::Failure;
use crate::{
    error::Exit,
    report::{Health, Status, Verdict},
};

/// Whether stdout takes colour.
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A latency in milliseconds; below ten, tenths matter.
pub fn latency(millis: f64) -> String {
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

/// Writes `text` to stdout.
///
/// # Errors
/// When the reader has gone.
pub fn print(text: &str) -> Result<(), Failure> {
    write(text.as_bytes())
}

/// Writes `bytes` to stdout.
///
/// # Errors
/// When the reader has gone.
pub fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .context("write to stdout")
        .map_err(|error| Failure::new(Exit::Bug, error))
}

/// Writes a line of what is no data to stderr.
pub fn tell(text: impl fmt::Display) {
    mutter(format_args!("{text}\n"));
}

/// Writes to stderr, where a line is not complete yet.
pub fn mutter(text: impl fmt::Display) {
    // A reader that has gone hears nothing, which changes nothing.
    drop(write!(io::stderr().lock(), "{text}"));
}

/// `text` in the colour of `status`, when stdout takes colour.
pub fn status(status: Status, text: &str, colour: bool) -> String {
    let code = match status {
        Status::Up => "32",
        Status::Degraded => "33",
        Status::Down => "31",
        Status::Unknown => "35",
    };
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// The status that a single verdict amounts to.
pub const fn of_verdict(verdict: Verdict) -> Status {
    match verdict {
        Verdict::Pass => Status::Up,
        Verdict::Warn => Status::Degraded,
        Verdict::Fail => Status::Down,
    }
}

/// The exit code of the worst of `statuses`, by the Nagios plugin convention.
pub fn exit(statuses: impl IntoIterator<Item = Status>) -> Exit {
    // A check that is down is worse than one of which nothing is known.
    let worst = statuses.into_iter().max_by_key(|status| match status {
        Status::Up => 0,
        Status::Degraded => 1,
        Status::Unknown => 2,
        Status::Down => 3,
    });
    match worst {
        None | Some(Status::Up) => Exit::Ok,
        Some(Status::Degraded) => Exit::Degraded,
        Some(Status::Unknown) => Exit::Unknown,
        Some(Status::Down) => Exit::Down,
    }
}

/// Runs `work` on a runtime of its own.
///
/// # Errors
/// What `work` fails with.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")
        .map_err(|error| Failure::new(Exit::Bug, error))?
        .block_on(work)
}

/// `rows` under `head`, in columns as wide as their widest cell; the last
/// column is not padded. A cell may carry colour: widths are given apart.
pub fn table(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width);
        }
    }
    let mut text = String::new();
    let head: Vec<_> = head.iter().map(|title| Cell::plain(*title)).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&cell.text);
            line.extend(std::iter::repeat_n(' ', width - cell.width + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    width: usize,
}

impl Cell {
    /// Text as it is, but on one line and without what steers a terminal:
    /// targets and other clients have a hand in it.
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into().replace(char::is_control, "\u{fffd}");
        let width = text.chars().count();
        Self { text, width }
    }

    /// A status in its colour.
    pub fn status(value: Status, colour: bool) -> Self {
        Self::coloured(value, value.as_str(), colour)
    }

    /// What a health document says, in the colour of the status that it amounts to.
    pub fn health(value: Health, colour: bool) -> Self {
        let status = value.verdict().map_or(Status::Unknown, of_verdict);
        Self::coloured(status, value.as_str(), colour)
    }

    fn coloured(value: Status, word: &str, colour: bool) -> Self {
        Self {
            text: status(value, word, colour),
            width: word.len(),
        }
    }
}

/// `duration` to its two largest units: `2h 5m`, `350ms`.
pub fn age(duration: std::time::Duration) -> String {
    let rounded = if duration.as_secs() > 0 {
        std::time::Duration::from_secs(duration.as_secs())
    } else {
        std::time::Duration::from_millis(u64::from(duration.subsec_millis()))
    };
    let text = humantime::format_duration(rounded).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `n` things, with the right ending: `1 check`, `2 checks`.
pub fn count(n: usize, thing: &str) -> String {
    if n == 1 {
        format!("1 {thing}")
    } else {
        format!("{n} {thing}s")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn columns_line_up_with_and_without_colour() {
        let rows = |colour| {
            vec![
                vec![
                    Cell::plain("api"),
                    Cell::status(Status::Up, colour),
                    Cell::plain("ok"),
                ],
                vec![
                    Cell::plain("search"),
                    Cell::status(Status::Degraded, colour),
                    Cell::plain(""),
                ],
            ]
        };
        let plain = table(&["CHECK", "STATUS", "MESSAGE"], &rows(false));
        assert_eq!(
            plain,
            "CHECK   STATUS    MESSAGE\napi     up        ok\nsearch  degraded\n"
        );
        let coloured = table(&["CHECK", "STATUS", "MESSAGE"], &rows(true));
        let stripped = coloured
            .replace("\x1b[32m", "")
            .replace("\x1b[33m", "")
            .replace("\x1b[0m", "");
        assert_eq!(stripped, plain);
    }

    #[test]
    fn what_a_target_says_neither_breaks_a_line_nor_steers_the_terminal() {
        let rows = [vec![Cell::plain("a\x1b[2Jb\nc\u{9b}d")]];
        assert_eq!(table(&["X"], &rows), "X\na\u{fffd}[2Jb\u{fffd}c\u{fffd}d\n");
    }

    #[test]
    fn the_worst_status_is_the_exit_code() {
        assert_eq!(exit([]), Exit::Ok);
        assert_eq!(exit([Status::Up, Status::Degraded]), Exit::Degraded);
        assert_eq!(exit([Status::Unknown, Status::Degraded]), Exit::Unknown);
        assert_eq!(exit([Status::Unknown, Status::Down]), Exit::Down);
    }

    #[test]
    fn ages_have_two_units_at_most() {
        assert_eq!(age(Duration::from_millis(350)), "350ms");
        assert_eq!(age(Duration::from_millis(61_900)), "1m 1s");
        assert_eq!(age(Duration::from_secs(7505)), "2h 5m");
    }
}
