//! The HTTP face: who gets in, and who is closed.

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, StatusCode};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    scene::{Scene, config, read},
    target::Target,
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn no_web_page_can_run_a_check() {
    let scene = Scene::set().await;
    let before = scene.target.hits("/later");
    for (name, value) in [
        ("host", "evil.example"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("x-forwarded-for", "192.0.2.1"),
    ] {
        let (status, _, problem) = read(scene.run("later").header(name, value)).await;
        assert_eq!(status, 403, "{name}: {problem}");
    }
    assert_eq!(scene.target.hits("/later"), before);
    let (status, headers, _) = read(scene.run("later").header("origin", &scene.url)).await;
    assert_eq!(status, 200);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_made_to_lead_here_reads_nothing() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let env = [("SUPERCHECK_HTTP__HOSTS", "status.example.com")];
    let daemon = Daemon::serve_with(&config(&nats, &target), &[], &env);
    let url = daemon.http().await;
    let client = Client::new();
    let asked_as = async |path: &str, host: &str| {
        let request = client.get(format!("{url}{path}")).header("host", host);
        read(request).await
    };
    for path in ["/", "/api/v1/checks", "/metrics", "/live", "/checks/up"] {
        let (status, _, problem) = asked_as(path, "evil.example").await;
        assert_eq!(status, 403, "{path}");
        assert!(
            problem["hint"].as_str().unwrap().contains("http.hosts"),
            "{problem}"
        );
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:80", "status.example.com"] {
        assert_eq!(asked_as("/api/v1/checks", host).await.0, 200, "{host}");
    }
    // Whoever watches over it may call it anything.
    assert_eq!(asked_as("/livez", "supercheck").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken_up_by_a_reload() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let renew = || {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(path("cert"), pair.cert.pem()).unwrap();
        std::fs::write(path("key"), pair.signing_key.serialize_pem()).unwrap();
        let trusted = reqwest::Certificate::from_pem(pair.cert.pem().as_bytes()).unwrap();
        // Connections are not kept: each shakes hands anew.
        let client = Client::builder().pool_max_idle_per_host(0);
        client.tls_certs_only([trusted]).build().unwrap()
    };
    let first = renew();
    let env = [
        ("SUPERCHECK_HTTP__TLS_CERT", &*path("cert")),
        ("SUPERCHECK_HTTP__TLS_KEY", &*path("key")),
    ];
    let daemon = Daemon::serve_with(&config(&nats, &target), &[], &env);
    let url = daemon
        .http()
        .await
        .replace("http://127.0.0.1", "https://localhost");
    let live = format!("{url}/livez");
    assert_eq!(first.get(&live).send().await.unwrap().status(), 200);
    // One that cannot be used changes nothing, and is told.
    let whole = std::fs::read(path("key")).unwrap();
    std::fs::write(path("key"), "no key").unwrap();
    daemon.signal(Signal::HUP);
    wait::until("the reload is refused", async || {
        let told = daemon.complaints();
        told.iter()
            .any(|line| line.contains("not reloaded") && line.contains("http.tls_key"))
            .then_some(())
    })
    .await;
    assert_eq!(first.get(&live).send().await.unwrap().status(), 200);
    std::fs::write(path("key"), whole).unwrap();
    let second = renew();
    assert!(second.get(&live).send().await.is_err());
    daemon.signal(Signal::HUP);
    wait::until("the new one is shown", async || {
        second.get(&live).send().await.is_ok().then_some(())
    })
    .await;
    assert!(first.get(&live).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_served_for_a_while_after_a_stop_was_asked_for() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let env = [("SUPERCHECK_HTTP__DRAIN", "2s")];
    let mut daemon = Daemon::serve_with(&config(&nats, &target), &[], &env);
    daemon.ready().await;
    let url = daemon.http().await;
    let client = Client::new();
    let asked = Instant::now();
    daemon.signal(Signal::TERM);
    wait::until("it says that it is draining", async || {
        let (status, _, body) = read(client.get(format!("{url}/readyz"))).await;
        (status == 503 && body["status"] == "draining").then_some(())
    })
    .await;
    // Until the last moment readers are answered, and nothing new is begun.
    while asked.elapsed() < Duration::from_millis(1800) {
        let (status, _, _) = read(client.get(format!("{url}/api/v1/checks"))).await;
        assert_eq!(status, 200);
        let (status, _, problem) =
            read(client.post(format!("{url}/api/v1/checks/later/run"))).await;
        assert_eq!(status, 503, "{problem}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(daemon.ended().await.success());
    assert!(asked.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_demanded_over_tls_and_from_the_network() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert"), pair.cert.pem()).unwrap();
    std::fs::write(path("key"), pair.signing_key.serialize_pem()).unwrap();
    let env = [
        ("SUPERCHECK_HTTP__TOKEN", "run-it"),
        ("SUPERCHECK_HTTP__READ_TOKEN", "read-it"),
        ("SUPERCHECK_HTTP__TLS_CERT", &path("cert")),
        ("SUPERCHECK_HTTP__TLS_KEY", &path("key")),
    ];
    let daemon = Daemon::serve_with(&config(&nats, &target), &[], &env);
    let url = daemon
        .http()
        .await
        .replace("http://127.0.0.1", "https://localhost");
    let trusted = reqwest::Certificate::from_pem(pair.cert.pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([trusted]).build().unwrap();
    let status = async |request: RequestBuilder| request.send().await.unwrap().status();
    assert_eq!(
        status(client.get(format!("{url}/livez"))).await,
        StatusCode::OK
    );
    let get = || client.get(format!("{url}/api/v1/checks"));
    let refused = get().send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Basic"), "{challenge}");
    assert_eq!(status(get().bearer_auth("read-it")).await, 200);
    assert_eq!(status(get().basic_auth("any", Some("read-it"))).await, 200);
    let run = || client.post(format!("{url}/api/v1/checks/later/run"));
    wait::until("the run is answered", async || {
        (status(run().bearer_auth("run-it")).await == 200).then_some(())
    })
    .await;
    assert_eq!(status(run()).await, 401);
    assert_eq!(status(run().bearer_auth("read-it")).await, 401);
    assert_eq!(status(run().basic_auth("any", Some("run-it"))).await, 401);
    for what in ["push", "maintenance"] {
        let tell = || client.post(format!("{url}/api/v1/checks/later/{what}"));
        assert_eq!(status(tell()).await, 401, "{what}");
        assert_eq!(status(tell().bearer_auth("read-it")).await, 401, "{what}");
        let told = status(tell().bearer_auth("run-it")).await;
        assert_eq!(told, if what == "push" { 409 } else { 200 }, "{what}");
    }
    let log = serde_json::to_string(&daemon.log()).unwrap();
    assert!(!log.contains("run-it") && !log.contains("read-it"));

    // Beyond loopback nothing is run without a token.
    let open = [("SUPERCHECK_HTTP__LISTEN", "0.0.0.0:0")];
    let daemon = Daemon::serve_with(&config(&nats, &target), &[], &open);
    let url = daemon.http().await.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(
        reqwest::get(format!("{url}/api/v1/checks"))
            .await
            .unwrap()
            .status(),
        200
    );
    let (status, _, problem) =
        read(Client::new().post(format!("{url}/api/v1/checks/later/run"))).await;
    assert_eq!(status, 403);
    assert!(
        problem["hint"].as_str().unwrap().contains("http.token"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_holds_a_place_by_saying_nothing() {
    let scene = Scene::set().await;
    let address = scene.url.trim_start_matches("http://");
    // One line of a head after the other, slower than it may be.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        .await
        .unwrap();
    let began = Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    // A body that never comes.
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let head =
        "POST /api/v1/checks/later/run HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\n\r\n{";
    waiting.write_all(head.as_bytes()).await.unwrap();
    let mut many = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65));
    many.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    many.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
    let mut long = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    // It may be refused before all of it is sent.
    drop(long.write_all(head.as_bytes()).await);
    long.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
    let dripping = async {
        let mut said = Vec::new();
        loop {
            tokio::select! {
                read = slow.read_buf(&mut said) => break read.map(|_| said),
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    drop(slow.write_all(b"x: y\r\n").await);
                }
            }
        }
    };
    let closed = tokio::time::timeout(wait::LONG, dripping).await;
    assert!(closed.is_ok(), "a dripping head is given up");
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(wait::LONG, silent.read_to_end(&mut nothing)).await;
    assert!(closed.is_ok(), "a silent connection is given up");
    assert!(
        began.elapsed() >= Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    let refused = tokio::time::timeout(wait::LONG, waiting.read_exact(&mut answer)).await;
    refused.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(scene.target.hits("/later"), 0);
    // Meanwhile, and after that, others are answered.
    assert_eq!(scene.get("/livez").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_closed() {
    let scene = Scene::set().await;
    let address = scene.url.trim_start_matches("http://");
    let mut greedy = TcpStream::connect(address).await.unwrap();
    // Asks and asks, and takes none of the answers, until nothing more is
    // taken of what it says, and then not even that: it is closed.
    let ask = b"GET /static/page.js HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let began = Instant::now();
    let asking = async { while greedy.write_all(ask).await.is_ok() {} };
    let closed = tokio::time::timeout(wait::LONG, asking).await;
    assert!(closed.is_ok(), "who takes nothing is given up");
    assert!(began.elapsed() >= Duration::from_secs(9));
    assert_eq!(scene.get("/livez").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_followers_have_a_bound() {
    // The daemon makes room for files by itself; so must the other end.
    let files = |n: u64| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = Some(maximum.map_or(n, |maximum| maximum.min(n)));
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    };
    files(256);
    let scene = Scene::set().await;
    files(4096);
    let mut followers = Vec::new();
    let follow = async || scene.client.get(format!("{}/live", scene.url)).send().await;
    for _ in 0..256 {
        let follower = follow().await.unwrap();
        assert_eq!(follower.status(), 200);
        followers.push(follower);
    }
    let (status, headers, problem) = read(scene.client.get(format!("{}/live", scene.url))).await;
    assert_eq!(status, 429, "{problem}");
    assert_eq!(headers["retry-after"], "2");
    let events = format!("{}/api/v1/events", scene.url);
    assert_eq!(read(scene.client.get(&events)).await.0, 429);
    // Who goes leaves his place to another.
    drop(followers.split_off(128));
    wait::until("a place is free", async || {
        (follow().await.unwrap().status() == 200).then_some(())
    })
    .await;

    let address = scene.url.trim_start_matches("http://");
    let mut silent = Vec::new();
    for _ in 0..1024 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // All places are taken: one more is heard, but not answered.
    let alone = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let live = alone.get(format!("{}/livez", scene.url));
    let waiting = tokio::spawn(live.send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "a place beyond the bound");
    // Checks go on meanwhile, and the place comes free.
    let hits = scene.target.hits("/up");
    wait::until("checks go on", async || {
        (scene.target.hits("/up") > hits + 1).then_some(())
    })
    .await;
    drop(silent);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}
