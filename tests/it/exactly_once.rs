//! The exactly-once proof: requests of a foreign client, each under an id of
//! its own and some of them several times, while daemons, servers and the
//! connections between them are killed, paused and cut at seeded moments.
//!
//! At the end each id has one recorded result, which whoever asks again gets
//! from any instance; the queue is empty; and the target, which numbers its
//! answers, has seen every recorded run.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use supercheck::trial;

use crate::support::{
    asker,
    clients::Client,
    daemon::Daemon,
    nats::Nats,
    proof,
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
        witnesses: 0,
        pause: ACK_WAIT + Duration::from_millis(1500),
        random: fastrand::Rng::with_seed(seed),
        injected: BTreeMap::new(),
        reached: 0,
    };
    stage.settled().await;
    let client = stage.servers[0].client().await;
    wait::until("the service listens", async || {
        client.request("supercheck.list", "".into()).await.ok()
    })
    .await;
    stage
}

/// Sends `n` ids while faults befall the stage, and holds it to its word.
async fn prove(client: Client, mut stage: Stage, target: &Target, n: usize, faults: &[Fault]) {
    let url = stage.servers[0].url();
    let wishes = proof::wishes(n, CHECKS, Duration::from_millis(100), &mut stage.random);
    // While there is something to ask; then all is brought back.
    let lasts: Duration = wishes.iter().map(|wish| wish.after).sum();
    let asking = asker::ask(client, &url, &wishes);
    let suffering = async {
        // A client that has not connected yet would give up.
        asked_for(target).await;
        let ends = Instant::now() + lasts;
        while Instant::now() < ends {
            let gap = stage.random.u64(100..1500);
            tokio::time::sleep(Duration::from_millis(gap)).await;
            let blow = stage.draw(faults);
            stage.suffer(blow).await;
        }
    };
    let (answers, ()) = tokio::join!(asking, suffering);
    stage.settled().await;
    eprintln!("{:?}", stage.injected);
    proof::judge(client, &url, &mut stage, target, &wishes, &answers).await;
}

/// Waits until the first request has come.
async fn asked_for(target: &Target) {
    wait::until("a request", async || {
        let hits = |n| target.hits(&format!("/c{n}"));
        (0..CHECKS).any(|n| hits(n) > 0).then_some(())
    })
    .await;
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
async fn each_request_has_one_result_while_the_server_is_upgraded_and_rolled_back() {
    let Some(nats) = Nats::version("2.10.26").await else {
        return;
    };
    let target = Target::start().await;
    let stage = stage(vec![nats], &target).await;
    let client = client(Client::Node);
    prove(client, stage, &target, 150, &[Fault::ServerChanged]).await;
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
