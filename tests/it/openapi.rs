//! The API is what its own description says: schemathesis asks everything it
//! describes, in many ways, and holds the answers against it.

use std::process::Command;

use crate::support::{daemon::Daemon, nats::Nats, target::Target, tools, wait};

/// The checks that there are; that 503 and 504 are answers, which stand in the
/// description: NATS may be away, and a timeout of a millisecond is too short;
/// and that not every object is a health document.
const CONFIG: &str = r#"
[parameters]
name = "api"

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503", "504"]

[[operations]]
include-path = "/api/v1/checks/{name}/push"
parameters = { name = "job" }
checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_described() {
    let python = tools::tools().join("schemathesis");
    if !tools::has(&python.join("schemathesis"), "schemathesis") {
        return;
    }
    let nats = Nats::start().await;
    let target = Target::start().await;
    // Nothing is down: a health document then has 503, which looks like trouble.
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"500ms\"\n\
         timeout = \"400ms\"\ngroup = \"shop\"\ntags = [\"eu\"]\n\
         [[check]]\nname = \"job\"\npush = true\ninterval = \"1h\"",
        nats.url(),
        target.url("/"),
    ));
    daemon.ready().await;
    let url = daemon.http().await;
    wait::until("a first result", async || {
        let answer = reqwest::get(format!("{url}/readyz")).await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("schemathesis.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("python3")
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(config)
            .args(["run", &format!("{url}/api/openapi.json")])
            .args([
                "--phases",
                "coverage,fuzzing",
                "--max-examples",
                "25",
                "--seed",
                "1",
            ])
            .args(["--request-timeout", "30", "--no-color"])
            .env("PYTHONPATH", python)
            .current_dir(home.path())
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("generated"), "{said}");
}
