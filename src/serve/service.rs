//! The NATS face: `supercheck.check`, `.get`, `.list`, `.push.<check>` and
//! `.maintenance.<check>`, as NATS micro endpoints in one queue group.
//!
//! No stream captures these subjects: a request for a run is put on the work
//! queue from here, under its id, and answered from here when it is recorded.
//! Nothing else publishes to a reply subject.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::{HeaderMap, service::ServiceExt as _};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, watch};

use super::desk::{Answer, Desk};
use crate::{
    request::Refusal,
    store::{Link, Store},
    tasks::Tasks,
};

/// Requests that wait for an answer at once; beyond it they are refused.
const MAX_ASKING: usize = 8192;

/// Serves the endpoints until told to stop; then what is asked is refused,
/// and what is under way is answered.
pub async fn serve(desk: Arc<Desk>, tasks: Tasks) {
    let stop = tasks.stop().clone();
    let mut link = desk.store.link();
    tokio::select! {
        () = stop.cancelled() => return,
        ready = link.wait_for(|link| *link == Link::Ready) => if ready.is_err() { return },
    }
    // The client subscribes again by itself after each reconnect.
    let service = match start(&desk.store).await {
        Ok(service) => service,
        Err(error) => {
            tracing::warn!(%error, "on-demand checks are off: the NATS service did not start");
            return;
        }
    };
    let asking = Arc::new(Semaphore::new(MAX_ASKING));
    let mut requests = service.requests;
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = requests.next() => next,
        };
        let Some((endpoint, request)) = next else {
            return;
        };
        // What is in memory is not worth a task.
        if let Endpoint::Get = endpoint
            && let Some(answer) = desk.at_hand(&request.message.payload)
        {
            respond(&request, Ok(answer), desk.store.max_answer()).await;
            continue;
        }
        let Ok(room) = Arc::clone(&asking).try_acquire_owned() else {
            desk.refused.count();
            let refusal = Refusal::new(429, "too many requests wait already", "ask again later");
            respond(&request, Err((refusal, None)), usize::MAX).await;
            continue;
        };
        let desk = Arc::clone(&desk);
        tasks.spawn("answer", async move {
            let headers = request.message.headers.as_ref();
            let id = headers.and_then(|headers| headers.get("Nats-Msg-Id"));
            let id = id.map(|id| id.as_str().to_owned());
            let body = &request.message.payload;
            let answer = match endpoint {
                Endpoint::Check => desk.check(body, id.as_deref()).await,
                Endpoint::Get => desk.get(body).await,
                Endpoint::List => desk.list(body),
                Endpoint::Push => desk.push(check_of(&request), body).await,
                Endpoint::Maintenance => desk.maintain(check_of(&request), body).await,
            };
            respond(&request, answer, desk.store.max_answer()).await;
            drop(room);
        });
    }
    if let Err(error) = service.service.stop().await {
        tracing::debug!(%error, "stop the NATS service");
    }
}

#[derive(Clone, Copy, Debug)]
enum Endpoint {
    Check,
    Get,
    List,
    Push,
    Maintenance,
}

impl Endpoint {
    /// Its subject; `*` is a check's name.
    const fn subject(self) -> &'static str {
        match self {
            Self::Check => "supercheck.check",
            Self::Get => "supercheck.get",
            Self::List => "supercheck.list",
            Self::Push => "supercheck.push.*",
            Self::Maintenance => "supercheck.maintenance.*",
        }
    }
}

/// The check that the last token of the subject names.
fn check_of(request: &ServiceRequest) -> &str {
    let subject = request.message.subject.as_str();
    subject.rsplit('.').next().unwrap_or_default()
}

/// The running service and what it is asked.
struct Running<S> {
    service: async_nats::service::Service,
    requests: S,
}

type ServiceRequest = async_nats::service::Request;

async fn start(
    store: &Store,
) -> Result<
    Running<impl futures_util::Stream<Item = (Endpoint, ServiceRequest)> + Unpin + use<>>,
    async_nats::Error,
> {
    let service = store
        .client()
        .service_builder()
        .description("asks each target once, and keeps the answer for any number of readers")
        .start("supercheck", env!("CARGO_PKG_VERSION"))
        .await?;
    let mut all = futures_util::stream::SelectAll::new();
    for (endpoint, name, about) in [
        (
            Endpoint::Check,
            "check",
            "runs a check and answers with its report: a check's name or URL, or JSON {check|url, \
             max_age?, id?, timeout?}; header Nats-Msg-Id is the id under which to ask again",
        ),
        (
            Endpoint::Get,
            "get",
            "the newest known report of a check and its freshness, never probing: a check's name \
             or URL, or JSON {check|url, max_age?}",
        ),
        (
            Endpoint::List,
            "list",
            "the summaries of all checks: empty, or JSON {tag?, group?, status?, after?}",
        ),
        (
            Endpoint::Push,
            "push",
            "a job reports its own health: empty for well, JSON {status, message?}, or a health \
             document; the subject's last token is the check",
        ),
        (
            Endpoint::Maintenance,
            "maintenance",
            "marks what happens to a check for a time: JSON {for, reason?}, or {clear: true}; the \
             subject's last token is the check",
        ),
    ] {
        let metadata = HashMap::from([
            ("description".to_owned(), about.to_owned()),
            ("request".to_owned(), schema(endpoint).to_owned()),
            ("response".to_owned(), response(endpoint).to_owned()),
        ]);
        let requests = service
            .endpoint_builder()
            .name(name)
            .metadata(metadata)
            .add(endpoint.subject())
            .await?;
        all.push(Box::pin(requests.map(move |request| (endpoint, request))));
    }
    Ok(Running {
        service,
        requests: all,
    })
}

const fn schema(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Check => {
            r#"{"oneOf":[{"type":"string"},{"type":"object","additionalProperties":false,"properties":{"check":{"type":"string"},"url":{"type":"string"},"max_age":{"type":"string"},"id":{"type":"string","maxLength":128},"timeout":{"type":"string"}}}]}"#
        }
        Endpoint::Get => {
            r#"{"oneOf":[{"type":"string"},{"type":"object","additionalProperties":false,"properties":{"check":{"type":"string"},"url":{"type":"string"},"max_age":{"type":"string"}}}]}"#
        }
        Endpoint::List => {
            r#"{"type":"object","additionalProperties":false,"properties":{"tag":{"type":"string"},"group":{"type":"string"},"status":{"enum":["up","degraded","down","unknown"]},"after":{"type":"string"}}}"#
        }
        Endpoint::Push => {
            r#"{"oneOf":[{"type":"string"},{"type":"object","properties":{"status":{"enum":["pass","warn","fail"]},"message":{"type":"string"}}}]}"#
        }
        Endpoint::Maintenance => {
            r#"{"type":"object","additionalProperties":false,"properties":{"for":{"type":"string"},"reason":{"type":"string"},"clear":{"type":"boolean"}}}"#
        }
    }
}

const fn response(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Check => "the report, as `supercheck schema report` describes it",
        Endpoint::Get => {
            r#"{"type":"object","properties":{"check":{"type":"string"},"freshness":{"enum":["fresh","stale","absent"]},"age_ms":{"type":"integer"},"report":{"type":["object","null"]}}}"#
        }
        Endpoint::List => {
            r#"{"type":"object","properties":{"checks":{"type":"array"},"next":{"type":["string","null"]}}}"#
        }
        Endpoint::Push => "the summary, as `supercheck schema summary` describes it",
        Endpoint::Maintenance => {
            r#"{"type":"object","properties":{"check":{"type":"string"},"maintenance":{"type":"boolean"},"until":{"type":"string"},"reason":{"type":"string"}}}"#
        }
    }
}

/// Whether a subject is one of the server's or of supercheck's own: an answer
/// there would be a way to write for those who may only ask.
fn is_written_by_us(reply: &str) -> bool {
    ["$", "supercheck."]
        .iter()
        .any(|own| reply.starts_with(own))
}

/// Answers; a refusal carries its code in the headers that micro clients read,
/// and says why and what helps in its body.
async fn respond(request: &ServiceRequest, answer: Answer, limit: usize) {
    let (body, headers) = match answer {
        Ok(body) if body.len() <= limit => (body, HeaderMap::new()),
        Ok(_) => refused(
            &Refusal::new(
                500,
                "the answer does not fit a message",
                "raise the server's `max_payload`",
            ),
            None,
        ),
        Err((refusal, id)) => refused(&refusal, id.as_deref()),
    };
    // Whoever asked without a reply subject wants no answer.
    let Some(reply) = request.message.reply.as_deref() else {
        return;
    };
    if is_written_by_us(reply) {
        tracing::debug!(reply, "whoever asks wants the answer where it has no place");
        return;
    }
    if let Err(error) = request.respond_with_headers(Ok(body), headers).await {
        tracing::debug!(%error, "answer a request");
    }
}

fn refused(refusal: &Refusal, id: Option<&str>) -> (Bytes, HeaderMap) {
    let mut headers = HeaderMap::new();
    headers.insert(
        "Nats-Service-Error",
        refusal.error.replace(['\r', '\n'], " "),
    );
    headers.insert("Nats-Service-Error-Code", refusal.code.to_string());
    let body = serde_json::json!({
        "error": refusal.error, "hint": refusal.hint, "id": id,
    });
    (body.to_string().into(), headers)
}

/// The desk's own ear: hears which requests have come to something.
pub async fn hear(desk: Arc<Desk>) {
    let mut link: watch::Receiver<Link> = desk.store.link();
    loop {
        if link.wait_for(|link| *link == Link::Ready).await.is_err() {
            return;
        }
        match desk.store.results().await {
            Ok(told) => {
                let mut told = std::pin::pin!(told);
                while let Some((id, record)) = told.next().await {
                    desk.told(&id, &record);
                }
            }
            Err(error) => tracing::debug!(%error, "hear of results"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
