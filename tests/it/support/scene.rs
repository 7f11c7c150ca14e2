//! A daemon with some checks, asked over HTTP.

use reqwest::{Client, RequestBuilder, header::HeaderMap};
use serde_json::Value;

use super::{
    daemon::Daemon,
    nats::Nats,
    target::{Answer, Target},
    wait,
};

/// Two groups; `down` is down, and `later` is not checked by itself.
pub fn config(nats: &Nats, target: &Target) -> String {
    format!(
        r#"
        [nats]
        url = "{}"
        [defaults]
        interval = "500ms"
        timeout = "400ms"
        [[check]]
        name = "down"
        url = "{down}"
        group = "shop"
        [[check]]
        name = "later"
        url = "{later}"
        interval = "1h"
        [[check]]
        name = "up"
        url = "{up}"
        group = "web"
        tags = ["eu"]
        "#,
        nats.url(),
        down = target.url("/down"),
        later = target.url("/later"),
        up = target.url("/up"),
    )
}

/// A daemon over those checks, and a client of its HTTP face.
pub struct Scene {
    _nats: Nats,
    pub target: Target,
    pub daemon: Daemon,
    pub url: String,
    pub client: Client,
}

impl Scene {
    /// Starts everything, and waits for the first results.
    pub async fn set() -> Self {
        let nats = Nats::start().await;
        let target = Target::start().await;
        target.set("/down", Answer::json("{}").status(503));
        let daemon = Daemon::serve(&config(&nats, &target));
        daemon.ready().await;
        let scene = Self {
            url: daemon.http().await,
            _nats: nats,
            target,
            daemon,
            client: Client::new(),
        };
        for check in ["up", "down"] {
            wait::until("a first result", async || {
                let (_, _, body) = scene.get(&format!("/api/v1/checks/{check}")).await;
                (body["freshness"] == "fresh").then_some(())
            })
            .await;
        }
        scene
    }

    /// What is at `path`.
    pub async fn get(&self, path: &str) -> (u16, HeaderMap, Value) {
        read(self.client.get(format!("{}{path}", self.url))).await
    }

    /// Asks for a run of `check`, after which a query may stand.
    pub fn run(&self, check: &str) -> RequestBuilder {
        let (check, query) = check.split_once('?').unwrap_or((check, ""));
        let url = format!("{}/api/v1/checks/{check}/run?{query}", self.url);
        self.client.post(url)
    }
}

/// Status, headers, and the body as JSON, or as text.
pub async fn read(request: RequestBuilder) -> (u16, HeaderMap, Value) {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.unwrap();
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    (status, headers, body)
}
