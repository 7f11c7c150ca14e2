//! A known word and nothing else, which many programs answer: `ok` as text,
//! or `{"status": "ok"}`.

use super::{Answer, Health, Parts, Reader, health};

pub(super) const READER: Reader = Reader {
    name: "plain",
    warns: &[],
    recognise,
    read,
};

fn word<'a>(answer: &Answer<'a>) -> Option<&'a str> {
    match (answer.text(), answer.root()) {
        (Some(text), _) => Some(text),
        (None, Some(root)) if root.len() == 1 => answer.word("status"),
        (None, _) => None,
    }
}

fn recognise(answer: &Answer<'_>) -> bool {
    word(answer).is_some_and(|word| health(word) != Health::Unknown)
}

fn read(answer: &Answer<'_>, _: &mut Parts) -> Option<Health> {
    word(answer).or(answer.word("status")).map(health)
}
