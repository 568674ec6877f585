//! Size of rustls' ClientHello. Some load balancers hang on a record of 256 to 511 bytes (RFC
//! 7685), and rustls has no padding extension. Therefore the ClientHello contains a second key
//! share, of a group that no server supports: GREASE (RFC 8701, section 3.1). Its share may have
//! any content, and servers must ignore it.

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::version::TLS12;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion, SupportedProtocolVersion};

/// X25519, whose key share in the first ClientHello is followed by one of [`GREASE`]. The provider
/// needs both groups.
pub(super) static X25519_PADDED: &dyn SupportedKxGroup = &Padded;

/// GREASE group, which no server supports. It must be offered last.
pub(super) static GREASE: &dyn SupportedKxGroup = &Grease;

/// Value reserved for GREASE (RFC 8701, section 2).
const GREASE_GROUP: NamedGroup = NamedGroup::Unknown(0x6a6a);

/// Content of the key share. It is long enough that the smallest ClientHello of rustls has 512
/// bytes.
static GREASE_SHARE: [u8; GREASE_BYTES] = [0; GREASE_BYTES];

/// Length of the share in bytes.
const GREASE_BYTES: usize = 304;

#[derive(Debug)]
struct Padded;

impl SupportedKxGroup for Padded {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(PaddedExchange(kx_group::X25519.start()?)))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        kx_group::X25519.name()
    }
}

struct PaddedExchange(Box<dyn ActiveKeyExchange>);

impl ActiveKeyExchange for PaddedExchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        self.0.complete(peer)
    }

    fn complete_for_tls_version(
        self: Box<Self>,
        peer: &[u8],
        version: &SupportedProtocolVersion,
    ) -> Result<SharedSecret, Error> {
        self.0.complete_for_tls_version(peer, version)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((GREASE_GROUP, &GREASE_SHARE))
    }

    fn complete_hybrid_component(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, Error> {
        Err(chosen())
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        self.0.pub_key()
    }

    fn group(&self) -> NamedGroup {
        self.0.group()
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

    use super::super::setup::{Configs, Schemes};
    use super::super::{Look, Reach};
    use crate::model::{KeyType, Protocol, Target};

    /// Returns the length of the record with the ClientHello.
    fn hello(configs: &Configs, hostname: &str, key_type: KeyType, schemes: Schemes) -> usize {
        let target = Target {
            certificate: "www".into(),
            hostname: hostname.parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        };
        let look = Look {
            target: &target,
            address: SocketAddr::from(([127, 0, 0, 1], 443)),
            key_type,
            reach: &Reach::default(),
        };
        let prepared = configs.prepare(look, schemes).unwrap();
        let mut tls = ClientConnection::new(Arc::new(prepared.config), prepared.name).unwrap();
        let mut record = Vec::new();
        tls.write_tls(&mut record).unwrap();
        assert_eq!(record[0], 22);
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        assert_eq!(record.len(), 5 + length, "one record");
        length
    }

    #[test]
    fn no_hello_has_256_to_511_bytes() {
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
                    let length = hello(&configs, &name, key_type, schemes);
                    assert!(
                        (512..SEGMENT).contains(&length),
                        "{name} {key_type:?}: {length}"
                    );
                }
            }
        }
    }
}
