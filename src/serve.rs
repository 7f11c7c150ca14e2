//! Answering readers. Nothing in here probes a target.

pub mod demo_target;
pub mod http;
