//! What the fuzz targets share: an answer to judge.

use std::time::Duration;

use supercheck::{
    clock::Timestamp,
    observation::{Certificate, Observation, Phases, Response},
};

/// What a probe saw: `body`, under `status` and `media`.
#[must_use]
pub fn answer(status: u16, media: &str, body: &[u8]) -> Observation {
    let at = Timestamp::from_millis(1_800_000_000_000);
    Observation {
        started_at: at,
        latency: Duration::from_millis(12),
        phases: Phases::default(),
        response: Some(Response {
            status,
            version: "HTTP/1.1",
            headers: vec![("content-type".to_owned(), media.to_owned())],
            body: bytes::Bytes::copy_from_slice(body),
            truncated: false,
            remote: None,
            redirects: Vec::new(),
        }),
        reached: None,
        failure: None,
        certificate: Some(Certificate {
            subject: "CN=a".to_owned(),
            issuer: "CN=b".to_owned(),
            not_after: at + Duration::from_hours(24),
            chain_not_after: at + Duration::from_hours(23),
            names: vec!["a".to_owned()],
            self_signed: false,
            untrusted: None,
        }),
    }
}
