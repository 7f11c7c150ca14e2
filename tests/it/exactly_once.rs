//! The exactly-once proof: requests of a foreign client, each under an id of
//! its own and some of them several times, while daemons, servers and the
//! connections between them are killed, paused and cut at seeded moments.
//!
//! At the end each id has one recorded result, which whoever asks again gets
//! from any instance; the queue is empty; and the target, which numbers its
//! answers, has seen every recorded run.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_nats::jetstream;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use supercheck::trial;

use crate::support::{
    asker::{self, Answer, Answers, Wish},
    clients::Client,
    daemon::Daemon,
    nats::Nats,
    proxy::Proxy,
    stage::{Fault, Stage},
    target::{self, Target},
    tools, wait,
};

const CHECKS: usize = 6;
/// So long the server waits for a worker here; 30 s would be long for a test.
const ACK_WAIT: Duration = Duration::from_secs(2);

/// Two daemons, each behind a proxy of its own where there is one server.
async fn stage(servers: Vec<Nats>, target: &Target) -> Stage {
    let seed = std::env::var("SUPERCHECK_TESTS_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("SUPERCHECK_TESTS_SEED={seed} draws the same faults again");
    let mut links = Vec::new();
    if let [server] = servers.as_slice() {
        links = vec![Proxy::to(server.port).await, Proxy::to(server.port).await];
    }
    let all: Vec<_> = servers.iter().map(Nats::url).collect();
    let replicas = servers.len();
    let checks: String = (0..CHECKS)
        .map(|n| {
            let path = format!("/c{n}");
            // Long enough that a fault meets it in flight.
            let answer = target::Answer::numbered().after(Duration::from_millis(150));
            target.set(&path, answer);
            let url = target.url(&path);
            format!("[[check]]\nname = \"c{n}\"\nurl = \"{url}\"\n")
        })
        .collect();
    let ack_wait = ACK_WAIT.as_millis().to_string();
    let daemons = (0..2)
        .map(|n| {
            let url = links.get(n).map_or_else(|| all.join(","), Proxy::url);
            let config = format!(
                "[nats]\nurl = \"{url}\"\n[store]\nreplicas = {replicas}\n[scheduler]\ninstance = \"i{n}\"\n[defaults]\ninterval = \"365d\"\ntimeout = \"2s\"\n{checks}"
            );
            Daemon::serve_with(&config, &[], &[(trial::ACK_WAIT, &ack_wait)])
        })
        .collect();
    let stage = Stage {
        servers,
        links,
        daemons,
        pause: ACK_WAIT + Duration::from_millis(1500),
        random: fastrand::Rng::with_seed(seed),
        injected: BTreeMap::new(),
    };
    stage.settled().await;
    let client = stage.servers[0].client().await;
    wait::until("the service listens", async || {
        client.request("supercheck.list", "".into()).await.ok()
    })
    .await;
    stage
}

/// `n` ids, each sent one to three times, as a request or as a publish.
fn wishes(n: usize, random: &mut fastrand::Rng) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for number in 0..n {
        let check = format!("c{}", random.usize(..CHECKS));
        for copy in 0..random.u8(1..=3) {
            wishes.push(Wish {
                id: format!("id-{number}"),
                check: check.clone(),
                // What is only published is asked for at the end.
                publish: copy > 0 && random.bool(),
                after: Duration::from_millis(random.u64(0..100)),
            });
        }
    }
    wishes
}

/// Sends `n` ids while faults befall the stage, and holds it to its word.
async fn prove(client: Client, mut stage: Stage, target: &Target, n: usize, faults: &[Fault]) {
    let url = stage.servers[0].url();
    let wishes = wishes(n, &mut stage.random);
    let answered = Cell::new(false);
    let asking = async {
        let answers = asker::ask(client, &url, &wishes).await;
        answered.set(true);
        answers
    };
    let suffering = async {
        while !answered.get() {
            let gap = stage.random.u64(100..1500);
            tokio::time::sleep(Duration::from_millis(gap)).await;
            let blow = stage.draw(faults);
            stage.suffer(blow).await;
        }
    };
    let (answers, ()) = tokio::join!(asking, suffering);
    stage.settled().await;
    eprintln!("{:?}", stage.injected);
    judge(client, &mut stage, target, &wishes, &answers).await;
}

async fn judge(
    client: Client,
    stage: &mut Stage,
    target: &Target,
    wishes: &[Wish],
    answers: &Answers,
) {
    let js = stage.servers[0].jetstream().await;
    let queue = async || {
        let mut queue = js.get_stream("SUPERCHECK_REQUESTS").await.ok()?;
        (queue.info().await.ok()?.state.messages == 0).then_some(())
    };
    wait::until("the queue is empty", queue).await;
    let checks: BTreeMap<&str, &str> = wishes
        .iter()
        .map(|wish| (wish.id.as_str(), wish.check.as_str()))
        .collect();
    let recorded = recorded(&js).await;
    let ids: BTreeSet<_> = recorded.keys().map(String::as_str).collect();
    assert_eq!(
        ids,
        checks.keys().copied().collect(),
        "one record for each id"
    );
    for (id, runs) in asker::runs(answers) {
        assert_eq!(
            runs,
            BTreeSet::from([recorded[id].as_str()]),
            "answers to {id}"
        );
    }

    // Asked again, each instance alone gives the one result, and refuses the
    // id for another check.
    let mut probes = BTreeSet::new();
    for instance in 0..stage.daemons.len() {
        stage.daemons[1 - instance].kill();
        let again: Vec<_> = checks.iter().map(|(id, check)| wish(id, check)).collect();
        let url = stage.servers[0].url();
        for (id, answers) in asker::ask(client, &url, &again).await {
            let [Answer::Report(report)] = answers.as_slice() else {
                panic!("{id}: {answers:?}");
            };
            assert_eq!(report["run"], recorded[&id].as_str(), "{id}");
            let hit = report["response"]["body"]["hit"].as_u64();
            let hit = hit.unwrap_or_else(|| panic!("no probe: {report}"));
            probes.insert((report["check"].to_string(), hit));
        }
        let (id, check) = checks.first_key_value().unwrap();
        let other = if *check == "c0" { "c1" } else { "c0" };
        let refused = asker::ask(client, &url, &[wish(id, other)]).await;
        assert_eq!(refused[*id], [Answer::Refused(409)]);
        stage.daemons[1 - instance].crash_and_start_again();
        stage.settled().await;
    }

    // The target numbers its answers, so a run that is recorded was seen by
    // it, and no two runs have the same probe.
    let runs: BTreeSet<_> = recorded.values().collect();
    assert_eq!(
        probes.len(),
        runs.len(),
        "each recorded run has its own probe"
    );
    let hits: u64 = (0..CHECKS).map(|n| target.hits(&format!("/c{n}"))).sum();
    // A fault can cost a daemon that it reaches the run in flight of each
    // check, its second probe if the daemon was paused, and the run that was to
    // follow for who came too late for the first: their requests go to another
    // worker before their record is made.
    let daemons = stage.daemons.len() as u64;
    let reached: u64 = stage
        .injected
        .iter()
        .map(|(fault, times)| fault.reach(daemons) * times)
        .sum();
    let most = runs.len() as u64 + 3 * CHECKS as u64 * reached;
    eprintln!("{} ids, {} runs, {hits} probes", recorded.len(), runs.len());
    assert!(
        (runs.len() as u64..=most).contains(&hits),
        "{hits} > {most}"
    );
    assert!(runs.len() <= recorded.len());
}

fn wish(id: &str, check: &str) -> Wish {
    Wish {
        id: id.to_owned(),
        check: check.to_owned(),
        publish: false,
        after: Duration::ZERO,
    }
}

/// The run that is recorded under each id.
async fn recorded(js: &jetstream::Context) -> BTreeMap<String, String> {
    let mut ledger = wait::until("the records", async || {
        js.get_stream("KV_supercheck_requests").await.ok()
    })
    .await;
    let last = ledger.info().await.unwrap().state.last_sequence;
    let mut recorded = BTreeMap::new();
    for sequence in 1..=last {
        let Ok(message) = ledger.get_raw_message(sequence).await else {
            continue;
        };
        let Some(token) = message.subject.strip_prefix("$KV.supercheck_requests.id.") else {
            continue;
        };
        let id = URL_SAFE_NO_PAD.decode(token).unwrap();
        let record: Value = serde_json::from_slice(&message.payload).unwrap();
        // The server took it on the condition that nothing was there.
        let condition = message.headers.get("Nats-Expected-Last-Subject-Sequence");
        assert_eq!(condition.unwrap().as_str(), "0");
        let run = record["run"].as_str().expect("no refusal").to_owned();
        recorded.insert(String::from_utf8(id).unwrap(), run);
    }
    recorded
}

fn client(wanted: Client) -> Client {
    let had = Client::had();
    if had.contains(&wanted) {
        wanted
    } else {
        had[0]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_result_whatever_dies() {
    let target = Target::start().await;
    let stage = stage(vec![Nats::start().await], &target).await;
    prove(client(Client::Node), stage, &target, 250, &Fault::ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_result_on_every_server_release() {
    let hard = [
        Fault::DaemonKilled,
        Fault::DaemonPaused,
        Fault::ServerKilled,
        Fault::LinkCut,
    ];
    for version in &tools::VERSIONS[1..] {
        let Some(nats) = Nats::version(version).await else {
            continue;
        };
        eprintln!("nats-server {version}");
        let target = Target::start().await;
        let stage = stage(vec![nats], &target).await;
        prove(client(Client::Python), stage, &target, 100, &hard).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_result_while_the_nodes_of_a_cluster_die() {
    let target = Target::start().await;
    let stage = stage(Nats::cluster().await, &target).await;
    let faults = [
        Fault::ServerKilled,
        Fault::ServerPaused,
        Fault::DaemonKilled,
    ];
    prove(client(Client::NodeThree), stage, &target, 100, &faults).await;
}
