//! How a target is reached, where that is not left to its URL.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use super::Secret;
use crate::request::Allowance;

/// How a target is reached. Targets with equal routes may share connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// Which of a name's addresses are asked.
    pub family: Family,
    /// Where the target is asked, wherever its name leads.
    pub dial: Option<Dial>,
    /// Which HTTP is spoken.
    pub http: HttpVersion,
    /// The proxy that is asked in the target's place.
    pub proxy: Option<Proxy>,
    /// Whom to trust.
    pub trust: Trust,
    /// The certificates to trust in place of the system's, in PEM.
    pub ca: Option<PathBuf>,
    /// The certificate that we show.
    pub client: Option<ClientCertificate>,
    /// Every probe makes a connection of its own.
    pub fresh: bool,
    /// Set for targets that nobody configured: where they may lead.
    pub guard: Option<Arc<Allowance>>,
}

/// Which of a name's addresses are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// Whichever connects first.
    #[default]
    Any,
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
}

impl Family {
    /// Whether `address` is one of them.
    pub const fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Where to ask for a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dial {
    /// The name in the URL.
    pub name: String,
    /// The address, or the name that leads to it.
    pub host: String,
    /// The port; `None` for that of the URL.
    pub port: Option<u16>,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Its URL, which may hold a password.
    pub url: Secret,
    /// Its URL as readers may see it.
    pub shown: String,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// Whichever the target prefers.
    #[default]
    Any,
    /// HTTP/1.1.
    One,
    /// HTTP/2, without TLS too.
    Two,
}

/// Which certificates are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those that hold.
    #[default]
    Verified,
    /// All; what is wrong with them is said.
    Any,
}

/// A certificate of ours, and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate and its chain, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}
