//! More than can be done, and what nobody should send: the schedule goes on,
//! and every request has an answer.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use futures_util::{StreamExt as _, TryStreamExt as _};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    target::{Answer, Target},
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_does_not_delay_the_schedule() {
    flood("local").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_does_not_delay_a_shared_schedule() {
    flood("shared").await;
}

async fn flood(mode: &str) {
    const HANGING: usize = 40;
    let nats = Nats::start().await;
    let target = Target::start().await;
    let hanging: String = (0..HANGING)
        .map(|n| {
            let path = format!("/hanging{n}");
            let url = target.url(&path);
            target.set(&path, Answer::json("{}").after(Duration::from_secs(60)));
            format!("[[check]]\nname = \"hanging{n}\"\nurl = \"{url}\"\n")
        })
        .collect();
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[scheduler]\nmode = \"{mode}\"\nconcurrency = 8\nper_host = 8\n[defaults]\ninterval = \"365d\"\ntimeout = \"3s\"\n{hanging}\n[[check]]\nname = \"scheduled\"\nurl = \"{}\"\ninterval = \"500ms\"\ntimeout = \"400ms\"\n",
        nats.url(),
        target.url("/scheduled"),
    ));
    daemon.ready().await;
    let client = nats.client().await;
    wait::until("the service listens", async || {
        client.request("supercheck.list", "".into()).await.ok()
    })
    .await;
    let flood = (0..400).map(|n| {
        let body = format!("hanging{}", n % HANGING);
        client.request("supercheck.check", body.into())
    });
    let watched = async {
        wait::until("the flood", async || {
            let begun: u64 = (0..HANGING)
                .map(|n| target.hits(&format!("/hanging{n}")))
                .sum();
            (begun >= 4).then_some(())
        })
        .await;
        let (before, began) = (target.hits("/scheduled"), Instant::now());
        wait::within(Duration::from_secs(6), "eight slots", async || {
            (target.hits("/scheduled") >= before + 8).then_some(())
        })
        .await;
        began.elapsed()
    };
    let flood = futures_util::future::join_all(flood);
    tokio::select! {
        took = watched => eprintln!("eight slots of 500 ms in {took:?}"),
        _ = flood => panic!("the flood was over too soon"),
    }
    assert_eq!(daemon.said("starts skipped"), 0);
}

/// A daemon with a check at a host that hangs, and one at another host.
async fn besieged(timeout: &str) -> (Nats, Target, Daemon, async_nats::Client) {
    let (nats, target) = (Nats::start().await, Target::start().await);
    target.set(
        "/hanging",
        Answer::json("{}").after(Duration::from_secs(60)),
    );
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[defaults]\ninterval = \"1h\"\ntimeout = \"{timeout}\"\n\
         [requests]\nallow_urls = [\"http://127.0.0.1:*/hanging*\"]\nallow_networks = [\"127.0.0.1\"]\n\
         [[check]]\nname = \"other\"\nurl = \"http://localhost:{}/other\"\n\
         [[check]]\nname = \"hanging\"\nurl = \"{}\"\n",
        nats.url(),
        target.port(),
        target.url("/hanging"),
    ));
    daemon.ready().await;
    let client = nats.client().await;
    wait::until("the service listens", async || {
        client.request("supercheck.list", "".into()).await.ok()
    })
    .await;
    (nats, target, daemon, client)
}

/// Puts so many requests for the host that hangs in the queue, and waits until
/// more came than it has a share of.
async fn flood_host(
    nats: &Nats,
    daemon: &Daemon,
    subject: &'static str,
    bodies: impl ExactSizeIterator<Item = String>,
) {
    let (client, js) = (nats.client().await, nats.jetstream().await);
    let all = bodies.len() as u64;
    for body in bodies {
        client.publish(subject, body.into()).await.unwrap();
    }
    let mut queue = js.get_stream("SUPERCHECK_REQUESTS").await.unwrap();
    wait::until("the flood is accepted", async || {
        (queue.info().await.ok()?.state.last_sequence == all).then_some(())
    })
    .await;
    wait::until("the host's share is used up", async || {
        let name = "supercheck_given_back_total{queue=\"requests\"}";
        (figure(daemon, name).await > 0.0).then_some(())
    })
    .await;
}

/// The figure of this name that `/metrics` shows.
async fn figure(daemon: &Daemon, name: &str) -> f64 {
    let metrics = format!("{}/metrics", daemon.http().await);
    let page = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}"))
        .parse()
        .unwrap()
}

fn code(answer: &async_nats::Message) -> Option<&str> {
    let headers = answer.headers.as_ref()?;
    Some(headers.get("Nats-Service-Error-Code")?.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_one_host_with_urls_keeps_nobody_else_waiting() {
    let (nats, target, daemon, client) = besieged("30s").await;
    let url = |n: usize| {
        let path = format!("/hanging{n}");
        target.set(&path, Answer::json("{}").after(Duration::from_secs(60)));
        target.url(&path)
    };
    // More than may be in hand, and than an earlier version had handed out.
    let flood = (0..9000).map(url);
    flood_host(&nats, &daemon, "supercheck.requests._url", flood).await;
    let began = Instant::now();
    let answer = client.request("supercheck.check", "other".into()).await;
    let took = began.elapsed();
    assert_eq!(code(&answer.unwrap()), None);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(target.hits("/other"), 1);
    let in_hand = figure(&daemon, "supercheck_in_hand{queue=\"requests\"}").await;
    // The other's place is free a moment later.
    assert!((1.0..=2049.0).contains(&in_hand), "{in_hand}");
    // Whoever asks for the host itself is told so, and fills no queue.
    for body in ["hanging".to_owned(), target.url("/hanging-too")] {
        let refused = client.request("supercheck.check", body.into()).await;
        assert_eq!(code(&refused.unwrap()), Some("429"));
    }
    let refused = figure(&daemon, "supercheck_requests_refused_total").await;
    assert!((refused - 2.0).abs() < 0.5, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_is_more_than_a_host_has_a_share_of_is_done_in_the_end() {
    const FLOOD: usize = 3000;
    let (nats, _target, daemon, _client) = besieged("4s").await;
    let flood = std::iter::repeat_n(String::new(), FLOOD);
    flood_host(&nats, &daemon, "supercheck.requests.hanging", flood).await;
    let js = nats.jetstream().await;
    let mut queue = js.get_stream("SUPERCHECK_REQUESTS").await.unwrap();
    wait::within(Duration::from_secs(90), "an empty queue", async || {
        (queue.info().await.ok()?.state.messages == 0).then_some(())
    })
    .await;
    assert_eq!(daemon.said("request refused"), 0);
    wait::until("nothing in hand", async || {
        let in_hand = figure(&daemon, "supercheck_in_hand{queue=\"requests\"}").await;
        (in_hand < 0.5).then_some(())
    })
    .await;
    let ledger = js.get_key_value("supercheck_requests").await.unwrap();
    let keys = ledger.keys().await.unwrap();
    let records = keys.try_filter(|key| std::future::ready(key.starts_with("id.")));
    assert_eq!(records.count().await, FLOOD, "each has its record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_an_earlier_version_is_made_to_hand_out_any_number() {
    let (nats, _target, mut daemon, _client) = besieged("1s").await;
    daemon.kill();
    let js = nats.jetstream().await;
    let queue = js.get_stream("SUPERCHECK_REQUESTS").await.unwrap();
    let mut earlier = queue.consumer_info("workers").await.unwrap().config;
    earlier.max_ack_pending = 8192;
    queue.create_consumer(earlier).await.unwrap();
    let bound = async || {
        let workers = queue.consumer_info("workers").await.unwrap();
        workers.config.max_ack_pending
    };
    assert_eq!(bound().await, 8192);
    daemon.start_again();
    wait::until("no bound", async || (bound().await == -1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_thousands_of_hanging_checks_keeps_no_shared_slot_waiting() {
    let (nats, target) = (Nats::start().await, Target::start().await);
    let hanging: String = (0..3000)
        .map(|n| {
            let path = format!("/hanging/{n}");
            target.set(&path, Answer::json("{}").after(Duration::from_secs(60)));
            format!(
                "[[check]]\nname = \"h{n}\"\nurl = \"{}\"\n",
                target.url(&path)
            )
        })
        .collect();
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[scheduler]\nmode = \"shared\"\nfast_start = true\n\
         [defaults]\ninterval = \"25s\"\ntimeout = \"20s\"\n{hanging}\
         [[check]]\nname = \"other\"\nurl = \"http://localhost:{}/other\"\ninterval = \"500ms\"\ntimeout = \"400ms\"\n",
        nats.url(),
        target.port(),
    ));
    daemon.ready().await;
    wait::until("the host's share is used up", async || {
        let name = "supercheck_given_back_total{queue=\"slots\"}";
        (figure(&daemon, name).await > 0.0).then_some(())
    })
    .await;
    let before = target.hits("/other");
    wait::within(Duration::from_secs(12), "eight slots", async || {
        (target.hits("/other") >= before + 8).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_two_megabytes_is_refused_and_gone() {
    let nats = Nats::configured("max_payload: 8MB\njetstream { store_dir: \"%STORE%\" }").await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"365d\"",
        nats.url(),
        target.url("/")
    ));
    daemon.ready().await;
    let client = nats.client().await;
    wait::until("the service listens", async || {
        client.request("supercheck.list", "".into()).await.ok()
    })
    .await;
    let js = nats.jetstream().await;
    for (id, body) in [
        ("plain", "x".repeat(2 << 20)),
        ("json", format!("{{\"check\":\"{}\"}}", "x".repeat(2 << 20))),
        ("nested", "[".repeat(2 << 20)),
    ] {
        let began = Instant::now();
        let answer = client
            .request("supercheck.check", body.clone().into())
            .await
            .unwrap();
        let code = answer.headers.unwrap();
        let code = code.get("Nats-Service-Error-Code").unwrap();
        assert_eq!(code.as_str(), "400", "{id}");
        let told: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(told["error"].as_str().unwrap().contains("bytes"), "{told}");
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let accepted = js
            .publish_with_headers("supercheck.requests.api", headers, body.into())
            .await
            .unwrap();
        accepted.await.unwrap();
        wait::until("the queue is empty", async || {
            let mut queue = js.get_stream("SUPERCHECK_REQUESTS").await.ok()?;
            (queue.info().await.ok()?.state.messages == 0).then_some(())
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(5), "{id}");
    }
    client
        .request("supercheck.check", "api".into())
        .await
        .unwrap();
    assert_eq!(target.hits("/"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_operator_deletes_is_made_again_and_told() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[scheduler]\nmode = \"shared\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"300ms\"\ntimeout = \"200ms\"",
        nats.url(),
        target.url("/")
    ));
    daemon.ready().await;
    let client = nats.client().await;
    let js = nats.jetstream().await;
    let ask = async |id: &str| {
        wait::until("an answer", async || {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", id);
            let request = async_nats::Request::new()
                .payload("api".into())
                .headers(headers)
                .timeout(Some(Duration::from_secs(3)));
            let answer = client
                .send_request("supercheck.check", request)
                .await
                .ok()?;
            let headers = answer.headers.unwrap_or_default();
            headers
                .get("Nats-Service-Error-Code")
                .is_none()
                .then_some(())
        })
        .await;
    };
    ask("before").await;
    for stream in [
        "SUPERCHECK_REQUESTS",
        "KV_supercheck_requests",
        "SUPERCHECK_HISTORY",
        "SUPERCHECK_EVENTS",
        "SUPERCHECK_SLOTS",
        "KV_supercheck_kv",
        "OBJ_supercheck",
    ] {
        js.delete_stream(stream).await.unwrap();
        target.set("/", Answer::json("{}").status(500));
        wait::until("down", async || {
            let summary = nats.summary(&js, "api").await?;
            (summary["status"] == "down").then_some(())
        })
        .await;
        target.set("/", Answer::json("{}"));
        ask(stream).await;
        wait::until(stream, async || js.get_stream(stream).await.ok()).await;
    }
    for (stream, consumer) in [
        ("SUPERCHECK_REQUESTS", "workers"),
        ("SUPERCHECK_SLOTS", "runners"),
    ] {
        let stream = js.get_stream(stream).await.unwrap();
        stream.delete_consumer(consumer).await.unwrap();
        ask(consumer).await;
        let hits = target.hits("/");
        wait::until("runs", async || (target.hits("/") > hits + 2).then_some(())).await;
    }
    let told = daemon.said("a stream was gone, with what it held; it is made anew");
    assert_eq!(told, 7, "{:#?}", daemon.complaints());
    let lost = figure(&daemon, "supercheck_nats_streams_lost_total").await;
    assert!((lost - 7.0).abs() < 0.5, "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_may_open_no_more_descriptors_calls_no_target_down() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let check = |name: &str, fresh: bool| {
        format!(
            "[[check]]\nname = \"{name}\"\nurl = \"{}\"\ninterval = \"200ms\"\ntimeout = \"150ms\"\nfresh_connection = {fresh}\n",
            target.url(&format!("/{name}"))
        )
    };
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n{}{}",
        nats.url(),
        check("kept", false),
        check("fresh", true)
    ));
    for name in ["kept", "fresh"] {
        nats.summary_that(name, "up", |summary| summary["status"] == "up")
            .await;
    }
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(3),
        maximum: limit.maximum,
    };
    prlimit(Some(daemon.pid()), Resource::Nofile, few).unwrap();
    let since = chrono::Utc::now().timestamp_millis();
    let held = nats
        .summary_that("fresh", "nothing is known", |summary| {
            assert_ne!(summary["status"], "down", "{summary}");
            summary["status"] == "unknown"
        })
        .await;
    let said = held["message"].as_str().unwrap();
    assert!(said.contains("Too many open files"), "{said}");
    let told = daemon
        .says("probes cannot be made; what is asked anew reads unknown")
        .await;
    assert!(
        told["hint"].as_str().unwrap().contains("LimitNOFILE"),
        "{told}"
    );
    // What has its connection is asked all the time.
    wait::until("runs over a kept connection", async || {
        let given = target.given("/kept", since);
        assert!(
            given
                .iter()
                .all(|given| given.status == 200 && given.delay == 0)
        );
        (given.len() > 5).then_some(())
    })
    .await;
    prlimit(Some(daemon.pid()), Resource::Nofile, limit).unwrap();
    nats.summary_that("fresh", "up again", |summary| summary["status"] == "up")
        .await;
    let js = nats.jetstream().await;
    let events = js.get_stream("SUPERCHECK_EVENTS").await.unwrap();
    assert_eq!(
        events.cached_info().state.messages,
        2,
        "both came up, and no more"
    );
    assert_eq!(
        daemon.said("probes cannot be made; what is asked anew reads unknown"),
        1
    );
}
