//! Secrets are planted wherever one can be configured, and then searched for
//! in everything that anybody gets to see.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use async_nats::jetstream;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::TryStreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    wait,
};

/// Where secrets are planted; each is called `planted-<place>`.
const PLACES: [&str; 16] = [
    "nats-password",
    "header",
    "header-env",
    "header-file",
    "default-header",
    "body",
    "url-user",
    "url-password",
    "url-query",
    "url-env",
    "redirect-password",
    "redirect-query",
    "basic",
    "bearer",
    "proxy",
    "proxy-env",
];

/// The checks.
const CHECKS: [&str; 13] = [
    "headers",
    "posted",
    "address",
    "hidden",
    "broken",
    "moved",
    "lost",
    "basic",
    "bearer",
    "two",
    "proxied",
    "tunnelled",
    "secured",
];

fn planted(place: &str) -> String {
    assert!(PLACES.contains(&place), "{place}");
    format!("planted-{place}-s3cr3t")
}

/// A target that redirects to a URL with secrets, which leads back to it; and
/// everything that it was asked.
async fn redirecting() -> (u16, Arc<Mutex<String>>) {
    let asked = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let location = format!(
        "http://me:{}@127.0.0.1:{port}/last?token={}",
        planted("redirect-password"),
        planted("redirect-query")
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (location, noted) = (location.clone(), Arc::clone(&noted));
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 << 10];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    let request = String::from_utf8_lossy(&buffer[..n]).into_owned();
                    noted.lock().unwrap().push_str(&request);
                    let answer = if request.starts_with("GET /go") {
                        format!(
                            "HTTP/1.1 302 Go\r\nLocation: {location}\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
                        )
                    } else {
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"UP\"}".to_owned()
                    };
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, asked)
}

/// A configuration with a secret in every place.
fn configuration(nats: &str, port: u16, folder: &str) -> String {
    let text = include_str!("../fixtures/planted.toml")
        .replace("@nats@", nats)
        .replace("@port@", &port.to_string())
        .replace("@folder@", folder);
    PLACES.into_iter().fold(text, |text, place| {
        text.replace(&format!("@{place}@"), &planted(place))
    })
}

/// Everything in every stream: subjects, headers and bodies.
pub async fn stored(js: &jetstream::Context) -> String {
    let mut all = String::new();
    let names: Vec<String> = js.stream_names().try_collect().await.unwrap();
    for name in names {
        let stream = js.get_stream(&name).await.unwrap();
        let state = stream.cached_info().state.clone();
        all += &format!("{:?}", stream.cached_info().config);
        for sequence in state.first_sequence..=state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                let body = String::from_utf8_lossy(&message.payload).into_owned();
                all += &format!("{} {:?} {body}\n", message.subject, message.headers);
            }
        }
    }
    all
}

/// What commands print, of this configuration and of one with a mistake.
fn printed(daemon: &Daemon) -> String {
    let mut all = String::new();
    let mut say = |arguments: &[&str]| {
        let (code, out, err) = run(&mut daemon.command(arguments));
        all += &format!("{arguments:?} {code} {out} {err}\n");
    };
    for arguments in [
        &["config", "show"][..],
        &["config", "check"],
        &["status"],
        &["status", "--json"],
        &["doctor"],
    ] {
        say(arguments);
    }
    for name in CHECKS {
        for arguments in [
            &["report", name][..],
            &["report", name, "--last-failure"],
            &["history", name, "--json"],
            &["request", name],
            &["check", name],
        ] {
            say(arguments);
        }
    }
    let text = fs::read_to_string(daemon.config()).unwrap();
    let broken = daemon.config().with_file_name("broken.toml");
    for mistake in [
        "unheard_of = 1",
        "timeout = \"9h\"",
        "bearer = \"a\"\nbasic = \"b\"",
        "= oops",
    ] {
        // Each check has the mistake, so that its own lines are shown too.
        let text = text.replace("[[check]]", &format!("{mistake}\n[[check]]"));
        fs::write(&broken, text).unwrap();
        let mut command = daemon.command(&["config", "check"]);
        command
            .env("SUPERCHECK_CONFIG", &broken)
            .arg("--config")
            .arg(&broken);
        let (_, out, err) = run(&mut command);
        all += &format!("{out} {err}\n");
    }
    all
}

fn nothing_in(what: &str, text: &str) {
    for place in PLACES {
        let secret = planted(place);
        let dressed = [STANDARD.encode(format!("me:{secret}")), secret];
        absent(what, text, place, &dressed);
    }
}

/// The text shows none of `secrets`, not in Base64 either.
pub fn absent(what: &str, text: &str, place: &str, secrets: &[String]) {
    for secret in secrets {
        for secret in [secret, &STANDARD.encode(secret)] {
            if let Some(at) = text.find(secret) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                let to = text.ceil_char_boundary((at + 100).min(text.len()));
                panic!("{what} shows the secret of {place}: {}", &text[from..to]);
            }
        }
    }
    assert!(!text.contains("PRIVATE KEY"), "{what} shows a key");
}

/// The target was asked with all of them.
fn put_to_use(asked: &str) {
    let user = format!("{}:{}", planted("url-user"), planted("url-password"));
    let basic = |place| format!("me:{}", planted(place));
    for encoded in [user, basic("basic"), basic("proxy"), basic("proxy-env")] {
        assert!(asked.contains(&STANDARD.encode(&encoded)), "{encoded}");
    }
    for place in [
        "header",
        "header-env",
        "header-file",
        "default-header",
        "body",
        "url-query",
        "url-env",
        "bearer",
    ] {
        assert!(asked.contains(&planted(place)), "{place}");
    }
}

/// A daemon with secrets everywhere, and its NATS.
async fn plant(port: u16, folder: &Path) -> (Nats, Daemon) {
    let nats = Nats::configured(&format!(
        "jetstream {{ store_dir: \"%STORE%\" }}\nauthorization {{ user: daemon, password: \"{}\" }}",
        planted("nats-password")
    ))
    .await;
    let made = rcgen::generate_simple_self_signed(["probe".to_owned()]).unwrap();
    for (name, text) in [
        ("header", planted("header-file")),
        ("cert.pem", made.cert.pem()),
        ("key.pem", made.signing_key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let url = format!("http://127.0.0.1:{port}/hidden?key={}", planted("url-env"));
    let proxy_user = format!("me:{}", planted("proxy-env"));
    let environment = [
        ("HEADER", planted("header-env")),
        ("QUERY", planted("url-query")),
        ("URL", url),
        ("PROXY_USER", proxy_user),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let text = configuration(&nats.url(), port, &folder.display().to_string());
    let daemon = Daemon::serve_with(&text, &[], &environment);
    (nats, daemon)
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_found_nowhere() {
    let (port, asked) = redirecting().await;
    let folder = tempfile::tempdir().unwrap();
    let (nats, daemon) = plant(port, folder.path()).await;
    let options = async_nats::ConnectOptions::with_user_and_password(
        "daemon".to_owned(),
        planted("nats-password"),
    );
    let client = options.connect(nats.url()).await.unwrap();
    let js = jetstream::new(client.clone());
    for name in CHECKS {
        wait::until(name, async || nats.summary(&js, name).await).await;
    }
    for (subject, body) in [
        ("supercheck.list", ""),
        ("supercheck.get", "moved"),
        ("supercheck.check", "address"),
        (
            "supercheck.check",
            "http://me:planted-url-password-s3cr3t@127.0.0.1/",
        ),
    ] {
        let answer = client.request(subject, body.into()).await.unwrap();
        let answer = format!(
            "{:?} {}",
            answer.headers,
            String::from_utf8_lossy(&answer.payload)
        );
        nothing_in(subject, &answer);
    }
    let shown = printed(&daemon);
    assert!(
        shown.contains("broken.toml") && shown.contains("nowhere.invalid"),
        "{shown}"
    );
    nothing_in("a command", &shown);
    let http = daemon.http().await;
    for path in [
        "/",
        "/livez",
        "/readyz",
        "/metrics",
        "/health",
        "/api/v1/checks",
        "/api/v1/checks/address",
    ] {
        let answer = reqwest::get(format!("{http}{path}")).await.unwrap();
        nothing_in(path, &answer.text().await.unwrap());
    }
    put_to_use(&asked.lock().unwrap());
    let stored = stored(&js).await;
    assert!(
        stored.contains("/last") && stored.contains("connection"),
        "it holds what it should"
    );
    nothing_in("a stream", &stored);
    let log = fs::read_to_string(daemon.config().with_file_name("log")).unwrap();
    assert!(log.contains("\"TRACE\""), "at trace level");
    nothing_in("the log", &log);
}

#[test]
#[should_panic(expected = "a page shows the secret of basic")]
fn a_secret_that_is_shown_would_be_found() {
    let encoded = STANDARD.encode(format!("me:{}", planted("basic")));
    nothing_in("a page", &format!("Authorization: Basic {encoded}"));
}
