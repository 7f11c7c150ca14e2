//! Installed for real: the Debian package on a real systemd, the images on a
//! real container engine, and the manifests against Kubernetes' schemas.
//!
//! `tests/run --packaging` gets what this needs, as root, and runs it. What a
//! machine cannot do is said by name.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test that panics has done its work; real time is what it waits for"
)]

use std::path::{Path, PathBuf};

#[path = "../it/support/tools.rs"]
mod tools;
#[path = "../it/support/wait.rs"]
mod wait;

mod command;
mod engine;
mod image;
mod machine;
mod manifests;
mod network;
mod service;

/// Where `tests/run --packaging` has put roots, packages and programs.
fn folder() -> PathBuf {
    tools::root().join("target/packaging")
}

/// What `tests/run --packaging` has put there, or `None`, said by name.
fn made(name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    there(&path, &format!("`{name}` of tests/run --packaging")).then_some(path)
}

/// Whether this machine has what a test needs.
fn there(path: &Path, what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(
        root || std::env::var_os("SUPERCHECK_TESTS_SKIP_NOTHING").is_none(),
        "nothing may be skipped, and this needs root"
    );
    if !root {
        eprintln!("skipped: not root");
    }
    root && tools::has(path, what)
}
