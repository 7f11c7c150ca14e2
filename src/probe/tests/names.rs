//! Names that lead nowhere, or elsewhere the next time, and name servers that
//! misbehave.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::UdpSocket, task::JoinSet};

use super::{target::Accepted, *};
use crate::{
    check::Family,
    probe::resolve::Resolver,
    request::{Allowance, UrlPattern},
};

/// What is asked for, of a question without additions.
fn asks_for_v4(message: &[u8]) -> bool {
    let name = message[12..].iter().position(|byte| *byte == 0).unwrap();
    message[12 + name + 2] == 1
}

/// Makes a question an answer: the name is at these addresses, for no time.
fn answer_with(message: &mut Vec<u8>, addresses: &[Ipv4Addr]) {
    let name = message[12..].iter().position(|byte| *byte == 0).unwrap();
    let addresses = if asks_for_v4(message) { addresses } else { &[] };
    message.truncate(12 + name + 5);
    message[2] |= 0x80;
    message[3] = 0x80;
    message[6..12].fill(0);
    message[7] = u8::try_from(addresses.len()).unwrap();
    for address in addresses {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        message.extend(address.octets());
    }
}

/// Asked again and again, says that the name is at these addresses in turn.
async fn rebinding(turns: &'static [&'static [Ipv4Addr]]) -> (NameServer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = NameServer::new(move |message| {
        let turn = if asks_for_v4(message) {
            count.fetch_add(1, Ordering::SeqCst)
        } else {
            0
        };
        answer_with(message, turns[turn.min(turns.len() - 1)]);
        true
    });
    (server.await, asked)
}

/// What a stranger asks: only `allowed` counts as public beside what is.
fn stranger(url: &str, allowed: &str) -> Target {
    stranger_to(url, &["http://*:*/*"], allowed)
}

/// The same, where only `urls` may be asked.
fn stranger_to(url: &str, urls: &[&str], allowed: &str) -> Target {
    let mut target = get(url);
    target.route_mut().fresh = true;
    target.route_mut().guard = Some(Arc::new(Allowance {
        urls: urls
            .iter()
            .map(|url| UrlPattern::parse(url).unwrap())
            .collect(),
        networks: vec![allowed.parse().unwrap()],
    }));
    target
}

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

/// The same port on two addresses of this host: one that is allowed, and one
/// that is not.
async fn twins(path: &'static str) -> (Listening, Listening) {
    let answer = to(302, path);
    let serve = move |mut accepted: Accepted| {
        let answer = answer.clone();
        async move {
            let request = accepted.request().await.unwrap_or_default();
            let first = request.starts_with("GET /go ");
            accepted.say(if first { &answer } else { OK }).await
        }
    };
    for _ in 0..20 {
        let public = Listening::serving_at("127.0.0.2:0", serve.clone())
            .await
            .unwrap();
        let inner = format!("127.0.0.1:{}", public.port());
        if let Ok(inner) = Listening::serving_at(&inner, serve.clone()).await {
            return (public, inner);
        }
    }
    panic!("no port is free on both addresses");
}

/// Says that every name is at `127.0.0.1` and at `::1`.
async fn dual() -> NameServer {
    NameServer::new(|message| {
        if asks_for_v4(message) {
            answer_with(message, &[Ipv4Addr::LOCALHOST]);
        } else {
            answer_with(message, &[]);
            message[7] = 1;
            message.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 0, 0, 16]);
            message.extend(Ipv6Addr::LOCALHOST.octets());
        }
        true
    })
    .await
}

#[tokio::test]
async fn of_a_name_with_both_kinds_of_address_the_wanted_kind_is_asked() {
    let server = dual().await;
    let serve = |mut accepted: Accepted| async move {
        accepted.request().await;
        accepted.say(OK).await
    };
    let Ok(v6) = Listening::serving_at("[::1]:0", serve).await else {
        // This host has no IPv6.
        return;
    };
    let v4 = Listening::serving_at(&format!("127.0.0.1:{}", v6.port()), serve).await;
    let v4 = v4.unwrap();
    for (family, hits) in [(Family::V6, (0, 1)), (Family::V4, (1, 1))] {
        let mut question = get(&format!("http://dual.example:{}/", v6.port()));
        question.route_mut().family = family;
        let observation = server.prober.probe(&question, LONG).await;
        let remote = answer(&observation).remote.unwrap();
        assert!(family.has(remote.ip()), "{remote}");
        assert_eq!((v4.connections(), v6.connections()), hits);
    }
    // Where the first does not listen, the other is asked.
    let port = v4.port();
    v4.gone().await;
    let question = get(&format!("http://dual.example:{port}/"));
    assert_eq!(
        answer(&server.prober.probe(&question, LONG).await).body,
        "ok"
    );
    let mut question = question;
    question.route_mut().family = Family::V4;
    let observation = server.prober.probe(&question, LONG).await;
    assert_eq!(failure(&observation), &Failure::Refused);
}

#[tokio::test]
async fn a_name_without_an_address_of_the_wanted_kind_is_not_asked() {
    let (server, _) = rebinding(&[&[Ipv4Addr::LOCALHOST]]).await;
    let mut question = get("http://health.example/");
    question.route_mut().family = Family::V6;
    let observation = server.prober.probe(&question, LONG).await;
    let unknown = Failure::NameNotFound("health.example".to_owned());
    assert_eq!(failure(&observation), &unknown);
}

const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_is_judged_and_dialled_as_one() {
    let (server, asked) = rebinding(&[&[PUBLIC], &[Ipv4Addr::LOCALHOST]]).await;
    let (public, inner) = twins("/").await;
    let url = format!("http://rebind.example:{}/", public.port());
    let question = stranger(&url, "127.0.0.2/32");
    let first = server.prober.probe(&question, LONG).await;
    assert_eq!(answer(&first).body, "ok");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "judged and dialled at once"
    );
    let second = server.prober.probe(&question, LONG).await;
    let failure = failure(&second);
    assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
    assert!(!failure.to_string().contains("127."), "{failure}");
    assert_eq!((public.connections(), inner.connections()), (1, 0));
    // Configured checks go where the operator sends them.
    let configured = server.prober.probe(&get(&url), LONG).await;
    assert_eq!(answer(&configured).body, "ok");
    assert_eq!(inner.connections(), 1);
}

#[tokio::test]
async fn a_redirect_to_a_name_that_leads_elsewhere_meanwhile_is_not_followed() {
    let (server, _) = rebinding(&[&[PUBLIC], &[Ipv4Addr::LOCALHOST]]).await;
    let (public, inner) = twins("/").await;
    let url = format!("http://rebind.example:{}/go", public.port());
    let observation = server
        .prober
        .probe(&stranger(&url, "127.0.0.2/32"), LONG)
        .await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
    assert_eq!((public.connections(), inner.connections()), (1, 0));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_asked_are_dialled() {
    let (server, _) = rebinding(&[&[Ipv4Addr::LOCALHOST, PUBLIC]]).await;
    let (public, inner) = twins("/").await;
    let url = format!("http://both.example:{}/", public.port());
    let observation = server
        .prober
        .probe(&stranger(&url, "127.0.0.2/32"), LONG)
        .await;
    assert_eq!(answer(&observation).body, "ok");
    assert_eq!((public.connections(), inner.connections()), (1, 0));
}

#[tokio::test]
async fn an_address_in_a_url_is_judged_at_every_hop_however_it_is_written() {
    let target = Listening::answering(OK).await;
    let port = target.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "localhost",
    ] {
        let url = format!("http://{host}:{port}/");
        let observation = prober().probe(&stranger(&url, "127.0.0.2/32"), LONG).await;
        let failure = failure(&observation);
        assert!(
            matches!(failure, Failure::Forbidden(_)),
            "{host}: {failure:?}"
        );
        let (public, _inner) = twins(Box::leak(url.into_boxed_str())).await;
        let go = format!("http://127.0.0.2:{}/go", public.port());
        let observation = prober().probe(&stranger(&go, "127.0.0.2/32"), LONG).await;
        let failure = super::failure(&observation);
        assert!(
            matches!(failure, Failure::Forbidden(_)),
            "{host}: {failure:?}"
        );
        assert_eq!(public.requests().len(), 1);
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_redirect_from_a_url_that_is_allowed_to_one_that_is_not_is_not_followed() {
    let inner = Listening::answering(OK).await;
    let gone = inner.url("/inner?token=hush");
    let next = gone.clone();
    let public = Listening::serving(move |mut accepted: Accepted| {
        let next = next.clone();
        async move {
            while let Some(request) = accepted.request().await {
                let answer = match request.split(' ').nth(1) {
                    Some("/open/go") => to(302, "/open/there"),
                    Some("/open/out") => to(302, "/closed"),
                    Some("/open/away") => to(307, &next),
                    _ => OK.to_owned(),
                };
                accepted.say(&answer).await?;
            }
            Ok(())
        }
    })
    .await;
    let allowed = public.url("/open/*");
    // Of this network all may be asked: the URL is what counts.
    let ask = |path| stranger_to(&public.url(path), &[&allowed], "127.0.0.0/8");
    let observation = prober().probe(&ask("/open/go"), LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    for (path, place) in [
        ("/open/out", public.url("/closed")),
        ("/open/away", inner.url("/inner")),
    ] {
        let observation = prober().probe(&ask(path), LONG).await;
        let failure = failure(&observation);
        assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
        let said = failure.to_string();
        assert!(
            said.contains(&format!("`{place}`")) && said.contains("requests.allow_urls"),
            "{said}"
        );
        assert!(!said.contains("hush"), "{said}");
        let reached = observation.reached.unwrap();
        assert_eq!(reached.redirects.len(), 1);
        assert_eq!(reached.redirects[0].to, place);
    }
    assert_eq!(inner.connections(), 0);
    let closed = public.requests().iter().any(|it| it.contains("/closed"));
    assert!(!closed, "it was asked");
}
