//! Targets written by hand, byte for byte, over a real listener.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The least a healthy target says.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A listener on this host; it and its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    seen: Arc<Seen>,
    tasks: JoinSet<()>,
}

/// What a target has seen.
#[derive(Debug, Default)]
struct Seen {
    counts: watch::Sender<Counts>,
    requests: Mutex<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    connections: usize,
    requests: usize,
    /// Connections that have been served to their end.
    ended: usize,
}

impl Seen {
    /// Counts one more of what `which` picks; returns how many that makes.
    fn count(&self, which: impl Fn(&mut Counts) -> &mut usize) -> usize {
        let mut now = 0;
        self.counts.send_modify(|counts| {
            let count = which(counts);
            *count += 1;
            now = *count;
        });
        now
    }

    async fn until(&self, enough: impl FnMut(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        tokio::time::timeout(super::LONG, counts.wait_for(enough))
            .await
            .unwrap_or_else(|_| panic!("it does not happen: {:?}", self.counts.borrow()))
            .unwrap();
    }
}

/// One accepted connection, and which it is, from 1.
#[derive(Debug)]
pub(crate) struct Accepted<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) number: usize,
    seen: Arc<Seen>,
}

impl Listening {
    /// Lets `serve` do with each connection what it wants.
    pub(crate) async fn serving<F>(serve: impl Fn(Accepted) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::serving_at("127.0.0.1:0", serve).await.unwrap()
    }

    /// The same, at an address of one's choice.
    pub(crate) async fn serving_at<F>(
        address: &str,
        serve: impl Fn(Accepted) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        let noted = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = noted.count(|counts| &mut counts.connections);
                let seen = Arc::clone(&noted);
                let serving = serve(Accepted {
                    stream,
                    number,
                    seen: Arc::clone(&seen),
                });
                connections.spawn(async move {
                    // How a connection ends is the prober's matter; that it
                    // ends is what a test waits for.
                    drop(serving.await);
                    seen.count(|counts| &mut counts.ended);
                });
            }
        });
        Ok(Self {
            address,
            seen,
            tasks,
        })
    }

    /// Answers each request with `answer`, and keeps the connection.
    pub(crate) async fn answering(answer: impl AsRef<[u8]>) -> Self {
        let answer: Arc<[u8]> = answer.as_ref().into();
        Self::serving(move |mut accepted| {
            let answer = Arc::clone(&answer);
            async move {
                while accepted.request().await.is_some() {
                    accepted.stream.write_all(&answer).await?;
                }
                Ok(())
            }
        })
        .await
    }

    /// Answers the first request of each connection with `answer`, and closes.
    pub(crate) async fn closing_after(answer: impl AsRef<[u8]>) -> Self {
        let answer: Arc<[u8]> = answer.as_ref().into();
        Self::serving(move |mut accepted| {
            let answer = Arc::clone(&answer);
            async move {
                accepted.request().await;
                accepted.stream.write_all(&answer).await
            }
        })
        .await
    }

    /// Stops to listen and drops all connections; returns where it was.
    pub(crate) async fn gone(mut self) -> String {
        self.tasks.shutdown().await;
        self.url("/")
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.seen.counts.borrow().connections
    }

    /// Every request, head and body, in the order received.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Waits until this many requests have been read.
    pub(crate) async fn asked(&self, requests: usize) {
        self.seen.until(|counts| counts.requests >= requests).await;
    }

    /// Waits until this many connections have been served to their end.
    pub(crate) async fn ended(&self, connections: usize) {
        self.seen.until(|counts| counts.ended >= connections).await;
    }
}

impl<S> Accepted<S> {
    /// The same connection, over TLS for example.
    pub(crate) async fn over<T>(
        self,
        wrap: impl AsyncFnOnce(S) -> io::Result<T>,
    ) -> io::Result<Accepted<T>> {
        Ok(Accepted {
            stream: wrap(self.stream).await?,
            number: self.number,
            seen: self.seen,
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Accepted<S> {
    /// Reads one request, with its body; `None` when there is no more.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(request).unwrap();
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        let request = head + &String::from_utf8(body).unwrap();
        self.seen.requests.lock().unwrap().push(request.clone());
        self.seen.count(|counts| &mut counts.requests);
        Some(request)
    }

    pub(crate) async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await
    }

    /// Waits until the prober lets the connection go.
    pub(crate) async fn until_let_go(&mut self) -> io::Result<()> {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).await? > 0 {}
        Ok(())
    }
}

/// The header `name` of a request.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
