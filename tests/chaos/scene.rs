//! What the faults befall: three daemons that share a schedule, and their
//! server with the ways between them, or a cluster of three servers. The third
//! is a witness, which nothing befalls but what befalls the servers.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use supercheck::trial;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    decoy::{ALLOWED, Decoy},
    lag::Lag,
    names::Names,
    nodes::Ways,
    secrets::{HEADER, PASSWORD},
    server::Server,
    support::{
        daemon::Daemon,
        nats::Nats,
        proxy::Proxy,
        roles,
        stage::Stage,
        target::{Answer, Target},
        wait,
    },
    truth::Truth,
};

/// Checks that are run on demand only.
pub const ASKED: usize = 4;
/// The daemons, and how many of them suffer.
pub const DAEMONS: usize = 3;
pub const SUFFER: usize = 2;
/// So long a cluster takes at most until streams without a leader have one:
/// who follows waits for 4 s to 9 s, and then stands for election.
const ELECTION: Duration = Duration::from_secs(10);
/// So long the server waits for a silent worker.
const ACK_WAIT: Duration = Duration::from_secs(2);

pub struct Scene {
    pub stage: Stage,
    pub truth: Truth,
    /// What nobody may reach through the daemons.
    pub decoy: Decoy,
    /// Whether everything was well when the last fault was dealt.
    pub calm: bool,
    /// The port of targets that take a connection and never answer.
    pub silent: u16,
    /// How far each daemon's clock is ahead.
    clocks: TempDir,
    /// How the one server is run; a cluster's are left as they are. Dropped
    /// after the processes that use its disk.
    pub server: Option<Server>,
    /// How the nodes of a cluster reach each other.
    pub ways: Option<Ways>,
}

impl Scene {
    /// One server, and a way to it for each daemon that suffers.
    pub async fn open(seed: u64) -> Self {
        let server = Server::new(DAEMONS);
        let nats = server.start().await;
        let links = vec![Proxy::to(nats.port).await, Proxy::to(nats.port).await];
        let mut scene = Self::set(vec![nats], links, seed).await;
        scene.server = Some(server);
        scene
    }

    /// Three servers, and everything stored on each of them.
    pub async fn cluster(seed: u64) -> Self {
        let (nodes, ways) = Ways::lay(&account("jetstream: enabled", 0..DAEMONS)).await;
        let mut scene = Self::set(nodes, Vec::new(), seed).await;
        scene.ways = Some(ways);
        scene
    }

    async fn set(servers: Vec<Nats>, links: Vec<Proxy>, seed: u64) -> Self {
        let target = Target::start().await;
        let mut truth = Truth::of(target.clone(), Names::start().await, Lag::measure(), seed);
        if servers.len() > 1 {
            truth.patience += ELECTION;
        }
        let clocks = tempfile::tempdir().unwrap();
        let checks = format!("{}{}", asked(&target), truth.checks());
        let replicas = servers.len();
        let all = servers.iter().map(Nats::url).collect::<Vec<_>>().join(",");
        let daemons = (0..DAEMONS)
            .map(|n| {
                let url = links.get(n).map_or_else(|| all.clone(), Proxy::url);
                let config = format!(
                    "[nats]\nurl = \"{url}\"\nuser = \"i{n}\"\npassword = \"{PASSWORD}\"\ninbox_prefix = \"_INBOX_supercheck\"\n[store]\nreplicas = {replicas}\n[requests]\nkeep = \"6h\"\n{ALLOWED}[defaults]\nheaders = {{ X-Key = \"{HEADER}\" }}\n[scheduler]\nmode = \"shared\"\ninstance = \"i{n}\"\n{checks}"
                );
                serve(&config, &clock(&clocks, n), &truth)
            })
            .collect();
        let stage = Stage {
            servers,
            links,
            daemons,
            witnesses: DAEMONS - SUFFER,
            pause: ACK_WAIT + Duration::from_millis(1500),
            random: fastrand::Rng::with_seed(seed),
            injected: BTreeMap::new(),
            reached: 0,
        };
        let scene = Self {
            stage,
            truth,
            decoy: Decoy::start().await,
            calm: true,
            silent: silent().await,
            clocks,
            server: None,
            ways: None,
        };
        scene.stage.settled().await;
        let client = scene.stage.servers[0].client().await;
        wait::until("the service listens", async || {
            client.request("supercheck.list", "".into()).await.ok()
        })
        .await;
        scene
    }

    /// How the one server is run, which no fault of a cluster asks for.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it is one server")
    }

    /// Sets a daemon's clock.
    pub fn step_clock(&self, whom: usize, ahead: i64) {
        // What it writes meanwhile may be of either time.
        self.truth.clock(&format!("i{whom}"), ahead);
        let path = clock(&self.clocks, whom);
        // In one step: it is read at any moment.
        let new = path.with_extension("new");
        fs::write(&new, ahead.to_string()).unwrap();
        fs::rename(new, path).unwrap();
    }
}

/// Who may use a server, with more of the account's settings: these daemons,
/// readers, requesters, and the operator, who deals the faults.
pub fn account(more: &str, daemons: impl Iterator<Item = usize>) -> String {
    let names: Vec<_> = daemons.map(|n| format!("i{n}")).collect();
    roles::account(more, &names, PASSWORD)
}

fn clock(clocks: &TempDir, n: usize) -> PathBuf {
    clocks.path().join(format!("i{n}"))
}

fn serve(config: &str, clock: &std::path::Path, truth: &Truth) -> Daemon {
    fs::write(clock, "0").unwrap();
    let ack_wait = ACK_WAIT.as_millis().to_string();
    let names = truth.names.address().to_string();
    let env = [
        (trial::ACK_WAIT, ack_wait.as_str()),
        (trial::NAME_SERVER, &names),
        (trial::CLOCK_AHEAD, clock.to_str().unwrap()),
    ];
    Daemon::serve_with(config, &[], &env)
}

/// Checks whose answers are numbered, and take long enough that a fault meets
/// them in flight.
fn asked(target: &Target) -> String {
    let check = |n: usize| {
        let path = format!("/c{n}");
        let answer = Answer::numbered().after(Duration::from_millis(150));
        target.set(&path, answer);
        let url = target.url(&path);
        format!(
            "[[check]]\nname = \"c{n}\"\nurl = \"{url}\"\ninterval = \"365d\"\ntimeout = \"2s\"\n"
        )
    };
    (0..ASKED).map(check).collect()
}

/// Takes connections at every address of this host, and says nothing.
async fn silent() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.push(stream);
            if taken.len() > 2000 {
                taken.drain(..1000);
            }
        }
    });
    port
}

/// What a daemon may complain of here, each line with something to do about it
/// or to know.
const COMPLAINTS: [&str; 13] = [
    "lost NATS; checks go on",
    "NATS is not there; checks go on",
    "NATS cannot be used; trying again",
    "a stream was gone, with what it held",
    "reports are not stored; the newest are kept",
    "configuration not reloaded; the old one stays",
    "starts skipped",
    "stopped ",
    "earlier summaries not read",
    "probes cannot be made",
    "the NATS server refused something",
    "readers leave many consumers",
    "requests were left in the queue",
];

/// A few lines for each fault, and none that nobody can act on.
pub fn logs_are_short_and_of_use(daemon: &Daemon, faults: u64) -> Result<usize, String> {
    let mut complaints = 0;
    let log = daemon.log();
    for line in &log {
        let message = line["message"].as_str().unwrap_or_default();
        if line["level"] == "INFO" || message.contains("absent for part of each interval") {
            continue;
        }
        complaints += 1;
        if line.to_string().contains("Permissions Violation") {
            return Err(format!("its role lacks something: {line}"));
        }
        if !COMPLAINTS.iter().any(|known| message.starts_with(known)) {
            return Err(format!("of what use is this? {line}"));
        }
    }
    let most = 10 + 3 * usize::try_from(faults).unwrap();
    if complaints > most {
        return Err(format!("{complaints} complaints of {faults} faults"));
    }
    Ok(complaints)
}
