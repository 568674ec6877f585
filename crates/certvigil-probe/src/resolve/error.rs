//! Reasons for which there is no resolver.

use std::io;

use hickory_resolver::net::NetError;

use super::{HOSTS, RESOLV_CONF};

/// Reason for which names cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolverError {
    #[cfg(all(unix, not(any(target_os = "android", target_vendor = "apple"))))]
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

impl ResolverError {
    /// Returns the error of the reader of the system's settings. Its type depends on the operating
    /// system.
    pub(super) fn syntax(error: impl Into<NetError>) -> Self {
        Self::Syntax(error.into())
    }
}
