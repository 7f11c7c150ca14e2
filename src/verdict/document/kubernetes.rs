//! The health endpoints of Kubernetes, `/livez?verbose` and their like: text,
//! a line for each check and one for the whole.

use super::{Answer, Health, Parts, Reader};

pub(super) const READER: Reader = Reader {
    name: "kubernetes",
    warns: &[],
    recognise,
    read,
};

fn recognise(answer: &Answer<'_>) -> bool {
    let Some(text) = answer.text() else {
        return false;
    };
    text.starts_with('[')
        && whole(text).is_some()
        && text
            .lines()
            .all(|line| part(line).is_some() || line.starts_with("warn: ") || whole(line).is_some())
}

/// What the last line says of the whole.
fn whole(text: &str) -> Option<Health> {
    let last = text.lines().last()?;
    match last.rsplit_once(" check ")? {
        (_, "passed") => Some(Health::Pass),
        (_, "failed") => Some(Health::Fail),
        _ => None,
    }
}

/// `[+]ping ok`, `[-]etcd failed: reason withheld`, `[+]etcd excluded: ok`.
fn part(line: &str) -> Option<(Health, &str, &str)> {
    let (good, rest) = match (line.strip_prefix("[+]"), line.strip_prefix("[-]")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return None,
    };
    let (name, said) = rest.split_once(' ')?;
    let health = match said {
        "ok" => Health::Pass,
        _ if said.starts_with("excluded") => Health::Unknown,
        _ if good => Health::Pass,
        _ => Health::Fail,
    };
    Some((health, name, said))
}

fn read(answer: &Answer<'_>, parts: &mut Parts) -> Option<Health> {
    let text = answer.text()?;
    if text == "ok" {
        return Some(Health::Pass);
    }
    let status = whole(text)?;
    for (health, name, said) in text.lines().filter_map(part) {
        parts.add(name, health, |detail| {
            if said != "ok" {
                detail.say(said);
            }
        });
    }
    Some(status)
}
