//! A TCP proxy that can be cut and stalled, in front of a nats-server.

use std::sync::Arc;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes connections on to one port.
pub struct Proxy {
    port: u16,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Connections stay, and nothing passes.
    Stalled,
    /// Connections stay, what comes is taken and goes nowhere: half open.
    Swallowing,
    /// Connections are closed, new ones at once.
    Cut,
}

impl Proxy {
    /// A proxy to `port` of 127.0.0.1.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(watch::Sender::new(State::Open)),
        };
        let state = Arc::clone(&proxy.state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, port, state.subscribe()));
            }
        });
        proxy
    }

    /// The URL of NATS through it.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The URL of an HTTP server through it.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Cuts all connections; new ones are closed at once until [`Self::mend`].
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Lets nothing through until [`Self::mend`].
    pub fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    /// Takes all and passes on nothing until [`Self::mend`], which closes what
    /// was open then.
    pub fn swallow(&self) {
        self.state.send_replace(State::Swallowing);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn pass(mut near: TcpStream, port: u16, mut state: watch::Receiver<State>) {
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    {
        let mut copy = std::pin::pin!(copy_bidirectional(&mut near, &mut far));
        loop {
            let now = *state.borrow_and_update();
            match now {
                State::Cut => return,
                State::Swallowing => break,
                State::Open | State::Stalled => {}
            }
            tokio::select! {
                _ = &mut copy, if now == State::Open => return,
                changed = state.changed() => if changed.is_err() { return },
            }
        }
    }
    swallow(&mut near, &mut state).await;
}

/// Reads until the state changes.
async fn swallow(near: &mut TcpStream, state: &mut watch::Receiver<State>) {
    let mut nothing = tokio::io::sink();
    tokio::select! {
        // The other end may give up first.
        _ = tokio::io::copy(near, &mut nothing) => {}
        _ = state.changed() => {}
    }
}
