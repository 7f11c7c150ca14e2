//! What the tests are made of: servers, targets, daemons, clients, waiting.

pub mod asker;
pub mod browser;
pub mod clients;
pub mod daemon;
pub mod nats;
pub mod operator;
pub mod proof;
pub mod proxy;
pub mod roles;
pub mod scene;
pub mod stage;
pub mod target;
pub mod tools;
pub mod wait;
