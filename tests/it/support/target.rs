//! A target whose answer the test decides, and which counts who asks.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

/// How a path is answered.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub content_type: &'static str,
    /// Beside the content type.
    pub headers: Vec<(&'static str, String)>,
    pub delay: Duration,
}

impl Answer {
    /// 200 with JSON whose `hit` numbers the answers of this path from 1.
    pub fn numbered() -> Self {
        Self::json(r#"{"status":"UP","hit":HIT}"#)
    }

    /// 200 with this JSON.
    pub fn json(body: &str) -> Self {
        Self {
            status: 200,
            body: body.to_owned(),
            content_type: "application/json",
            headers: Vec::new(),
            delay: Duration::ZERO,
        }
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// What a path was asked and answered.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    pub status: u16,
    /// So long the answer took, in milliseconds.
    pub delay: i64,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Answer>,
    hits: HashMap<String, u64>,
    given: HashMap<String, Vec<Given>>,
    /// The connections that a path was asked over.
    peers: HashMap<String, BTreeSet<SocketAddr>>,
}

/// An HTTP target on a port of its own.
#[derive(Clone)]
pub struct Target {
    shared: Arc<Mutex<Shared>>,
    address: SocketAddr,
}

impl Target {
    /// Answers 200 `{"status":"UP"}` everywhere until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Self {
            shared: Arc::default(),
            address: listener.local_addr().unwrap(),
        };
        let routes = Router::new().fallback(answer).with_state(target.clone());
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        target
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on `path` is answered so.
    pub fn set(&self, path: &str, answer: Answer) {
        self.shared
            .lock()
            .unwrap()
            .answers
            .insert(path.to_owned(), answer);
    }

    /// How often `path` was asked.
    pub fn hits(&self, path: &str) -> u64 {
        self.shared
            .lock()
            .unwrap()
            .hits
            .get(path)
            .copied()
            .unwrap_or(0)
    }

    /// What `path` was asked and answered from `from` on, oldest first.
    pub fn given(&self, path: &str, from: i64) -> Vec<Given> {
        let shared = self.shared.lock().unwrap();
        let given = shared.given.get(path).map_or(&[][..], Vec::as_slice);
        let newer = given.iter().rev().take_while(|given| given.at >= from);
        given[given.len() - newer.count()..].to_vec()
    }

    /// Over how many connections `path` was asked.
    pub fn connections(&self, path: &str) -> usize {
        let shared = self.shared.lock().unwrap();
        shared.peers.get(path).map_or(0, BTreeSet::len)
    }
}

async fn answer(
    State(target): State<Target>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let path = request.uri().path().to_owned();
    let (answer, hit) = {
        let mut shared = target.shared.lock().unwrap();
        let hits = shared.hits.entry(path.clone()).or_default();
        *hits += 1;
        let hit = *hits;
        shared.peers.entry(path.clone()).or_default().insert(peer);
        let answer = shared.answers.get(&path).cloned();
        let answer = answer.unwrap_or_else(|| Answer::json(r#"{"status":"UP"}"#));
        let given = Given {
            at: chrono::Utc::now().timestamp_millis(),
            status: answer.status,
            delay: i64::try_from(answer.delay.as_millis()).unwrap(),
        };
        shared.given.entry(path).or_default().push(given);
        (answer, hit)
    };
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let status = StatusCode::from_u16(answer.status).unwrap();
    let body = answer.body.replace("HIT", &hit.to_string());
    let mut response = (status, [("content-type", answer.content_type)], body).into_response();
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
