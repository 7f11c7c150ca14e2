//! The integration tests: the real binary, real nats-servers, real targets.
//!
//! `tests/run` gets what they need. Every server is a process on 127.0.0.1
//! that its test starts and stops, on a port that the system picks.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test that panics has done its work; real time is what it waits for"
)]

mod support;

mod browser;
mod clocks;
mod cluster;
mod commands;
mod compat;
mod crashes;
mod dependencies;
mod doctor;
mod durability;
mod embedded;
mod exactly_once;
mod failures;
mod gate;
mod history;
mod http;
mod http_guard;
mod http_malformed;
mod http_metrics;
mod http_page;
mod judging;
mod links;
mod main_path;
mod maintenance;
mod openapi;
mod outage;
mod overload;
mod planted;
mod planted_nats;
mod push;
mod quickstart;
mod reach;
mod reader;
mod requests;
mod roles;
mod roles_used;
mod service_manager;
mod shared;
mod shutdown;
mod tidy;
mod visits;
mod wire;
