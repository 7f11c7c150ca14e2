//! How a target is reached, where that is not left to its URL.

use std::path::PathBuf;

/// How a target is reached. Targets with equal routes may share connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// Whom to trust.
    pub trust: Trust,
    /// The certificates to trust in place of the system's, in PEM.
    pub ca: Option<PathBuf>,
    /// The certificate that we show.
    pub client: Option<ClientCertificate>,
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
