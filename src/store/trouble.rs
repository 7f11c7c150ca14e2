//! What can go wrong with NATS, and what helps. Branch on [`Trouble`], print
//! [`StoreError`].

use std::error::Error;

use async_nats::jetstream::{
    self, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind},
};

/// The kinds of trouble that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or no answer in time.
    Away,
    /// No supercheck daemon listens.
    NoDaemon,
    /// The server has no JetStream.
    NoJetStream,
    /// The stream or bucket is not there.
    Missing,
    /// The server's storage, or the account's share of it, is used up.
    Full,
    /// A permission is missing, or the credentials are not accepted.
    Denied,
    /// Something of another kind or setting is in the way.
    Conflict,
    /// A message is larger than the server takes.
    TooLarge,
    /// Somebody else wrote first.
    Outrun,
    /// Anything else.
    Other,
}

/// Trouble with NATS: what was being done, why it failed, what helps.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct StoreError {
    /// An imperative fragment: "prepare bucket `supercheck_kv`".
    pub doing: String,
    /// Which kind of trouble.
    pub trouble: Trouble,
    /// The cause.
    #[source]
    pub cause: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    pub(crate) fn new(
        doing: impl Into<String>,
        trouble: Trouble,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            doing: doing.into(),
            trouble,
            cause: cause.into(),
        }
    }

    /// What helps, where it is known.
    pub fn hint(&self) -> Option<&'static str> {
        self.trouble.hint()
    }
}

impl Trouble {
    /// What helps, where it is known.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Away => {
                "is nats-server running there? set `nats.url` or SUPERCHECK_NATS__URL; without a \
                 url supercheck starts its own"
            }
            Self::NoDaemon => "is `supercheck serve` running, on this NATS and account?",
            Self::NoJetStream => {
                "start nats-server with `-js`, or add a `jetstream {}` block to its configuration; \
                 Debian's package has none: run `install -d -o nats /var/lib/nats`, add `jetstream \
                 { store_dir: \"/var/lib/nats\" }` to /etc/nats-server.conf, and restart nats-server"
            }
            Self::Missing => "the daemon makes its buckets when it connects; is it running?",
            Self::Full => {
                "raise `max_file_store` (server) or the account's JetStream limits, or free space \
                 on the disk of its `store_dir`"
            }
            Self::Denied => {
                "check `nats.credentials` and the user's permissions; `supercheck doctor` names \
                 the missing ones"
            }
            Self::Conflict => {
                "something else uses that name; rename it, or give supercheck an account of its own"
            }
            Self::TooLarge => "raise the server's `max_payload`, or lower the check's `max_body`",
            Self::Outrun | Self::Other => return None,
        })
    }
}

/// Sorts a JetStream API error by its code.
pub(crate) fn of_api(error: &jetstream::Error) -> Trouble {
    match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            Trouble::NoJetStream
        }
        ErrorCode::STREAM_NOT_FOUND => Trouble::Missing,
        ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::STREAM_STORE_FAILED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
        | ErrorCode::MAXIMUM_STREAMS_LIMIT => Trouble::Full,
        ErrorCode::STREAM_NAME_EXIST | ErrorCode::STREAM_SUBJECT_OVERLAP => Trouble::Conflict,
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE => Trouble::Outrun,
        ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::CLUSTER_NOT_LEADER => Trouble::Away,
        _ => Trouble::Other,
    }
}

/// Sorts the failure of a publish.
pub(crate) fn of_publish(error: &jetstream::context::PublishError) -> Trouble {
    match error.kind() {
        PublishErrorKind::StreamNotFound => Trouble::Missing,
        PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => {
            Trouble::Outrun
        }
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Trouble::Away,
        PublishErrorKind::MaxPayloadExceeded => Trouble::TooLarge,
        PublishErrorKind::MaxAckPending => Trouble::Other,
        PublishErrorKind::Other => error
            .source()
            .and_then(|cause| cause.downcast_ref::<jetstream::Error>())
            .map_or(Trouble::Other, of_api),
    }
}

/// Sorts the failure of a look at a stream.
pub(crate) fn of_get_stream(error: &jetstream::context::GetStreamError) -> Trouble {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => of_api(&error),
        GetStreamErrorKind::Request => of_request(error),
        GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => Trouble::Other,
    }
}

/// Sorts the failure to make a stream.
pub(crate) fn of_create_stream(error: &jetstream::context::CreateStreamError) -> Trouble {
    match error.kind() {
        CreateStreamErrorKind::JetStream(error) => of_api(&error),
        CreateStreamErrorKind::TimedOut => Trouble::Away,
        CreateStreamErrorKind::JetStreamUnavailable => Trouble::NoJetStream,
        CreateStreamErrorKind::Response => of_request(error),
        CreateStreamErrorKind::EmptyStreamName
        | CreateStreamErrorKind::InvalidStreamName
        | CreateStreamErrorKind::DomainAndExternalSet
        | CreateStreamErrorKind::NotFound
        | CreateStreamErrorKind::ResponseParse => Trouble::Other,
    }
}

/// A request that nobody answers means that the server has no JetStream; one
/// that times out, that there is no server.
fn of_request(error: &(dyn Error + 'static)) -> Trouble {
    use jetstream::context::{RequestError, RequestErrorKind};
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(request) = error.downcast_ref::<RequestError>() {
            return match request.kind() {
                RequestErrorKind::NoResponders => Trouble::NoJetStream,
                RequestErrorKind::TimedOut => Trouble::Away,
                RequestErrorKind::InvalidSubject | RequestErrorKind::Other => Trouble::Other,
            };
        }
        next = error.source();
    }
    Trouble::Other
}
