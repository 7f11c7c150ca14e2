//! One value: text, number, duration or bytes, and what is said when it is
//! something else.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other kind is the same mistake"
)]

use std::time::Duration;

use super::{
    book::Book,
    hide::without_userinfo,
    mistake::Place,
    tree::{Node, Value},
};

/// A longer duration is a slip, and sums of such would overflow.
const MAX_DURATION: Duration = Duration::from_hours(10 * 366 * 24);

/// A value and where it was written.
#[derive(Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Place,
}

/// Text, where it was written, and how it may be repeated.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) at: Place,
    /// In backticks, without secrets.
    pub(super) said: String,
}

/// A value that was asked for.
#[derive(Clone, Default)]
pub(super) enum Given<T> {
    /// Nobody wrote it.
    #[default]
    Unset,
    /// It was written wrongly, which has been told: nothing follows from it.
    Misread,
    Set(At<T>),
}

impl<T: Clone> Given<T> {
    /// This one, or `inherited` when nobody wrote it.
    pub(super) fn or(self, inherited: &Self) -> Self {
        match self {
            Self::Unset => inherited.clone(),
            own => own,
        }
    }

    /// Where it was written.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Set(found) => Some(&found.at),
            Self::Unset | Self::Misread => None,
        }
    }

    /// The value, or `default` when there is none.
    pub(super) fn unwrap_or(self, default: T) -> T {
        match self {
            Self::Set(found) => found.value,
            Self::Unset | Self::Misread => default,
        }
    }
}

/// The text of a node.
pub(super) fn text(node: &Node) -> Option<Text> {
    match &node.value {
        Value::Text(text) | Value::Raw(text) => Some(Text {
            value: text.clone(),
            at: node.at.clone(),
            said: said(node, text),
        }),
        _ => None,
    }
}

/// The whole number of a node.
pub(super) fn number(node: &Node) -> Option<u32> {
    match &node.value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::Raw(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The duration of a node, or a message and a hint if there is more to say than that it
/// is none.
pub(super) fn duration(node: &Node) -> Result<Duration, Option<(String, String)>> {
    let text = match &node.value {
        Value::Text(text) | Value::Raw(text) => text,
        Value::Integer(number) if *number > 0 => {
            let message = format!("`{number}` has no unit");
            let hint = format!("write `\"{number}s\"` for seconds, or `\"{number}ms\"`");
            return Err(Some((message, hint)));
        }
        _ => return Err(None),
    };
    match humantime::parse_duration(text) {
        Ok(value) if value <= MAX_DURATION => Ok(value),
        Ok(_) => Err(Some((
            format!("{} is too long", said(node, text)),
            "make it 10 years or less".to_owned(),
        ))),
        Err(_) => Err(Some((
            format!("{} is not a duration", said(node, text)),
            "write a number and a unit, such as `30s`, `5m`, or `1h 30m`".to_owned(),
        ))),
    }
}

/// Bytes with a unit.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "TiB" => 1 << 40,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
    // TOML knows no greater number.
    i64::try_from(bytes).is_ok().then_some(bytes)
}

/// Tells that the setting `name` takes something else.
pub(super) fn refuse(name: &str, node: &Node, wanted: &str, book: &mut Book) {
    let found = match &node.value {
        Value::Table(_) | Value::List(_) => node.kind().to_owned(),
        Value::Raw(text) => said(node, text),
        // As written: with its quotes, if it has any.
        _ => quoted(&book.text(&node.at).unwrap_or_default()),
    };
    book.mistake(&node.at, format!("{found} is not what `{name}` takes"))
        .hint(format!("write {wanted}"));
}

/// What is wanted, and not in quotes, in which it stands.
pub(super) fn unquoted(wanted: &str, node: &Node) -> String {
    match &node.value {
        Value::Text(_) => format!("{wanted}, without quotes"),
        _ => wanted.to_owned(),
    }
}

/// The text of `node` as it may be repeated.
fn said(node: &Node, text: &str) -> String {
    quoted(&without_userinfo(node.shown.as_deref().unwrap_or(text)))
}

fn quoted(text: &str) -> String {
    /// More is shown below the message anyway.
    const ENOUGH: usize = 100;
    if text.chars().count() > ENOUGH {
        let start: String = text.chars().take(ENOUGH).collect();
        format!("`{start}…`")
    } else {
        format!("`{text}`")
    }
}
