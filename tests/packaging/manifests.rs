//! The manifests for Kubernetes against its schemas, and each other.

use std::process::Command;

use crate::{command::good, there, tools};

#[test]
#[ignore = "tests/run --packaging runs it"]
fn the_manifests_are_ones_that_kubernetes_takes() {
    let schemas = tools::tools().join("kubernetes");
    if !there(&schemas, "the schemas of Kubernetes") {
        return;
    }
    let folder = tools::root().join("deploy/kubernetes");
    let judged = good(
        Command::new("python3")
            .arg(tools::root().join("tests/packaging/manifests.py"))
            .env("PYTHONPATH", &schemas),
    );
    assert_eq!(judged, "8 kinds");
    // What the config map holds is a configuration.
    let package = tools::root().join("target/release/supercheck");
    good(
        Command::new(package)
            .arg("--config")
            .arg(folder.join("supercheck.toml"))
            .args(["config", "check"])
            .env("SUPERCHECK_NATS__USER", "daemon")
            .env("SUPERCHECK_NATS__PASSWORD", "change-me"),
    );
}
