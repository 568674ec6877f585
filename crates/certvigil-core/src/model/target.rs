//! The target of probes.

use super::{Hostname, Protocol};

/// A target of probes: a certificate's hostname at a port. Each of its addresses is an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The certificate's name in the inventory.
    pub certificate: String,
    /// The requested name, whose addresses are probed; the path of a file.
    pub hostname: Hostname,
    /// The TCP port; the UDP port if the protocol is QUIC; 0 for a file.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Names that the certificate must match, all of them, in place of `hostname`. The first is
    /// sent to the server. Empty if `hostname` itself is the name, and for a file without names.
    pub names: Box<[Hostname]>,
}

impl Target {
    /// Creates a target whose host name is the name that the certificate must match.
    pub fn new(
        certificate: impl Into<String>,
        hostname: Hostname,
        port: u16,
        protocol: Protocol,
    ) -> Self {
        Self {
            certificate: certificate.into(),
            hostname,
            port,
            protocol,
            names: Box::default(),
        }
    }

    /// Returns the names that the certificate must match; none for a file without names.
    pub fn names_to_match(&self) -> &[Hostname] {
        match &*self.names {
            [] if self.hostname.is_file() => &[],
            [] => std::slice::from_ref(&self.hostname),
            names => names,
        }
    }

    /// Returns the name that is sent to the server: as SNI, and in dialogues that name the service.
    pub fn sent_name(&self) -> &Hostname {
        self.names.first().unwrap_or(&self.hostname)
    }

    /// Returns true if the target is a file, which has neither address nor port.
    pub fn is_file(&self) -> bool {
        self.protocol.is_file()
    }

    /// Returns the port in the form that distinguishes endpoints of one host and address: `443`,
    /// `443/udp` for QUIC, and nothing for a file.
    pub fn port_label(&self) -> String {
        if self.is_file() {
            String::new()
        } else if self.protocol.is_quic() {
            format!("{}/udp", self.port)
        } else {
            self.port.to_string()
        }
    }
}
