//! PostgreSQL: the SSLRequest message
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use tokio::io::{AsyncRead, AsyncWrite};

use super::violation::Violation;
use super::wire::{DialogueError, MAX_MESSAGE, Wire};

/// Length of the message, and the request code: 1234, 5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    wire.send(SSL_REQUEST).await?;
    match wire.message(answer).await? {
        Answer::Yes => Ok(()),
        Answer::No => Err(DialogueError::NotOffered),
        Answer::Error(words) => Err(DialogueError::refused(words)),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// Message of an ErrorResponse.
    Error(Vec<u8>),
}

/// Parses the one-byte response, or the ErrorResponse of a server that is at its connection limit
/// or older than the request.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<(Answer, usize)>, Violation> {
    match bytes {
        [] => Ok(None),
        // Data after `S` is refused as an injection (CVE-2021-23222) by the caller. Data after `N`
        // is not an answer to the request: another protocol's text may begin with this letter.
        [b'S', ..] => Ok(Some((Answer::Yes, 1))),
        [b'N'] => Ok(Some((Answer::No, 1))),
        [b'E', a, b, c, d, rest @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if !(4..=MAX_MESSAGE).contains(&length) {
                return Err(Violation::PostgresError(length));
            }
            let Some(fields) = rest.get(..length - 4) else {
                return Ok(None);
            };
            let mut fields = fields.split(|b| *b == 0);
            let message = fields.find_map(|f| f.strip_prefix(b"M"));
            Ok(Some((
                Answer::Error(message.unwrap_or(b"an error").to_vec()),
                length + 1,
            )))
        }
        [b'E', ..] => Ok(None),
        other => Err(Violation::unexpected_start(other)),
    }
}
