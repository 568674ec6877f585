//! The request of one probe.

use std::net::SocketAddr;

use crate::model::{KeyType, Protocol, Sni, Target};
use crate::observation::Sent;

use super::Reach;

/// Port at which servers have HTTP inside TLS.
const HTTPS_PORT: u16 = 443;
/// Application protocols that browsers and curl offer.
const HTTPS_ALPN: [&str; 2] = ["h2", "http/1.1"];

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
        let own = match (self.target.protocol, self.target.protocol.alpn()) {
            (_, Some(name)) => vec![name],
            // Servers at another port may have any protocol inside TLS.
            (Protocol::Https, None) if self.target.port == HTTPS_PORT => HTTPS_ALPN.to_vec(),
            (_, None) => Vec::new(),
        };
        own.iter().map(|name| name.as_bytes().to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_port_is_probed_with_the_protocols_of_browsers() {
        let browsers = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let own = vec![b"acme".to_vec()];
        for (protocol, port, alpn, offered) in [
            (Protocol::Https, 443, &[][..], browsers),
            (Protocol::Https, 443, &own, own.clone()),
            (Protocol::Https, 8443, &[], Vec::new()),
            (Protocol::Imaps, 443, &[], Vec::new()),
            (Protocol::Xmpps, 443, &[], vec![b"xmpp-client".to_vec()]),
        ] {
            let target = Target {
                certificate: "www".into(),
                hostname: "www.example.com".parse().unwrap(),
                port,
                protocol,
                names: Box::default(),
            };
            let mut reach = Reach::default();
            reach.alpn = alpn.to_vec();
            let request = Request {
                target: &target,
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                key_type: KeyType::Any,
                reach: &reach,
            };
            assert_eq!(request.alpn(), offered, "{protocol} {port}");
        }
    }
}
