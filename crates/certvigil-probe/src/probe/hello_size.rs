//! Size of rustls' ClientHello. That of current clients has a key share of ML-KEM, and does not fit
//! into one packet. Some servers and load balancers cannot read it (<https://tldr.fail>); others hang
//! on a record of 256 to 511 bytes (RFC 7685). rustls has no padding extension. Therefore the
//! ClientHello contains a second key share, of a group that no server supports: GREASE (RFC 8701,
//! section 3.1). Its share may have any content, and servers must ignore it.

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::version::TLS12;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion, SupportedProtocolVersion};

/// Size of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HelloSize {
    /// More than one packet, as that of Chromium, Firefox, Go and OpenSSL. It has at least 1700 bytes.
    Large,
    /// One packet, as that of all clients before ML-KEM. It has at least 512 bytes.
    Small,
}

impl HelloSize {
    /// Returns X25519, whose key share in the first ClientHello is followed by one of [`GREASE`]. The
    /// provider needs both groups.
    pub(super) fn x25519(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::Large => &LARGE,
            Self::Small => &SMALL,
        }
    }
}

/// GREASE group, which no server supports. It must be offered last.
pub(super) static GREASE: &dyn SupportedKxGroup = &Grease;

/// Value reserved for GREASE (RFC 8701, section 2).
const GREASE_GROUP: NamedGroup = NamedGroup::Unknown(0x6a6a);

static LARGE: Padded = Padded(&[0; 1_504]);
static SMALL: Padded = Padded(&[0; 304]);

/// X25519 with the content of the GREASE share that follows its own.
#[derive(Debug)]
struct Padded(&'static [u8]);

impl SupportedKxGroup for Padded {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let exchange = kx_group::X25519.start()?;
        Ok(Box::new(PaddedExchange {
            exchange,
            share: self.0,
        }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        kx_group::X25519.name()
    }
}

struct PaddedExchange {
    exchange: Box<dyn ActiveKeyExchange>,
    /// Content of the GREASE share.
    share: &'static [u8],
}

impl ActiveKeyExchange for PaddedExchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        self.exchange.complete(peer)
    }

    fn complete_for_tls_version(
        self: Box<Self>,
        peer: &[u8],
        version: &SupportedProtocolVersion,
    ) -> Result<SharedSecret, Error> {
        self.exchange.complete_for_tls_version(peer, version)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((GREASE_GROUP, self.share))
    }

    fn complete_hybrid_component(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, Error> {
        Err(chosen())
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        self.exchange.pub_key()
    }

    fn group(&self) -> NamedGroup {
        self.exchange.group()
    }
}

#[derive(Debug)]
struct Grease;

impl SupportedKxGroup for Grease {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Err(chosen())
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        GREASE_GROUP
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version != TLS12.version
    }
}

/// Error for a server that selects the GREASE group, which violates RFC 8701, section 4.
fn chosen() -> Error {
    PeerMisbehaved::SelectedUnofferedKxGroup.into()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use rustls::ClientConnection;

    use super::super::setup::{Configs, Hello, Schemes};
    use super::super::{Reach, Request};
    use super::HelloSize;
    use crate::model::{KeyType, Protocol, Target};

    /// Returns the length of the record with the ClientHello.
    fn length(configs: &Configs, hostname: &str, key_type: KeyType, hello: Hello) -> usize {
        let target = Target {
            certificate: "www".into(),
            hostname: hostname.parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        };
        let request = Request {
            target: &target,
            address: SocketAddr::from(([127, 0, 0, 1], 443)),
            key_type,
            reach: &Reach::default(),
        };
        let prepared = configs.prepare(request, hello).unwrap();
        let mut tls = ClientConnection::new(Arc::new(prepared.config), prepared.name).unwrap();
        let mut record = Vec::new();
        tls.write_tls(&mut record).unwrap();
        assert_eq!(record[0], 22);
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        assert_eq!(record.len(), 5 + length, "one record");
        length
    }

    #[test]
    fn small_hello_has_512_bytes_and_fits_into_a_packet_and_a_large_one_does_not() {
        /// Payload of one Ethernet segment with TCP options, in bytes.
        const SEGMENT: usize = 1448 - 5;
        let configs = Configs::new(Arc::default()).unwrap();
        let label = "a".repeat(49);
        let names =
            (0..=4).map(|labels| format!("{}example.com", format!("{label}.").repeat(labels)));
        let names = names.chain(["a.example".into(), "192.0.2.1".into(), "2001:db8::1".into()]);
        for name in names {
            for key_type in [KeyType::Any, KeyType::Rsa, KeyType::Ecdsa] {
                for schemes in [Schemes::Checked, Schemes::All] {
                    for (size, expected) in [
                        (HelloSize::Small, 512..SEGMENT),
                        (HelloSize::Large, 1_700..2 * SEGMENT),
                    ] {
                        let length = length(
                            &configs,
                            &name,
                            key_type,
                            Hello {
                                schemes,
                                size,
                                ..Hello::FIRST
                            },
                        );
                        assert!(
                            expected.contains(&length),
                            "{name} {key_type:?} {size:?}: {length}"
                        );
                    }
                }
            }
        }
    }
}
