//! Real processes that suffer real faults, at moments that a seed decides.

use std::{collections::BTreeMap, fs, time::Duration};

use rustix::process::Signal;

use super::{daemon::Daemon, nats::Nats, proxy::Proxy};

/// Releases that take turns on one store.
const RELEASES: [&str; 3] = ["2.10.26", "2.12.8", "2.15.1"];
/// What can be deleted without breaking a promise to who asked for a run.
const DELETED: [&str; 3] = ["OBJ_supercheck", "KV_supercheck_kv", "SUPERCHECK_HISTORY"];
/// So soon a closed connection is noticed.
const NOTICED: Duration = Duration::from_secs(1);

/// What can happen to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9, and a new start.
    DaemonKilled,
    /// SIGSTOP, and SIGCONT when others have taken over its work.
    DaemonPaused,
    /// SIGTERM, and a new start.
    DaemonRestarted,
    /// The TCP connection of a daemon is closed, and no new one opens.
    LinkCut,
    /// The TCP connection stays, and nothing passes.
    LinkStalled,
    /// kill -9, and a new start.
    ServerKilled,
    /// SIGSTOP and SIGCONT.
    ServerPaused,
    /// Lame-duck shutdown, and a new start.
    ServerLameDuck,
    /// kill -9, and another release starts on the same store.
    ServerChanged,
    /// A bucket of reports or summaries, or the history, is deleted.
    StreamDeleted,
    /// The consumer that all workers share is deleted.
    ConsumerDeleted,
    /// The configuration is read again, with mistakes and without.
    Reloaded,
}

impl Fault {
    /// All that requests are promised to survive, on one server.
    pub const ALL: [Self; 11] = [
        Self::DaemonKilled,
        Self::DaemonPaused,
        Self::DaemonRestarted,
        Self::LinkCut,
        Self::LinkStalled,
        Self::ServerKilled,
        Self::ServerPaused,
        Self::ServerLameDuck,
        Self::StreamDeleted,
        Self::ConsumerDeleted,
        Self::Reloaded,
    ];

    /// How many of `daemons` it may cost the work in hand.
    pub const fn reach(self, daemons: u64) -> u64 {
        match self {
            Self::DaemonKilled
            | Self::DaemonPaused
            | Self::DaemonRestarted
            | Self::LinkCut
            | Self::LinkStalled => 1,
            Self::StreamDeleted | Self::Reloaded => 0,
            Self::ServerKilled
            | Self::ServerPaused
            | Self::ServerLameDuck
            | Self::ServerChanged
            | Self::ConsumerDeleted => daemons,
        }
    }
}

/// A fault and whom it befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blow {
    pub fault: Fault,
    whom: usize,
}

/// The processes, each daemon behind a proxy of its own where there is one.
pub struct Stage {
    pub servers: Vec<Nats>,
    pub links: Vec<Proxy>,
    pub daemons: Vec<Daemon>,
    /// So many of them, the last ones, are left alone.
    pub witnesses: usize,
    /// A pause is as long as the server waits for a silent worker, and more.
    pub pause: Duration,
    pub random: fastrand::Rng,
    /// How often which fault was dealt.
    pub injected: BTreeMap<String, u64>,
    /// How many daemons faults may have cost the work in hand, in all.
    pub reached: u64,
}

impl Stage {
    /// A random one of `faults`.
    pub fn draw(&mut self, faults: &[Fault]) -> Blow {
        let fault = faults[self.random.usize(..faults.len())];
        let those = match fault {
            Fault::DaemonKilled
            | Fault::DaemonPaused
            | Fault::DaemonRestarted
            | Fault::Reloaded => self.daemons.len() - self.witnesses,
            Fault::LinkCut | Fault::LinkStalled => self.links.len(),
            Fault::ServerKilled
            | Fault::ServerPaused
            | Fault::ServerLameDuck
            | Fault::ServerChanged
            | Fault::StreamDeleted
            | Fault::ConsumerDeleted => self.servers.len(),
        };
        let whom = self.random.usize(..those);
        Blow { fault, whom }
    }

    /// Deals `blow`, waits for a while, and makes it good.
    pub async fn suffer(&mut self, blow: Blow) {
        let reach = blow.fault.reach(self.daemons.len() as u64);
        self.note(&format!("{:?}", blow.fault), reach);
        self.deal(blow).await;
        let pause = if blow.fault == Fault::DaemonPaused {
            self.pause
        } else {
            Duration::from_millis(self.random.u64(100..2500))
        };
        tokio::time::sleep(pause).await;
        if pause > NOTICED {
            self.tells(blow).await;
        }
        self.make_good(blow).await;
    }

    /// Notes a fault, and how many daemons it may cost the work in hand.
    pub fn note(&mut self, fault: &str, reach: u64) {
        *self.injected.entry(fault.to_owned()).or_default() += 1;
        self.reached += reach;
    }

    /// Who has lost NATS must say so.
    async fn tells(&self, Blow { fault, whom }: Blow) {
        let lost = if fault == Fault::LinkCut {
            &self.daemons[whom..=whom]
        } else if fault == Fault::ServerKilled && self.servers.len() == 1 {
            &self.daemons[..]
        } else {
            return;
        };
        for daemon in lost {
            // One that has just been started may not have begun to listen.
            if let Some((code, body)) = daemon.try_readyz().await {
                assert_eq!(code, 503, "{fault:?}: {body}");
            }
        }
    }

    async fn deal(&mut self, Blow { fault, whom }: Blow) {
        match fault {
            Fault::DaemonKilled => self.daemons[whom].kill(),
            Fault::DaemonPaused => self.daemons[whom].signal(Signal::STOP),
            Fault::DaemonRestarted => drop(self.daemons[whom].stop().await),
            Fault::LinkCut => self.links[whom].cut(),
            Fault::LinkStalled => self.links[whom].stall(),
            Fault::ServerKilled => self.servers[whom].kill(),
            Fault::ServerPaused => self.servers[whom].signal(Signal::STOP),
            Fault::ServerLameDuck => self.servers[whom].signal(Signal::USR2),
            Fault::ServerChanged => {
                self.servers[whom].kill();
                let release = RELEASES[self.random.usize(..RELEASES.len())];
                self.servers[whom].change_release(release);
            }
            Fault::StreamDeleted => {
                let name = DELETED[self.random.usize(..DELETED.len())];
                let js = self.servers[whom].jetstream().await;
                // It may have been deleted a moment before.
                drop(js.delete_stream(name).await);
            }
            Fault::ConsumerDeleted => {
                let js = self.servers[whom].jetstream().await;
                if let Ok(queue) = js.get_stream("SUPERCHECK_REQUESTS").await {
                    drop(queue.delete_consumer("workers").await);
                }
            }
            Fault::Reloaded => {
                let path = self.daemons[whom].config();
                let good = fs::read_to_string(&path).unwrap();
                fs::write(&path, format!("{good}\n[[check]]\nurl = 7\n")).unwrap();
                self.daemons[whom].signal(Signal::HUP);
                tokio::time::sleep(Duration::from_millis(300)).await;
                fs::write(&path, good).unwrap();
                self.daemons[whom].signal(Signal::HUP);
            }
        }
    }

    async fn make_good(&mut self, Blow { fault, whom }: Blow) {
        match fault {
            Fault::DaemonKilled | Fault::DaemonRestarted => {
                self.daemons[whom].crash_and_start_again();
            }
            Fault::DaemonPaused => self.daemons[whom].signal(Signal::CONT),
            Fault::LinkCut | Fault::LinkStalled => self.links[whom].mend(),
            Fault::ServerPaused => self.servers[whom].signal(Signal::CONT),
            Fault::StreamDeleted | Fault::ConsumerDeleted | Fault::Reloaded => {}
            Fault::ServerKilled | Fault::ServerLameDuck => {
                // Lame duck alone takes its time: the rest of it is a crash.
                self.servers[whom].kill();
                self.servers[whom].start_again().await;
            }
            Fault::ServerChanged => {
                self.servers[whom].start_again().await;
                // Whoever changes releases waits for what depends on them.
                self.settled().await;
            }
        }
    }

    /// Waits until every daemon can use NATS.
    pub async fn settled(&self) {
        for daemon in &self.daemons {
            daemon.ready().await;
        }
    }
}
