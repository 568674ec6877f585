//! Reasons for which there is no resolver.

use std::io;

use hickory_resolver::net::NetError;

use super::{HOSTS, RESOLV_CONF};

/// Reason for which names cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolverError {
    #[error(
        "the system's name servers cannot be read from {RESOLV_CONF}: {0}; give one with --dns"
    )]
    Read(io::Error),
    #[error(
        "the system's name servers cannot be read from {RESOLV_CONF}: {0}; give one with --dns"
    )]
    Syntax(NetError),
    #[error("cannot set up the name servers: {0}")]
    Client(NetError),
    #[error("cannot read {HOSTS}: {0}")]
    Hosts(io::Error),
}
