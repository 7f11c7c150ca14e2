//! The roles of `deploy/nats` on a real server: the daemon has what it needs,
//! the reader cannot write, the requester can only request.

use std::{fs, path::Path};

use async_nats::{ConnectOptions, HeaderMap};
use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    operator::Operator,
    target::Target,
    tools, wait,
};

const SUBJECTS: [&str; 4] = [
    "$KV.supercheck_kv.api",
    "$O.supercheck.M.x",
    "supercheck.history.api",
    "supercheck.events.api",
];

/// The server of `deploy/nats/FILE`, on a port and in folders of the test's
/// own; `%NAME%` stands for what the environment would say.
struct Server {
    nats: Nats,
    /// The certificate that clients must trust.
    ca: tempfile::TempDir,
}

async fn server(file: &str, values: &[(&str, &str)], daemon: Option<&str>) -> Server {
    let home = tempfile::tempdir().unwrap();
    let folder = tools::root().join("deploy/nats");
    for role in ["daemon.conf", "reader.conf", "requester.conf"] {
        fs::copy(folder.join(role), home.path().join(role)).unwrap();
    }
    if let Some(text) = daemon {
        fs::write(home.path().join("daemon.conf"), text).unwrap();
    }
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(home.path().join("server.pem"), cert.pem()).unwrap();
    fs::write(home.path().join("server.key"), signing_key.serialize_pem()).unwrap();
    let mut config = fs::read_to_string(folder.join(file)).unwrap();
    // An include is relative to the file that has it, always.
    let beside = home.path().file_name().unwrap().to_string_lossy();
    for (theirs, ours) in [
        ("/var/lib/nats", "%STORE%".to_owned()),
        ("/etc/nats/", format!("{}/", home.path().display())),
        ("include ", format!("include ../{beside}/")),
        ("listen: 0.0.0.0:4222", String::new()),
    ] {
        assert!(config.contains(theirs), "{file} says `{theirs}`");
        config = config.replace(theirs, &ours);
    }
    for (name, value) in values {
        assert!(config.contains(&format!("${name}")), "{file}: {name}");
        config = config.replace(&format!("${name}"), value);
    }
    let nats = Nats::configured(&config).await;
    Server { nats, ca: home }
}

impl Server {
    fn url(&self) -> String {
        format!("tls://127.0.0.1:{}", self.nats.port)
    }

    fn ca(&self) -> std::path::PathBuf {
        self.ca.path().join("server.pem")
    }

    fn config(&self, target: &Target, who: &str) -> String {
        config(&self.url(), &self.ca(), who, &target.url("/"))
    }

    async fn client(&self, role: &str, options: ConnectOptions) -> async_nats::Client {
        options
            .add_root_certificates(self.ca())
            .custom_inbox_prefix(format!("_INBOX_{role}"))
            .request_timeout(Some(std::time::Duration::from_secs(1)))
            .connect(self.url())
            .await
            .unwrap()
    }
}

fn config(url: &str, ca: &Path, who: &str, target: &str) -> String {
    format!(
        "[nats]\nurl = \"{url}\"\ntls_ca = {ca:?}\n{who}\n[scheduler]\nmode = \"shared\"\n\
         [[check]]\nname = \"api\"\nurl = \"{target}\"\ninterval = \"500ms\"\ntimeout = \"300ms\"\n"
    )
}

const PASSWORDS: [(&str, &str); 3] = [
    ("SUPERCHECK_DAEMON_PASSWORD", "d"),
    ("SUPERCHECK_READER_PASSWORD", "r"),
    ("SUPERCHECK_REQUESTER_PASSWORD", "q"),
];

fn user(name: &str, password: &str) -> String {
    let inbox = if name == "daemon" { "supercheck" } else { name };
    format!("user = \"{name}\"\npassword = \"{password}\"\ninbox_prefix = \"_INBOX_{inbox}\"")
}

/// Stores something, unless the server has none of it.
async fn writes(client: &async_nats::Client, subject: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "written");
    let sent = client.request_with_headers(subject.to_owned(), headers, "{}".into());
    sent.await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_can_do_its_part_and_no_more() {
    let server = server("server.conf", &PASSWORDS, None).await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&server.config(&target, &user("daemon", "d")));
    daemon.ready().await;
    let (code, out, err) = run(&mut daemon.command(&["doctor"]));
    assert_eq!(code, 0, "{out}{err}");

    // The reader reads, by every command there is.
    let as_reader = |arguments: &[&str]| {
        let mut command = daemon.command(arguments);
        command.env("SUPERCHECK_NATS__USER", "reader");
        command.env("SUPERCHECK_NATS__PASSWORD", "r");
        run(command.env("SUPERCHECK_NATS__INBOX_PREFIX", "_INBOX_reader"))
    };
    for reading in [
        &["status", "api"][..],
        &["status"],
        &["report", "api"],
        &["history", "api"],
    ] {
        wait::until(&format!("{reading:?}"), async || {
            let (code, out, _) = as_reader(reading);
            (code == 0 && !out.is_empty()).then_some(())
        })
        .await;
    }
    let (code, _, err) = as_reader(&["request", "api", "--timeout", "1s"]);
    assert_ne!(code, 0, "a reader has nothing run: {err}");
    let plain = |name: &str, password: &str| {
        ConnectOptions::with_user_and_password(name.to_owned(), password.to_owned())
    };
    let reader = server.client("reader", plain("reader", "r")).await;
    for subject in SUBJECTS {
        assert!(!writes(&reader, subject).await, "a reader writes {subject}");
    }
    assert!(reader.request("supercheck.get", "api".into()).await.is_ok());

    // The requester requests.
    let requester = server.client("requester", plain("requester", "q")).await;
    let asked = requester.request("supercheck.check", "api".into()).await;
    assert!(asked.unwrap().headers.is_none(), "answered, not refused");
    assert!(
        writes(&requester, "supercheck.requests.api").await,
        "accepted"
    );
    for subject in SUBJECTS.iter().chain(&[
        "$JS.API.STREAM.INFO.KV_supercheck_kv",
        "$JS.API.STREAM.DELETE.SUPERCHECK_REQUESTS",
        "$JS.API.DIRECT.GET.KV_supercheck_kv.$KV.supercheck_kv.api",
    ]) {
        assert!(!writes(&requester, subject).await, "a requester: {subject}");
    }
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_with_the_line_to_add() {
    let whole = fs::read_to_string(tools::root().join("deploy/nats/daemon.conf")).unwrap();
    let target = Target::start().await;
    for missing in [
        "_INBOX_supercheck.>",
        "$JS.API.STREAM.INFO.KV_supercheck_kv",
        "$JS.API.CONSUMER.MSG.NEXT.SUPERCHECK_REQUESTS.*",
        "$JS.API.DIRECT.GET.KV_supercheck_kv.>",
        "$JS.ACK.SUPERCHECK_SLOTS.>",
        "$O.supercheck.M.>",
        "$SRV.>",
        "supercheck.check",
        "supercheck.results.*",
    ] {
        let line = format!("    \"{missing}\"\n");
        assert!(whole.contains(&line), "{missing} is one of its lines");
        let less = whole.replace(&line, "");
        let server = server("server.conf", &PASSWORDS, Some(&less)).await;
        let config = server.config(&target, &user("daemon", "d"));
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("supercheck.toml"), config).unwrap();
        let mut command = crate::support::daemon::supercheck();
        command
            .arg("--config")
            .arg(home.path().join("supercheck.toml"));
        let (code, out, err) = run(command.args(["doctor", "--fix"]));
        assert_eq!(code, 2, "{missing}: {out}{err}");
        assert!(
            out.contains(&format!("hint: add \"{missing}\" to")),
            "{missing}: {out}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_runs_by_its_nkey_too() {
    let keys: Vec<_> = (0..3).map(|_| nkeys::KeyPair::new_user()).collect();
    let public: Vec<_> = keys.iter().map(nkeys::KeyPair::public_key).collect();
    let values = [
        ("SUPERCHECK_DAEMON_NKEY", public[0].as_str()),
        ("SUPERCHECK_READER_NKEY", &public[1]),
        ("SUPERCHECK_REQUESTER_NKEY", &public[2]),
    ];
    let server = server("server.nkeys.conf", &values, None).await;
    let target = Target::start().await;
    let who = format!(
        "nkey_seed = \"{}\"\ninbox_prefix = \"_INBOX_supercheck\"",
        keys[0].seed().unwrap()
    );
    let daemon = Daemon::serve(&server.config(&target, &who));
    daemon.ready().await;
    let (code, out, err) = run(&mut daemon.command(&["doctor"]));
    assert_eq!(code, 0, "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_runs_by_its_creds_too() {
    let operator = Operator::new();
    let nats = Nats::configured(&format!(
        "jetstream {{ store_dir: \"%STORE%\" }}\nmax_control_line: 16KB\n{}",
        operator.config()
    ))
    .await;
    // The user is made as `nsc-user` would have nsc make it.
    let script = tools::root().join("deploy/nats/nsc-user");
    let printed = run(std::process::Command::new(script).arg("daemon")).1;
    let list = |option: &str| {
        let after = printed.split_once(&format!("{option} '")).unwrap().1;
        after
            .split('\'')
            .next()
            .unwrap()
            .split(',')
            .collect::<Vec<_>>()
    };
    let responses = printed.contains("--allow-pub-response=1 --response-ttl 2m");
    let (publish, subscribe) = (list("--allow-pub"), list("--allow-sub"));
    let home = tempfile::tempdir().unwrap();
    let creds = home.path().join("daemon.creds");
    fs::write(
        &creds,
        operator.credentials(&publish, &subscribe, responses),
    )
    .unwrap();

    let target = Target::start().await;
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\ncredentials = {creds:?}\ninbox_prefix = \"_INBOX_supercheck\"\n\
         [scheduler]\nmode = \"shared\"\n[[check]]\nname = \"api\"\nurl = \"{}\"",
        nats.url(),
        target.url("/")
    ));
    daemon.ready().await;
    let (code, out, err) = run(&mut daemon.command(&["doctor"]));
    assert_eq!(code, 0, "{out}{err}");
    // It answers whoever may ask.
    let asker = operator.credentials(&["supercheck.check"], &["_INBOX_asker.>"], false);
    let asker = ConnectOptions::with_credentials(&asker)
        .unwrap()
        .custom_inbox_prefix("_INBOX_asker")
        .connect(nats.url())
        .await
        .unwrap();
    let answer = asker.request("supercheck.check", "api".into()).await;
    assert!(answer.unwrap().headers.is_none(), "answered, not refused");
}
