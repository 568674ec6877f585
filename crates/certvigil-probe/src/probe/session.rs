//! rustls as the TLS implementation of QUIC. The transport's own integration does not expose the
//! cipher suite and rustls' errors, and both must be reported.

use std::any::Any;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_proto::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::quic::{ClientConnection, KeyChange, PacketKeySet, Secrets, Suite, Version};
use rustls::{CipherSuite, ClientConfig, Error, SupportedCipherSuite};

/// Configuration of a handshake, in the form that the transport requires.
pub(super) struct Crypto {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    initial: Suite,
}

impl Crypto {
    /// Returns `None` if the configuration lacks the suite that protects the first packets (RFC
    /// 9001, section 5.2).
    pub(super) fn new(config: ClientConfig, name: ServerName<'static>) -> Option<Self> {
        let mut suites = config.crypto_provider().cipher_suites.iter();
        let initial = suites.find(|s| s.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256)?;
        let initial = initial.tls13()?.quic_suite()?;
        Some(Self {
            config: Arc::new(config),
            name,
            initial,
        })
    }
}

impl crypto::ClientConfig for Crypto {
    fn start_session(
        self: Arc<Self>,
        _version: u32,
        _server_name: &str,
        parameters: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let mut encoded = Vec::new();
        parameters.write(&mut encoded);
        let tls =
            ClientConnection::new(self.config.clone(), Version::V1, self.name.clone(), encoded);
        Ok(Box::new(Tls {
            // The only suitable variant of the transport's error. The name itself was validated
            // before.
            tls: tls.map_err(|e| ConnectError::InvalidServerName(e.to_string()))?,
            initial: self.initial,
            secrets: None,
            error: None,
            is_reported: false,
        }))
    }
}

/// Results of a handshake so far.
#[derive(Default)]
pub(super) struct Shown {
    /// Certificates of the server, once it has proved possession of the leaf's key.
    pub(super) chain: Option<Vec<CertificateDer<'static>>>,
    pub(super) suite: Option<SupportedCipherSuite>,
    pub(super) alpn: Option<Vec<u8>>,
    /// Error with which rustls ended the handshake.
    pub(super) error: Option<Error>,
}

struct Tls {
    tls: ClientConnection,
    initial: Suite,
    secrets: Option<Secrets>,
    error: Option<Error>,
    is_reported: bool,
}

impl Session for Tls {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        let side = match side {
            Side::Client => rustls::Side::Client,
            Side::Server => rustls::Side::Server,
        };
        keys(self.initial.keys(id, side, Version::V1))
    }

    /// Returns a [`Shown`].
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let chain = self.tls.peer_certificates();
        Some(Box::new(Shown {
            chain: chain.map(<[_]>::to_vec),
            suite: self.tls.negotiated_cipher_suite(),
            alpn: self.tls.alpn_protocol().map(<[_]>::to_vec),
            error: self.error.clone(),
        }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        if let Err(error) = self.tls.read_hs(bytes) {
            let failed = TransportError {
                // TLS treats a failure without an alert as an internal error (RFC 9001, section
                // 4.8).
                code: TransportErrorCode::crypto(self.tls.alert().map_or(80, u8::from)),
                frame: None,
                reason: error.to_string(),
            };
            self.error = Some(error);
            return Err(failed);
        }
        let is_new = !self.is_reported && !self.tls.is_handshaking();
        self.is_reported |= is_new;
        Ok(is_new)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(mut encoded) = self.tls.quic_transport_parameters() else {
            return Ok(None);
        };
        let parameters = TransportParameters::read(Side::Client, &mut encoded)?;
        Ok(Some(parameters))
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        match self.tls.write_hs(out)? {
            KeyChange::Handshake { keys: change } => Some(keys(change)),
            KeyChange::OneRtt { keys: change, next } => {
                self.secrets = Some(next);
                Some(keys(change))
            }
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let PacketKeySet { local, remote } = self.secrets.as_mut()?.next_packet_keys();
        Some(KeyPair {
            local: Box::new(local),
            remote: Box::new(remote),
        })
    }

    fn is_valid_retry(&self, id: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        is_valid_retry(id, header, payload)
    }

    /// Unsupported, because the connection is closed right after its handshake.
    fn export_keying_material(
        &self,
        _output: &mut [u8],
        _label: &[u8],
        _context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

fn keys(keys: rustls::quic::Keys) -> Keys {
    Keys {
        header: KeyPair {
            local: Box::new(keys.local.header),
            remote: Box::new(keys.remote.header),
        },
        packet: KeyPair {
            local: Box::new(keys.local.packet),
            remote: Box::new(keys.remote.packet),
        },
    }
}

/// Returns true if the integrity tag of a Retry packet shows that its sender received our first
/// packet (RFC 9001, section 5.8).
fn is_valid_retry(id: &[u8], header: &[u8], payload: &[u8]) -> bool {
    const TAG: usize = 16;
    const KEY: [u8; 16] = [
        0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8,
        0x4e,
    ];
    const NONCE: [u8; 12] = [
        0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb,
    ];
    let Some((token, tag)) = payload
        .len()
        .checked_sub(TAG)
        .and_then(|at| payload.split_at_checked(at))
    else {
        return false;
    };
    let (Ok(length), Ok(key)) = (u8::try_from(id.len()), UnboundKey::new(&AES_128_GCM, &KEY))
    else {
        return false;
    };
    let mut pseudo_packet = vec![length];
    pseudo_packet.extend([id, header, token].concat());
    let nonce = Nonce::assume_unique_for_key(NONCE);
    let mut tag = tag.to_vec();
    LessSafeKey::new(key)
        .open_in_place(nonce, Aad::from(pseudo_packet), &mut tag)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retry packet of RFC 9001, appendix A.4, and the connection ID of appendix A.
    const ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
    const HEADER: [u8; 15] = [
        0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x08, 0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5,
    ];
    const PAYLOAD: [u8; 21] = [
        0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x04, 0xa2, 0x65, 0xba, 0x2e, 0xff, 0x4d, 0x82, 0x90, 0x58,
        0xfb, 0x3f, 0x0f, 0x24, 0x96, 0xba,
    ];

    #[test]
    fn changed_or_truncated_quic_retry_is_refused() {
        assert!(is_valid_retry(&ID, &HEADER, &PAYLOAD));
        for at in 0..PAYLOAD.len() {
            let mut changed = PAYLOAD;
            changed[at] ^= 1;
            assert!(!is_valid_retry(&ID, &HEADER, &changed), "{at}");
            assert!(!is_valid_retry(&ID, &HEADER, &PAYLOAD[..at]), "{at}");
        }
        assert!(!is_valid_retry(&ID[1..], &HEADER, &PAYLOAD));
        assert!(!is_valid_retry(&ID, &HEADER[1..], &PAYLOAD));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_quic_retry_is_refused_without_panic(
            id in proptest::collection::vec(0u8.., 0..300),
            header in proptest::collection::vec(0u8.., 0..40),
            payload in proptest::collection::vec(0u8.., 0..64),
        ) {
            proptest::prop_assert!(!is_valid_retry(&id, &header, &payload));
        }
    }
}
