//! CPU, memory and punctuality at a rate, next to the bare loop.

use super::{Length, Seen, ratio, sum};
use crate::{
    figures::{
        Figures,
        Goal::{self, AtLeast, AtMost},
        Values,
    },
    machine, nats,
    processes::{self, Daemon, Nats, Plan, Target},
};

/// What a row is meant to be.
#[derive(Clone, Copy)]
struct Goals {
    ratio: Goal,
    together: Goal,
    p99: Goal,
    missed: Goal,
    memory: Goal,
    rate: Goal,
}

impl Goals {
    const NONE: Self = Self {
        ratio: Goal::None,
        together: Goal::None,
        p99: Goal::None,
        missed: Goal::None,
        memory: Goal::None,
        rate: Goal::None,
    };
}

/// Three rates, one host.
pub async fn rates(length: Length, figures: &mut Figures) {
    let slow = Goals {
        ratio: AtMost(0.8),
        ..Goals::NONE
    };
    compare("100/s", Plan::new(1_000, 10_000), length, slow, figures).await;
    let middle = Goals {
        ratio: AtMost(1.0),
        together: AtMost(1.8),
        p99: AtMost(5.0),
        missed: AtMost(0.0),
        memory: AtMost(40.0),
        ..Goals::NONE
    };
    compare(
        "1,000/s",
        Plan::new(10_000, 10_000),
        length,
        middle,
        figures,
    )
    .await;
    let fast = Goals {
        ratio: AtMost(2.5),
        p99: AtMost(10.0),
        missed: AtMost(0.0),
        rate: AtLeast(9_990.0),
        ..Goals::NONE
    };
    compare("10,000/s", Plan::new(10_000, 1_000), length, fast, figures).await;
}

/// As many hosts as can be: what a kept connection takes.
pub async fn hosts(length: Length, figures: &mut Figures) {
    let plan = Plan {
        hosts: 9_000,
        ..Plan::new(10_000, 10_000)
    };
    // Every host has been asked, so that every connection is there.
    let length = Length {
        rounds: 1,
        windows: 1,
        settle: std::time::Duration::from_secs(11),
        ..length
    };
    let goals = Goals {
        memory: AtMost(60.0),
        ..Goals::NONE
    };
    let target = Target::start();
    alone(
        "9,000 hosts, 1,000/s",
        &target,
        plan,
        length,
        goals,
        figures,
    )
    .await;
}

/// A hundred thousand checks.
pub async fn many(length: Length, figures: &mut Figures) {
    let goals = Goals {
        ratio: AtMost(1.0),
        p99: AtMost(5.0),
        missed: AtMost(0.0),
        memory: AtMost(400.0),
        ..Goals::NONE
    };
    let length = Length {
        rounds: 1,
        ..length
    };
    let plan = Plan::new(100_000, 60_000);
    compare("100,000 checks, 1,667/s", plan, length, goals, figures).await;
}

/// Larger bodies.
pub async fn sizes(length: Length, figures: &mut Figures) {
    for (row, checks, size) in [
        ("10 KB bodies, 1,000/s", 1_000, 10_000),
        ("300 KB bodies, 20/s", 20, 300_000),
    ] {
        let plan = Plan {
            size,
            ..Plan::new(checks, 1_000)
        };
        let length = Length {
            rounds: 1,
            ..length
        };
        compare(row, plan, length, Goals::NONE, figures).await;
    }
}

/// Over TLS, on connections that are kept.
pub async fn tls(length: Length, figures: &mut Figures) {
    let plan = Plan {
        tls: true,
        ..Plan::new(10_000, 10_000)
    };
    let length = Length {
        rounds: 1,
        ..length
    };
    compare("TLS, 1,000/s", plan, length, Goals::NONE, figures).await;
}

/// The same checks, shared by one, two and three instances.
pub async fn instances(length: Length, figures: &mut Figures) {
    let target = Target::start();
    let plan = Plan {
        shared: true,
        ..Plan::new(10_000, 10_000)
    };
    for (row, count) in [
        ("shared, 1 instance, 1,000/s", 1),
        ("shared, 2 instances, 1,000/s", 2),
        ("shared, 3 instances, 1,000/s", 3),
    ] {
        target.forget();
        let server = Nats::start().await;
        let mut daemons = Vec::new();
        for _ in 0..count {
            daemons.push(Daemon::start(&target, &plan, &server.url, &[]));
        }
        for daemon in &daemons {
            daemon.ready().await;
        }
        let mut programs = vec![&server.process];
        programs.extend(daemons.iter().map(|daemon| &daemon.process));
        let mut seen = Seen::default();
        seen.look(&target, &programs, length).await;
        let all = seen.cpu[2..]
            .iter()
            .fold(seen.cpu[1].clone(), |all, one| sum(&all, one));
        let memory = daemons
            .iter()
            .map(|daemon| machine::memory(daemon.process.id()));
        let memory = Values(memory.collect());
        figures.note(row, "checks", seen.rate, "/s", Goal::None);
        figures.note(
            row,
            "supercheck: CPU per check, together",
            all,
            "us",
            Goal::None,
        );
        figures.note(
            row,
            "nats-server: CPU per check",
            seen.cpu[0].clone(),
            "us",
            Goal::None,
        );
        figures.note(row, "start deviation p99", seen.p99, "ms", Goal::None);
        figures.note(row, "slots missed", seen.missed, "", Goal::None);
        figures.note(row, "supercheck: memory, each", memory, "MB", Goal::None);
    }
}

async fn compare(row: &str, plan: Plan, length: Length, goals: Goals, figures: &mut Figures) {
    let target = Target::start();
    let (mut bare, mut bare_memory) = (Seen::default(), Values::default());
    let rounds = Length {
        rounds: 1,
        ..length
    };
    let mut all = Daemons::default();
    for _ in 0..length.rounds {
        target.forget();
        let process = processes::bare(&target, &plan);
        bare.look(&target, &[&process], length).await;
        bare_memory.0.push(machine::memory(process.id()));
        drop(process);
        all.round(&target, &plan, rounds).await;
    }
    figures.note(
        row,
        "bare loop: CPU per check",
        bare.cpu[0].clone(),
        "us",
        Goal::None,
    );
    figures.note(row, "bare loop: memory", bare_memory, "MB", Goal::None);
    figures.note(row, "bare loop: deviation p99", bare.p99, "ms", Goal::None);
    let daemon = &all.seen.cpu[0];
    let together = sum(daemon, &all.seen.cpu[1]);
    figures.note(
        row,
        "supercheck / bare loop",
        ratio(daemon, &bare.cpu[0]),
        "",
        goals.ratio,
    );
    let what = "with nats-server / bare loop";
    figures.note(
        row,
        what,
        ratio(&together, &bare.cpu[0]),
        "",
        goals.together,
    );
    all.note(row, goals, figures);
}

async fn alone(
    row: &str,
    target: &Target,
    plan: Plan,
    length: Length,
    goals: Goals,
    figures: &mut Figures,
) {
    let mut all = Daemons::default();
    for _ in 0..length.rounds {
        all.round(target, &plan, length).await;
    }
    all.note(row, goals, figures);
}

/// What was seen of daemons, one started after the other.
#[derive(Default)]
struct Daemons {
    seen: Seen,
    memory: Values,
    server_memory: Values,
    unstored: f64,
}

impl Daemons {
    async fn round(&mut self, target: &Target, plan: &Plan, length: Length) {
        target.forget();
        let server = Nats::start().await;
        // Each check's first run is told, announced and connects: those are
        // over before the first window.
        let daemon = Daemon::start(target, plan, &server.url, &["--fast-start"]);
        daemon.ready().await;
        let before = self.seen.asked;
        let programs = [&daemon.process, &server.process];
        self.seen.look(target, &programs, length).await;
        self.memory.0.push(machine::memory(daemon.process.id()));
        self.server_memory
            .0
            .push(machine::memory(server.process.id()));
        let log = daemon.log();
        daemon.process.stop();
        let asked = self.seen.asked - before + target.window().asked;
        let stored = nats::stored(&nats::client(&server.url).await).await;
        self.unstored += asked as f64 - stored as f64;
        for line in log
            .lines()
            .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        {
            eprintln!("{line}");
        }
    }

    fn note(self, row: &str, goals: Goals, figures: &mut Figures) {
        let Self {
            seen,
            memory,
            server_memory,
            unstored,
        } = self;
        figures.note(row, "checks", seen.rate, "/s", goals.rate);
        figures.note(
            row,
            "supercheck: CPU per check",
            seen.cpu[0].clone(),
            "us",
            Goal::None,
        );
        figures.note(
            row,
            "nats-server: CPU per check",
            seen.cpu[1].clone(),
            "us",
            Goal::None,
        );
        figures.note(row, "start deviation p99", seen.p99, "ms", goals.p99);
        figures.note(row, "start deviation mean", seen.mean, "ms", Goal::None);
        figures.note(row, "slots missed", seen.missed, "", goals.missed);
        figures.note(row, "answers not stored", unstored, "", goals.missed);
        figures.note(row, "supercheck: memory", memory, "MB", goals.memory);
        figures.note(row, "nats-server: memory", server_memory, "MB", Goal::None);
        figures.note(row, "others", seen.others, "cores", Goal::None);
    }
}
