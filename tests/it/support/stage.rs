//! Real processes that suffer real faults, at moments that a seed decides.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::Signal;

use super::{daemon::Daemon, nats::Nats, proxy::Proxy};

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
}

impl Fault {
    /// All that requests are promised to survive.
    pub const ALL: [Self; 8] = [
        Self::DaemonKilled,
        Self::DaemonPaused,
        Self::DaemonRestarted,
        Self::LinkCut,
        Self::LinkStalled,
        Self::ServerKilled,
        Self::ServerPaused,
        Self::ServerLameDuck,
    ];

    /// How many of `daemons` it may cost the work in hand.
    pub const fn reach(self, daemons: u64) -> u64 {
        match self {
            Self::DaemonKilled
            | Self::DaemonPaused
            | Self::DaemonRestarted
            | Self::LinkCut
            | Self::LinkStalled => 1,
            Self::ServerKilled | Self::ServerPaused | Self::ServerLameDuck => daemons,
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
    /// A pause is as long as the server waits for a silent worker, and more.
    pub pause: Duration,
    pub random: fastrand::Rng,
    pub injected: BTreeMap<Fault, u64>,
}

impl Stage {
    /// A random one of `faults`.
    pub fn draw(&mut self, faults: &[Fault]) -> Blow {
        let fault = faults[self.random.usize(..faults.len())];
        let those = match fault {
            Fault::DaemonKilled | Fault::DaemonPaused | Fault::DaemonRestarted => {
                self.daemons.len()
            }
            Fault::LinkCut | Fault::LinkStalled => self.links.len(),
            Fault::ServerKilled | Fault::ServerPaused | Fault::ServerLameDuck => self.servers.len(),
        };
        let whom = self.random.usize(..those);
        Blow { fault, whom }
    }

    /// Deals `blow`, waits for a while, and makes it good.
    pub async fn suffer(&mut self, blow: Blow) {
        *self.injected.entry(blow.fault).or_default() += 1;
        self.deal(blow).await;
        let pause = if blow.fault == Fault::DaemonPaused {
            self.pause
        } else {
            Duration::from_millis(self.random.u64(100..2500))
        };
        tokio::time::sleep(pause).await;
        self.make_good(blow).await;
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
            Fault::ServerKilled | Fault::ServerLameDuck => {
                // Lame duck alone takes its time: the rest of it is a crash.
                self.servers[whom].kill();
                self.servers[whom].start_again().await;
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
