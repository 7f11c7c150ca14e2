//! The images on a real engine: alone, with compose, and as a cluster.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use serde_json::Value;

use crate::{engine::Engine, made, wait};

/// Docker's settings of compose.yaml, for a container by itself.
const CONFINED: [&str; 5] = [
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges:true",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/run --packaging runs it"]
async fn the_images_run_alone_together_and_as_a_cluster() {
    if made("images.complete").is_none() {
        return;
    }
    let engine = Engine::start().await;
    small_and_without_a_shell(&engine);
    compiled(&engine);
    bare(&engine).await;
    alone(&engine).await;
    composed(&engine).await;
    clustered(&engine).await;
}

fn small_and_without_a_shell(engine: &Engine) {
    let image = engine.inspect("supercheck");
    // Its base is empty, so this is all of it.
    let size = image["Size"].as_u64().unwrap();
    assert!(size < 30_000_000, "{size} bytes");
    let config = &image["Config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Healthcheck"]["Test"][2], "healthcheck");
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.title"], "supercheck");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(labels["org.opencontainers.image.version"], version);
    let shell = engine.docker(&["run", "--rm", "--entrypoint", "/bin/sh", "supercheck"]);
    assert_ne!(shell.code, 0, "there is no shell");
}

/// The whole Dockerfile, compiler and all, makes the same image of a binary
/// that works.
fn compiled(engine: &Engine) {
    let image = engine.inspect("supercheck:compiled");
    assert_eq!(image["Config"], engine.inspect("supercheck")["Config"]);
    let said = engine.does(&["run", "--rm", "supercheck:compiled", "--version"]);
    assert_eq!(said, concat!("supercheck ", env!("CARGO_PKG_VERSION")));
}

/// Without any setting.
async fn bare(engine: &Engine) {
    engine.does(&["run", "--detach", "--name", "bare", "supercheck:embedded"]);
    engine.healthy("bare").await;
    stops_well(engine, "bare");
    engine.does(&["rm", "--volumes", "bare"]);
}

/// With an embedded NATS, configured by the environment, among variables as
/// Kubernetes sets them beside a service called `supercheck`.
async fn alone(engine: &Engine) {
    let mut run = vec!["run", "--detach", "--name", "alone"];
    run.extend(CONFINED);
    for variable in [
        "SUPERCHECK_PORT=tcp://10.0.0.7:8080",
        "SUPERCHECK_PORT_8080_TCP=tcp://10.0.0.7:8080",
        "SUPERCHECK_PORT_8080_TCP_ADDR=10.0.0.7",
        "SUPERCHECK_SERVICE_HOST=10.0.0.7",
        "SUPERCHECK_SERVICE_PORT=8080",
        "SUPERCHECK_SERVICE_PORT_HTTP=8080",
        "SUPERCHECK_CHECK__API__URL=http://127.0.0.1:8080/livez",
    ] {
        run.extend(["--env", variable]);
    }
    run.push("supercheck:embedded");
    engine.does(&run);
    engine.healthy("alone").await;
    wait::until("the check is up", async || {
        let status = engine.docker(&["exec", "alone", "/usr/bin/supercheck", "status", "api"]);
        (status.code == 0).then_some(())
    })
    .await;
    let log = engine.log("alone");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    stops_well(engine, "alone");
    engine.does(&["rm", "--volumes", "alone"]);
}

/// As PID 1 it hears SIGTERM and drains.
fn stops_well(engine: &Engine, container: &str) {
    let began = Instant::now();
    engine.does(&["stop", "--time", "30", container]);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "within its grace"
    );
    let state = &engine.inspect(container)["State"];
    assert_eq!(state["ExitCode"], 0, "{}", engine.log(container));
    assert!(engine.log(container).contains("stopped"));
}

async fn composed(engine: &Engine) {
    let file = "deploy/docker/compose.yaml";
    engine.compose(file, &["up", "--detach", "--no-build"]);
    engine.healthy("supercheck_supercheck_1").await;
    let container = engine.inspect("supercheck_supercheck_1");
    assert_eq!(container["HostConfig"]["ReadonlyRootfs"], true);
    assert_eq!(container["Config"]["User"], "65532:65532");
    engine.inside(async || {
        let status = reqwest::get("http://127.0.0.1:8080/readyz")
            .await
            .unwrap()
            .status();
        assert_eq!(status, 200);
        let client = async_nats::connect("nats://127.0.0.1:4222").await.unwrap();
        let asked = client.request("supercheck.check", "supercheck".into());
        let report: Value = serde_json::from_slice(&asked.await.unwrap().payload).unwrap();
        assert_eq!(report["verdict"], "pass", "{report}");
    });
    stops_well(engine, "supercheck_supercheck_1");
    engine.compose(file, &["down", "--volumes"]);
}

/// Any one of three may go.
async fn clustered(engine: &Engine) {
    let file = "deploy/docker/compose.cluster.yaml";
    engine.compose(file, &["up", "--detach", "--no-build"]);
    for n in 1..=3 {
        engine
            .healthy(&format!("supercheck_supercheck-{n}_1"))
            .await;
    }
    let before = engine.inside(async || {
        let client = async_nats::connect("nats://127.0.0.1:4222").await.unwrap();
        let js = jetstream::new(client);
        for stream in ["KV_supercheck_kv", "OBJ_supercheck", "SUPERCHECK_HISTORY"] {
            let mut stream = js.get_stream(stream).await.unwrap();
            let info = stream.info().await.unwrap();
            assert_eq!(info.config.num_replicas, 3);
        }
        newest(&js, "").await
    });
    engine.does(&["kill", "supercheck_nats-3_1", "supercheck_supercheck-2_1"]);
    engine.inside(async || {
        let client = async_nats::connect("nats://127.0.0.1:4222").await.unwrap();
        let js = jetstream::new(client);
        let mut last = before;
        for _ in 0..2 {
            last = newest(&js, &last).await;
        }
    });
    engine.compose(file, &["down", "--volumes"]);
}

/// When the check was probed, once that is later than `than`.
async fn newest(js: &jetstream::Context, than: &str) -> String {
    wait::until("a newer summary", async || {
        let bucket = js.get_key_value("supercheck_kv").await.ok()?;
        let value = bucket.get("supercheck").await.ok()??;
        let summary: Value = serde_json::from_slice(&value).unwrap();
        let at = summary["checked_at"].as_str().unwrap().to_owned();
        (at.as_str() > than).then_some(at)
    })
    .await
}
