//! Names that lead nowhere, and name servers that misbehave.

use std::sync::Arc;

use tokio::{net::UdpSocket, task::JoinSet};

use super::*;
use crate::probe::resolve::Resolver;

/// A name server that turns each question into an answer, or keeps silent.
struct NameServer {
    prober: Prober,
    _tasks: JoinSet<()>,
}

impl NameServer {
    async fn new(answer: impl Fn(&mut Vec<u8>) -> bool + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = Resolver::asking(socket.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let mut message = buffer[..length].to_vec();
                if answer(&mut message) {
                    socket.send_to(&message, from).await.unwrap();
                }
            }
        });
        let settings = ProberSettings {
            lean: LEAN,
            ..ProberSettings::default()
        };
        Self {
            prober: Prober::looking_up(&settings, Arc::new(resolver)).unwrap(),
            _tasks: tasks,
        }
    }

    /// Says `code` to every question.
    async fn saying(code: u8) -> Self {
        Self::new(move |message| {
            message[2] |= 0x80;
            message[3] = code;
            true
        })
        .await
    }

    async fn ask(&self, timeout: Duration) -> Observation {
        let question = get("http://health.example/");
        let observation = self.prober.probe(&question, timeout).await;
        let healthy = Listening::answering(OK).await;
        let next = self.prober.probe(&get(&healthy.url("/")), LONG).await;
        assert_eq!(answer(&next).body, "ok", "an address needs no name server");
        observation
    }
}

#[tokio::test]
async fn a_name_without_address_is_said_so() {
    let observation = observe(&get("http://nowhere.invalid/"), LONG).await;
    let failure = failure(&observation);
    assert_eq!(
        failure,
        &Failure::NameNotFound("nowhere.invalid".to_owned())
    );
    assert_eq!(observation.phases.connect, None);
}

#[tokio::test]
async fn a_silent_name_server_times_out_looking_up() {
    let server = NameServer::new(|_| false).await;
    let observation = server.ask(SHORT).await;
    timed_out(&observation, Phase::Dns);
    assert_eq!(
        (observation.phases.dns, observation.phases.connect),
        (None, None)
    );
}

#[tokio::test]
async fn a_name_server_that_does_not_know_is_told_from_one_that_fails() {
    const SERVER_FAILURE: u8 = 2;
    const NO_SUCH_NAME: u8 = 3;
    const REFUSED: u8 = 5;
    let observation = NameServer::saying(NO_SUCH_NAME).await.ask(LONG).await;
    let unknown = Failure::NameNotFound("health.example".to_owned());
    assert_eq!(failure(&observation), &unknown);
    for code in [SERVER_FAILURE, REFUSED] {
        let observation = NameServer::saying(code).await.ask(LONG).await;
        let failure = failure(&observation);
        assert!(matches!(failure, Failure::Lookup(_)), "{failure:?}");
    }
}
