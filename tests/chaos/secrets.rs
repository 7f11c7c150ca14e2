//! Secrets that are configured, and may be in nothing that anybody reads.

use async_nats::jetstream;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::TryStreamExt as _;

use crate::support::daemon::{Daemon, run};

/// Each daemon's password in NATS, and a header of every check.
pub const PASSWORD: &str = "pl4nted-password";
pub const HEADER: &str = "pl4nted-header";
/// So many messages of a stream are searched, the newest.
const SEARCHED: u64 = 3000;

/// None of them is in `text`, in Base64 neither.
pub fn absent(what: &str, text: &str) -> Result<(), String> {
    for secret in [PASSWORD, HEADER] {
        for secret in [secret, &STANDARD.encode(secret)] {
            if let Some(at) = text.find(secret) {
                let from = text.floor_char_boundary(at.saturating_sub(200));
                let shown = text.get(from..at).unwrap_or_default();
                return Err(format!("{what} shows a secret, after `{shown}`"));
            }
        }
    }
    Ok(())
}

/// None is in what a daemon logs, serves and prints.
pub async fn told_by(daemon: &Daemon) -> Result<(), String> {
    absent("a log", &format!("{:?}", daemon.log()))?;
    let url = daemon.http().await;
    for path in [
        "/",
        "/metrics",
        "/readyz",
        "/api/v1/checks",
        "/checks/steady0",
    ] {
        let page = reqwest::get(format!("{url}{path}")).await.unwrap();
        absent(path, &page.text().await.unwrap())?;
    }
    let (_, out, err) = run(&mut daemon.command(&["config", "show"]));
    absent("config show", &format!("{out}{err}"))
}

/// None is in what is stored: subjects, headers and bodies.
pub async fn stored(js: &jetstream::Context) -> Result<(), String> {
    let names: Vec<String> = js.stream_names().try_collect().await.unwrap();
    for name in names {
        let stream = js.get_stream(&name).await.unwrap();
        let state = &stream.cached_info().state;
        let last = state.last_sequence;
        let first = state.first_sequence.max(last.saturating_sub(SEARCHED));
        for sequence in first..=last {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                let body = String::from_utf8_lossy(&message.payload);
                let text = format!("{} {:?} {body}", message.subject, message.headers);
                absent(&name, &text)?;
            }
        }
    }
    Ok(())
}
