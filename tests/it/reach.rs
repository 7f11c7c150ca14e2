//! Targets of every kind, reached as the configuration says and no other way.

use serde_json::Value;

use crate::support::{
    daemon::{Daemon, run},
    nats::Nats,
    target::Target,
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn connections_names_and_redirects_are_reported_and_no_proxy_is_found_by_itself() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let authority = target.url("").replace("http://", "");
    // Were it looked at, nothing would be reached.
    let nobody = "http://127.0.0.1:1";
    let environment = [
        ("HTTP_PROXY", nobody),
        ("http_proxy", nobody),
        ("ALL_PROXY", nobody),
    ];
    let config = format!(
        r#"
        [nats]
        url = "{}"
        [defaults]
        interval = "500ms"
        timeout = "400ms"
        headers = {{ X-Key = "for HTTP" }}
        [[check]]
        name = "db"
        url = "tcp://{authority}"
        [[check]]
        name = "named"
        url = "http://api.example/health"
        resolve = "{authority}"
        [[check]]
        name = "nobody"
        url = "tcp://127.0.0.1:1"
        "#,
        nats.url()
    );
    let _daemon = Daemon::serve_with(&config, &[], &environment);
    let js = nats.jetstream().await;
    let report = async |name: String| {
        let report = wait::until("the report", async || nats.object(&js, &name).await).await;
        serde_json::from_slice::<Value>(&report).unwrap()
    };
    let db = report(format!("tcp://{authority}")).await;
    assert_eq!(
        (&db["status"], &db["verdict"]),
        (&"up".into(), &"pass".into()),
        "{db}"
    );
    assert!(
        db["message"].as_str().unwrap().starts_with("connected in "),
        "{db}"
    );
    assert!(db["phases_ms"]["connect"].is_number(), "{db}");
    assert_eq!(
        (&db["http_status"], &db["response"]),
        (&Value::Null, &Value::Null)
    );
    let named = report("http://api.example/health".to_owned()).await;
    assert_eq!(named["verdict"], "pass", "{named}");
    assert_eq!(named["response"]["remote"], authority.as_str());
    let nobody = report("tcp://127.0.0.1:1".to_owned()).await;
    assert_eq!(nobody["message"], "connection refused");
    assert_eq!(nobody["status"], "down");
}

/// As in a container that holds the binary alone.
#[tokio::test(flavor = "multi_thread")]
async fn without_ca_certificates_plain_targets_are_asked_and_others_say_what_is_missing() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path("cert"), pair.cert.pem()).unwrap();
    std::fs::write(path("key"), pair.signing_key.serialize_pem()).unwrap();
    let env = [
        ("SSL_CERT_FILE", "/nowhere"),
        ("SSL_CERT_DIR", "/nowhere"),
        ("SUPERCHECK_HTTP__TLS_CERT", &path("cert")),
        ("SUPERCHECK_HTTP__TLS_KEY", &path("key")),
    ];
    let config = format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"plain\"\nurl = \"{}\"\ninterval = \"300ms\"\ntimeout = \"200ms\"",
        nats.url(),
        target.url("/")
    );
    let daemon = Daemon::serve_with(&config, &[], &env);
    nats.summary_that("plain", "it is up", |summary| summary["status"] == "up")
        .await;
    // The daemon's own HTTP face is what shows a certificate.
    let listen = daemon.http().await.replace("http://", "");
    let url = format!("https://{listen}/livez");
    let (code, out, err) = run(&mut daemon.command(&["check", &url]));
    assert_eq!(code, 2, "{out}{err}");
    let missing = "TLS: this system has no CA certificates to judge it by";
    assert!(out.contains(missing), "{out}");
    // Who trusts any certificate needs none of them, and who names one has it.
    let mut healthcheck = daemon.command(&["healthcheck"]);
    let (code, out, err) = run(healthcheck.env("SUPERCHECK_HTTP__LISTEN", &listen));
    assert_eq!(code, 0, "{out}{err}");
    let named = [
        ("SUPERCHECK_CHECK__OWN__URL", url.as_str()),
        ("SUPERCHECK_CHECK__OWN__CA", &path("cert")),
    ];
    let (code, out, err) = run(daemon.command(&["check", "own"]).envs(named));
    assert_eq!(code, 0, "{out}{err}");
}
