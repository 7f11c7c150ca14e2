//! `[[maintenance]]`: times that are set aside.

use std::time::Duration;

use chrono_tz::Tz;

use super::{
    book::Book,
    fields::Fields,
    tree::{Node, Value},
    value::{At, Given, Text},
};
use crate::{
    check::Check,
    clock::Timestamp,
    near::nearest,
    window::{Recurring, Selector, When, Window},
};

const EXAMPLE: &str = "write `schedule = \"0 2 * * SUN\"` and `duration = \"2h\"`, or `from` and \
                       `until`, such as `\"2026-12-24T18:00:00Z\"`";

/// Reads all of them; `checks` are those that they may name.
pub(super) fn read<'a>(
    node: Option<&Node>,
    checks: &(impl Iterator<Item = &'a Check> + Clone),
    book: &mut Book,
) -> Vec<Window> {
    let nodes = match node.map(|node| (&node.value, &node.at)) {
        None => &[],
        Some((Value::List(nodes), _)) => nodes.as_slice(),
        Some((_, at)) => {
            book.mistake(at, "`maintenance` is not a list")
                .hint("write `[[maintenance]]`, with two brackets");
            return Vec::new();
        }
    };
    nodes
        .iter()
        .filter_map(|node| window(node, checks, book))
        .collect()
}

fn window<'a>(
    node: &Node,
    checks: &(impl Iterator<Item = &'a Check> + Clone),
    book: &mut Book,
) -> Option<Window> {
    let Some(mut fields) = Fields::of(node) else {
        book.mistake(&node.at, format!("this is {}, not a window", node.kind()))
            .hint("write `[[maintenance]]`, and its settings below it");
        return None;
    };
    let name = fields.text("name", book);
    let names = checks.clone().map(|check| check.name.as_str());
    let groups = checks.clone().filter_map(|check| check.group.as_deref());
    let tags = checks
        .clone()
        .flat_map(|check| check.tags.iter().map(String::as_str));
    let selector = Selector {
        checks: selected(&mut fields, "checks", "name", &names, book),
        groups: selected(&mut fields, "groups", "group", &groups, book),
        tags: selected(&mut fields, "tags", "tag", &tags, book),
    };
    let when = when(&mut fields, book);
    fields.finish(book);
    Some(Window {
        name: name.map_or_else(|| "maintenance".to_owned(), |name| name.value),
        selector,
        when: when?,
    })
}

/// Words that some check answers to.
fn selected<'a>(
    fields: &mut Fields<'_>,
    key: &'static str,
    what: &str,
    known: &(impl Iterator<Item = &'a str> + Clone),
    book: &mut Book,
) -> Vec<String> {
    let mut words = Vec::new();
    for word in fields.texts_at(key, book).unwrap_or_default() {
        if !known.clone().any(|known| known == word.value) {
            let mistake = book.mistake(&word.at, format!("no check has the {what} {}", word.said));
            if let Some(near) = nearest(&word.value, known.clone()) {
                mistake.hint(format!("did you mean `{near}`?"));
            }
        }
        words.push(word.value);
    }
    words
}

fn when(fields: &mut Fields<'_>, book: &mut Book) -> Option<When> {
    let schedule = fields.text("schedule", book);
    let duration = fields.duration("duration", book);
    let zone = fields.text("time_zone", book);
    let (from, until) = (fields.text("from", book), fields.text("until", book));
    let recurs = fields.has("schedule") || fields.has("duration") || fields.has("time_zone");
    let once = fields.has("from") || fields.has("until");
    if recurs && once {
        book.mistake(
            &fields.at,
            "a window cannot be both once and again and again",
        )
        .hint(EXAMPLE);
        return None;
    }
    if !recurs && !once {
        if fields.lacks("schedule") && fields.lacks("from") {
            book.mistake(&fields.at, "a window that never opens")
                .hint(EXAMPLE);
        }
        return None;
    }
    if once {
        fields.pair("from", "until", book);
        return period(&from?, &until?, book);
    }
    fields.pair("schedule", "duration", book);
    let zone = zone.map_or(Some(Tz::UTC), |zone| time_zone(&zone, book));
    match duration {
        Given::Set(duration) => recurring(&schedule?, &duration, zone?, book),
        Given::Unset | Given::Misread => None,
    }
}

fn period(from: &Text, until: &Text, book: &mut Book) -> Option<When> {
    let (from_at, until_at) = (moment(from, book), moment(until, book));
    let (from_at, until_at) = (from_at?, until_at?);
    if until_at <= from_at {
        book.mistake(&until.at, "the window ends before it begins")
            .hint("make `until` later than `from`");
    }
    Some(When::Once {
        from: from_at,
        until: until_at,
    })
}

fn moment(text: &Text, book: &mut Book) -> Option<Timestamp> {
    match chrono::DateTime::parse_from_rfc3339(&text.value) {
        Ok(at) => u64::try_from(at.timestamp_millis())
            .ok()
            .map(Timestamp::from_millis),
        Err(_) => {
            book.mistake(&text.at, format!("{} is no moment", text.said))
                .hint("write such as `\"2026-12-24T18:00:00+01:00\"`, with its offset or `Z`");
            None
        }
    }
}

fn time_zone(text: &Text, book: &mut Book) -> Option<Tz> {
    let zone = text.value.parse().ok();
    if zone.is_none() {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let hint = match nearest(&text.value, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write such as `Europe/Berlin`, or `UTC`".to_owned(),
        };
        book.mistake(&text.at, format!("{} is no time zone", text.said))
            .hint(hint);
    }
    zone
}

fn recurring(schedule: &Text, duration: &At<Duration>, zone: Tz, book: &mut Book) -> Option<When> {
    if duration.value.is_zero() {
        book.mistake(&duration.at, "a window of nothing")
            .hint("such as `2h`");
        return None;
    }
    match Recurring::new(&schedule.value, duration.value, zone) {
        Ok(recurring) => Some(When::Recurring(Box::new(recurring))),
        Err(why) => {
            let message = format!("{} is no schedule: {why}", schedule.said);
            book.mistake(&schedule.at, message).hint(
                "write minute, hour, day of the month, month and day of the week, such as `0 2 * \
                 * SUN`",
            );
            None
        }
    }
}
