//! What no request may reach, whoever asks for it; and secrets, which nobody
//! may see.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, response::Redirect};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::secrets;

/// Any host's `/any` may be asked for, and nothing at this host but the address
/// that redirects.
pub const ALLOWED: &str = "allow_urls = [\"http://*:*/any\"]\nallow_networks = [\"127.0.0.2\"]\n";
/// Between two that try.
const PAUSE: Duration = Duration::from_millis(500);
/// So long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A server that nobody may connect to, and what became of who tried.
#[derive(Clone)]
pub struct Decoy {
    port: u16,
    /// Who was sent on to it answers at this one.
    redirecting: u16,
    connected: Arc<AtomicU64>,
    /// Requests that were refused, runs that were not made, and redirects that
    /// were not followed.
    refused: Arc<AtomicU64>,
    kept_from: Arc<AtomicU64>,
    sent_on: Arc<AtomicU64>,
}

impl Decoy {
    pub async fn start() -> Self {
        // At each address of this host, of either version where it has both.
        let all: [SocketAddr; 2] = ["[::]:0", "0.0.0.0:0"].map(|at| at.parse().unwrap());
        let listener = TcpListener::bind(&all[..]).await.unwrap();
        let away = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let decoy = Self {
            port: listener.local_addr().unwrap().port(),
            redirecting: away.local_addr().unwrap().port(),
            connected: Arc::default(),
            refused: Arc::default(),
            kept_from: Arc::default(),
            sent_on: Arc::default(),
        };
        let connected = Arc::clone(&decoy.connected);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                connected.fetch_add(1, Ordering::SeqCst);
            }
        });
        let places = decoy.places();
        let turn = Arc::new(AtomicUsize::new(0));
        let routes = Router::new().fallback(async move || {
            let turn = turn.fetch_add(1, Ordering::SeqCst);
            Redirect::temporary(&places[turn % places.len()])
        });
        tokio::spawn(async move { axum::serve(away, routes).await });
        decoy
    }

    /// Ways to write where it is.
    pub fn places(&self) -> Vec<String> {
        let port = self.port;
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            // Every name leads here.
            "decoy.chaos.example",
        ]
        .iter()
        .flat_map(|host| ["any", "closed"].map(|path| format!("http://{host}:{port}/{path}")))
        .collect()
    }

    /// Asks for what is refused, again and again, and tells what is wrong with
    /// the answers.
    pub async fn lure(&self, client: async_nats::Client, over: impl Fn() -> bool) -> Vec<String> {
        let mut urls = self.places();
        urls.push(format!(
            "http://me:{}@127.0.0.1:{}/any",
            secrets::PASSWORD,
            self.port
        ));
        let away = format!("http://127.0.0.2:{}/any", self.redirecting);
        let mut wrong = Vec::new();
        // What is sent on leads to another place each time.
        for url in urls.iter().flat_map(|url| [url, &away]).cycle() {
            if over() {
                break;
            }
            let request = async_nats::Request::new().payload(url.clone().into());
            let request = request.timeout(Some(TIMEOUT));
            if let Ok(answer) = client.send_request("supercheck.check", request).await
                && let Err(what) = self.note(&answer)
            {
                wrong.push(format!("{url}: {what}"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        wrong
    }

    /// Notes an answer, if it is one that may be given.
    fn note(&self, answer: &async_nats::Message) -> Result<(), String> {
        let text = String::from_utf8_lossy(&answer.payload);
        let headers = answer.headers.clone().unwrap_or_default();
        secrets::absent("an answer", &format!("{headers:?} {text}"))?;
        let count = match headers.get("Nats-Service-Error-Code") {
            Some(code) if matches!(code.as_str(), "400" | "403") => &self.refused,
            // It was not looked at.
            Some(_) => return Ok(()),
            None => {
                let report: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                if report["verdict"] == "pass" {
                    return Err(format!("it passed: {report}"));
                }
                let message = report["message"].as_str().unwrap_or_default();
                match message.starts_with("not probed: ") {
                    // The way there may fail, too.
                    false => return Ok(()),
                    true if report["reached"]["redirects"].is_array() => &self.sent_on,
                    true => &self.kept_from,
                }
            }
        };
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Nobody has connected, and many tried.
    pub fn was_not_reached(&self) -> Result<(), String> {
        let [connected, refused, kept_from, sent_on] = [
            &self.connected,
            &self.refused,
            &self.kept_from,
            &self.sent_on,
        ]
        .map(|count| count.load(Ordering::SeqCst));
        let told = format!(
            "of requests for a decoy {refused} were refused, {kept_from} not probed, {sent_on} not led there, {connected} connected to it"
        );
        eprintln!("{told}");
        let tried = refused > 0 && kept_from > 0 && sent_on > 0;
        if connected > 0 || !tried {
            return Err(told);
        }
        Ok(())
    }
}
