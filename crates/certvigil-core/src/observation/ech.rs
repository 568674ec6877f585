//! Encrypted Client Hello (RFC 9849): the result of a further handshake that offers it.

use crate::certificate::Certificate;
use crate::model::Hostname;

use super::{ProbeError, Served};

/// Result of offering Encrypted Client Hello, as browsers do to a host whose HTTPS record has the
/// parameter `ech`.
#[derive(Clone, Debug)]
pub enum Ech {
    /// The server decrypted the hello, and served these certificates for the host.
    Accepted(Box<Served>),
    /// The server did not decrypt the hello. It served these certificates, by which clients
    /// authenticate the public name of the configuration (section 6.1.7).
    Rejected {
        /// Public name of the configuration, which is sent as SNI.
        public_name: Hostname,
        /// The handshake for the public name.
        served: Box<Served>,
    },
    /// Each handshake that offers it fails, while others succeed.
    Failed {
        /// Public name of the configuration, which is sent as SNI.
        public_name: Hostname,
        /// The failure.
        error: ProbeError,
    },
    /// The parameter cannot be decoded. Nothing was offered.
    Malformed,
}

impl Ech {
    /// Returns the certificates that the server sent, the leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let served = match self {
            Self::Accepted(served) | Self::Rejected { served, .. } => Some(served),
            Self::Failed { .. } | Self::Malformed => None,
        };
        served
            .into_iter()
            .flat_map(|served| std::iter::once(&served.leaf).chain(&served.rest))
    }
}
