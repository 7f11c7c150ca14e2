//! supercheck: a healthcheck caching daemon on NATS JetStream.

pub mod check;
pub mod clock;
pub mod error;
pub mod observation;
pub mod report;
pub mod verdict;
