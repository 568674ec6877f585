//! Connection options: source address, PROXY protocol, client certificate, ALPN and SNI.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(feature = "h3")]
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use tokio::io::AsyncWriteExt as _;
#[cfg(feature = "h3")]
use tokio::net::UdpSocket;
use tokio::net::{TcpSocket, TcpStream};

use crate::certificate::Fingerprint;
use crate::model::{Hostname, Protocol, ProxyProtocol, Sni};

use super::client_cert::{self, ClientCertError, ClientFiles};

/// Settings of the connection options. `Default` sets none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReachSettings {
    /// Files of the client's certificate and its key.
    pub client: Option<ClientFiles>,
    /// Version of the PROXY protocol header to send first.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Application protocols to offer (RFC 7301), in order of preference. Empty if the protocol
    /// defines none.
    pub alpn: Vec<String>,
    /// Server name to send as SNI.
    pub sni: Sni,
    /// Source addresses, at most one of each family.
    pub source_addresses: Vec<IpAddr>,
    /// Name of the client in SMTP's EHLO and LMTP's LHLO. `None` means that of the machine.
    pub ehlo: Option<String>,
    /// Domain of the XMPP service, if it differs from the host: the stream names it, and it is sent
    /// as SNI.
    pub xmpp_domain: Option<Hostname>,
    /// Index of the network interface for link-local addresses (RFC 4007, section 6); 0 if none is
    /// given.
    pub scope_id: u32,
}

/// A setting that the protocol does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsuitedSetting {
    /// The header of the PROXY protocol is sent over TCP.
    #[error(
        "the PROXY protocol needs a TCP connection, and {protocol} uses UDP; remove one of the two"
    )]
    ProxyProtocol {
        /// The protocol.
        protocol: Protocol,
    },
    /// The protocol does not name the client.
    #[error(
        "`ehlo` is the name in SMTP and LMTP, and the protocol is {protocol}; remove one of the two"
    )]
    Ehlo {
        /// The protocol.
        protocol: Protocol,
    },
    /// The protocol does not name the domain.
    #[error(
        "`xmpp_domain` is the domain in XMPP, and the protocol is {protocol}; remove one of the two"
    )]
    XmppDomain {
        /// The protocol.
        protocol: Protocol,
    },
}

impl ReachSettings {
    /// Checks that a protocol supports all of these settings.
    ///
    /// # Errors
    /// Returns the first setting that is not supported.
    pub fn suits(&self, protocol: Protocol) -> Result<(), UnsuitedSetting> {
        if protocol.is_quic() && self.proxy_protocol.is_some() {
            return Err(UnsuitedSetting::ProxyProtocol { protocol });
        }
        if self.ehlo.is_some() && !protocol.has_ehlo() {
            return Err(UnsuitedSetting::Ehlo { protocol });
        }
        if self.xmpp_domain.is_some() && !protocol.is_xmpp() {
            return Err(UnsuitedSetting::XmppDomain { protocol });
        }
        Ok(())
    }
}

/// Reason for which there is no connection.
#[derive(Debug)]
pub(super) enum ReachError {
    /// The source address cannot be used, so nothing was sent.
    SourceAddress {
        /// The address.
        ip: IpAddr,
        /// Cause.
        error: io::Error,
    },
    /// The connection failed.
    Connection(io::Error),
}

impl From<io::Error> for ReachError {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

/// Connection options, loaded. `Default` sets none.
#[derive(Clone, Default)]
pub struct Reach {
    pub(super) client: Option<Arc<dyn ResolvesClientCert>>,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) sni: Sni,
    source_addresses: Vec<IpAddr>,
    pub(super) ehlo: Option<String>,
    scope_id: u32,
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

impl Reach {
    /// Loads the files that the settings name.
    ///
    /// # Errors
    /// If a client's certificate or key cannot be read, or they do not match.
    pub fn load(settings: &ReachSettings) -> Result<Self, ClientCertError> {
        let client = match &settings.client {
            Some(files) => Some(client_cert::load(files)?),
            None => None,
        };
        Ok(Self {
            client,
            proxy_protocol: settings.proxy_protocol,
            alpn: settings
                .alpn
                .iter()
                .map(|a| a.clone().into_bytes())
                .collect(),
            sni: settings.sni.clone(),
            source_addresses: settings.source_addresses.clone(),
            ehlo: settings.ehlo.clone(),
            scope_id: settings.scope_id,
        })
    }

    /// Returns the same options with another server name.
    pub(super) fn with_sni(&self, sni: Sni) -> Self {
        Self {
            sni,
            ..self.clone()
        }
    }

    /// Returns a hash of the client's certificates, if there are any.
    pub fn client_digest(&self) -> Option<Fingerprint> {
        let presented = self.client.as_ref()?.resolve(&[], &[])?;
        let chain: Vec<&[u8]> = presented.cert.iter().map(AsRef::as_ref).collect();
        Some(Fingerprint::of(&chain.concat()))
    }

    /// Connects, and sends the header of the PROXY protocol if it is set.
    pub(super) async fn connect(&self, address: SocketAddr) -> Result<TcpStream, ReachError> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        if let Some(ip) = self.source_address(address) {
            socket
                .bind(SocketAddr::new(ip, 0))
                .map_err(|error| ReachError::SourceAddress { ip, error })?;
        }
        let mut stream = socket.connect(self.scoped(address)).await?;
        if let Some(version) = self.proxy_protocol {
            let header = proxy_header(version, stream.local_addr()?, stream.peer_addr()?);
            stream.write_all(&header).await?;
        }
        Ok(stream)
    }

    /// Opens a UDP socket connected to this address. A connected socket reports an ICMP port
    /// unreachable (RFC 1122, section 4.1.3.3).
    #[cfg(feature = "h3")]
    pub(super) async fn associate(&self, address: SocketAddr) -> Result<UdpSocket, ReachError> {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = match self.source_address(address) {
            Some(ip) => UdpSocket::bind((ip, 0))
                .await
                .map_err(|error| ReachError::SourceAddress { ip, error })?,
            None => UdpSocket::bind((any, 0)).await?,
        };
        socket.connect(self.scoped(address)).await?;
        Ok(socket)
    }

    /// Adds the network interface to a link-local address.
    fn scoped(&self, mut address: SocketAddr) -> SocketAddr {
        if let SocketAddr::V6(v6) = &mut address
            && v6.ip().is_unicast_link_local()
        {
            v6.set_scope_id(self.scope_id);
        }
        address
    }

    /// Returns the source address for connections to this address, if one is set.
    fn source_address(&self, address: SocketAddr) -> Option<IpAddr> {
        let of_family = |ip: &&IpAddr| ip.is_ipv4() == address.is_ipv4();
        self.source_addresses.iter().find(of_family).copied()
    }
}

/// Connection options of an inventory, each loaded once.
#[derive(Clone, Debug, Default)]
pub struct Reaches(BTreeMap<ReachSettings, Arc<Reach>>);

impl Reaches {
    /// Loads the files that these settings name.
    ///
    /// # Errors
    /// Those of [`Reach::load`].
    pub fn load<'a>(
        all: impl IntoIterator<Item = &'a ReachSettings>,
    ) -> Result<Self, ClientCertError> {
        let mut reaches = BTreeMap::new();
        for settings in all {
            if !reaches.contains_key(settings) {
                reaches.insert(settings.clone(), Arc::new(Reach::load(settings)?));
            }
        }
        Ok(Self(reaches))
    }

    /// Returns the loaded options of these settings, or the default if they were not loaded.
    pub fn of(&self, settings: &ReachSettings) -> Arc<Reach> {
        self.0.get(settings).cloned().unwrap_or_default()
    }
}

/// Returns the header of the PROXY protocol (sections 2.1 and 2.2 of its specification). An
/// IPv4-mapped address is sent as IPv4.
fn proxy_header(version: ProxyProtocol, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
    /// Version 2, command PROXY.
    const VERSION_AND_COMMAND: u8 = 0x21;
    const TCP_OVER_IPV4: u8 = 0x11;
    const TCP_OVER_IPV6: u8 = 0x21;

    let (source, destination) = (from.ip().to_canonical(), to.ip().to_canonical());
    match version {
        ProxyProtocol::V1 => {
            let family = if destination.is_ipv4() {
                "TCP4"
            } else {
                "TCP6"
            };
            let (source_port, port) = (from.port(), to.port());
            format!("PROXY {family} {source} {destination} {source_port} {port}\r\n").into_bytes()
        }
        ProxyProtocol::V2 => {
            let mut addresses = Vec::new();
            for ip in [source, destination] {
                match ip {
                    IpAddr::V4(ip) => addresses.extend(ip.octets()),
                    IpAddr::V6(ip) => addresses.extend(ip.octets()),
                }
            }
            addresses.extend(from.port().to_be_bytes());
            addresses.extend(to.port().to_be_bytes());
            let family = if destination.is_ipv4() {
                TCP_OVER_IPV4
            } else {
                TCP_OVER_IPV6
            };
            let mut header = SIGNATURE.to_vec();
            header.extend([VERSION_AND_COMMAND, family]);
            header.extend(
                u16::try_from(addresses.len())
                    .unwrap_or_default()
                    .to_be_bytes(),
            );
            header.extend(addresses);
            header
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyProtocol, from: &str, to: &str) -> Vec<u8> {
        proxy_header(version, from.parse().unwrap(), to.parse().unwrap())
    }

    #[test]
    fn proxy_protocol_header_follows_the_specification() {
        let text = |from, to| String::from_utf8(header(ProxyProtocol::V1, from, to)).unwrap();
        assert_eq!(
            text("192.0.2.1:56324", "198.51.100.7:443"),
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
        );
        assert_eq!(
            text("[2001:db8::1]:1", "[2001:db8::2]:65535"),
            "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"
        );
        let binary = header(ProxyProtocol::V2, "192.0.2.1:258", "198.51.100.7:443");
        assert_eq!(binary[..12], *b"\r\n\r\n\0\r\nQUIT\n");
        assert_eq!(
            binary[12..],
            [
                0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 7, 1, 2, 1, 187
            ]
        );
        let binary = header(ProxyProtocol::V2, "[::1]:1", "[::1]:2");
        assert_eq!(binary[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(binary.len(), 16 + 36);
    }
}
