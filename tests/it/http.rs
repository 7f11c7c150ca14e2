//! The HTTP face: the API, events, health.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    scene::{Scene, read},
    target::Answer,
    wait,
};

fn names(body: &Value) -> Vec<&str> {
    let checks = body["checks"].as_array().unwrap();
    checks
        .iter()
        .map(|row| row["check"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_are_listed_narrowed_and_in_pages() {
    let scene = Scene::set().await;
    for (query, expected) in [
        ("", &["down", "later", "up"][..]),
        ("?status=down", &["down"]),
        ("?status=unknown", &["later"]),
        ("?group=web", &["up"]),
        ("?tag=eu&status=up", &["up"]),
        ("?q=LAT", &["later"]),
        ("?q=503", &["down"]),
        ("?q=nothing-like-it", &[]),
        ("?after=down", &["later", "up"]),
    ] {
        let (status, _, body) = scene.get(&format!("/api/v1/checks{query}")).await;
        assert_eq!(status, 200);
        assert_eq!(names(&body), expected, "{query}");
        assert_eq!(body["next"], Value::Null);
    }
    let (_, _, first) = scene.get("/api/v1/checks?limit=2").await;
    assert_eq!(
        (names(&first), &first["next"]),
        (vec!["down", "later"], &json!("later"))
    );
    let (_, _, row) = scene.get("/api/v1/checks?limit=1&after=later").await;
    let row = &row["checks"][0];
    assert_eq!(
        (&row["group"], &row["tags"]),
        (&json!("web"), &json!(["eu"]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_with_what_helps() {
    let scene = Scene::set().await;
    for (path, status, detail, hint) in [
        (
            "/api/v1/checks?stat=up",
            400,
            "unknown parameter `stat`",
            "did you mean `status`?",
        ),
        (
            "/api/v1/checks?status=ok",
            400,
            "`status` cannot be `ok`",
            "use up, degraded",
        ),
        (
            "/api/v1/checks?limit=0",
            400,
            "`limit` cannot be `0`",
            "from 1 to 1000",
        ),
        (
            "/api/v1/checks/dwn",
            404,
            "no check is named `dwn`",
            "did you mean `down`?",
        ),
        (
            "/api/v1/checks/later/report",
            404,
            "no report of `later`",
            "POST",
        ),
        ("/api/v2", 404, "nothing at `/api/v2`", "/api/v1/checks"),
        ("/api/v1/checks/up/run", 405, "with this method", "Allow"),
    ] {
        let (code, headers, problem) = scene.get(path).await;
        assert_eq!(
            headers["content-type"], "application/problem+json",
            "{path}"
        );
        assert_eq!(
            (code, &problem["status"]),
            (status, &json!(status)),
            "{path}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
        assert!(
            problem["hint"].as_str().unwrap().contains(hint),
            "{problem}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_how_long_it_holds() {
    let scene = Scene::set().await;
    let (_, headers, body) = scene.get("/api/v1/checks/up").await;
    let number = |text: &str| text.trim_start_matches("max-age=").parse::<i64>().ok();
    let time = |key: &str| {
        chrono::DateTime::parse_from_rfc3339(body[key].as_str().unwrap())
            .unwrap()
            .to_utc()
    };
    let now = chrono::Utc::now();
    let left = number(headers["cache-control"].to_str().unwrap()).unwrap_or(0);
    assert!(
        left <= (time("expires_at") - now).num_seconds() + 1,
        "{headers:?}"
    );
    let age = number(headers["age"].to_str().unwrap()).unwrap();
    assert!(
        age <= (now - time("checked_at")).num_seconds(),
        "{headers:?}"
    );
    let recent = body["recent"].as_array().unwrap();
    assert_eq!(recent.last().unwrap()["checked_at"], body["checked_at"]);

    // What does not change is not sent twice.
    let path = "/api/v1/checks/later";
    let (_, headers, _) = scene.get(path).await;
    let tag = headers["etag"].clone();
    let again = scene.client.get(format!("{}{path}", scene.url));
    let (status, _, body) = read(again.header("if-none-match", tag)).await;
    assert_eq!((status, body), (304, json!("")));

    // The report is the one that is stored, byte for byte.
    let (_, headers, report) = scene.get("/api/v1/checks/down/report").await;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(report["http_status"], 503);
    assert!(report["response"].is_object() && report["phases_ms"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_run_once_for_each_key() {
    let scene = Scene::set().await;
    let before = scene.target.hits("/later");
    let (status, _, first) = read(scene.run("later").header("idempotency-key", "\"k-1\"")).await;
    assert_eq!((status, &first["trigger"]), (200, &json!("request")));
    let (_, _, again) = read(scene.run("later").header("idempotency-key", "k-1")).await;
    assert_eq!(again["run"], first["run"]);
    assert_eq!(scene.target.hits("/later"), before + 1);
    // The same id for something else, here or through NATS, is refused.
    let (status, _, problem) = read(scene.run("up").header("idempotency-key", "k-1")).await;
    assert_eq!((status, &problem["id"]), (409, &json!("k-1")));
    // A young report will do.
    let (_, _, young) = read(scene.run("later?max_age=10m")).await;
    assert_eq!(young["run"], first["run"]);
    let (_, _, young) = read(scene.run("later").body(r#"{"max_age": "10m"}"#)).await;
    assert_eq!(young["run"], first["run"]);
    let (_, _, fresh) = read(scene.run("later")).await;
    assert_ne!(fresh["run"], first["run"]);
    assert_eq!(scene.target.hits("/later"), before + 2);

    for (request, status) in [
        (scene.run("nobody"), 404),
        (scene.run("later").body("[1]"), 400),
        (scene.run("later").body(r#"{"max_age": 5}"#), 400),
        (scene.run("later").body(r#"{"check": "up"}"#), 400),
        (scene.run("later").body("x".repeat(5000)), 413),
        (
            scene
                .run("later")
                .header("idempotency-key", "x".repeat(129)),
            400,
        ),
    ] {
        let (code, _, problem) = read(request).await;
        assert_eq!(code, status, "{problem}");
        assert!(!problem["hint"].as_str().unwrap().is_empty(), "{problem}");
    }
    // What was can be read back.
    let (_, _, body) = scene.get("/api/v1/checks/later/history?since=1h").await;
    let past = body["summaries"].as_array().unwrap();
    assert_eq!(past.len(), 2);
    assert_eq!(past[1]["run"], fresh["run"]);
    let (_, _, page) = scene
        .get("/api/v1/checks/later/history?since=1h&limit=1")
        .await;
    let next = format!("/api/v1/checks/later/history?after={}", page["next"]);
    let (_, _, rest) = scene.get(&next).await;
    assert_eq!(rest["summaries"], json!([past[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_from_where_the_reader_left_off() {
    let scene = Scene::set().await;
    let url = format!("{}/api/v1/events?check=up", scene.url);
    let follow = async |last: Option<&str>| {
        let mut request = scene.client.get(&url);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        answer
    };
    // The next event: its id and its JSON.
    let next = async |stream: &mut reqwest::Response| {
        let mut text = String::new();
        loop {
            let chunk = tokio::time::timeout(wait::LONG, stream.chunk()).await;
            let chunk = chunk.unwrap().unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            let field = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name))?;
                Some(line[name.len()..].trim().to_owned())
            };
            if text.ends_with("\n\n")
                && let (Some(id), Some(data)) = (field("id:"), field("data:"))
            {
                return (id, serde_json::from_str::<Value>(&data).unwrap());
            }
        }
    };
    let mut stream = follow(None).await;
    scene.target.set("/up", Answer::json("{}").status(500));
    let (id, change) = next(&mut stream).await;
    assert_eq!(
        (&change["check"], &change["to"]),
        (&json!("up"), &json!("down"))
    );
    drop(stream);
    // While nobody listens it recovers; it is told to who comes back.
    scene.target.set("/up", Answer::json("{}"));
    wait::until("the check is up again", async || {
        (scene.get("/api/v1/checks/up").await.2["status"] == "up").then_some(())
    })
    .await;
    let mut stream = follow(Some(&id)).await;
    let (_, change) = next(&mut stream).await;
    assert_eq!(
        (&change["from"], &change["to"]),
        (&json!("down"), &json!("up"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_in_the_words_of_each_asker() {
    let mut scene = Scene::set().await;
    let (status, headers, health) = scene.get("/health").await;
    assert_eq!(headers["content-type"], "application/health+json");
    assert_eq!((status, &health["status"]), (503, &json!("fail")));
    assert_eq!(health["checks"]["down:response-time"][0]["status"], "fail");
    assert_eq!(health["checks"]["up:response-time"][0]["status"], "pass");
    assert_eq!(health["checks"]["nats:connection"][0]["status"], "pass");
    let (status, _, health) = scene.get("/health?group=web").await;
    assert_eq!((status, &health["status"]), (200, &json!("pass")));

    assert_eq!(scene.get("/gtg/web").await.0, 200);
    let (status, _, body) = scene.get("/gtg/shop").await;
    assert_eq!((status, body), (503, json!("down is down\n")));
    assert_eq!(scene.get("/gtg/nowhere").await.0, 404);

    // `later` had its time when its patience is over, not before.
    let (status, _, ready) = scene.get("/readyz").await;
    assert_eq!((status, &ready["awaited"]), (503, &json!(1)), "{ready}");
    read(scene.run("later")).await;
    let (status, _, ready) = scene.get("/readyz").await;
    assert_eq!(
        (status, &ready["status"]),
        (200, &json!("ready")),
        "{ready}"
    );
    // A run in flight holds up the end, and readers hear of it.
    scene.target.set(
        "/later",
        Answer::json("{}").after(Duration::from_millis(390)),
    );
    let slow = tokio::spawn(scene.run("later").send());
    wait::until("the target is asked", async || {
        (scene.target.hits("/later") > 1).then_some(())
    })
    .await;
    scene.daemon.signal(Signal::TERM);
    wait::until("it says that it is draining", async || {
        let answer = reqwest::get(format!("{}/readyz", scene.url)).await.ok()?;
        (answer.status() == 503 && answer.text().await.ok()?.contains("draining")).then_some(())
    })
    .await;
    assert!(scene.daemon.ended().await.success());
    drop(slow.await);
}
