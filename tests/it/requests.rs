//! On-demand requests: answered with a run that began after them, shared by
//! whoever asks at once, refused with reasons, and kept under their ids.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use serde_json::{Value, json};

use crate::support::{
    clients::Client,
    daemon::{Daemon, run},
    nats::Nats,
    target::{Answer, Target},
    wait,
};

/// A daemon whose checks never run by themselves within a test.
pub struct Office {
    pub nats: Nats,
    pub target: Target,
    pub daemon: Daemon,
    client: async_nats::Client,
}

pub async fn office(checks: &[&str], more: &str) -> Office {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let checks: String = checks
        .iter()
        .map(|name| {
            let url = target.url(&format!("/{name}"));
            format!("[[check]]\nname = \"{name}\"\nurl = \"{url}\"\n")
        })
        .collect();
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n{more}\n[defaults]\ninterval = \"1h\"\ntimeout = \"5s\"\n{checks}",
        nats.url()
    ));
    let client = nats.client().await;
    let office = Office {
        nats,
        target,
        daemon,
        client,
    };
    wait::until("the service listens", async || {
        office.ask("supercheck.list", "", None).await.ok()
    })
    .await;
    office
}

impl Office {
    /// The answer's body, or its error code and body.
    pub async fn ask(
        &self,
        subject: &str,
        body: &str,
        id: Option<&str>,
    ) -> Result<Value, (u16, Value)> {
        let mut headers = HeaderMap::new();
        if let Some(id) = id {
            headers.insert("Nats-Msg-Id", id);
        }
        let request = async_nats::Request::new()
            .payload(body.to_owned().into())
            .headers(headers)
            .timeout(Some(Duration::from_secs(20)));
        let Ok(answer) = self.client.send_request(subject.to_owned(), request).await else {
            return Err((0, Value::Null));
        };
        let body = serde_json::from_slice(&answer.payload).unwrap_or(Value::Null);
        let headers = answer.headers.unwrap_or_default();
        match headers.get("Nats-Service-Error-Code") {
            Some(code) => Err((code.as_str().parse().unwrap(), body)),
            None => Ok(body),
        }
    }

    async fn check(&self, body: &str) -> Result<Value, (u16, Value)> {
        self.ask("supercheck.check", body, None).await
    }

    /// Waits until nothing is left in the queue.
    pub async fn queue_is_empty(&self) {
        let js = self.nats.jetstream().await;
        wait::until("the queue is empty", async || {
            let mut stream = js.get_stream("SUPERCHECK_REQUESTS").await.ok()?;
            (stream.info().await.ok()?.state.messages == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_by_a_run_that_began_after_it() {
    let office = office(&["api"], "").await;
    for n in 1..=3 {
        let before = chrono::Utc::now();
        let report = office.check("api").await.unwrap();
        assert_eq!(office.target.hits("/api"), n, "each request, one probe");
        let at = chrono::DateTime::parse_from_rfc3339(report["checked_at"].as_str().unwrap());
        // Milliseconds are cut off.
        assert!(
            at.unwrap() >= before - chrono::TimeDelta::milliseconds(1),
            "{report}"
        );
        assert_eq!(
            (&report["check"], &report["trigger"]),
            (&json!("api"), &json!("request"))
        );
        assert_eq!(report["response"]["body"], json!({"status": "UP"}));
    }
    // By URL, and as the commands and foreign clients ask.
    let url = office.target.url("/api");
    assert_eq!(office.check(&url).await.unwrap()["check"], "api");
    let (code, out, err) = run(&mut office.daemon.command(&["request", "api"]));
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap()["verdict"],
        "pass"
    );
    for client in Client::had() {
        let answer = client
            .call(&office.nats.url(), &["request", "supercheck.check", "api"])
            .await;
        let report: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(report["verdict"], "pass", "{client:?}");
    }
    // The report is stored, as any other.
    let js = office.nats.jetstream().await;
    assert!(office.nats.object(&js, &url).await.is_some());
    office.queue_is_empty().await;
    assert_eq!(
        office.daemon.complaints().len(),
        1,
        "that reports expire: {:?}",
        office.daemon.complaints()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_reasons() {
    let office = office(&["api", "billing"], "").await;
    for (body, code, words) in [
        ("biling", 404, "did you mean `billing`?"),
        (r#"{"chek":"api"}"#, 400, "did you mean `check`?"),
        (r#"{"check":"api","max_age":"10"}"#, 400, "`10s`"),
        ("{", 400, "not JSON"),
        ("", 400, "names no check"),
        ("http://169.254.169.254/latest/meta-data", 403, "no check"),
    ] {
        let (found, told) = office.check(body).await.unwrap_err();
        assert_eq!(found, code, "{body}: {told}");
        assert!(told.to_string().contains(words), "{body}: {told}");
        assert!(
            told["error"].is_string() && told["hint"].is_string(),
            "{told}"
        );
    }
    let (code, _, err) = run(&mut office.daemon.command(&["request", "biling"]));
    assert_eq!(code, 64);
    assert!(err.contains("`billing`"), "{err}");
    assert_eq!(
        office.target.hits("/api") + office.target.hits("/billing"),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_has_one_result_for_ever() {
    let office = office(&["api", "other"], "").await;
    let ask = async |body: &str| office.ask("supercheck.check", body, Some("order-66")).await;
    let first = ask("api").await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask("api").await.unwrap(), first);
        let in_body = office.check(r#"{"check":"api","id":"order-66"}"#).await;
        assert_eq!(in_body.unwrap(), first);
    }
    assert_eq!(office.target.hits("/api"), 1);
    let (code, told) = ask("other").await.unwrap_err();
    assert_eq!((code, &told["id"]), (409, &json!("order-66")));
    assert_eq!(office.target.hits("/other"), 0);
    // A cached answer is recorded as well.
    let young = r#"{"check":"api","max_age":"1h"}"#;
    let cached = office
        .ask("supercheck.check", young, Some("order-67"))
        .await
        .unwrap();
    assert_eq!(cached["run"], first["run"]);
    let fresh = office.check("api").await.unwrap();
    assert_ne!(fresh["run"], first["run"]);
    let again = office
        .ask("supercheck.check", "api", Some("order-67"))
        .await
        .unwrap();
    assert_eq!(again["run"], first["run"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_once_cost_two_probes_and_a_young_report_costs_none() {
    let office = office(&["slow"], "").await;
    office.target.set(
        "/slow",
        Answer::json("{}").after(Duration::from_millis(500)),
    );
    let asked = chrono::Utc::now() - chrono::TimeDelta::milliseconds(1);
    let all = futures_util::future::join_all((0..1000).map(|_| office.check("slow"))).await;
    for report in all {
        let report = report.unwrap();
        let at = chrono::DateTime::parse_from_rfc3339(report["checked_at"].as_str().unwrap());
        assert!(at.unwrap() >= asked);
    }
    let hits = office.target.hits("/slow");
    assert!(hits <= 2, "{hits} probes");
    let young = r#"{"check":"slow","max_age":"1m"}"#;
    let all = futures_util::future::join_all((0..1000).map(|_| office.check(young))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(office.target.hits("/slow"), hits, "from memory");
    office.queue_is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_check_does_not_delay_another() {
    let office = office(&["hanging", "api"], "").await;
    office.target.set(
        "/hanging",
        Answer::json("{}").after(Duration::from_secs(60)),
    );
    let hanging = (0..500).map(|_| office.check("hanging"));
    let hanging = futures_util::future::join_all(hanging);
    let api = async {
        wait::until("the hanging run", async || {
            (office.target.hits("/hanging") > 0).then_some(())
        })
        .await;
        let began = Instant::now();
        office.check("api").await.unwrap();
        began.elapsed()
    };
    let (all, took) = tokio::join!(hanging, api);
    assert!(took < Duration::from_secs(2), "{took:?}");
    for report in all {
        assert_eq!(report.unwrap()["verdict"], "fail");
    }
    assert!(office.target.hits("/hanging") <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_is_a_request_too() {
    let office = office(&["api"], "").await;
    let url = office.nats.url();
    for client in Client::had() {
        let id = format!("from-{client:?}");
        let subject = "supercheck.requests.api";
        let hits = office.target.hits("/api");
        let ack = client.call(&url, &["publish", subject, "", &id]).await;
        assert_eq!(ack["stream"], "SUPERCHECK_REQUESTS");
        let again = client.call(&url, &["publish", subject, "", &id]).await;
        assert_eq!(again["duplicate"], true);
        office.queue_is_empty().await;
        assert_eq!(office.target.hits("/api"), hits + 1);
        let answer = client
            .call(&url, &["request", "supercheck.check", "api", &id])
            .await;
        assert!(answer["code"].is_null(), "{answer}");
        assert_eq!(office.target.hits("/api"), hits + 1, "its one result");
    }
    let (code, out, err) =
        run(&mut office
            .daemon
            .command(&["request", "api", "--id", "cli", "--no-wait"]));
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("--id cli") && out.contains("id.Y2xp"), "{out}");
    office.queue_is_empty().await;
    let js = office.nats.jetstream().await;
    let ledger = js.get_key_value("supercheck_requests").await.unwrap();
    let record: Value =
        serde_json::from_slice(&ledger.get("id.Y2xp").await.unwrap().unwrap()).unwrap();
    let run_key = format!("run.{}", record["run"].as_str().unwrap());
    assert!(ledger.get(run_key).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_refused_recorded_and_gone() {
    let office = office(&["api"], "").await;
    let js = office.nats.jetstream().await;
    let publish = async |subject: &str, id: &str, body: Vec<u8>| {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let subject = format!("supercheck.requests.{subject}");
        let ack = js
            .publish_with_headers(subject, headers, body.into())
            .await
            .unwrap();
        ack.await.unwrap();
    };
    publish("api", "malformed", b"{nonsense".to_vec()).await;
    publish("api", "binary", vec![0xff; 100]).await;
    publish("api", "large", vec![b'x'; 900_000]).await;
    publish("nobody", "unknown", Vec::new()).await;
    publish(
        "_url",
        "metadata",
        br#"{"url":"http://169.254.169.254/"}"#.to_vec(),
    )
    .await;
    publish("api", &"i".repeat(400), Vec::new()).await;
    // The next one is handled at once.
    let began = Instant::now();
    office.check("api").await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    office.queue_is_empty().await;
    let ledger = js.get_key_value("supercheck_requests").await.unwrap();
    for (key, code) in [
        ("malformed", 400),
        ("binary", 400),
        ("large", 400),
        ("unknown", 404),
        ("metadata", 403),
    ] {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let value = ledger
            .get(format!("id.{}", URL_SAFE_NO_PAD.encode(key)))
            .await
            .unwrap();
        let record: Value = serde_json::from_slice(&value.expect(key)).unwrap();
        assert_eq!(record["refused"]["code"], code, "{key}: {record}");
    }
    let mut events = js.get_stream("SUPERCHECK_EVENTS").await.unwrap();
    let refused = events.info().await.unwrap().state.messages;
    // One for each, and one for the first status of `api`.
    wait::until("traces", async || {
        let all = events.info().await.unwrap().state.messages;
        (all == 7).then_some(())
    })
    .await;
    assert!(refused >= 6);
    assert_eq!(office.target.hits("/api"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_list_answer_from_memory() {
    let office = office(&["api", "other"], "").await;
    let get = async |body: &str| office.ask("supercheck.get", body, None).await;
    assert_eq!(get("api").await.unwrap()["freshness"], "absent");
    let report = office.check("api").await.unwrap();
    let got = get("api").await.unwrap();
    assert_eq!(
        (&got["freshness"], &got["report"]),
        (&json!("fresh"), &report)
    );
    let old = get(r#"{"check":"api","max_age":"0s"}"#).await.unwrap();
    assert_eq!(old["freshness"], "stale");
    assert_eq!(get("nobody").await.unwrap_err().0, 404);
    let list = async |body: &str| office.ask("supercheck.list", body, None).await;
    let all = list("").await.unwrap();
    assert_eq!(all["checks"].as_array().unwrap().len(), 2);
    assert_eq!(all["checks"][0]["status"], "up");
    assert_eq!(all["checks"][1]["status"], "unknown");
    let up = list(r#"{"status":"up"}"#).await.unwrap();
    assert_eq!(up["checks"].as_array().unwrap().len(), 1);
    let (code, told) = list(r#"{"statsu":"up"}"#).await.unwrap_err();
    assert_eq!(
        (code, told["hint"].as_str().unwrap()),
        (400, "did you mean `status`?")
    );
    assert_eq!(office.target.hits("/other"), 0);
    // As `nats micro ls` and `info` see it.
    let info = office.ask("$SRV.INFO.supercheck", "", None).await.unwrap();
    let names: Vec<_> = info["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["subject"])
        .collect();
    for subject in ["supercheck.check", "supercheck.get", "supercheck.list"] {
        assert!(names.contains(&&json!(subject)), "{info}");
    }
    assert!(
        info["endpoints"][0]["metadata"]["request"].is_string(),
        "{info}"
    );
    office.check("nobody").await.unwrap_err();
    let stats = office.ask("$SRV.STATS.supercheck", "", None).await.unwrap();
    assert!(
        stats["endpoints"].to_string().contains("num_requests"),
        "{stats}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_so_at_once() {
    let office = office(&["hanging"], "[requests]\nmax_waiting = 5").await;
    office.target.set(
        "/hanging",
        Answer::json("{}").after(Duration::from_secs(60)),
    );
    let all = futures_util::future::join_all((0..20).map(|_| async {
        let began = Instant::now();
        (office.check("hanging").await, began.elapsed())
    }))
    .await;
    let (accepted, refused): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(answer, _)| answer.is_ok());
    assert_eq!(accepted.len(), 5);
    for (answer, took) in refused {
        let (code, told) = answer.unwrap_err();
        assert_eq!(code, 429, "{told}");
        assert!(
            told["hint"].as_str().unwrap().contains("max_waiting"),
            "{told}"
        );
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}
