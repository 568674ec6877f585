//! Microsoft SQL Server: the PRELOGIN message, after which TDS packets carry the TLS handshake
//! ([MS-TDS] 2.2.6.5 and 3.2.5.1,
//! <https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/60f56408-0188-4cd5-8b90-25c6f2423868>).

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::tds::{HEADER, Header, MAX_PACKET, is_packet, wrap};
use super::violation::Violation;
use super::wire::{DialogueError, Wire};

/// Options of PRELOGIN.
const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const TERMINATOR: u8 = 0xff;
/// Values of the option ENCRYPTION.
const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUP: u8 = 2;
/// Flag of ENCRYPTION for client certificates, which may accompany each value.
const ENCRYPT_CLIENT_CERT: u8 = 0x80;
/// Token of an error, in place of the response to PRELOGIN.
const ERROR: u8 = 0xaa;
/// Maximum length of a server's response to PRELOGIN, in bytes. Responses have less than 100 bytes.
const MAX_RESPONSE: usize = 4 * MAX_PACKET;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    wire.send(wrap(&prelogin())).await?;
    match wire.message(response).await? {
        Response::Encryption(ENCRYPT_NOT_SUP) => Err(DialogueError::NotOffered),
        Response::Encryption(_) => Ok(()),
        Response::Error(message) => Err(DialogueError::refused(message)),
    }
}

/// Returns the data of a PRELOGIN message that requests encryption.
fn prelogin() -> Vec<u8> {
    const VERSION_LENGTH: u8 = 6;
    /// Length of the list of two options, and of its terminator, in bytes.
    const OPTIONS: u8 = 11;
    let mut data = vec![VERSION, 0, OPTIONS, 0, VERSION_LENGTH];
    data.extend([ENCRYPTION, 0, OPTIONS + VERSION_LENGTH, 0, 1, TERMINATOR]);
    // Version 17.0, as current drivers have it. Servers do not interpret it.
    data.extend([17, 0, 0, 0, 0, 0]);
    data.push(ENCRYPT_ON);
    data
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Response {
    /// Value of the option ENCRYPTION, without the flag for client certificates.
    Encryption(u8),
    /// Message of an error.
    Error(String),
}

/// Parses the packets of the response to PRELOGIN.
fn response(bytes: &[u8]) -> Result<Option<(Response, usize)>, Violation> {
    let (mut data, mut rest) = (Vec::new(), bytes);
    loop {
        if rest.first().is_some_and(|first| !is_packet(*first)) {
            return Err(Violation::unexpected_start(bytes));
        }
        let Some((header, after)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let header = Header::parse(*header)?;
        if data.len() + header.length > MAX_RESPONSE {
            return Err(Violation::LongResponse {
                limit: MAX_RESPONSE,
            });
        }
        let Some((part, after)) = after.split_at_checked(header.length) else {
            return Ok(None);
        };
        data.extend(part);
        rest = after;
        if header.is_last {
            return Ok(Some((parse(&data)?, bytes.len() - rest.len())));
        }
    }
}

/// Parses the data of the response: a list of options, each with the offset and the length of its
/// value, or an error.
fn parse(data: &[u8]) -> Result<Response, Violation> {
    if let [ERROR, error @ ..] = data {
        return Ok(Response::Error(error_message(error)));
    }
    let mut options = data;
    loop {
        match options {
            [TERMINATOR, ..] => return Err(Violation::PreloginEncryption),
            [option, a, b, c, d, rest @ ..] => {
                let offset = usize::from(u16::from_be_bytes([*a, *b]));
                let length = usize::from(u16::from_be_bytes([*c, *d]));
                if *option == ENCRYPTION {
                    let value = data.get(offset..).and_then(|value| value.get(..length));
                    let value = value.and_then(<[u8]>::first);
                    let value = value.ok_or(Violation::PreloginTruncated)?;
                    return Ok(Response::Encryption(value & !ENCRYPT_CLIENT_CERT));
                }
                options = rest;
            }
            _ => return Err(Violation::PreloginTruncated),
        }
    }
}

/// Returns the message of an ERROR token ([MS-TDS] 2.2.7.10) without its first byte.
fn error_message(token: &[u8]) -> String {
    // Length of the token, error number, state and class.
    let text = token.get(8..).unwrap_or_default();
    let [low, high, text @ ..] = text else {
        return "an error".into();
    };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let (units, _) = text.as_chunks::<2>();
    let units: Vec<u16> = units
        .iter()
        .take(length)
        .copied()
        .map(u16::from_le_bytes)
        .collect();
    String::from_utf16_lossy(&units)
}
