//! Any text as an expectation, judged on any body: `CEL` NUL `body`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use supercheck::{check::Rules, verdict::Judge};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let Some(cel) = parts.next().and_then(|cel| std::str::from_utf8(cel).ok()) else {
        return;
    };
    let body = parts
        .next()
        .unwrap_or(br#"{"status":"UP","items":[1,2,{"a":null}],"n":-7,"t":"x"}"#);
    let rules = Rules {
        expect: vec![cel.into()],
        ..Rules::default()
    };
    // Refused, or judged: with a finding for each condition that does not hold.
    let Ok(judge) = Judge::new(&rules) else {
        return;
    };
    let judgement = judge.judge(&fuzz::answer(200, "application/json", body));
    for row in judgement.expectations.iter().filter(|row| !row.met) {
        let finding = row.finding.as_deref().unwrap_or_default();
        assert!(
            !finding.is_empty() && !finding.chars().any(char::is_control),
            "{finding:?}"
        );
    }
});
