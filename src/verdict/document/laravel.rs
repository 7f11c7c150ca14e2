//! spatie/laravel-health. It says nothing of the whole, answers 200 whatever
//! was found, and may show results that are long past.

use std::time::Duration;

use super::{Answer, Health, Parts, Reader, health_at};
use crate::clock::Timestamp;

pub(super) const READER: Reader = Reader {
    name: "laravel-health",
    warns: &[],
    recognise,
    read,
};

/// Its checks are meant to run every minute. Results so old were left by a
/// scheduler that runs no more.
const STALE: Duration = Duration::from_hours(1);

fn recognise(answer: &Answer<'_>) -> bool {
    answer.array("checkResults").is_some() && finished_at(answer).is_some()
}

fn finished_at(answer: &Answer<'_>) -> Option<Timestamp> {
    let seconds = answer.root()?.get("finishedAt")?.as_u64()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    for result in answer.array("checkResults")? {
        let Some(result) = result.as_object() else {
            continue;
        };
        let name = ["name", "label"]
            .iter()
            .find_map(|key| result.get(*key)?.as_str());
        parts.add(name.unwrap_or("?"), health_at(result, "status"), |detail| {
            detail.first(result, &["notificationMessage", "shortSummary"]);
        });
    }
    let worst = parts.worst();
    let finished = finished_at(answer)?;
    let age = answer.at.since(finished);
    if age <= STALE {
        return Some(worst);
    }
    let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
    parts.note(|detail| detail.say(&format!("the results are {age} old")));
    Some(match worst {
        Health::Fail => Health::Fail,
        Health::Pass | Health::Warn | Health::Unknown => Health::Warn,
    })
}
