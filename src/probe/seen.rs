//! What a probe has seen so far.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::time::Instant;

use super::trace::Trace;
use crate::observation::{Certificate, Phase, Phases, Reached, Redirect, Response};

/// What has been seen so far: it stays when the timeout strikes.
#[derive(Default)]
pub(super) struct Seen {
    /// Time spent on the hops before this one.
    before: Phases,
    /// The redirects that led to this hop.
    redirects: Vec<Redirect>,
    /// Whom it is asked, where the note does not tell.
    pub(super) remote: Option<SocketAddr>,
    head: Option<Response>,
    head_at: Option<Instant>,
    first_byte: Option<Duration>,
    body: BytesMut,
    truncated: bool,
    certificate: Option<Arc<Certificate>>,
}

impl Seen {
    /// The answer's head has come; the request was sent at `began`.
    pub(super) fn head(&mut self, head: Response, began: Instant, trace: &Trace) {
        let now = Instant::now();
        let (dns, connect) = trace.times();
        let dialling = dns.unwrap_or_default() + connect.unwrap_or_default();
        self.first_byte = Some((now - began).saturating_sub(dialling));
        self.head_at = Some(now);
        self.head = Some(head);
    }

    /// More of the body has come; `false` when it is cut here.
    pub(super) fn body(&mut self, chunk: &[u8], max: usize) -> bool {
        let room = max - self.body.len();
        let part = chunk.get(..room).unwrap_or(chunk);
        self.body.extend_from_slice(part);
        self.truncated = chunk.len() > room;
        !self.truncated
    }

    /// What has come of the body.
    #[cfg(test)]
    pub(super) fn taken(&self) -> &[u8] {
        &self.body
    }

    /// Goes on to the next hop; of this one are kept the time it took and where
    /// it led.
    pub(super) fn leave(&mut self, to: Redirect, trace: &Trace) {
        let before = self.phases(trace, Instant::now());
        trace.restart();
        let mut redirects = std::mem::take(&mut self.redirects);
        redirects.push(to);
        *self = Self {
            before,
            redirects,
            certificate: self.certificate.take(),
            ..Self::default()
        };
    }

    /// The target showed this certificate on the way.
    pub(super) fn certificate(&mut self, shown: Option<Arc<Certificate>>) {
        let before = self.certificate.take();
        self.certificate = [before, shown]
            .into_iter()
            .flatten()
            .min_by_key(|certificate| certificate.chain_not_after);
    }

    /// The certificate to report, also when the exchange did not get as far as
    /// an answer.
    pub(super) fn shown(&mut self, trace: &Trace) -> Option<Certificate> {
        if self.head.is_none() {
            self.certificate(trace.shown());
        }
        self.certificate.take().map(Arc::unwrap_or_clone)
    }

    /// The time spent on all hops until `now`.
    pub(super) fn phases(&self, trace: &Trace, now: Instant) -> Phases {
        let sum = |before: Option<Duration>, now: Option<Duration>| match (before, now) {
            (Some(before), Some(now)) => Some(before + now),
            (before, now) => before.or(now),
        };
        let (dns, connect) = trace.times();
        let transfer = self.head_at.map(|at| now - at);
        Phases {
            dns: sum(self.before.dns, dns),
            connect: sum(self.before.connect, connect),
            first_byte: sum(self.before.first_byte, self.first_byte),
            transfer: sum(self.before.transfer, transfer),
        }
    }

    /// What is under way.
    pub(super) fn during(&self, trace: &Trace) -> Phase {
        if self.head.is_some() {
            Phase::Transfer
        } else {
            trace.phase()
        }
    }

    /// How many redirects were followed.
    pub(super) fn redirects(&self) -> usize {
        self.redirects.len()
    }

    /// The answer, if one came, or how far the exchange got.
    pub(super) fn answer(self, trace: &Trace) -> (Option<Response>, Option<Reached>) {
        let Some(head) = self.head else {
            let reached = Reached {
                remote: self.remote.or_else(|| trace.remote()),
                redirects: self.redirects,
            };
            return (None, Some(reached).filter(|it| *it != Reached::default()));
        };
        let response = Response {
            body: self.body.freeze(),
            truncated: self.truncated,
            redirects: self.redirects,
            ..head
        };
        (Some(response), None)
    }
}
