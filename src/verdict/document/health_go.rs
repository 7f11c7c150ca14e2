//! hellofresh/health-go. It names only the parts that do not work.

use super::{Answer, Health, Parts, Reader, health};

pub(super) const READER: Reader = Reader {
    name: "health-go",
    warns: &[],
    recognise,
    read,
};

const WORDS: [&str; 4] = [
    "OK",
    "Partially Available",
    "Unavailable",
    "Timeout during health check",
];

fn recognise(answer: &Answer<'_>) -> bool {
    answer.says(&WORDS)
        && answer.word("timestamp").is_some()
        && ["failures", "system", "component"]
            .iter()
            .any(|key| answer.object(key).is_some())
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let status = health(answer.word("status")?);
    // With failures that may be skipped it says "Partially Available".
    let part = match status {
        Health::Warn => Health::Warn,
        Health::Pass | Health::Fail | Health::Unknown => Health::Fail,
    };
    for (name, failure) in answer.object("failures").into_iter().flatten() {
        parts.add(name, part, |detail| {
            if !failure.is_null() {
                detail.value(failure);
            }
        });
    }
    Some(status)
}
