//! The status page, as it comes: whole, escaped, small. `browser` looks at it
//! as a person does.

use std::time::Duration;

use crate::support::{
    daemon::Daemon,
    nats::Nats,
    scene::{Scene, read},
    target::{Answer, Target},
    wait,
};

async fn text(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_whole_without_a_script() {
    let scene = Scene::set().await;
    let page = text(&scene.url).await;
    for part in [
        "1 of 3 checks is down",
        "data-check=\"down\"",
        "HTTP status 503",
        "<h2>shop",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let page = text(&format!("{}/?status=up", scene.url)).await;
    assert!(page.contains("data-check=\"up\"") && !page.contains("data-check=\"down\""));
    let page = text(&format!("{}/?q=nothing-like-it", scene.url)).await;
    assert!(page.contains("No check is like that."));
    let page = text(&format!("{}/checks/down?range=week", scene.url)).await;
    for part in [
        "down <span class=\"word\">is down",
        "Expectations",
        "30 days",
        "&quot;v&quot;: 1",
    ] {
        let part = part.replace("&quot;", "&#34;");
        assert!(page.contains(&part), "{part} in {page}");
    }
    for file in ["page.css", "page.js", "up.svg"] {
        assert!(
            !text(&format!("{}/static/{file}", scene.url))
                .await
                .is_empty()
        );
    }
    assert_eq!(scene.get("/static/nothing").await.0, 404);
    assert_eq!(scene.get("/checks/nobody").await.0, 404);
    assert_eq!(scene.get("/?page=0").await.0, 400);
}

/// A document and headers that say `payload` wherever they can.
fn evil(payload: &str) -> Answer {
    let document = format!(
        r#"{{"status": "fail", "output": "{payload}", "checks": {{"{payload}": [{{"status": "fail", "output": "{payload}"}}]}}}}"#
    );
    let answer = Answer::json(&document).status(503);
    ["server", "via", "etag", "x-request-id"]
        .into_iter()
        .fold(answer, |answer, name| {
            answer.header(name, "<b>header</b><script>alert(3)</script>")
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_target_says_becomes_html() {
    const PAYLOAD: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\\\"'`{{7*7}}";
    let nats = Nats::start().await;
    let target = Target::start().await;
    target.set("/evil", evil(PAYLOAD));
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"evil\"\nurl = \"{}?<kbd>\"\ninterval = \"500ms\"\n\
         timeout = \"400ms\"\ngroup = \"<var>group</var>\"\ntags = [\"<samp>tag</samp>\"]\n\
         expect = ['text.contains(\"<s>\")', 'body.output == \"<s>\"']",
        nats.url(),
        target.url("/evil"),
    ));
    let url = daemon.http().await;
    wait::until("a result", async || {
        let page = text(&url).await;
        page.contains("is down").then_some(())
    })
    .await;
    let page = text(&format!("{url}/checks/evil")).await;
    assert!(
        page.contains("alert(1)"),
        "the payload is shown, as text: {page}"
    );
    assert!(page.contains("alert(3)"), "and so are headers: {page}");
    let live = async |query: &str| {
        let mut answer = reqwest::get(format!("{url}/live{query}")).await.unwrap();
        let mut said = String::new();
        while !said.contains("data:") || !said.ends_with("\n\n") {
            let chunk = tokio::time::timeout(wait::LONG, answer.chunk()).await;
            said.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap().unwrap()));
        }
        // The report beside it is text, and put into the page as text.
        let data = said
            .lines()
            .find_map(|line| line.strip_prefix("data:"))
            .unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        data["html"].as_str().unwrap().to_owned()
    };
    let badge = text(&format!("{url}/badge/evil/status.svg")).await;
    for (what, page) in [
        ("list", text(&url).await),
        (
            "narrowed",
            text(&format!("{url}/?q=%3Cscript%3E&group=%22%3E%3Ckbd%3E")).await,
        ),
        ("check", page),
        ("badge", badge),
        ("live list", live("").await),
        ("live check", live("?check=evil").await),
    ] {
        for tag in [
            "<script>alert",
            "<img",
            "<kbd>",
            "<var>",
            "<samp>",
            "<s>",
            "<b>header",
            "onerror=alert(2)>",
        ] {
            assert!(!page.contains(tag), "{tag} in {what}: {page}");
        }
    }
    let policy = reqwest::get(&url).await.unwrap().headers()["content-security-policy"].clone();
    assert!(policy.to_str().unwrap().starts_with("default-src 'none'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_when_nats_is_away_and_goes_on() {
    let mut nats = Nats::start().await;
    let target = Target::start().await;
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"300ms\"\n\
         timeout = \"200ms\"",
        nats.url(),
        target.url("/"),
    ));
    daemon.ready().await;
    let url = daemon.http().await;
    wait::until("a result", async || {
        text(&url).await.contains("The check is up").then_some(())
    })
    .await;
    nats.kill();
    wait::until("the page says so", async || {
        text(&url)
            .await
            .contains("NATS cannot be used now")
            .then_some(())
    })
    .await;
    let page = text(&format!("{url}/checks/api")).await;
    assert!(
        page.contains("is up") && page.contains("history is kept there"),
        "{page}"
    );
    let hits = target.hits("/");
    wait::until("checks go on", async || {
        (target.hits("/") > hits + 2).then_some(())
    })
    .await;
    assert!(text(&url).await.contains("The check is up"));
}

/// Ten summaries from `began` on, five minutes apart and good for one; the
/// first five are of runs that failed.
async fn publish_past(
    js: &async_nats::jetstream::Context,
    summary: &serde_json::Value,
    began: u64,
) {
    let time = |ms: u64| {
        let at = chrono::DateTime::from_timestamp_millis(i64::try_from(ms).unwrap()).unwrap();
        at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    for place in 0..10u64 {
        let mut past = summary.clone();
        let at = began + place * 300_000;
        let (status, verdict) = if place < 5 {
            ("down", "fail")
        } else {
            ("up", "pass")
        };
        past["check"] = "api".into();
        past["status"] = status.into();
        past["verdict"] = verdict.into();
        past["checked_at"] = time(at).into();
        past["expires_at"] = time(at + 60_000).into();
        past["run"] = format!("past-{place}").into();
        let ack = js
            .publish("supercheck.history.api", past.to_string().into())
            .await
            .unwrap();
        ack.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_survive_a_restart_and_gaps_are_nobodys() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    let mut daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{}\"\ninterval = \"300ms\"\n\
         timeout = \"200ms\"",
        nats.url(),
        target.url("/"),
    ));
    daemon.ready().await;
    let js = nats.jetstream().await;
    // Two hours ago, five minutes apart and good for one: an hour of which nine
    // minutes are known, five of them down.
    let hour = 3_600_000;
    let now = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap();
    let began = (now / hour - 2) * hour;
    let summary = wait::until("a summary", async || nats.summary(&js, "api").await).await;
    assert!(daemon.stop().await.success());
    publish_past(&js, &summary, began).await;
    daemon.crash_and_start_again();
    let stored = wait::until("the hour is stored", async || {
        let bucket = js.get_key_value("supercheck_rollups").await.ok()?;
        let day = bucket
            .get(format!("api.{}", began / hour / 24))
            .await
            .ok()??;
        let day: serde_json::Value = serde_json::from_slice(&day).ok()?;
        let stored = day["hours"][(began / hour).to_string()].clone();
        stored.is_object().then_some(stored)
    })
    .await;
    assert_eq!((&stored["pass"], &stored["fail"]), (&5.into(), &5.into()));
    // The last of them was followed by nothing that was stored after it.
    assert_eq!(stored["up_ms"], 240_000);
    assert_eq!(stored["down_ms"], 300_000);
    // A second start comes to the same.
    daemon.crash_and_start_again();
    let url = wait::until("the page tells of it", async || {
        let url = daemon.http_again().await?;
        let page = reqwest::get(format!("{url}/checks/api"))
            .await
            .ok()?
            .text()
            .await
            .ok()?;
        page.contains("that are known").then_some(url)
    })
    .await;
    let uptime = wait::within(Duration::from_secs(20), "the badge", async || {
        let (status, _, badge) =
            read(reqwest::Client::new().get(format!("{url}/badge/api/uptime.json"))).await;
        assert_eq!(status, 200);
        let message = badge["message"]
            .as_str()?
            .trim_end_matches(" %")
            .parse::<f64>()
            .ok()?;
        Some(message)
    })
    .await;
    assert!((40.0..60.0).contains(&uptime), "{uptime}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_survive_a_restart() {
    let nats = Nats::start().await;
    let target = Target::start().await;
    // The runs of one are minutes apart, and are read by themselves.
    let mut daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"often\"\nurl = \"{url}\"\ninterval = \"200ms\"\n\
         timeout = \"100ms\"\n[[check]]\nname = \"api\"\nurl = \"{url}?\"\ninterval = \"1h\"",
        nats.url(),
        url = target.url("/"),
    ));
    daemon.ready().await;
    let js = nats.jetstream().await;
    let url = daemon.http().await;
    let runs = async |url: &str, check: &str| {
        let answer = reqwest::get(format!("{url}/api/v1/checks/{check}")).await;
        let text = answer.ok()?.text().await.ok()?;
        let body: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(body["recent"].as_array()?.clone())
    };
    let before = wait::until("a full bar", async || {
        let runs = runs(&url, "often").await?;
        (runs.len() == 30).then_some(runs)
    })
    .await;
    let summary = wait::until("a summary", async || nats.summary(&js, "often").await).await;
    assert!(daemon.stop().await.success());
    let now = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap();
    publish_past(&js, &summary, now - 3_600_000).await;
    // It stays as it is, so that what is shown is from before.
    let config = std::fs::read_to_string(daemon.config()).unwrap();
    std::fs::write(daemon.config(), config.replace("200ms", "10m")).unwrap();
    daemon.start_again();
    let url = wait::until("it listens", async || daemon.http_again().await).await;
    let after = wait::until("the bar is full again", async || {
        let runs = runs(&url, "often").await?;
        (runs.len() == 30).then_some(runs)
    })
    .await;
    // But for what ran between the last look and the stop.
    assert!(after.contains(&before[29]), "{after:?}");
    let times = |runs: &[serde_json::Value]| -> Vec<String> {
        runs.iter()
            .map(|run| run["checked_at"].to_string())
            .collect()
    };
    assert!(times(&after).is_sorted(), "{after:?}");
    let seldom = wait::until("and so is that of the other", async || {
        let runs = runs(&url, "api").await?;
        (runs.len() >= 10).then_some(runs)
    })
    .await;
    assert_eq!(seldom[0]["verdict"], "fail", "{seldom:?}");
    let page = text(&format!("{url}/checks/often")).await;
    assert!(page.contains("Last 30 runs"), "{page}");
}
