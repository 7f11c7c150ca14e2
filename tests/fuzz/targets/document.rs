//! Any body, judged as a health document in any dialect. The first byte says
//! how it is asked for, the rest is the body.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use supercheck::{
    check::{Dialect, Rules},
    report::Verdict,
    verdict::{
        Judge,
        document::{MAX_COMPONENTS, MAX_DETAIL, MAX_NAME, NAMES},
    },
};

const MEDIA: [&str; 4] = [
    "application/json",
    "text/plain; charset=utf-8",
    "application/health+json",
    "application/vnd.spring-boot.actuator.v3+json",
];
const STATUSES: [u16; 4] = [200, 429, 500, 503];

/// A judge for each dialect, and one that recognises it.
static JUDGES: LazyLock<Vec<Judge>> = LazyLock::new(|| {
    let named = NAMES.into_iter().map(Dialect::Named);
    named
        .chain([Dialect::Recognised])
        .map(|dialect| {
            let rules = Rules {
                dialect,
                expect: vec![EXPECT.into()],
                ..Rules::default()
            };
            Judge::new(&rules).expect("the expectation is sound")
        })
        .collect()
});
const EXPECT: &str = "document == null || document.components.all(c, size(c.name) < 200)";

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else {
        return;
    };
    let judge = &JUDGES[usize::from(*first % 24).min(NAMES.len())];
    // Content type and status come from the body, so that one byte is enough.
    let media = MEDIA[body.iter().filter(|byte| **byte == b'{').count() % 4];
    let media = if body.first() == Some(&b'{') {
        media
    } else {
        MEDIA[1]
    };
    let judgement = judge.judge(&fuzz::answer(STATUSES[body.len() % 4], media, body));
    let met = judgement.expectations.iter().all(|row| row.met);
    assert_eq!(judgement.verdict == Verdict::Pass, met);
    let Some(document) = judgement.document else {
        return;
    };
    assert!(judgement.verdict >= document.status.verdict().unwrap_or(Verdict::Pass));
    assert!(document.components.len() <= 2 * MAX_COMPONENTS);
    for part in document.components {
        assert!(part.name.chars().count() <= MAX_NAME + 1);
        let detail = part.detail.unwrap_or_default();
        assert!(detail.chars().count() <= MAX_DETAIL + 1);
        assert!(!detail.chars().any(char::is_control) && !part.name.chars().any(char::is_control));
    }
});
