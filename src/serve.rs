//! Answering readers. Nothing in here probes a target.

pub mod api;
pub mod badge;
pub mod blackbox;
pub mod cached;
pub mod demo_target;
pub mod desk;
pub mod events;
pub mod exposition;
pub mod guard;
pub mod health;
pub mod http;
pub mod listener;
pub mod listing;
pub mod maintenance;
pub mod metrics;
pub mod openapi;
pub mod orders;
pub mod page;
pub mod params;
pub mod problem;
pub mod push;
pub mod service;
pub mod tls;
