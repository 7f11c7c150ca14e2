//! systemd's journal, spoken natively: the text that `journalctl` shows, and
//! each field by itself, so that `journalctl SUPERCHECK_CHECK=api` finds it.

use std::{
    fmt,
    fs::File,
    io::{self, Write as _},
    os::{
        fd::AsFd as _,
        unix::{fs::MetadataExt as _, net::UnixDatagram},
    },
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

const SOCKET: &str = "/run/systemd/journal/socket";
/// Before each field's name.
const PREFIX: &str = "SUPERCHECK_";

/// Writes events to the journal.
pub(super) struct Journal(UnixDatagram);

impl Journal {
    /// The journal, if it is what stderr is connected to.
    pub(super) fn of_stderr() -> Option<Self> {
        let stream = std::env::var("JOURNAL_STREAM").ok()?;
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let found = stderr.metadata().ok()?;
        if stream != format!("{}:{}", found.dev(), found.ino()) {
            return None;
        }
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(SOCKET).ok()?;
        Some(Self(socket))
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let entry = Entry::of(event);
        if self.0.send(&entry.encoded()).is_err() {
            // Larger than a datagram may be; as a line it still gets there.
            drop(writeln!(io::stderr(), "{}{}", entry.message, entry.rest));
        }
    }
}

/// An event as the journal takes it.
struct Entry {
    priority: &'static str,
    message: String,
    /// The fields, as they follow the message in the text.
    rest: String,
    fields: Vec<(String, String)>,
}

impl Entry {
    fn of(event: &Event<'_>) -> Self {
        let mut entry = Self {
            // syslog's levels.
            priority: match *event.metadata().level() {
                Level::ERROR => "3",
                Level::WARN => "4",
                Level::INFO => "6",
                Level::DEBUG | Level::TRACE => "7",
            },
            message: String::new(),
            rest: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut entry);
        entry
    }

    fn encoded(&self) -> Vec<u8> {
        let text = format!("{}{}", self.message, self.rest);
        let mut bytes = Vec::new();
        put(&mut bytes, "PRIORITY", self.priority);
        put(&mut bytes, "SYSLOG_IDENTIFIER", "supercheck");
        put(&mut bytes, "MESSAGE", &text);
        for (name, value) in &self.fields {
            put(&mut bytes, name, value);
        }
        bytes
    }

    fn field(&mut self, field: &Field, shown: &str, value: String) {
        let name = field.name();
        if name == "message" {
            self.message = value;
            return;
        }
        if !value.is_empty() {
            self.rest.push_str(&format!(" {name}={shown}"));
        }
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = format!("{PREFIX}{}", name.to_ascii_uppercase());
        self.fields.push((name, value));
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, &format!("{value:?}"), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.field(field, &value.clone(), value);
    }
}

/// The form that takes any text: name, length, value.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(b'\n');
    let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);
    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(Entry::of(event).encoded());
        }
    }

    #[test]
    fn an_entry_has_the_text_and_each_field() {
        let kept = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Kept(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, || {
            let check = "api";
            tracing::warn!(%check, reason = "two\nlines", hint = "", "status changed");
        });
        let entry = kept.lock().unwrap().remove(0);
        let has = |name: &str, value: &str| {
            let mut wanted = Vec::new();
            put(&mut wanted, name, value);
            let found = entry.windows(wanted.len()).any(|part| part == wanted);
            assert!(found, "{name}: {}", String::from_utf8_lossy(&entry));
        };
        has("PRIORITY", "4");
        has("MESSAGE", r#"status changed check=api reason="two\nlines""#);
        has("SUPERCHECK_CHECK", "api");
        has("SUPERCHECK_REASON", "two\nlines");
    }
}
