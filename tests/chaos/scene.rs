//! What the faults befall: two daemons that share a schedule, their server and
//! the ways between them.

use std::{collections::BTreeMap, time::Duration};

use supercheck::trial;

use crate::{
    support::{
        daemon::Daemon,
        nats::Nats,
        proxy::Proxy,
        stage::Stage,
        target::{Answer, Target},
        wait,
    },
    truth::Truth,
};

/// Checks that are run on demand only.
pub const ASKED: usize = 4;
/// So long the server waits for a silent worker.
const ACK_WAIT: Duration = Duration::from_secs(2);

pub struct Scene {
    pub stage: Stage,
    pub truth: Truth,
}

impl Scene {
    pub async fn open(seed: u64) -> Self {
        let target = Target::start().await;
        let truth = Truth::of(target.clone(), seed);
        let server = Nats::start().await;
        let links = vec![Proxy::to(server.port).await, Proxy::to(server.port).await];
        let asked: String = (0..ASKED)
            .map(|n| {
                let path = format!("/c{n}");
                let answer = Answer::numbered().after(Duration::from_millis(150));
                target.set(&path, answer);
                let url = target.url(&path);
                format!(
                    "[[check]]\nname = \"c{n}\"\nurl = \"{url}\"\ninterval = \"365d\"\ntimeout = \"2s\"\n"
                )
            })
            .collect();
        let ack_wait = ACK_WAIT.as_millis().to_string();
        let daemons = links
            .iter()
            .enumerate()
            .map(|(n, link)| {
                let config = format!(
                    "[nats]\nurl = \"{}\"\n[scheduler]\nmode = \"shared\"\ninstance = \"i{n}\"\n{asked}{}",
                    link.url(),
                    truth.checks()
                );
                Daemon::serve_with(&config, &[], &[(trial::ACK_WAIT, &ack_wait)])
            })
            .collect();
        let stage = Stage {
            servers: vec![server],
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
        Self { stage, truth }
    }
}

/// What a daemon may complain of here, each line with something to do about it
/// or to know.
const COMPLAINTS: [&str; 9] = [
    "lost NATS; checks go on",
    "NATS is not there; checks go on",
    "NATS cannot be used; trying again",
    "a stream was gone, with what it held",
    "reports are not stored; the newest are kept",
    "configuration not reloaded; the old one stays",
    "starts skipped",
    "stopped ",
    "earlier summaries not read",
];

/// A few lines for each fault, and none that nobody can act on.
pub fn logs_are_short_and_of_use(stage: &Stage, faults: u64) {
    for daemon in &stage.daemons {
        let mut complaints = 0;
        for line in daemon.log() {
            let message = line["message"].as_str().unwrap_or_default();
            if line["level"] == "INFO" || message.contains("absent for part of each interval") {
                continue;
            }
            complaints += 1;
            let known = COMPLAINTS.iter().any(|known| message.starts_with(known));
            assert!(known, "of what use is this? {line}");
        }
        assert!(complaints <= 10 + 3 * faults, "{complaints} complaints");
    }
}
