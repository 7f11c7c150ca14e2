//! Targets that are asked for no more than a connection: `tcp://host:port`, or
//! `tls://host:port` with a handshake.

use std::{net::SocketAddr, sync::Arc};

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::{
    clients::{Clients, Pair},
    failure, guard,
    lean::dial,
    trace::{self, Trace},
};
use crate::{check::Target, error::Chain, observation::Failure};

/// Connects to `target`, and lets go.
pub(super) async fn exchange(clients: &Clients, target: &Target) -> Result<(), Failure> {
    let pair = clients.on(&target.route);
    let pair = pair.map_err(|error| Failure::Forbidden(Chain(&error).to_string()))?;
    if let Some(allowed) = &target.route.guard {
        guard::place(&target.url, allowed)?;
    }
    trace::note(Trace::dial_begins);
    let addresses = addresses(&pair, target).await?;
    trace::note(|trace| trace.may_dial(&addresses));
    let stream = dial::first_of(&addresses).await;
    let stream = stream.map_err(|error| failure::of_dial(&error))?;
    trace::note(|trace| trace.connects(stream.peer_addr().ok()));
    if target.url.scheme() == "tls" {
        let name = ServerName::try_from(host(target).to_owned());
        let name = name.map_err(|error| Failure::Tls(error.to_string()))?;
        let handshake = TlsConnector::from(Arc::clone(&pair.tls)).connect(name, stream);
        let secured = handshake.await;
        secured.map_err(|error| failure::of_dial(&error))?;
    }
    trace::note(Trace::dial_ends);
    Ok(())
}

fn host(target: &Target) -> &str {
    let host = target.url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']'])
}

async fn addresses(pair: &Pair, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
    let port = target.url.port().unwrap_or_default();
    let host = host(target);
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = pair.lookup.noted(host).await;
    let mut found = found.map_err(|error| failure::of_lookup(&error))?;
    for address in found.iter_mut().filter(|address| address.port() == 0) {
        address.set_port(port);
    }
    Ok(found)
}
