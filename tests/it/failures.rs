//! The last failing report of each check: kept for days, over outages.

use serde_json::Value;

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    proxy::Proxy,
    target::{Answer, Target},
    wait,
};

const BUCKET: &str = "supercheck_failures";

fn config(nats: &str, target: &Target) -> String {
    format!(
        "[nats]\nurl = \"{nats}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"",
        target.url("/")
    )
}

/// What `supercheck report api --last-failure` prints, once it prints something.
async fn last_failure(daemon: &Daemon) -> Value {
    wait::until("the last failing report", async || {
        let (code, out, _) = run(&mut daemon.command(&["report", "api", "--last-failure"]));
        (code == 0).then(|| serde_json::from_str(&out).unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_failing_report_stays_when_the_check_is_up_again() {
    // Messages are so small that the report is cut in several chunks.
    let nats = Nats::configured("jetstream { store_dir: \"%STORE%\" }\nmax_payload: 4KB").await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nats.url(), &target));
    let js = nats.jetstream().await;
    wait::until("up", async || {
        let summary = nats.summary(&js, "api").await?;
        (summary["status"] == "up").then_some(())
    })
    .await;
    let (code, out, err) = run(&mut daemon.command(&["report", "api", "--last-failure"]));
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("`api`") && err.contains("7days"), "{err}");

    for n in [1, 2] {
        let body = format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(20_000));
        target.set("/", Answer::json(&body).status(503));
        wait::until("this failure is the last", async || {
            let report = last_failure(&daemon).await;
            assert_eq!(report["verdict"], "fail");
            assert_eq!(report["http_status"], 503);
            (report["response"]["body"]["n"] == n).then_some(())
        })
        .await;
    }
    let failed = last_failure(&daemon).await;
    assert_eq!(failed["status"], "down");

    // Whatever fails, however often, the bucket does not grow with it.
    let stream = js.get_stream(format!("OBJ_{BUCKET}")).await.unwrap();
    assert_eq!(stream.cached_info().config.max_age.as_secs(), 7 * 86_400);
    let hits = target.hits("/");
    wait::until("more failing runs", async || {
        (target.hits("/") > hits + 10).then_some(())
    })
    .await;
    let messages = stream.get_info().await.unwrap().state.messages;
    assert!(messages <= 1 + 2 * 8, "two reports at most: {messages}");

    target.set("/", Answer::json("{}"));
    wait::until("up again", async || {
        let summary = nats.summary(&js, "api").await?;
        (summary["status"] == "up").then_some(())
    })
    .await;
    let kept = last_failure(&daemon).await;
    assert_eq!(kept["response"]["body"]["n"], 2);
    // By its URL too, and for clients that know nothing of us.
    let url = target.url("/");
    let (code, out, _) = run(&mut daemon.command(&["report", &url, "--last-failure"]));
    assert_eq!(
        (code, serde_json::from_str::<Value>(&out).unwrap()),
        (0, kept.clone())
    );
    let bucket = js.get_object_store(BUCKET).await.unwrap();
    let mut object = bucket.get("api").await.unwrap();
    let mut body = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut object, &mut body)
        .await
        .unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_while_nats_is_away_is_kept_until_it_is_stored() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let proxy = Proxy::to(nats.port).await;
    let daemon = Daemon::serve(&config(&proxy.url(), &target));
    daemon.ready().await;
    proxy.cut();
    daemon
        .says("lost NATS; checks go on, the newest results are kept")
        .await;
    target.set("/", Answer::json("{}").status(500));
    let hits = target.hits("/");
    wait::until("failing runs", async || {
        (target.hits("/") > hits + 3).then_some(())
    })
    .await;
    target.set("/", Answer::json("{}"));
    let hits = target.hits("/");
    wait::until("passing runs", async || {
        (target.hits("/") > hits + 3).then_some(())
    })
    .await;
    proxy.mend();
    assert_eq!(last_failure(&daemon).await["http_status"], 500);
    let js = nats.jetstream().await;
    let summary = wait::until("a summary", async || nats.summary(&js, "api").await).await;
    assert_eq!(summary["status"], "up");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_knows_the_bucket_and_mends_it() {
    let nats = Nats::start().await;
    let js = nats.jetstream().await;
    js.create_stream(async_nats::jetstream::stream::Config {
        name: format!("OBJ_{BUCKET}"),
        subjects: vec![format!("$O.{BUCKET}.C.>"), format!("$O.{BUCKET}.M.>")],
        max_age: std::time::Duration::from_secs(3600),
        allow_direct: true,
        allow_rollup: true,
        ..Default::default()
    })
    .await
    .unwrap();
    let daemon = Daemon::serve(&format!("[nats]\nurl = \"{}\"", nats.url()));
    daemon.ready().await;
    let (code, out, _) = run(&mut daemon.command(&["doctor"]));
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("`OBJ_supercheck_failures` has max_age 1h, wanted 7days"),
        "{out}"
    );
    let (_, out, _) = run(&mut daemon.command(&["doctor", "--fix"]));
    assert!(out.contains("fixed: `OBJ_supercheck_failures`"), "{out}");
}
