//! Remote Desktop: the X.224 connection request with an RDP negotiation request ([MS-RDPBCGR]
//! 2.2.1.1 and 2.2.1.2,
//! <https://learn.microsoft.com/openspecs/windows_protocols/ms-rdpbcgr/18a27ef9-6f9a-4501-b000-94b1fe3c2c10>).

use tokio::io::{AsyncRead, AsyncWrite};

use super::violation::Violation;
use super::wire::{DialogueError, Wire};

/// Version of TPKT (RFC 1006, section 6).
const TPKT: u8 = 3;
/// Length of the TPKT header, in bytes.
const TPKT_HEADER: usize = 4;
/// Maximum length of a server's response, in bytes. Responses have 11 or 19 bytes.
const MAX_RESPONSE: usize = 512;
/// X.224 connection request, connection confirm and disconnect request (RFC 905, section 13).
const CONNECTION_REQUEST: u8 = 0xe0;
const CONNECTION_CONFIRM: u8 = 0xd0;
const DISCONNECT_REQUEST: u8 = 0x80;
/// Types of the negotiation data, and its length in bytes.
const TYPE_RDP_NEG_REQ: u8 = 1;
const TYPE_RDP_NEG_RSP: u8 = 2;
const TYPE_RDP_NEG_FAILURE: u8 = 3;
const NEGOTIATION: u8 = 8;
/// TLS, and CredSSP inside TLS.
const PROTOCOL_SSL: u32 = 1;
const PROTOCOL_HYBRID: u32 = 2;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    wire.send(request()).await?;
    match wire.message(response).await? {
        Response::Selected(0) | Response::WithoutNegotiation => Err(DialogueError::NotOffered),
        Response::Selected(PROTOCOL_SSL | PROTOCOL_HYBRID) => Ok(()),
        Response::Selected(other) => Err(DialogueError::Broken(Violation::SecurityProtocol(other))),
        Response::Failure(code) => Err(DialogueError::refused(failure(code))),
        Response::Disconnected => Err(DialogueError::refused("X.224 disconnect request")),
    }
}

/// Returns the connection request, which offers TLS and CredSSP inside TLS.
fn request() -> Vec<u8> {
    const LENGTH: u8 = 19;
    let mut request = vec![TPKT, 0, 0, LENGTH, LENGTH - 5, CONNECTION_REQUEST];
    // Destination reference, source reference, class.
    request.extend([0; 5]);
    request.extend([TYPE_RDP_NEG_REQ, 0, NEGOTIATION, 0]);
    request.extend((PROTOCOL_SSL | PROTOCOL_HYBRID).to_le_bytes());
    request
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Response {
    /// The selected security protocol.
    Selected(u32),
    /// The code of the reason for which the negotiation failed.
    Failure(u32),
    /// A confirmation without negotiation data: the server only supports standard RDP security.
    WithoutNegotiation,
    Disconnected,
}

/// Parses the server's response.
fn response(bytes: &[u8]) -> Result<Option<(Response, usize)>, Violation> {
    let unexpected = || Violation::unexpected_start(bytes);
    let [version, rest @ ..] = bytes else {
        return Ok(None);
    };
    if *version != TPKT {
        return Err(unexpected());
    }
    let [_reserved, high, low, ..] = rest else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if !(TPKT_HEADER + 1..=MAX_RESPONSE).contains(&length) {
        return Err(Violation::Tpkt(length));
    }
    let Some(payload) = bytes.get(TPKT_HEADER..length) else {
        return Ok(None);
    };
    // Length indicator, code, destination and source reference, class.
    let response = match payload {
        [_, CONNECTION_CONFIRM, _, _, _, _, _, negotiation @ ..] => match negotiation {
            [] => Response::WithoutNegotiation,
            [kind, _flags, NEGOTIATION, 0, a, b, c, d, ..] => {
                let value = u32::from_le_bytes([*a, *b, *c, *d]);
                match *kind {
                    TYPE_RDP_NEG_RSP => Response::Selected(value),
                    TYPE_RDP_NEG_FAILURE => Response::Failure(value),
                    _ => return Err(unexpected()),
                }
            }
            _ => return Err(unexpected()),
        },
        [_, DISCONNECT_REQUEST, ..] => Response::Disconnected,
        _ => return Err(unexpected()),
    };
    Ok(Some((response, length)))
}

/// Returns the name of a failure code ([MS-RDPBCGR] 2.2.1.2.2), and its meaning.
fn failure(code: u32) -> String {
    let (name, meaning) = match code {
        1 => ("SSL_REQUIRED_BY_SERVER", "it requires TLS"),
        2 => (
            "SSL_NOT_ALLOWED_BY_SERVER",
            "it is configured for standard RDP security only",
        ),
        3 => (
            "SSL_CERT_NOT_ON_SERVER",
            "it has no valid certificate for TLS",
        ),
        4 => ("INCONSISTENT_FLAGS", "it requires other flags"),
        5 => (
            "HYBRID_REQUIRED_BY_SERVER",
            "it requires network level authentication (CredSSP)",
        ),
        6 => (
            "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
            "it requires TLS with a client certificate",
        ),
        _ => return format!("failure code {code}"),
    };
    format!("{name}: {meaning}")
}
