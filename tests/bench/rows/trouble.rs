//! NATS that pauses, and targets that hang.

use std::{
    io::Write as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{Length, Seen};
use crate::{
    figures::{
        Figures,
        Goal::{self, AtMost},
    },
    nats,
    processes::{Daemon, Nats, Plan, Target},
};

/// The nats-server stands still for five seconds.
pub async fn pause(figures: &mut Figures) {
    let row = "NATS pauses 5 s, 1,000/s";
    let target = Target::start();
    let server = Nats::start().await;
    let plan = Plan::new(10_000, 10_000);
    let daemon = Daemon::start(&target, &plan, &server.url, &[]);
    daemon.ready().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut asked = target.window().asked;
    let client = nats::client(&server.url).await;
    server.process.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let during = target.window();
    asked += during.asked;
    server.process.signal(Signal::CONT);
    let woken = Instant::now();
    // What was measured before the pause ended is stored, when that many are.
    while nats::stored(&client).await < asked {
        assert!(woken.elapsed() < Duration::from_secs(60), "never written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let written = woken.elapsed().as_secs_f64();
    figures.note(row, "slots missed", during.missed as f64, "", AtMost(0.0));
    figures.note(row, "deviation p99 meanwhile", during.p99, "ms", Goal::None);
    figures.note(row, "backlog", during.asked as f64, "reports", Goal::None);
    figures.note(row, "backlog written after", written, "s", AtMost(2.0));
}

/// Readers who have asked for everything and read nothing: one of the HTTP
/// face's events, one of NATS.
pub async fn slow(length: Length, figures: &mut Figures) {
    let row = "slow readers, 1,000/s";
    let target = Target::start();
    let server = Nats::start().await;
    let plan = Plan::new(10_000, 10_000);
    let daemon = Daemon::start(&target, &plan, &server.url, &["--fast-start"]);
    daemon.ready().await;
    let programs = [&daemon.process, &server.process];
    let (mut without, mut with) = (Seen::default(), Seen::default());
    without.look(&target, &programs, length).await;
    let events = daemon.url("/api/v1/events");
    let mut follower = connect(events.trim_start_matches("http://"));
    let asked =
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    follower.write_all(asked.as_bytes()).unwrap();
    let mut subscriber = connect(server.url.trim_start_matches("nats://"));
    let asked = "CONNECT {\"verbose\":false}\r\nSUB > 1\r\n";
    subscriber.write_all(asked.as_bytes()).unwrap();
    with.look(&target, &programs, length).await;
    let grown = with.p99.median() - without.p99.median();
    figures.note(row, "deviation p99", with.p99, "ms", Goal::None);
    figures.note(row, "deviation p99, grown by", grown, "ms", AtMost(1.0));
    figures.note(row, "slots missed", with.missed, "", AtMost(0.0));
    drop((follower, subscriber));
}

/// A connection to the host and port that `place` begins with.
fn connect(place: &str) -> TcpStream {
    TcpStream::connect(place.split('/').next().unwrap()).unwrap()
}

/// A tenth of the targets takes connections and hangs; once without them, and
/// once with them, in turn.
pub async fn dead(length: Length, figures: &mut Figures) {
    let row = "1,000 dead targets among 10,000";
    let target = Target::with_dead();
    let (mut without, mut with) = (Seen::default(), Seen::default());
    for _ in 0..length.rounds {
        for (dead, seen) in [(0, &mut without), (1_000, &mut with)] {
            let plan = Plan {
                dead,
                ..Plan::new(9_000 + dead, 10_000)
            };
            target.forget();
            let server = Nats::start().await;
            let daemon = Daemon::start(&target, &plan, &server.url, &[]);
            daemon.ready().await;
            let programs = [&daemon.process, &server.process];
            seen.look(&target, &programs, length).await;
            daemon.process.stop();
        }
    }
    let more = with.p99.median() - without.p99.median();
    figures.note(
        row,
        "deviation p99 without them",
        without.p99,
        "ms",
        Goal::None,
    );
    figures.note(
        row,
        "deviation p99 of the others",
        with.p99,
        "ms",
        Goal::None,
    );
    figures.note(row, "difference", more, "ms", AtMost(1.0));
    figures.note(
        row,
        "slots of the others missed",
        with.missed,
        "",
        AtMost(0.0),
    );
    figures.note(row, "others", with.others, "cores", Goal::None);
}
