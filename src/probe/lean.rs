//! The plain common case of HTTP, with little: a GET or HEAD over HTTP/1.1 in
//! the clear. A kept connection holds no buffers, so that idle ones of many
//! hosts cost little, and an exchange costs less than a whole HTTP client's.
//!
//! Whatever is out of the ordinary is [`Asked::Odd`]: reqwest asks again, and
//! has the target to itself for a while. So nothing needs to be told from here
//! of answers that break the rules, or that use the rarer ones.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::{ProberSettings, failure, redirect, resolve::Resolver, seen::Seen, trace::Trace};
use crate::{
    check::Target,
    observation::{Failure, Phase, Response},
};

mod answer;
pub(super) mod dial;
mod pool;
mod question;

use answer::{Body, Head, Taken};
use pool::{Kept, Pool};

/// Read at once, unless it is known that more will come.
const READ: usize = 2 << 10;
/// Of a large body so much is read at once.
const READ_LARGE: usize = 64 << 10;

/// Asks targets in the plain way.
#[derive(Debug)]
pub(super) struct Lean {
    /// Whether anything is asked this way.
    used: bool,
    user_agent: String,
    resolver: Arc<Resolver>,
    pool: Pool,
}

/// How far an exchange came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To its end.
    Answered,
    /// To a redirect, with this status, to this place.
    Redirected(u16, String),
    /// It is not plain: nothing of it counts.
    Odd,
}

/// Why there is no head.
enum Headless {
    Closed,
    Odd,
}

/// One exchange, under way.
struct Exchange<'a> {
    lean: &'a Lean,
    target: &'a Target,
    /// Host and port.
    place: &'a str,
    began: Instant,
    request: Bytes,
    /// What came and is not read yet.
    buffer: BytesMut,
    trace: &'a Trace,
    seen: &'a mut Seen,
}

impl Lean {
    pub(super) fn new(settings: &ProberSettings, resolver: Arc<Resolver>) -> Self {
        Self {
            used: settings.lean,
            user_agent: settings.user_agent.clone(),
            resolver,
            pool: Pool::new(settings),
        }
    }

    /// One request and its answer.
    pub(super) async fn exchange(
        &self,
        target: &Target,
        trace: &Trace,
        seen: &mut Seen,
    ) -> Result<Asked, Failure> {
        let place = pool::place(&target.url);
        if !self.used || !question::is_plain(target) || self.pool.is_odd(place) {
            return Ok(Asked::Odd);
        }
        let mut buffer = question::write(target, &self.user_agent);
        let exchange = Exchange {
            lean: self,
            target,
            place,
            began: Instant::now(),
            request: buffer.split().freeze(),
            buffer,
            trace,
            seen: &mut *seen,
        };
        let asked = exchange.ask().await;
        if asked == Ok(Asked::Odd) {
            self.pool.odd(place);
            *seen = Seen::default();
            trace.restart();
        }
        asked
    }
}

impl Exchange<'_> {
    async fn ask(mut self) -> Result<Asked, Failure> {
        if let Some(mut kept) = self.lean.pool.take(self.place, self.began) {
            self.seen.remote = kept.remote;
            if let Ok(head) = self.head(&mut kept).await {
                return self.read(kept, head, true).await;
            }
            // A kept connection that the target closed meanwhile is not the
            // target's failure: it is asked once more, on a connection that is
            // not kept.
            self.buffer.clear();
            let mut fresh = self.dial().await?;
            return match self.head(&mut fresh).await {
                Ok(head) => self.read(fresh, head, false).await,
                Err(headless) => headless.told(),
            };
        }
        let mut fresh = self.dial().await?;
        match self.head(&mut fresh).await {
            Ok(head) => self.read(fresh, head, true).await,
            Err(headless) => headless.told(),
        }
    }

    async fn dial(&mut self) -> Result<Kept, Failure> {
        self.trace.dial_begins();
        let addresses = dial::addresses(&self.lean.resolver, &self.target.url, self.trace).await;
        let addresses = addresses.map_err(|error| failure::of_lookup(&error))?;
        self.seen.remote = match *addresses {
            [only] => Some(only),
            _ => None,
        };
        let dialled = dial::first_of(&addresses).await;
        let stream = dialled.map_err(|error| failure::of_dial(&error))?;
        self.trace.dial_ends();
        let kept = Kept::new(stream);
        self.seen.remote = kept.remote;
        Ok(kept)
    }

    /// Sends the request and reads the head of its answer.
    async fn head(&mut self, kept: &mut Kept) -> Result<Head, Headless> {
        let sent = kept.stream.write_all(&self.request).await;
        sent.map_err(|_| Headless::Closed)?;
        loop {
            self.buffer.reserve(READ);
            match kept.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(Headless::Closed),
                Ok(_) => {}
            }
            match answer::head(&mut self.buffer, self.target.method == "HEAD") {
                Ok(Some(head)) => return Ok(head),
                Ok(None) => {}
                Err(answer::Odd) => return Err(Headless::Odd),
            }
        }
    }

    /// Reads the body; afterwards the connection is kept, if it can be.
    async fn read(mut self, mut kept: Kept, head: Head, keep: bool) -> Result<Asked, Failure> {
        let mut body = head.body;
        let response = Response {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: Bytes::new(),
            truncated: false,
            remote: kept.remote,
            redirects: Vec::new(),
        };
        let redirect = (redirect::is_redirect(head.status) && self.target.max_redirects > 0)
            .then(|| response.header("location").map(str::to_owned))
            .flatten();
        self.seen.head(response, self.began, self.trace);
        if let Some(location) = redirect {
            return Ok(Asked::Redirected(head.status, location));
        }
        loop {
            match body.take(&mut self.buffer, self.seen, self.target.max_body) {
                Ok(Taken::Whole) => break,
                // Dropping the connection closes it.
                Ok(Taken::Cut) => return Ok(Asked::Answered),
                Ok(Taken::Part) => {}
                Err(answer::Odd) => return Ok(Asked::Odd),
            }
            self.buffer.reserve(body.rest().clamp(READ, READ_LARGE));
            match kept.stream.read_buf(&mut self.buffer).await {
                Ok(0) if body == Body::UntilClosed => return Ok(Asked::Answered),
                Ok(0) => {
                    let during = Phase::Transfer;
                    return Err(Failure::Closed { during });
                }
                Ok(_) => {}
                Err(error) => return Err(failure::of_read(&error)),
            }
        }
        // What came beyond the answer is not the beginning of the next one.
        if keep && head.reusable && self.buffer.is_empty() {
            self.lean.pool.put(self.place, kept);
        }
        Ok(Asked::Answered)
    }
}

impl Headless {
    fn told(self) -> Result<Asked, Failure> {
        match self {
            Self::Odd => Ok(Asked::Odd),
            Self::Closed => Err(Failure::Closed {
                during: Phase::FirstByte,
            }),
        }
    }
}
