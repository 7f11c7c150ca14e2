//! Connections that are kept between exchanges, without buffers.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpStream, time::Instant};
use url::{Position, Url};

use crate::probe::ProberSettings;

/// Connections kept in all; of more, those that come back are closed.
const MAX_KEPT: usize = 32_768;
/// What turned out odd is looked at again after this time.
const ODD_FOR: Duration = Duration::from_secs(600);

/// A connection, and what is known of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) stream: TcpStream,
    pub(super) remote: Option<SocketAddr>,
    made: Instant,
    used: Instant,
}

impl Kept {
    pub(super) fn new(stream: TcpStream) -> Self {
        let now = Instant::now();
        Self {
            remote: stream.peer_addr().ok(),
            stream,
            made: now,
            used: now,
        }
    }

    /// Whether nothing has come and the target has not closed it.
    fn is_quiet(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// All that are kept.
#[derive(Debug)]
pub(super) struct Pool {
    max_idle: Duration,
    max_age: Duration,
    per_host: usize,
    places: Mutex<Places>,
}

#[derive(Debug)]
struct Places {
    places: HashMap<Box<str>, Place>,
    kept: usize,
    swept: Instant,
}

/// One host and port.
#[derive(Debug, Default)]
struct Place {
    /// The one used last is last, and taken first.
    idle: Vec<Kept>,
    /// Until when reqwest alone asks there.
    odd: Option<Instant>,
}

/// Host and port, as in the URL; the scheme's own port is left out.
pub(super) fn place(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

impl Pool {
    pub(super) fn new(settings: &ProberSettings) -> Self {
        Self {
            max_idle: settings.max_idle,
            max_age: settings.max_connection_age,
            per_host: settings.max_idle_per_host,
            places: Mutex::new(Places {
                places: HashMap::new(),
                kept: 0,
                swept: Instant::now(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to `place` that can be used at `now`.
    pub(super) fn take(&self, place: &str, now: Instant) -> Option<Kept> {
        let mut places = self.lock();
        loop {
            let kept = places.places.get_mut(place)?.idle.pop()?;
            places.kept -= 1;
            if self.is_sound(&kept, now) {
                return Some(kept);
            }
        }
    }

    /// Keeps `kept` for the next exchange with `place`, if there is room.
    pub(super) fn put(&self, place: &str, mut kept: Kept) {
        kept.used = Instant::now();
        let mut places = self.lock();
        if kept.used - places.swept > self.max_idle / 4 {
            self.sweep(&mut places, kept.used);
        }
        if places.kept >= MAX_KEPT {
            return;
        }
        match places.places.get_mut(place) {
            Some(place) if place.idle.len() >= self.per_host => return,
            Some(place) => place.idle.push(kept),
            None => {
                let new = Place {
                    idle: vec![kept],
                    odd: None,
                };
                places.places.insert(place.into(), new);
            }
        }
        places.kept += 1;
    }

    /// Whether `place` turned out odd lately.
    pub(super) fn is_odd(&self, place: &str) -> bool {
        let places = self.lock();
        let odd = places.places.get(place).and_then(|place| place.odd);
        odd.is_some_and(|until| Instant::now() < until)
    }

    /// Leaves `place` to reqwest for a while.
    pub(super) fn odd(&self, place: &str) {
        let mut places = self.lock();
        let place = places.places.entry(place.into()).or_default();
        place.odd = Some(Instant::now() + ODD_FOR);
    }

    fn is_sound(&self, kept: &Kept, now: Instant) -> bool {
        now.saturating_duration_since(kept.used) < self.max_idle
            && now.saturating_duration_since(kept.made) <= self.max_age
            && kept.is_quiet()
    }

    /// Closes what will not be used any more.
    fn sweep(&self, places: &mut Places, now: Instant) {
        let mut kept = 0;
        places.places.retain(|_, place| {
            place.idle.retain(|kept| self.is_sound(kept, now));
            kept += place.idle.len();
            !place.idle.is_empty() || place.odd.is_some_and(|until| now < until)
        });
        places.kept = kept;
        places.swept = now;
    }
}
