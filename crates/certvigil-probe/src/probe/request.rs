//! The request of one probe.

use std::net::SocketAddr;

use crate::model::{KeyType, Sni, Target};
use crate::observation::Sent;

use super::Reach;

/// Target, address and options of one probe.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Target to probe.
    pub target: &'a Target,
    /// Address of the target to connect to.
    pub address: SocketAddr,
    /// Kind of key to request.
    pub key_type: KeyType,
    /// Connection options.
    pub reach: &'a Reach,
}

impl<'a> Request<'a> {
    /// Returns the server name to send as SNI.
    pub(super) fn sni(&self) -> Option<&'a str> {
        match &self.reach.sni {
            Sni::Hostname => self.target.sent_name().sni(),
            Sni::Name(name) => Some(name),
            Sni::None => None,
        }
    }

    /// Returns the options that may be the cause of a failed handshake.
    pub(super) fn sent(&self) -> Sent {
        Sent {
            proxy_header: self.reach.proxy_protocol.is_some(),
            client_certificate: self.reach.client.is_some(),
            sni: match &self.reach.sni {
                Sni::Hostname if !self.target.names.is_empty() => {
                    Sni::Name(self.target.sent_name().to_string())
                }
                sni => sni.clone(),
            },
        }
    }

    /// Returns the application protocols (ALPN) to offer.
    pub(super) fn alpn(&self) -> Vec<Vec<u8>> {
        if !self.reach.alpn.is_empty() {
            return self.reach.alpn.clone();
        }
        let own = self.target.protocol.alpn();
        own.map(|name| name.as_bytes().to_vec())
            .into_iter()
            .collect()
    }
}
