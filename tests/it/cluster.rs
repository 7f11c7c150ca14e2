//! A cluster of three nats-servers, every bucket on all of them, while they
//! are killed one by one.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use async_nats::HeaderMap;
use serde_json::Value;

use crate::support::{daemon::Daemon, nats::Nats, target::Target, wait};

/// A check `api`, stored on all nodes, with more of its settings and others.
fn config(servers: &str, target: &Target, more: &str) -> String {
    let url = target.url("/api");
    format!(
        "[nats]\nurl = \"{servers}\"\n[store]\nreplicas = 3\n[[check]]\nname = \"api\"\nurl = \"{url}\"\n{more}"
    )
}

/// Every half second.
const OFTEN: &str = "interval = \"500ms\"\ntimeout = \"400ms\"\n";

/// Asks with an id until there is an answer, at whichever server is there.
async fn ask(servers: &str, check: &str, id: &str) -> Value {
    wait::within(
        Duration::from_secs(60),
        &format!("the answer of {id}"),
        async || {
            let addresses: Vec<_> = servers.split(',').collect();
            let client = async_nats::connect(addresses).await.ok()?;
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", id);
            let request = async_nats::Request::new()
                .payload(check.to_owned().into())
                .headers(headers)
                .timeout(Some(Duration::from_secs(4)));
            let answer = client
                .send_request("supercheck.check", request)
                .await
                .ok()?;
            let headers = answer.headers.unwrap_or_default();
            if headers.get("Nats-Service-Error-Code").is_some() {
                return None;
            }
            Some(serde_json::from_slice(&answer.payload).unwrap())
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_killed_one_by_one_and_each_request_has_one_result() {
    let mut nodes = Nats::cluster().await;
    let target = Target::start().await;
    let servers = nodes.iter().map(Nats::url).collect::<Vec<_>>().join(",");
    let other = target.url("/other");
    let other = format!(
        "interval = \"1h\"\n[[check]]\nname = \"other\"\nurl = \"{other}\"\ninterval = \"1h\"\n"
    );
    let config = config(&servers, &target, &other);
    let daemons = [Daemon::serve(&config), Daemon::serve(&config)];
    for daemon in &daemons {
        daemon.ready().await;
    }
    let mut runs = Vec::new();
    for (round, node) in nodes.iter_mut().enumerate() {
        let asked = (0..10).map(|n| {
            let servers = servers.clone();
            async move {
                let check = if n % 2 == 0 { "api" } else { "other" };
                let id = format!("{round}-{n}");
                let first = ask(&servers, check, &id).await;
                (id, check, first)
            }
        });
        // While these wait, a node goes.
        let (answers, ()) = tokio::join!(futures_util::future::join_all(asked), async {
            wait::until("something is asked", async || {
                (target.hits("/api") + target.hits("/other") > 0).then_some(())
            })
            .await;
            node.kill();
        });
        runs.extend(answers);
        node.start_again().await;
        for daemon in &daemons {
            daemon.ready().await;
        }
    }
    for (id, check, first) in &runs {
        assert_eq!(&first["check"], check);
        let again = ask(&servers, check, id).await;
        assert_eq!(again["run"], first["run"], "{id}");
    }
    let js = nodes[0].jetstream().await;
    let mut queue = wait::until("the queue", async || {
        js.get_stream("SUPERCHECK_REQUESTS").await.ok()
    })
    .await;
    assert_eq!(queue.cached_info().config.num_replicas, 3);
    wait::until("the queue is empty", async || {
        (queue.info().await.ok()?.state.messages == 0).then_some(())
    })
    .await;
    let distinct: BTreeSet<_> = runs
        .iter()
        .map(|(_, _, first)| first["run"].to_string())
        .collect();
    let hits = target.hits("/api") + target.hits("/other");
    // Nothing but a dying instance repeats a probe, and none died.
    assert!(
        hits >= distinct.len() as u64 && hits <= 30,
        "{hits} probes, {} runs",
        distinct.len()
    );
}

/// Who is connected to the node that is left has a connection, and no use of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_takes_nothing_is_told_though_the_connection_stays() {
    let mut nodes = Nats::cluster().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&config(&nodes[0].url(), &target, OFTEN));
    daemon.ready().await;
    nodes[0]
        .summary_that("api", "it is up", |summary| summary["status"] == "up")
        .await;
    for node in &mut nodes[1..] {
        node.kill();
    }
    let said = wait::until("it is not ready", async || {
        let (code, body) = daemon.readyz().await;
        (code == 503).then_some(body)
    })
    .await;
    assert_eq!(
        said["nats"], "connected, but its buckets cannot be used",
        "{said}"
    );
    daemon.says("NATS cannot be used; trying again").await;
    assert_eq!(
        daemon.said("lost NATS; checks go on, the newest results are kept"),
        0
    );
    let asked = target.hits("/api");
    wait::until("it is still asked", async || {
        (target.hits("/api") > asked + 4).then_some(())
    })
    .await;
    for node in &mut nodes[1..] {
        node.start_again().await;
    }
    daemon.ready().await;
    let since = chrono::Utc::now().to_rfc3339();
    nodes[0]
        .summary_that("api", "it is stored again", |summary| {
            summary["checked_at"].as_str() > Some(since.as_str())
        })
        .await;
}

/// The node that leads `stream`.
async fn leader(nats: &Nats, stream: &str) -> Option<String> {
    let js = nats.jetstream().await;
    let stream = js.get_stream(stream).await.ok()?;
    stream.cached_info().cluster.as_ref()?.leader.clone()
}

/// What the consumer says that hands out slots.
async fn hands_out(nats: &Nats) -> Option<Value> {
    let client = nats.client().await;
    let subject = "$JS.API.CONSUMER.INFO.SUPERCHECK_SLOTS.runners";
    let answer = client.request(subject, "".into()).await.ok()?;
    serde_json::from_slice(&answer.payload).ok()
}

/// How many slots were handed out, and how often.
async fn handed_out(nats: &Nats) -> [i64; 2] {
    wait::until("how many slots were handed out", async || {
        let delivered = &hands_out(nats).await?["delivered"];
        Some([
            delivered["stream_seq"].as_i64()?,
            delivered["consumer_seq"].as_i64()?,
        ])
    })
    .await
}

/// How long a target of a shared schedule is not asked when the node goes that
/// leads these (`SUMMARIES`, `SLOTS`, `CONSUMER`) and no other of them.
async fn unasked_without_leader_of(lost: &[&str]) -> Duration {
    let mut nodes = Nats::cluster().await;
    let target = Target::start().await;
    let shared = format!("{OFTEN}[scheduler]\nmode = \"shared\"\n");
    let daemon = Daemon::serve(&config(&nodes[0].url(), &target, &shared));
    daemon.ready().await;
    let client = nodes[0].client().await;
    for (what, api) in [
        (SUMMARIES, "STREAM"),
        (SLOTS, "STREAM"),
        (CONSUMER, "CONSUMER"),
    ] {
        let leads = lost.contains(&what);
        wait::until(&format!("who leads {what}"), async || {
            let leader = if what == CONSUMER {
                let info = hands_out(&nodes[0]).await?;
                info["cluster"]["leader"].as_str()?.to_owned()
            } else {
                leader(&nodes[0], what).await?
            };
            if (leader == "n2") == leads {
                return Some(());
            }
            let node = if leads { "n2" } else { "n0" };
            let step = format!("$JS.API.{api}.LEADER.STEPDOWN.{what}");
            let whom = format!("{{\"placement\":{{\"preferred\":\"{node}\"}}}}");
            client.request(step, whom.into()).await.ok()?;
            None
        })
        .await;
    }
    // An election is over, and the slots come again.
    let hits = target.hits("/api");
    wait::until("it is asked", async || {
        (target.hits("/api") > hits + 2).then_some(())
    })
    .await;
    nodes[2].kill();
    longest_unasked(&target, Duration::from_secs(10)).await
}

/// How long the target is not asked within this time, at most.
async fn longest_unasked(target: &Target, within: Duration) -> Duration {
    let (began, mut last) = (Instant::now(), Instant::now());
    let (mut hits, mut longest) = (target.hits("/api"), Duration::ZERO);
    while began.elapsed() < within {
        let now = target.hits("/api");
        if now > hits {
            (hits, last) = (now, Instant::now());
        }
        longest = longest.max(last.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    longest
}

const SUMMARIES: &str = "KV_supercheck_kv";
const SLOTS: &str = "SUPERCHECK_SLOTS";
const CONSUMER: &str = "SUPERCHECK_SLOTS.runners";
/// A target is asked within this time, whatever has no leader.
const UNASKED: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_the_summaries_have_no_leader() {
    let longest = unasked_without_leader_of(&[SUMMARIES]).await;
    assert!(longest < UNASKED, "not asked for {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_the_queue_of_slots_has_no_leader() {
    let longest = unasked_without_leader_of(&[SLOTS]).await;
    assert!(longest < UNASKED, "not asked for {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_nobody_hands_out_slots() {
    let longest = unasked_without_leader_of(&[CONSUMER]).await;
    assert!(longest < UNASKED, "not asked for {longest:?}");
}

/// When half of its servers are gone a cluster has no leader and refuses to
/// answer for any stream, though every stream has a leader of its own.
#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_the_cluster_has_no_leader() {
    let ports = Nats::routes::<6>();
    let routes = Nats::urls(&ports[..3]);
    let monitored = "http: \"127.0.0.1:-1\"\n";
    let node = |n: usize| Nats::node(n, ports[n], ports[n], &routes, monitored);
    let nodes = futures_util::future::join_all((0..3).map(node)).await;
    let target = Target::start().await;
    let shared = format!("{OFTEN}[scheduler]\nmode = \"shared\"\n");
    let daemon = Daemon::serve(&config(&nodes[0].url(), &target, &shared));
    daemon.ready().await;
    let mut others = Vec::new();
    for n in 3..6 {
        others.push(node(n).await);
        wait::until("it belongs to the cluster", async || {
            let url = format!("{}/jsz", nodes[0].monitoring());
            let told = reqwest::get(url).await.ok()?.text().await.ok()?;
            let told: Value = serde_json::from_str(&told).ok()?;
            (told["meta_cluster"]["cluster_size"] == n + 1).then_some(())
        })
        .await;
    }
    for other in &mut others {
        other.kill();
    }
    let client = nodes[0].client().await;
    wait::within(
        Duration::from_secs(60),
        "the cluster has no leader",
        async || {
            let newest = r#"{"last_by_subj":"$KV.supercheck_kv.api"}"#;
            let asked =
                client.request(format!("$JS.API.STREAM.MSG.GET.{SUMMARIES}"), newest.into());
            let answer: Value = serde_json::from_slice(&asked.await.ok()?.payload).ok()?;
            (answer["error"]["err_code"] == 10008).then_some(())
        },
    )
    .await;
    let before = handed_out(&nodes[0]).await;
    let longest = longest_unasked(&target, Duration::from_secs(5)).await;
    assert!(longest < UNASKED, "not asked for {longest:?}");
    // Each is run when it is first handed out.
    let after = handed_out(&nodes[0]).await;
    let [slots, times] = [0, 1].map(|n| after[n] - before[n]);
    assert!(
        slots > 3 && times <= slots + 1,
        "{slots} handed out {times} times"
    );
}
