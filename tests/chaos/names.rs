//! A name server that knows every name, and can be made to fail.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use chrono::Utc;
use tokio::net::UdpSocket;

/// What is said to those who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Where it is: here.
    Here,
    /// That the server has failed.
    Failed,
    /// The one and the other in turn.
    Turns,
    /// Nothing.
    Nothing,
}

#[derive(Clone)]
pub struct Names {
    address: SocketAddr,
    /// What was said since when, oldest first.
    said: Arc<Mutex<Vec<(i64, Says)>>>,
}

impl Names {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let names = Self {
            address: socket.local_addr().unwrap(),
            said: Arc::new(Mutex::new(vec![(0, Says::Here)])),
        };
        let said = Arc::clone(&names.said);
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            let mut turn = false;
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let says = said.lock().unwrap().last().unwrap().1;
                turn = !turn;
                let mut message = buffer[..length].to_vec();
                match says {
                    Says::Here => here(&mut message),
                    Says::Turns if turn => here(&mut message),
                    Says::Failed | Says::Turns => failed(&mut message),
                    Says::Nothing => continue,
                }
                // Who asked may be gone.
                drop(socket.send_to(&message, from).await);
            }
        });
        names
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn say(&self, says: Says) {
        let now = Utc::now().timestamp_millis();
        self.said.lock().unwrap().push((now, says));
    }

    /// Whether it answered as it should all the time between these.
    pub fn were_known(&self, from: i64, to: i64) -> bool {
        let said = self.said.lock().unwrap();
        let ends = said.iter().skip(1).map(|said| said.0).chain([i64::MAX]);
        said.iter()
            .zip(ends)
            .all(|(&(since, says), until)| says == Says::Here || since > to || until < from)
    }
}

fn failed(message: &mut [u8]) {
    const SERVER_FAILURE: u8 = 2;
    message[2] |= 0x80;
    message[3] = SERVER_FAILURE;
}

/// Makes a question an answer: 127.0.0.1, for no time; no other kind of
/// address.
fn here(message: &mut Vec<u8>) {
    let name = message[12..].iter().position(|byte| *byte == 0).unwrap();
    let four = message[12 + name + 2] == 1;
    message.truncate(12 + name + 5);
    message[2] |= 0x80;
    message[3] = 0x80;
    message[6..12].fill(0);
    message[7] = four.into();
    if four {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
}
