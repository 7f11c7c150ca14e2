//! Everything that is done to the scene, and what is required meanwhile and
//! after it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::{
    memory,
    names::Says,
    nodes::Loss,
    scene::{SUFFER, Scene},
    server::Limit,
    support::{
        daemon::Daemon,
        nats::Nats,
        stage::{Blow, Fault},
    },
};

/// So long it takes until a daemon has noticed that it lost NATS.
const NOTICED: Duration = Duration::from_millis(1500);
/// Checks that hang.
const HANGING: usize = 1000;
/// Steps of a clock, in milliseconds.
const STEPS: [i64; 6] = [-3_600_000, -60_000, -2_000, 2_000, 60_000, 3_600_000];

/// Of what befalls processes, what a cluster of nodes suffers too.
const ON_A_CLUSTER: [Fault; 8] = [
    Fault::DaemonKilled,
    Fault::DaemonPaused,
    Fault::DaemonRestarted,
    Fault::ServerKilled,
    Fault::ServerPaused,
    Fault::ServerLameDuck,
    Fault::StreamDeleted,
    Fault::ConsumerDeleted,
];

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To processes and the ways between them.
    Process(Fault),
    /// To nodes of a cluster.
    Node(Loss),
    /// A node of a cluster does not reach the others, nor they it; clients
    /// reach all of them.
    NodeCutOff,
    /// The disk of the JetStream store takes nothing most of the time.
    DiskSlowed,
    /// The disk of the JetStream store is full; room is made, and the server
    /// started again.
    DiskFull,
    /// The account's storage limit is reached, and raised again.
    AccountFull,
    /// The server takes messages of 4 KB only, and larger ones again.
    PayloadLimited,
    /// The daemon's user is none any more, and is one again.
    CredentialsRevoked,
    /// The connection is half open: what is sent goes nowhere.
    LinkHalfOpen,
    /// The daemon may open no more descriptors.
    DescriptorsExhausted,
    /// The daemon reaches its cgroup's memory limit: the kernel kills it.
    MemoryExhausted,
    /// The daemon is stopped, and started as an older version, or as the newest
    /// again: versions work side by side, up and down.
    DaemonChanged,
    /// The daemon's wall clock steps, and steps back.
    ClockStepped,
    /// The configuration is read again each second, with mistakes and without.
    ReloadedEachSecond,
    /// The server is stopped most of the time: what it stores takes long.
    ServerSlowed,
    /// A thousand checks of targets that hang are added, and removed.
    TargetsHang,
    /// Every target is down at once, and back at once.
    TargetsDown,
    /// The name server fails, or fails every other time.
    NamesFail,
    /// The name server does not answer.
    NamesHang,
}

/// Names the binary of an older version.
const OLDER: &str = "SUPERCHECK_TESTS_OLDER";

fn older() -> Option<PathBuf> {
    crate::setting(OLDER)
}

impl Kind {
    /// All that can be done on this machine; what cannot is said.
    pub fn all(scene: &Scene) -> Vec<Self> {
        let Some(server) = &scene.server else {
            let mut all = vec![Self::NodeCutOff, Self::ReloadedEachSecond];
            all.extend(Loss::ALL.map(Self::Node));
            all.extend(ON_A_CLUSTER.map(Self::Process));
            return all;
        };
        let mut all: Vec<_> = Fault::ALL.map(Self::Process).into();
        all.extend([
            Self::Process(Fault::ServerChanged),
            Self::AccountFull,
            Self::PayloadLimited,
            Self::CredentialsRevoked,
            Self::LinkHalfOpen,
            Self::DescriptorsExhausted,
            Self::ClockStepped,
            Self::ReloadedEachSecond,
            Self::ServerSlowed,
            Self::TargetsHang,
            Self::TargetsDown,
            Self::NamesFail,
            Self::NamesHang,
        ]);
        if server.disk().is_small() {
            all.push(Self::DiskFull);
        } else {
            eprintln!("skipped: a full disk needs a small one, which only root can mount");
        }
        if server.disk().can_be_frozen() {
            all.push(Self::DiskSlowed);
        } else {
            eprintln!(
                "skipped: a slow disk needs one that can be frozen, which only root can make"
            );
        }
        if older().is_some() {
            all.push(Self::DaemonChanged);
        } else {
            eprintln!("skipped: another version needs {OLDER}, the path of its binary");
        }
        if memory::is_there() {
            all.push(Self::MemoryExhausted);
        } else {
            eprintln!("skipped: a memory limit needs a cgroup, which only root can make");
        }
        all
    }

    /// What it is called in the table.
    pub fn name(self) -> String {
        let name = format!("{self:?}");
        let within = name.split_once('(').map(|(_, within)| within);
        within.map_or(name.clone(), |within| {
            within.trim_end_matches(')').to_owned()
        })
    }

    /// How many daemons it may cost the work in hand.
    fn reach(self) -> u64 {
        let all = crate::scene::DAEMONS as u64;
        match self {
            Self::Node(_)
            | Self::NodeCutOff
            | Self::DiskFull
            | Self::DiskSlowed
            | Self::AccountFull
            | Self::PayloadLimited
            | Self::ServerSlowed => all,
            Self::CredentialsRevoked
            | Self::LinkHalfOpen
            | Self::DescriptorsExhausted
            | Self::MemoryExhausted
            | Self::DaemonChanged
            | Self::ClockStepped => 1,
            // Noted by the stage.
            Self::Process(_) => 0,
            Self::ReloadedEachSecond
            | Self::TargetsHang
            | Self::TargetsDown
            | Self::NamesFail
            | Self::NamesHang => 0,
        }
    }

    /// Deals it to one or all, waits for a while, and makes it good.
    pub async fn befalls(self, scene: &mut Scene) {
        if let Self::Process(fault) = self {
            let blow: Blow = scene.stage.draw(&[fault]);
            return scene.stage.suffer(blow).await;
        }
        scene.stage.note(&self.name(), self.reach());
        let whom = scene.stage.random.usize(..SUFFER);
        let pause = Duration::from_millis(scene.stage.random.u64(300..3000));
        match self {
            Self::Process(_) => {}
            Self::Node(loss) => loss.befalls(&mut scene.stage, pause).await,
            Self::NodeCutOff => cut_off(scene, pause).await,
            Self::DiskSlowed => disk_slowed(scene, pause).await,
            Self::DiskFull => disk_full(scene, pause).await,
            Self::AccountFull => limited(scene, Limit::Room, pause).await,
            Self::PayloadLimited => limited(scene, Limit::Payload, pause).await,
            Self::CredentialsRevoked => revoked(scene, whom, pause).await,
            Self::LinkHalfOpen => {
                scene.stage.links[whom].swallow();
                tokio::time::sleep(pause).await;
                scene.stage.links[whom].mend();
            }
            Self::DescriptorsExhausted => without_descriptors(scene, whom, pause).await,
            Self::MemoryExhausted => {
                memory::exhaust(&mut scene.stage.daemons[whom]).await;
                scene.stage.daemons[whom].crash_and_start_again();
            }
            Self::DaemonChanged => {
                let daemon = &mut scene.stage.daemons[whom];
                assert!(daemon.stop().await.success(), "an older one stops, too");
                daemon.older = match daemon.older.take() {
                    None => older(),
                    Some(_) => None,
                };
                tokio::time::sleep(pause).await;
                daemon.start_again();
            }
            Self::ClockStepped => {
                let step = STEPS[scene.stage.random.usize(..STEPS.len())];
                scene.step_clock(whom, step);
                tokio::time::sleep(pause).await;
                scene.step_clock(whom, 0);
            }
            Self::ReloadedEachSecond => reloaded(scene, whom).await,
            Self::ServerSlowed => slowed(&scene.stage.servers[0], pause).await,
            Self::TargetsHang => hanging(scene).await,
            Self::TargetsDown => {
                scene.truth.all(false);
                tokio::time::sleep(pause).await;
                still_ready(scene).await;
                scene.truth.all(true);
            }
            Self::NamesFail | Self::NamesHang => {
                let says = match (self, scene.stage.random.bool()) {
                    (Self::NamesHang, _) => Says::Nothing,
                    (_, true) => Says::Failed,
                    (_, false) => Says::Turns,
                };
                scene.truth.names.say(says);
                tokio::time::sleep(pause).await;
                still_ready(scene).await;
                scene.truth.names.say(Says::Here);
            }
        }
    }
}

/// What befalls targets is no trouble of supercheck's.
async fn still_ready(scene: &Scene) {
    if !scene.calm {
        return;
    }
    for daemon in &scene.stage.daemons {
        if let Some((_, body)) = daemon.try_readyz().await {
            assert_eq!(body["nats"], "ready", "{body}");
        }
    }
}

async fn limited(scene: &mut Scene, limit: Limit, pause: Duration) {
    let [worse, well] = [limit, Limit::None].map(|limit| scene.server().config(limit));
    scene.stage.servers[0].reload(&worse);
    tokio::time::sleep(pause).await;
    scene.stage.servers[0].reload(&well);
}

async fn revoked(scene: &mut Scene, whom: usize, pause: Duration) {
    let server = scene.server();
    let [worse, well] = [Limit::Revoked(whom), Limit::None].map(|limit| server.config(limit));
    scene.stage.servers[0].reload(&worse);
    tokio::time::sleep(pause).await;
    if pause > NOTICED
        && let Some((code, body)) = scene.stage.daemons[whom].try_readyz().await
    {
        assert_eq!(code, 503, "it has no credentials: {body}");
    }
    scene.stage.servers[0].reload(&well);
}

async fn disk_full(scene: &mut Scene, pause: Duration) {
    scene.server().disk().fill();
    tokio::time::sleep(pause).await;
    scene.server().disk().free();
    // As an operator does who does not trust what could not be written.
    scene.stage.servers[0].kill();
    scene.stage.servers[0].start_again().await;
}

async fn cut_off(scene: &mut Scene, pause: Duration) {
    let node = scene.stage.random.usize(..scene.stage.servers.len());
    let ways = scene.ways.as_ref().expect("it is a cluster");
    ways.cut(node);
    // Often longer than the others wait until they stand for election.
    tokio::time::sleep(3 * pause).await;
    ways.mend();
}

/// A beat of half a second, of which the disk takes what is written for a tenth.
async fn disk_slowed(scene: &Scene, pause: Duration) {
    let ends = Instant::now() + pause;
    while Instant::now() < ends {
        let frozen = scene.server().disk().freeze();
        tokio::time::sleep(Duration::from_millis(400)).await;
        drop(frozen);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn without_descriptors(scene: &Scene, whom: usize, pause: Duration) {
    let pid = Some(scene.stage.daemons[whom].pid());
    // As it has inherited them.
    let usual = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        maximum: usual.maximum,
    };
    prlimit(pid, Resource::Nofile, none).unwrap();
    tokio::time::sleep(pause).await;
    prlimit(pid, Resource::Nofile, usual).unwrap();
}

/// Each second another file: one with a mistake, which changes nothing and is
/// said, and one with a check more or without.
async fn reloaded(scene: &Scene, whom: usize) {
    let refusals = |daemon: &Daemon| {
        let log = daemon.log();
        let messages = log.iter().filter_map(|line| line["message"].as_str());
        let refused = "configuration not reloaded; the old one stays";
        messages
            .filter(|message| message.starts_with(refused))
            .count()
    };
    let daemon = &scene.stage.daemons[whom];
    let path = daemon.config();
    let usual = fs::read_to_string(&path).unwrap();
    let more = format!(
        "{usual}[[check]]\nname = \"passing\"\nurl = \"{}\"\ninterval = \"1s\"\ntimeout = \"500ms\"\n",
        scene.truth.target.url("/passing")
    );
    let half = usual.trim_end().trim_end_matches('"');
    let unset = format!("{usual}tags = [\"${{env:NOT_SET_ANYWHERE}}\"]\n");
    for (text, good) in [
        (half, false),
        (&more, true),
        (&unset, false),
        (&usual, true),
    ] {
        let before = refusals(daemon);
        fs::write(&path, text).unwrap();
        daemon.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_secs(1)).await;
        still_ready(scene).await;
        let refused = refusals(daemon) - before;
        assert_eq!(refused, usize::from(!good), "refusals of {text}");
    }
}

/// A beat of a tenth of a second, of which little is left to it: whoever waits
/// for it to store something waits for long.
async fn slowed(server: &Nats, pause: Duration) {
    let ends = Instant::now() + pause;
    while Instant::now() < ends {
        server.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(80)).await;
        server.signal(Signal::CONT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn hanging(scene: &mut Scene) {
    let checks: String = (0..HANGING)
        .map(|n| {
            // Each at a host of its own.
            let (high, low, port) = (1 + n / 250, 1 + n % 250, scene.silent);
            format!(
                "[[check]]\nname = \"hang{n}\"\nurl = \"http://127.9.{high}.{low}:{port}/\"\ninterval = \"5s\"\ntimeout = \"4s\"\n"
            )
        })
        .collect();
    let daemons = &scene.stage.daemons;
    let paths: Vec<_> = daemons.iter().map(|daemon| daemon.config()).collect();
    let usual: Vec<_> = paths
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for (path, usual) in paths.iter().zip(&usual) {
        fs::write(path, format!("{usual}{checks}")).unwrap();
    }
    for daemon in daemons {
        daemon.signal(Signal::HUP);
    }
    // All of them hang by then.
    tokio::time::sleep(Duration::from_secs(6)).await;
    still_ready(scene).await;
    for (path, usual) in paths.iter().zip(usual) {
        fs::write(path, usual).unwrap();
    }
    for daemon in &scene.stage.daemons {
        daemon.signal(Signal::HUP);
    }
}
