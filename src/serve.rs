//! Answering readers. Nothing in here probes a target.

pub mod demo_target;
pub mod desk;
pub mod http;
pub mod listing;
pub mod maintenance;
pub mod push;
pub mod service;
