//! Connecting: the first address that answers is taken (RFC 8305, in short).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::net::TcpStream;
use url::{Host, Url};

use crate::probe::{
    resolve::{LookupError, Resolver},
    trace::Trace,
};

/// The other family of addresses gets its turn after this time.
const HEAD_START: Duration = Duration::from_millis(300);

/// Where `url` leads.
pub(super) async fn addresses(
    resolver: &Resolver,
    url: &Url,
    trace: &Trace,
) -> Result<Vec<SocketAddr>, LookupError> {
    let port = url.port_or_known_default().unwrap_or(80);
    let at = |address: IpAddr| SocketAddr::new(address, port);
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(vec![at(address.into())]),
        Some(Host::Ipv6(address)) => Ok(vec![at(address.into())]),
        Some(Host::Domain(name)) => {
            trace.lookup_begins();
            let found = resolver.lookup(name).await?;
            trace.lookup_ends();
            Ok(found.iter().map(|found| at(*found)).collect())
        }
        None => Ok(Vec::new()),
    }
}

/// A connection to one of `addresses`: those of the first one's family in
/// turn, and after a head start those of the other.
pub(in crate::probe) async fn first_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let first = addresses.first().map(SocketAddr::is_ipv4);
    let (preferred, others): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| Some(address.is_ipv4()) == first);
    if others.is_empty() {
        return in_turn(&preferred).await;
    }
    let mut preferred = std::pin::pin!(in_turn(&preferred));
    match tokio::time::timeout(HEAD_START, &mut preferred).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(_)) => return in_turn(&others).await,
        Err(_) => {}
    }
    let mut others = std::pin::pin!(in_turn(&others));
    tokio::select! {
        stream = &mut others => match stream {
            Ok(stream) => Ok(stream),
            Err(_) => preferred.await,
        },
        stream = &mut preferred => match stream {
            Ok(stream) => Ok(stream),
            Err(_) => others.await,
        },
    }
}

async fn in_turn(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
