//! The target: answers at once, and sees when each check's request came.
//!
//! `/c/<number>/<phase>/<interval>/<size>` is asked by the check of that
//! number, whose slots are at `phase + k × interval` milliseconds since the
//! Unix epoch; `/window` tells what has come since it was last asked, and
//! `/forget` has everything begin anew.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

/// 316 bytes, as health documents are.
pub const DOCUMENT: &str = r#"{"status":"pass","version":"1","releaseId":"1.2.3","serviceId":"f03e522f-1f44-4062-9b55-9587f91c9c41","description":"health of a service","checks":{"database:responseTime":[{"componentId":"dfd6cf2b","componentType":"datastore","observedValue":25,"observedUnit":"ms","status":"pass","time":"2026-01-17T03:36:48Z"}]}}"#;

/// What has come since the last look.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Came {
    /// Requests of checks.
    pub asked: u64,
    /// Slots that went by without a request.
    pub missed: u64,
    /// Checks that have ever asked.
    pub checks: u64,
    /// How far the requests were from their slots, in milliseconds.
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
    /// The mean distance, its sign kept: a drift shows here.
    pub mean: f64,
}

#[derive(Default)]
struct Seen {
    /// The number of the slot that each check asked for last.
    slots: Vec<Option<u64>>,
    came: Came,
    deviations: Vec<f64>,
}

/// Serves until killed. The first line on stdout is its port, the second the
/// one that it serves TLS on, the third that of a listener that never takes a
/// connection, if `dead` asks for one.
pub fn serve(dead: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let secure = TcpListener::bind("0.0.0.0:0").await.unwrap();
        println!("{}", secure.local_addr().unwrap().port());
        let tls = acceptor();
        let _full = if dead { Some(full().await) } else { None };
        let seen = Rc::new(RefCell::new(Seen::default()));
        loop {
            let seen = Rc::clone(&seen);
            tokio::select! {
                plain = listener.accept() => {
                    let (stream, _) = plain.unwrap();
                    stream.set_nodelay(true).unwrap();
                    tokio::task::spawn_local(answer(stream, seen));
                }
                secret = secure.accept() => {
                    let (stream, _) = secret.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let hands = tls.accept(stream);
                    tokio::task::spawn_local(async { answer(hands.await?, seen).await });
                }
            }
        }
    });
}

/// Serves TLS with a certificate of its own making.
fn acceptor() -> TlsAcceptor {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A listener whose backlog is full: who connects hangs.
async fn full() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut held = Vec::new();
    let patience = std::time::Duration::from_millis(300);
    while let Ok(stream) =
        tokio::time::timeout(patience, TcpStream::connect(("127.0.0.1", port))).await
    {
        held.push(stream.unwrap());
    }
    println!("{port}");
    (listener, held)
}

async fn answer<S>(mut stream: S, seen: Rc<RefCell<Seen>>) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::with_capacity(512);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = std::str::from_utf8(line).unwrap_or_default();
        let path = line.split(' ').nth(1).unwrap_or_default();
        let body = if path == "/window" {
            serde_json::to_string(&seen.borrow_mut().window()).unwrap()
        } else if path == "/forget" {
            *seen.borrow_mut() = Seen::default();
            String::new()
        } else {
            document(seen.borrow_mut().note(path))
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/health+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

/// A health document of about `size` bytes.
fn document(size: usize) -> String {
    match size.checked_sub(DOCUMENT.len() + 12) {
        None => DOCUMENT.to_owned(),
        Some(more) => {
            let start = DOCUMENT.strip_suffix('}').unwrap();
            let notes = "n".repeat(more);
            format!(r#"{start},"notes":"{notes}"}}"#)
        }
    }
}

impl Seen {
    /// Notes a request; returns the size of the answer that it wants.
    fn note(&mut self, path: &str) -> usize {
        let mut words = path.split('/').skip(2).map(|word| word.parse::<u64>());
        let mut next = || words.next().and_then(Result::ok).unwrap_or(0);
        let (number, phase, interval, size) = (next() as usize, next(), next(), next());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let since = now.as_secs_f64() * 1e3 - phase as f64;
        let interval = interval.max(1) as f64;
        let slot = (since / interval).round();
        let deviation = since - slot * interval;
        self.came.asked += 1;
        self.came.mean += deviation;
        self.deviations.push(deviation.abs());
        if self.slots.len() <= number {
            self.slots.resize(number + 1, None);
        }
        let slot = slot as u64;
        match self.slots[number].replace(slot) {
            None => self.came.checks += 1,
            Some(last) => self.came.missed += slot.saturating_sub(last + 1),
        }
        size as usize
    }

    fn window(&mut self) -> Came {
        let mut came = Came {
            checks: self.came.checks,
            ..Came::default()
        };
        std::mem::swap(&mut came, &mut self.came);
        self.came.checks = came.checks;
        let mut deviations = std::mem::take(&mut self.deviations);
        deviations.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let last = deviations.len().saturating_sub(1);
            let index = (last as f64 * share) as usize;
            deviations.get(index).copied().unwrap_or_default()
        };
        Came {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
            mean: came.mean / came.asked.max(1) as f64,
            ..came
        }
    }
}
