//! django-health-check: a flat object of text, without a word on the whole.

use serde_json::{Map, Value};

use super::{Answer, Health, Parts, Reader};

pub(super) const READER: Reader = Reader {
    name: "django",
    warns: &[],
    recognise,
    read,
};

/// How a line begins that tells of a trouble.
const TROUBLES: [(&str, Health); 4] = [
    ("warning: ", Health::Warn),
    ("unavailable: ", Health::Fail),
    ("unexpected result: ", Health::Fail),
    ("unknown error: ", Health::Fail),
];

/// What one check says; nothing, in words that are not its own.
fn said(text: &str) -> Option<Health> {
    if matches!(text, "working" | "OK") {
        return Some(Health::Pass);
    }
    let mut worst = Health::Unknown;
    for line in text.lines() {
        let trouble = TROUBLES.iter().find(|(begin, _)| line.starts_with(begin));
        match trouble {
            Some((_, Health::Fail)) => worst = Health::Fail,
            Some((_, health)) if worst == Health::Unknown => worst = *health,
            // The rest of a message.
            Some(_) | None => {}
        }
    }
    (worst != Health::Unknown).then_some(worst)
}

fn checks<'a>(answer: &Answer<'a>) -> Option<&'a Map<String, Value>> {
    answer.root().filter(|root| !root.is_empty())
}

fn recognise(answer: &Answer<'_>) -> bool {
    let own = |value: &Value| value.as_str().is_some_and(|text| said(text).is_some());
    let Some(checks) = checks(answer) else {
        return false;
    };
    !checks.contains_key("status") && checks.values().all(own)
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    for (name, check) in checks(answer)? {
        // Told to be this dialect, any other text is an error's.
        let text = check.as_str()?;
        let health = said(text).unwrap_or(Health::Fail);
        parts.add(name, health, |detail| {
            if health != Health::Pass {
                detail.say(text);
            }
        });
    }
    Some(parts.worst())
}
