//! MySQL and MariaDB: the server's greeting, then the SSLRequest packet
//! (<https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>).

use tokio::io::{AsyncRead, AsyncWrite};

use super::violation::Violation;
use super::wire::{DialogueError, Wire};

const CLIENT_PROTOCOL_41: u32 = 0x0200;
const CLIENT_SSL: u32 = 0x0800;
const CLIENT_SECURE_CONNECTION: u32 = 0x8000;
/// Maximum length of a greeting, in bytes. No real server's greeting is close to it.
const MAX_PACKET: usize = 4096;
/// utf8mb3, which every server supports.
const CHARACTER_SET: u8 = 33;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    match wire.message(greeting).await? {
        Greeting::Hello { offers_tls: true } => {}
        Greeting::Hello { offers_tls: false } => return Err(DialogueError::NotOffered),
        Greeting::Error(words) => return Err(DialogueError::refused(words)),
    }
    // The protocol has no go-ahead, so any data from the server before our ClientHello is
    // unsolicited.
    wire.nothing_follows().await?;
    let capabilities = CLIENT_PROTOCOL_41 | CLIENT_SSL | CLIENT_SECURE_CONNECTION;
    let mut packet = vec![32, 0, 0, 1];
    packet.extend(capabilities.to_le_bytes());
    packet.extend(0x0100_0000_u32.to_le_bytes());
    packet.push(CHARACTER_SET);
    packet.extend([0; 23]);
    wire.send(packet).await
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Hello {
        offers_tls: bool,
    },
    /// Error message of a server that is at its connection limit, or has blocked the client.
    Error(Vec<u8>),
}

/// Parses the first packet of a server.
pub(super) fn greeting(bytes: &[u8]) -> Result<Option<(Greeting, usize)>, Violation> {
    let [a, b, c, _number, rest @ ..] = bytes else {
        return Ok(None);
    };
    let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
    if length > MAX_PACKET {
        // Most likely the server speaks a text protocol.
        return Err(Violation::unexpected_start(bytes));
    }
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let greeting = match payload {
        [0xff, _, _, message @ ..] => Greeting::Error(without_state(message).to_vec()),
        [10, rest @ ..] => {
            let mut parts = rest.splitn(2, |b| *b == 0);
            let (_version, rest) = (parts.next(), parts.next().unwrap_or_default());
            // Connection ID, eight bytes of salt, a zero, and the lower half of the capability
            // flags.
            let Some([low, high]) = rest.get(13..15) else {
                return Err(Violation::MysqlGreeting);
            };
            let capabilities = u32::from(u16::from_le_bytes([*low, *high]));
            Greeting::Hello {
                offers_tls: capabilities & CLIENT_SSL != 0,
            }
        }
        _ => return Err(Violation::MysqlVersion),
    };
    Ok(Some((greeting, length + 4)))
}

/// Returns an error message without the SQL state that may precede it.
fn without_state(message: &[u8]) -> &[u8] {
    match message {
        [b'#', _, _, _, _, _, rest @ ..] => rest,
        other => other,
    }
}
