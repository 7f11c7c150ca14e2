//! What befalls a cluster of three nodes, on each of which everything is stored.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{nats::Nats, proxy::Proxy, stage::Stage, wait};

/// Each has a leader of its own, which takes what is stored in it.
const STREAMS: [&str; 7] = [
    "OBJ_supercheck",
    "KV_supercheck_kv",
    "KV_supercheck_requests",
    "SUPERCHECK_EVENTS",
    "SUPERCHECK_HISTORY",
    "SUPERCHECK_REQUESTS",
    "SUPERCHECK_SLOTS",
];

/// What can happen to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The node that leads one of the streams is killed, and started again.
    LeaderKilled,
    /// The node that leads one of the streams stands still.
    LeaderPaused,
    /// An operator has another node lead one of the streams.
    LeaderDeposed,
    /// Two of the three are killed, and started again: the one that is left may
    /// store nothing.
    QuorumLost,
    /// One after the other is shut down in lame-duck mode and started again.
    NodesRolled,
}

impl Loss {
    pub const ALL: [Self; 5] = [
        Self::LeaderKilled,
        Self::LeaderPaused,
        Self::LeaderDeposed,
        Self::QuorumLost,
        Self::NodesRolled,
    ];

    /// Deals it, waits for a while, and makes it good.
    pub async fn befalls(self, stage: &mut Stage, pause: Duration) {
        let stream = STREAMS[stage.random.usize(..STREAMS.len())];
        match self {
            Self::LeaderKilled => {
                let node = leader(&stage.servers, stream).await;
                stage.servers[node].kill();
                tokio::time::sleep(pause).await;
                stage.servers[node].start_again().await;
            }
            Self::LeaderPaused => {
                let node = leader(&stage.servers, stream).await;
                stage.servers[node].signal(Signal::STOP);
                tokio::time::sleep(pause).await;
                stage.servers[node].signal(Signal::CONT);
            }
            Self::LeaderDeposed => {
                let client = stage.servers[0].client().await;
                let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
                // An election may be under way already.
                drop(client.request(subject, "".into()).await);
            }
            Self::QuorumLost => {
                let left = stage.random.usize(..stage.servers.len());
                let gone = (0..stage.servers.len()).filter(|node| *node != left);
                for node in gone.clone() {
                    stage.servers[node].kill();
                }
                tokio::time::sleep(pause).await;
                for node in gone {
                    stage.servers[node].start_again().await;
                }
            }
            Self::NodesRolled => {
                for node in 0..stage.servers.len() {
                    stage.servers[node].signal(Signal::USR2);
                    tokio::time::sleep(pause).await;
                    stage.servers[node].kill();
                    stage.servers[node].start_again().await;
                    // Whoever does this waits for one before the next.
                    stage.settled().await;
                }
            }
        }
    }
}

/// Nobody listens at this port: there is no other way to a node.
const NOWHERE: u16 = 1;

/// The ways from each node to each other one.
pub struct Ways(Vec<Vec<Proxy>>);

impl Ways {
    /// Three nodes, which these may use, and the ways between them.
    pub async fn lay(users: &str) -> (Vec<Nats>, Self) {
        let ports = Nats::routes::<3>();
        let from = || futures_util::future::join_all(ports.map(Proxy::to));
        let ways = [from().await, from().await, from().await];
        let nodes = ways.iter().enumerate().map(|(n, ways)| {
            let routes: Vec<_> = ways.iter().map(Proxy::url).collect();
            async move { Nats::node(n, ports[n], NOWHERE, &routes, users).await }
        });
        let nodes = futures_util::future::join_all(nodes).await;
        (nodes, Self(ways.into()))
    }

    /// Clients reach the node, and the other nodes do not.
    pub fn cut(&self, node: usize) {
        for (from, ways) in self.0.iter().enumerate() {
            for (to, way) in ways.iter().enumerate() {
                if from == node || to == node {
                    way.cut();
                }
            }
        }
    }

    /// All of them reach each other again.
    pub fn mend(&self) {
        self.0.iter().flatten().for_each(Proxy::mend);
    }
}

/// The node that leads `stream`.
async fn leader(servers: &[Nats], stream: &str) -> usize {
    let js = servers[0].jetstream().await;
    wait::until(&format!("a leader of {stream}"), async || {
        let stream = js.get_stream(stream).await.ok()?;
        let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
        // As they are named.
        leader.strip_prefix('n')?.parse().ok()
    })
    .await
}

/// Waits until every stream is on all nodes, and each has all of it.
pub async fn hold_everything(servers: &[Nats]) {
    let js = servers[0].jetstream().await;
    for name in STREAMS {
        wait::until(&format!("{name} on every node"), async || {
            let stream = js.get_stream(name).await.ok()?;
            let info = stream.cached_info();
            assert_eq!(info.config.num_replicas, servers.len(), "{name}");
            let others = &info.cluster.as_ref()?.replicas;
            let current = others.iter().filter(|node| node.current && !node.offline);
            (current.count() == servers.len() - 1).then_some(())
        })
        .await;
    }
}
