//! What the daemon's user must be allowed, and which of it is missing.
//!
//! `deploy/nats/daemon.conf` holds the same lines; a test compares them.

use std::{future::Future, time::Duration};

use async_nats::jetstream::stream::Config;

use super::{
    EVENT_STREAM, HISTORY_STREAM, OBJECT_BUCKET, REQUEST_STREAM, SLOT_STREAM, Store, StoreError,
    examine::Finding,
    wanted::{Wanted, object_stream, wanted},
};
use crate::{config::StoreSettings, error::Chain};

/// Subjects of which the user may make use.
#[derive(Debug, Default)]
pub struct Permissions {
    /// To publish to.
    pub publish: Vec<String>,
    /// To subscribe to, beside the inbox.
    pub subscribe: Vec<String>,
}

/// What the API is asked of each stream, `%`.
const OF_STREAMS: [&str; 6] = [
    "$JS.API.STREAM.INFO.%",
    "$JS.API.STREAM.CREATE.%",
    "$JS.API.STREAM.UPDATE.%",
    "$JS.API.STREAM.MSG.GET.%",
    "$JS.API.DIRECT.GET.%",
    "$JS.API.DIRECT.GET.%.>",
];
/// And of those that are consumed.
const OF_CONSUMERS: [&str; 4] = [
    "$JS.API.CONSUMER.INFO.%.*",
    "$JS.API.CONSUMER.CREATE.%",
    "$JS.API.CONSUMER.CREATE.%.>",
    "$JS.API.CONSUMER.MSG.NEXT.%.*",
];
/// Queues are acknowledged, in the short form or the one with domain and
/// account.
const OF_QUEUES: [&str; 2] = ["$JS.ACK.%.>", "$JS.ACK.*.*.%.>"];

/// The queue of requests is taken anew after a crash that left some in it.
const OF_REQUESTS: &str = "$JS.API.CONSUMER.DELETE.%.*";

/// Answers that are ready after a reconnect, when the server knows no more who
/// asked. Not tried: others may have other inboxes.
const ANSWERS: [&str; 2] = ["_INBOX_reader.>", "_INBOX_requester.>"];

/// The endpoints, the service's own ones, the results, and what other instances
/// store.
const SUBSCRIBE: [&str; 9] = [
    "supercheck.check",
    "supercheck.get",
    "supercheck.list",
    "supercheck.push.*",
    "supercheck.maintenance.*",
    "$KV.supercheck_maintenance.*",
    "supercheck.results.*",
    "$SRV.>",
    "$KV.supercheck_kv.*",
];

/// A refusal of something that has no answer comes within this time.
const QUIET: Duration = Duration::from_millis(20);
/// Answers to questions that are none come at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that the daemon needs.
pub fn needed(settings: &StoreSettings) -> Permissions {
    let mut publish = vec!["supercheck.results.*".to_owned()];
    publish.extend(ANSWERS.map(str::to_owned));
    for Wanted { config, .. } in wanted(settings) {
        publish.extend(config.subjects.iter().cloned());
        publish.extend(of_stream(&config));
    }
    Permissions {
        publish,
        subscribe: SUBSCRIBE.map(str::to_owned).to_vec(),
    }
}

fn of_stream(config: &Config) -> Vec<String> {
    let name = config.name.as_str();
    let queue = [REQUEST_STREAM, SLOT_STREAM].contains(&name);
    let mut forms = OF_STREAMS.to_vec();
    if queue || [HISTORY_STREAM, EVENT_STREAM].contains(&name) {
        forms.extend(OF_CONSUMERS);
    }
    if queue {
        forms.extend(OF_QUEUES);
    }
    if name == REQUEST_STREAM {
        forms.push(OF_REQUESTS);
    }
    forms.iter().map(|form| form.replace('%', name)).collect()
}

/// The line that would allow what was refused, and where it belongs.
pub(super) fn line(refusal: &str, settings: &StoreSettings) -> Option<String> {
    let (kind, rest) = [
        ("publish", "Publish to \""),
        ("subscribe", "Subscription to \""),
    ]
    .into_iter()
    .find_map(|(kind, words)| Some((kind, refusal.split_once(words)?.1)))?;
    let subject = rest.split('"').next()?;
    let needed = needed(settings);
    let patterns = if kind == "publish" {
        needed.publish
    } else {
        needed.subscribe
    };
    let known = patterns
        .into_iter()
        .find(|pattern| covers(pattern, subject));
    // Replies come to an inbox, whose first token is a setting.
    let pattern = known.unwrap_or_else(|| match subject.split_once('.') {
        Some((inbox, _)) if kind == "subscribe" || inbox.starts_with("_INBOX") => {
            format!("{inbox}.>")
        }
        _ => subject.to_owned(),
    });
    Some(format!(
        "add \"{pattern}\" to `{kind}: {{ allow: [...] }}` of the user; deploy/nats/daemon.conf \
         has every line that the daemon needs"
    ))
}

fn covers(pattern: &str, subject: &str) -> bool {
    let mut subject = subject.split('.');
    for token in pattern.split('.') {
        match (token, subject.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (token, Some(word)) if token == word => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

impl Store {
    /// The permissions that are missing, beyond those to write to the streams.
    /// What is tried is refused by the server as no question, or heard by
    /// nobody.
    pub(super) async fn permissions(&self) -> Vec<Finding> {
        let needed = needed(self.settings());
        let mut refusals = Vec::new();
        for subject in &needed.publish {
            let subject = subject.replace(['>', '*'], "_doctor");
            if subject.starts_with("$JS.API.STREAM.INFO.") {
                // It was asked of each stream before.
                continue;
            }
            if subject.starts_with("$JS.API.") {
                refusals.extend(self.refused_by(self.question(subject)).await);
            } else if subject.starts_with("$JS.ACK.") || subject.starts_with("supercheck.results.")
            {
                refusals.extend(self.refused_by(self.remark(subject)).await);
            }
        }
        for subject in &needed.subscribe {
            refusals.extend(self.refused_by(self.ear(subject)).await);
        }
        refusals
            .iter()
            .map(|refusal| self.of_trouble(refusal))
            .collect()
    }

    async fn refused_by(&self, attempt: impl Future<Output = ()>) -> Option<StoreError> {
        tokio::select! {
            refusal = self.refused() => Some(refusal),
            () = attempt => None,
        }
    }

    /// Whatever is answered, it may be asked. What it is about is not said, so
    /// nothing comes of it, and the server has nothing to log.
    async fn question(&self, subject: String) {
        let asked = self.client.request(subject, "{}".into());
        if let Err(error) = tokio::time::timeout(PATIENCE, asked).await {
            tracing::debug!(%error, "no answer to a question that is none");
        }
    }

    async fn remark(&self, subject: String) {
        if let Err(error) = self.client.publish(subject, "".into()).await {
            tracing::debug!(%error, "remark not sent");
        }
        self.caught_up().await;
    }

    async fn ear(&self, subject: &str) {
        let subscribed = self.client.subscribe(subject.to_owned()).await;
        self.caught_up().await;
        drop(subscribed);
    }

    /// Waits until the server has answered what came after, and a refusal that
    /// came before the answer is known.
    async fn caught_up(&self) {
        if let Err(error) = self.info(&object_stream(OBJECT_BUCKET)).await {
            tracing::debug!(error = %Chain(&error), "no answer");
        }
        tokio::time::sleep(QUIET).await;
    }
}

#[cfg(test)]
mod tests;
