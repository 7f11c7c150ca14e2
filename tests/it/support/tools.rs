//! Where `tests/run` has put the servers and clients.

use std::{env, path::PathBuf};

/// The nats-server releases that supercheck promises to work with; the first
/// is the one for tests that need just a server.
pub const VERSIONS: [&str; 4] = ["2.15.1", "2.12.8", "2.10.26", "2.9.10"];

/// The project's own folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the tools.
pub fn tools() -> PathBuf {
    env::var_os("SUPERCHECK_TEST_TOOLS").map_or_else(|| root().join("target/tools"), PathBuf::from)
}

/// The server of that version, or `None`, said by name, when it could not be
/// had.
pub fn nats_server(version: &str) -> Option<PathBuf> {
    let binary = tools().join(format!("nats-server-{version}"));
    has(&binary, &format!("nats-server {version}")).then_some(binary)
}

/// Whether `path` is there; says so if not, and fails where nothing may be
/// skipped.
pub fn has(path: &std::path::Path, what: &str) -> bool {
    let there = path.exists();
    assert!(
        there || env::var_os("SUPERCHECK_TESTS_SKIP_NOTHING").is_none(),
        "{what} is not there, and nothing may be skipped: run tests/run"
    );
    if !there {
        eprintln!("skipped: {what} is not there; tests/run gets it");
    }
    there
}
