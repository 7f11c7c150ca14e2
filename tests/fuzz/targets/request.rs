//! Any bytes as a request: refused with a hint, or read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use supercheck::request::{Ask, RequestId};

fuzz_target!(|body: &[u8]| {
    if let Ok(ask) = Ask::parse(body)
        && let Some(id) = ask.id
    {
        assert_eq!(RequestId::of_token(&id.token()), Some(id));
    }
});
