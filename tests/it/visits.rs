//! URLs that nobody configured: run on demand where the operator allows it,
//! recorded and reported, and never a way into the operator's own networks.

use serde_json::Value;

use crate::{requests::office, support::wait};

/// The target, on any port, and nothing else of this host.
const ALLOWED: &str = "[requests]\nallow_urls = [\"http://127.0.0.1:*/open*\", \"http://*:*/any\"]\n\
                       allow_networks = [\"127.0.0.1\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_url_is_run_once_recorded_and_reported_and_leaves_nothing_else() {
    let office = office(&["api"], ALLOWED).await;
    let url = office.target.url("/open?deep=1");
    let report = office
        .ask("supercheck.check", &url, Some("visit-1"))
        .await
        .unwrap();
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["url"], url.as_str());
    assert_eq!(report["response"]["body"]["status"], "UP");
    // Its one result, however often it is asked.
    let again = office.ask("supercheck.check", &url, Some("visit-1")).await;
    assert_eq!(again.unwrap()["run"], report["run"]);
    assert_eq!(office.target.hits("/open"), 1);
    let other = office.ask("supercheck.check", "api", Some("visit-1")).await;
    assert_eq!(other.unwrap_err().0, 409);

    // Fire and forget.
    let js = office.nats.jetstream().await;
    let open = office.target.url("/open/2");
    js.publish("supercheck.requests._url", open.clone().into())
        .await
        .unwrap()
        .await
        .unwrap();
    let stored = wait::until("the report", async || office.nats.object(&js, &open).await).await;
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["verdict"], "pass");
    office.queue_is_empty().await;

    // The report of the first is there too, and nothing else is.
    assert!(office.nats.object(&js, &url).await.is_some());
    let check = report["check"].as_str().unwrap();
    assert_eq!(office.nats.summary(&js, check).await, None);
    let subjects = |stream: &'static str| {
        let js = js.clone();
        async move {
            js.get_stream(stream)
                .await
                .unwrap()
                .cached_info()
                .state
                .messages
        }
    };
    assert_eq!(subjects("SUPERCHECK_HISTORY").await, 0);
    assert_eq!(subjects("SUPERCHECK_EVENTS").await, 0);
    let list = office.ask("supercheck.list", "", None).await.unwrap();
    assert!(!list.to_string().contains("open"), "{list}");
    let log = format!("{:?}", office.daemon.log());
    assert!(!log.contains("status changed"), "{log}");
}

/// The URL of a target that is allowed, and redirects to `location`.
async fn redirecting(location: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = axum::response::Redirect::temporary(&location);
    let routes = axum::Router::new().fallback(async move || to.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://127.0.0.1:{port}/open/away")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_refused_or_not_probed() {
    let office = office(&["api"], ALLOWED).await;
    for (body, code, words) in [
        (office.target.url("/closed"), 403, "requests.allow_urls"),
        (
            "https://127.0.0.1/open".to_owned(),
            403,
            "requests.allow_urls",
        ),
        (
            office.target.url("/open").replace("//", "//me:hunter2@"),
            400,
            "a user or a password",
        ),
        (
            r#"{"url": "http:me:hunter2@127.0.0.1/open"}"#.to_owned(),
            400,
            "a user or a password",
        ),
        (
            "http://127.0.0.1:/open@x".to_owned(),
            400,
            "cannot name its report",
        ),
        (
            format!("http://127.0.0.1:1/open{}", "x".repeat(1100)),
            400,
            "too long",
        ),
    ] {
        let (found, told) = office
            .ask("supercheck.check", &body, None)
            .await
            .unwrap_err();
        assert_eq!(found, code, "{body}: {told}");
        assert!(told.to_string().contains(words), "{body}: {told}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }
    // The pattern takes any host, the network is another matter.
    for url in [
        "http://127.0.0.2:8080/any",
        "http://[::1]:8080/any",
        "http://169.254.169.254/any",
    ] {
        let report = office.ask("supercheck.check", url, None).await.unwrap();
        assert_eq!(report["verdict"], "fail", "{report}");
        let message = report["message"].as_str().unwrap();
        assert!(message.starts_with("not probed: "), "{message}");
    }
    let js = office.nats.jetstream().await;
    let body = office.target.url("/open").replace("//", "//me:hunter2@");
    js.publish("supercheck.requests._url", body.into())
        .await
        .unwrap()
        .await
        .unwrap();
    office.queue_is_empty().await;
    assert_eq!(
        office.target.hits("/open") + office.target.hits("/closed"),
        0
    );
    let log = format!("{:?}", office.daemon.log());
    assert!(log.contains("request refused"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_url_that_is_not_allowed_is_not_followed() {
    let office = office(&["api"], ALLOWED).await;
    let away = redirecting(office.target.url("/closed?token=hush")).await;
    let report = office.ask("supercheck.check", &away, None).await.unwrap();
    let message = report["message"].as_str().unwrap();
    let place = office.target.url("/closed");
    assert!(
        message.starts_with("not probed: ") && message.contains(&format!("`{place}`")),
        "{message}"
    );
    assert_eq!(report["reached"]["redirects"][0]["to"], place.as_str());
    assert!(!report.to_string().contains("hush"), "{report}");
    assert_eq!(office.target.hits("/closed"), 0);
}
