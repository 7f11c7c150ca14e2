//! Targets of every kind, reached as the configuration says and no other way.

use serde_json::Value;

use crate::support::{daemon::Daemon, nats::Nats, target::Target, wait};

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
