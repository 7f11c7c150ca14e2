//! What opens NATS and the HTTP face: put to use, and found nowhere.

use std::fs;

use async_nats::{ConnectOptions, jetstream};
use nkeys::KeyPair;

use crate::{
    planted::{absent, stored},
    support::{
        daemon::{Daemon, run},
        nats::Nats,
        operator::Operator,
        target::Target,
        wait,
    },
};

/// A way into NATS.
struct Way {
    name: &'static str,
    /// What the server is told.
    server: String,
    /// What supercheck is told, and the same with another's secret.
    lines: [String; 2],
    /// What opens it, and the other's.
    secrets: Vec<String>,
    options: ConnectOptions,
}

fn by_token() -> Way {
    let token = "planted-nats-token-s3cr3t";
    let lines = [token, "planted-nats-token-wr0ng"];
    Way {
        name: "a token",
        server: format!("authorization {{ token: \"{token}\" }}"),
        lines: lines.map(|token| format!("token = \"{token}\"")),
        secrets: vec!["planted-nats-token".to_owned()],
        options: ConnectOptions::with_token(token.to_owned()),
    }
}

fn by_seed() -> Way {
    let users = [KeyPair::new_user(), KeyPair::new_user()];
    let seeds = users.each_ref().map(|user| user.seed().unwrap());
    Way {
        name: "an nkey seed",
        server: format!(
            "authorization {{ users: [{{ nkey: {} }}] }}",
            users[0].public_key()
        ),
        lines: seeds
            .each_ref()
            .map(|seed| format!("nkey_seed = \"{seed}\"")),
        options: ConnectOptions::with_nkey(seeds[0].clone()),
        secrets: seeds.into(),
    }
}

fn by_credentials(folder: &std::path::Path) -> Way {
    let [operator, stranger] = [Operator::new(), Operator::new()];
    let files = [&operator, &stranger].map(|it| it.credentials(&[">"], &[">"], true));
    let paths = ["own", "strange"].map(|name| folder.join(name));
    for (path, text) in paths.iter().zip(&files) {
        fs::write(path, text).unwrap();
    }
    // The token's signature is what nobody else can make.
    let lines = files.iter().flat_map(|text| text.lines());
    let secrets = lines.filter(|line| !line.is_empty() && !line.starts_with('-'));
    Way {
        name: "a .creds file",
        server: operator.config(),
        lines: paths.map(|path| format!("credentials = {path:?}")),
        secrets: secrets.map(str::to_owned).collect(),
        options: ConnectOptions::with_credentials(&files[0]).unwrap(),
    }
}

fn config(nats: &Nats, line: &str, target: &Target, group: &str) -> String {
    format!(
        "[nats]\nurl = \"{}\"\n{line}\n[log]\nfilter = \"trace\"\n[[check]]\nname = \"api\"\n\
         url = \"{}\"\ninterval = \"500ms\"\ntimeout = \"300ms\"\n{group}",
        nats.url(),
        target.url("/")
    )
}

/// What commands print, and how those fail that have another's secret.
fn printed(daemon: &Daemon, wrong: &str) -> String {
    let path = daemon.config().with_file_name("wrong.toml");
    fs::write(&path, wrong).unwrap();
    let wrong = path.display().to_string();
    let mut all = String::new();
    for arguments in [
        &["config", "show"][..],
        &["status"],
        &["doctor"],
        &["report", "api"],
        &["request", "api"],
        &["status", "--config", &wrong],
        &["doctor", "--config", &wrong],
        &["serve", "--require-nats", "--config", &wrong],
    ] {
        let (code, out, err) = run(&mut daemon.command(arguments));
        assert_eq!(
            code == 69,
            arguments.contains(&wrong.as_str()),
            "{arguments:?} {code}: {out}{err}"
        );
        all += &format!("{out}{err}");
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_nats_and_the_http_face_is_found_nowhere() {
    const TOKENS: [&str; 3] = ["planted-token", "planted-read-token", "planted-guess"];
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start().await;
    for way in [by_token(), by_seed(), by_credentials(folder.path())] {
        let store = "jetstream { store_dir: \"%STORE%\" }";
        let nats = Nats::configured(&format!("{store}\n{}", way.server)).await;
        // What is there to be seen is seen.
        let group = "group = \"${env:GROUP}\"\ntags = [\"${env:GROUP}\"]\n";
        let environment = [
            ("SUPERCHECK_HTTP__TOKEN", TOKENS[0]),
            ("SUPERCHECK_HTTP__READ_TOKEN", TOKENS[1]),
            ("GROUP", "shown-group"),
        ];
        let text = config(&nats, &way.lines[0], &target, group);
        let daemon = Daemon::serve_with(&text, &[], &environment);
        let client = way.options.connect(nats.url()).await.unwrap();
        let js = jetstream::new(client);
        wait::until(way.name, async || nats.summary(&js, "api").await).await;

        let wrong = config(&nats, &way.lines[1], &target, "");
        let mut shown = vec![("a command", printed(&daemon, &wrong))];
        let http = daemon.http().await;
        let client = reqwest::Client::new();
        for token in TOKENS {
            for path in ["/", "/checks/api", "/metrics", "/health", "/api/v1/checks"] {
                let answer = client.get(format!("{http}{path}")).bearer_auth(token);
                let answer = answer.send().await.unwrap();
                assert_eq!(answer.status() == 401, token == TOKENS[2], "{path}");
                shown.push((path, answer.text().await.unwrap()));
            }
            let run = client.post(format!("{http}/api/v1/checks/api/run"));
            let answer = run.bearer_auth(token).send().await.unwrap();
            shown.push(("a run", answer.text().await.unwrap()));
        }
        let page = shown.iter().find(|(what, _)| *what == "/checks/api");
        assert!(page.unwrap().1.contains("shown-group"));
        shown.push(("a stream", stored(&js).await));
        let log = fs::read_to_string(daemon.config().with_file_name("log")).unwrap();
        assert!(log.contains("\"DEBUG\""), "it says what it does");
        shown.push(("the log", log));
        for (what, text) in &shown {
            absent(what, text, way.name, &way.secrets);
            absent(what, text, "the HTTP face", &TOKENS.map(str::to_owned));
        }
    }
}
