//! ServerHello and HelloRetryRequest in the first bytes of a server's flight, and the faults in them
//! after which most clients break off the handshake. rustls does not look for these.

use crate::observation::{ErrorKind, ProbeError};

use super::cursor::Cursor;
use super::hello::{HANDSHAKE, HEADER};

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

const SERVER_NAME: u16 = 0;
pub(super) const STATUS_REQUEST: u16 = 5;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const ALPN: u16 = 16;
pub(super) const EXTENDED_MASTER_SECRET: u16 = 23;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
const COOKIE: u16 = 44;
const PSK_KEY_EXCHANGE_MODES: u16 = 45;
pub(super) const KEY_SHARE: u16 = 51;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
pub(super) const RENEGOTIATION_INFO: u16 = 0xff01;

/// Fault of a ServerHello or HelloRetryRequest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum HelloFault {
    /// The renegotiation_info is not that of an initial handshake, in which it is one octet, the
    /// length of no data (RFC 5746, section 3.4).
    Renegotiating,
    /// With TLS 1.3, this is in the place of the version of TLS 1.2 (RFC 8446, section 4.1.3).
    LegacyVersion(u16),
    /// With TLS 1.3, the session ID is not that of the ClientHello (RFC 8446, section 4.1.3).
    SessionId,
    /// Extension that a client offers, and that has no place in this message (RFC 8446, section
    /// 4.2).
    Misplaced(u16),
    /// Extension that was not offered (RFC 8446, section 4.2).
    Unsolicited(u16),
    /// The random says that the server supports TLS 1.3, which was offered and not negotiated (RFC
    /// 8446, section 4.1.3).
    Downgrade,
}

impl HelloFault {
    /// Describes the failure.
    pub(in crate::probe) fn explain(self) -> ProbeError {
        let what = match self {
            Self::Renegotiating => {
                "the renegotiation_info of its ServerHello is not that of a first handshake".into()
            }
            Self::LegacyVersion(version) => {
                format!("the legacy_version of its ServerHello is {version:#06x}, not 0x0303")
            }
            Self::SessionId => {
                "its ServerHello does not repeat the session ID of the ClientHello".into()
            }
            Self::Misplaced(extension) => format!(
                "its ServerHello has the extension {}, which is not allowed there",
                name(extension)
            ),
            Self::Unsolicited(extension) => format!(
                "its ServerHello has the extension {}, which was not offered",
                name(extension)
            ),
            Self::Downgrade => {
                "its random announces TLS 1.3, and it negotiates an older version although TLS 1.3 is offered".into()
            }
        };
        ProbeError::new(
            ErrorKind::TlsProtocol,
            format!("the server breaks the rules of TLS: {what}"),
        )
    }

    /// Returns the fault of an extension of a ServerHello of TLS 1.2 or before.
    pub(super) fn of_extension(kind: u16, content: &[u8]) -> Option<Self> {
        match kind {
            RENEGOTIATION_INFO => (*content != [0]).then_some(Self::Renegotiating),
            // Old load balancers send supported_groups, which clients ignore therefore.
            SIGNATURE_ALGORITHMS | SUPPORTED_VERSIONS | PSK_KEY_EXCHANGE_MODES | KEY_SHARE => {
                Some(Self::Misplaced(kind))
            }
            _ => None,
        }
    }

    /// Returns the fault of a random in a response of TLS 1.2 or before to an offer of TLS 1.3.
    pub(super) fn of_random(random: &[u8]) -> Option<Self> {
        let is_marked = matches!(
            random,
            [.., b'D', b'O', b'W', b'N', b'G', b'R', b'D', 0 | 1]
        );
        is_marked.then_some(Self::Downgrade)
    }
}

/// Returns the name of an extension.
fn name(extension: u16) -> String {
    let name = match extension {
        SERVER_NAME => "server_name",
        STATUS_REQUEST => "status_request",
        SUPPORTED_GROUPS => "supported_groups",
        EC_POINT_FORMATS => "ec_point_formats",
        SIGNATURE_ALGORITHMS => "signature_algorithms",
        ALPN => "application_layer_protocol_negotiation",
        EXTENDED_MASTER_SECRET => "extended_master_secret",
        SESSION_TICKET => "session_ticket",
        SUPPORTED_VERSIONS => "supported_versions",
        COOKIE => "cookie",
        PSK_KEY_EXCHANGE_MODES => "psk_key_exchange_modes",
        KEY_SHARE => "key_share",
        RENEGOTIATION_INFO => "renegotiation_info",
        _ => return format!("number {extension}"),
    };
    name.into()
}

/// Returns the session ID in the record with a ClientHello. `None` if the record is another.
pub(in crate::probe) fn session_id(record: &[u8]) -> Option<&[u8]> {
    const CLIENT_HELLO: u8 = 1;
    let mut input = Cursor(record);
    let header = input.take(HEADER)?;
    let is_hello = header.first() == Some(&HANDSHAKE) && input.u8()? == CLIENT_HELLO;
    input.u24()?;
    input.take(VERSION_AND_RANDOM)?;
    input.u8_vector().filter(|_| is_hello)
}

/// Returns true if the first bytes of a server's flight announce secure renegotiation (RFC 5746,
/// section 3.4). `None` if they contain no complete ServerHello.
pub(in crate::probe) fn secure_renegotiation(flight: &[u8]) -> Option<bool> {
    let messages = messages(flight);
    let hello = Hello::next(&mut Cursor(&messages))?;
    let mut kinds = hello.extensions.iter().map(|(kind, _)| *kind);
    Some(kinds.any(|kind| kind == RENEGOTIATION_INFO))
}

/// Returns the first fault of the hellos in the first bytes of a server's flight, which responds to a
/// ClientHello with this session ID that offers TLS 1.3.
pub(in crate::probe) fn hello_fault(flight: &[u8], session: &[u8]) -> Option<HelloFault> {
    let messages = messages(flight);
    let mut messages = Cursor(&messages);
    loop {
        let hello = Hello::next(&mut messages)?;
        let fault = hello.fault(session);
        if fault.is_some() || !hello.is_retry() {
            return fault;
        }
    }
}

/// Returns true if the first bytes of a server's flight have a HelloRetryRequest for a key share of
/// ML-KEM, alone or with an elliptic curve.
pub(in crate::probe) fn asks_for_ml_kem(flight: &[u8]) -> bool {
    /// MLKEM768 and MLKEM1024, and X25519MLKEM768 and SecP256r1MLKEM768 (IANA's registry).
    const GROUPS: [[u8; 2]; 4] = [[0x02, 0x01], [0x02, 0x02], [0x11, 0xec], [0x11, 0xeb]];
    let messages = messages(flight);
    let hello = Hello::next(&mut Cursor(&messages)).filter(Hello::is_retry);
    let is_ml_kem = |(kind, content): &(u16, &[u8])| {
        *kind == KEY_SHARE && GROUPS.iter().any(|group| group == content)
    };
    hello.is_some_and(|hello| hello.extensions.iter().any(is_ml_kem))
}

/// Length of the version and the random of a hello, in bytes.
const VERSION_AND_RANDOM: usize = 34;

/// Returns the content of the handshake records in cleartext. The last one may be truncated.
fn messages(flight: &[u8]) -> Vec<u8> {
    let mut input = Cursor(flight);
    let mut messages = Vec::new();
    while let (Some(kind), Some(_version), Some(length)) =
        (input.u8(), input.u16(), input.number(2))
    {
        let content = input.take(length.min(input.0.len())).unwrap_or_default();
        if kind == HANDSHAKE {
            messages.extend(content);
        }
    }
    messages
}

/// ServerHello or HelloRetryRequest, which have the same structure (RFC 8446, section 4.1.3).
struct Hello<'a> {
    version: u16,
    random: &'a [u8],
    session: &'a [u8],
    extensions: Vec<(u16, &'a [u8])>,
}

impl<'a> Hello<'a> {
    /// Takes the next one off. `None` if it is not complete, or if another message comes first.
    fn next(messages: &mut Cursor<'a>) -> Option<Self> {
        const HELLO_REQUEST: u8 = 0;
        const SERVER_HELLO: u8 = 2;
        const SUITE_AND_COMPRESSION: usize = 3;
        let mut body = loop {
            let kind = messages.u8()?;
            let body = messages.u24_vector()?;
            match kind {
                HELLO_REQUEST => {}
                SERVER_HELLO => break Cursor(body),
                _ => return None,
            }
        };
        let version = body.u16()?;
        let random = body.take(VERSION_AND_RANDOM - size_of::<u16>())?;
        let session = body.u8_vector()?;
        body.take(SUITE_AND_COMPRESSION)?;
        let mut extensions = Vec::new();
        if !body.is_empty() {
            let mut list = Cursor(body.u16_vector()?);
            while !list.is_empty() {
                extensions.push((list.u16()?, list.u16_vector()?));
            }
        }
        Some(Self {
            version,
            random,
            session,
            extensions,
        })
    }

    /// Returns true for a HelloRetryRequest, whose random is the SHA-256 of these words.
    fn is_retry(&self) -> bool {
        const RANDOM: [u8; 32] = [
            0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65,
            0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2,
            0xc8, 0xa8, 0x33, 0x9c,
        ];
        self.random == RANDOM
    }

    fn is_tls13(&self) -> bool {
        let selected = (SUPPORTED_VERSIONS, &TLS_1_3.to_be_bytes()[..]);
        self.is_retry() || self.version == TLS_1_3 || self.extensions.contains(&selected)
    }

    fn fault(&self, session: &[u8]) -> Option<HelloFault> {
        let mut extensions = self.extensions.iter();
        if !self.is_tls13() {
            let fault =
                extensions.find_map(|(kind, content)| HelloFault::of_extension(*kind, content));
            // rustls checks only the mark of servers that select TLS 1.2.
            return fault.or_else(|| HelloFault::of_random(self.random));
        }
        if self.version != TLS_1_2 {
            return Some(HelloFault::LegacyVersion(self.version));
        }
        if self.session != session {
            return Some(HelloFault::SessionId);
        }
        let permitted = match self.is_retry() {
            true => &[
                SUPPORTED_VERSIONS,
                COOKIE,
                KEY_SHARE,
                ENCRYPTED_CLIENT_HELLO,
            ][..],
            false => &[SUPPORTED_VERSIONS, PRE_SHARED_KEY, KEY_SHARE],
        };
        let misplaced = extensions.find(|(kind, _)| !permitted.contains(kind));
        misplaced.map(|(kind, _)| HelloFault::Misplaced(*kind))
    }
}
