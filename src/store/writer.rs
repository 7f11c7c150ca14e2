//! Many records under way at once, on one connection.
//!
//! All messages of a record ask for their acknowledgement on one subject, which
//! ends in the record's number: so it costs a count, and not a subscription
//! and a timer for each message.

use std::collections::{BTreeMap, VecDeque};

use async_nats::{
    Message as Heard, StatusCode, Subject, Subscriber,
    client::{PublishError, PublishErrorKind},
    jetstream,
};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{
    ACK_TIMEOUT, Store, StoreError, Trouble, trouble,
    write::{Message, Record},
};

/// Sends records, and tells what became of each; `T` stands for a record.
#[derive(Debug)]
pub struct Writer<T> {
    store: Store,
    /// What all subjects for acknowledgements begin with.
    inbox: String,
    heard: Subscriber,
    /// How many records were sent.
    sent: u64,
    /// By number, which is by age.
    under_way: BTreeMap<u64, UnderWay<T>>,
    ended: VecDeque<(T, Result<(), StoreError>)>,
}

#[derive(Debug)]
struct UnderWay<T> {
    what: T,
    check: String,
    /// Acknowledgements that have not come.
    left: usize,
    failed: Option<StoreError>,
    given_up_at: Instant,
}

/// Why a record is not stored, where the server does not say.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("no stream takes it")]
    NoStream,
    #[error("no answer within {}", humantime::format_duration(ACK_TIMEOUT))]
    InTime,
}

/// The part of an acknowledgement that matters.
#[derive(Deserialize)]
struct Acknowledgement {
    error: Option<jetstream::Error>,
}

impl<T> Writer<T> {
    /// A writer with nothing under way.
    ///
    /// # Errors
    /// When the connection is closed for good.
    pub async fn open(store: &Store) -> Result<Self, StoreError> {
        let inbox = format!("{}.", store.client.new_inbox());
        let heard = store.client.subscribe(format!("{inbox}*")).await;
        let heard = heard.map_err(|error| {
            StoreError::new("listen for acknowledgements", Trouble::Away, error)
        })?;
        Ok(Self {
            store: store.clone(),
            inbox,
            heard,
            sent: 0,
            under_way: BTreeMap::new(),
            ended: VecDeque::new(),
        })
    }

    /// How many records are under way.
    pub fn len(&self) -> usize {
        self.under_way.len() + self.ended.len()
    }

    /// Whether no record is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends `record`. Records sent one after the other are stored in that
    /// order; [`Writer::next`] tells of `what`.
    pub async fn send(&mut self, record: &Record, what: T) {
        let messages = self.store.messages(record);
        self.send_as(&record.check, messages, what).await;
    }

    /// Sends the messages of `check`.
    pub(super) async fn send_as(
        &mut self,
        check: &str,
        messages: Result<Vec<Message>, StoreError>,
        what: T,
    ) {
        self.sent += 1;
        let mut under_way = UnderWay {
            what,
            check: check.to_owned(),
            left: 0,
            failed: None,
            given_up_at: Instant::now() + ACK_TIMEOUT,
        };
        let reply = Subject::from(format!("{}{}", self.inbox, self.sent));
        match messages {
            Ok(messages) => self.publish(messages, &reply, &mut under_way).await,
            Err(error) => under_way.failed = Some(error),
        }
        if under_way.left == 0 {
            self.ended.push_back(under_way.ended());
        } else {
            self.under_way.insert(self.sent, under_way);
        }
    }

    /// Publishes until something fails: then the rest would be of no use.
    async fn publish(&self, messages: Vec<Message>, reply: &Subject, under_way: &mut UnderWay<T>) {
        for message in messages {
            let (subject, reply) = (message.subject, reply.clone());
            let client = &self.store.client;
            let sent = async {
                match message.headers {
                    Some(headers) => {
                        client
                            .publish_with_reply_and_headers(subject, reply, headers, message.body)
                            .await
                    }
                    None => {
                        client
                            .publish_with_reply(subject, reply, message.body)
                            .await
                    }
                }
            };
            match timeout_at(under_way.given_up_at, sent).await {
                Ok(Ok(())) => under_way.left += 1,
                Ok(Err(error)) => return under_way.fail(unsent(&error), error),
                // The connection takes no more.
                Err(_) => return under_way.fail(Trouble::Away, Unheard::InTime),
            }
        }
    }

    /// Waits for the next record that is stored or will not be; `None` when
    /// none is under way. It may be dropped while it waits.
    pub async fn next(&mut self) -> Option<(T, Result<(), StoreError>)> {
        loop {
            if let Some(ended) = self.ended.pop_front() {
                return Some(ended);
            }
            let (_, oldest) = self.under_way.first_key_value()?;
            match timeout_at(oldest.given_up_at, self.heard.next()).await {
                Ok(Some(heard)) => self.hear(&heard),
                // No answer in time, or the connection is closed for good.
                Ok(None) | Err(_) => {
                    let (_, mut oldest) = self.under_way.pop_first()?;
                    oldest.fail(Trouble::Away, Unheard::InTime);
                    self.ended.push_back(oldest.ended());
                }
            }
        }
    }

    /// Gives up all that is under way: the connection went, and no answer will
    /// come.
    pub fn lost(&mut self) -> impl Iterator<Item = T> + use<T> {
        let ended = std::mem::take(&mut self.ended)
            .into_iter()
            .map(|(what, _)| what);
        let under_way = std::mem::take(&mut self.under_way);
        ended.chain(under_way.into_values().map(|record| record.what))
    }

    fn hear(&mut self, heard: &Heard) {
        let number = heard.subject.rsplit('.').next();
        let Some(number) = number.and_then(|number| number.parse().ok()) else {
            return;
        };
        // Of what was given up, an answer may come late.
        let Some(record) = self.under_way.get_mut(&number) else {
            return;
        };
        record.left -= 1;
        if let Err((trouble, error)) = acknowledged(heard) {
            record.fail(trouble, error);
        }
        if record.left == 0
            && let Some(record) = self.under_way.remove(&number)
        {
            self.ended.push_back(record.ended());
        }
    }
}

impl<T> UnderWay<T> {
    /// The first failure is the one that is told.
    fn fail(&mut self, trouble: Trouble, error: impl Into<Cause>) {
        let doing = || format!("store the report of `{}`", self.check);
        self.failed
            .get_or_insert_with(|| StoreError::new(doing(), trouble, error));
    }

    fn ended(self) -> (T, Result<(), StoreError>) {
        (self.what, self.failed.map_or(Ok(()), Err))
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Whether the server has stored the message.
fn acknowledged(heard: &Heard) -> Result<(), (Trouble, Cause)> {
    if heard.status == Some(StatusCode::NO_RESPONDERS) {
        return Err((Trouble::Missing, Unheard::NoStream.into()));
    }
    match serde_json::from_slice(&heard.payload) {
        Ok(Acknowledgement { error: None }) => Ok(()),
        Ok(Acknowledgement { error: Some(error) }) => Err((trouble::of_api(&error), error.into())),
        Err(error) => Err((Trouble::Other, error.into())),
    }
}

fn unsent(error: &PublishError) -> Trouble {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => Trouble::TooLarge,
        PublishErrorKind::Send => Trouble::Away,
        PublishErrorKind::InvalidSubject => Trouble::Other,
    }
}
