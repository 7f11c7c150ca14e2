//! supercheck: a healthcheck caching daemon on NATS JetStream.

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod error;
pub mod near;
pub mod observation;
pub mod probe;
pub mod recorder;
pub mod report;
pub mod runner;
pub mod schedule;
pub mod serve;
pub mod store;
pub mod tasks;
pub mod triggers;
pub mod verdict;
