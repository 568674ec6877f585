//! POP3 (RFC 1939, RFC 2449, RFC 2595).

use tokio::io::{AsyncRead, AsyncWrite};

use super::nntp::until_dot;
use super::reply::has_word;
use super::wire::{DialogueError, Wire};

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    status(wire).await?;
    wire.send("CAPA\r\n").await?;
    // A server older than RFC 2449 rejects the command, and may support TLS nevertheless.
    match status(wire).await {
        Ok(()) => {
            let mut is_offered = false;
            until_dot(wire, |line| is_offered |= has_word(line, "STLS")).await?;
            if !is_offered {
                return Err(DialogueError::NotOffered);
            }
        }
        Err(DialogueError::Refused(_)) => {}
        Err(other) => return Err(other),
    }
    wire.send("STLS\r\n").await?;
    status(wire).await
}

async fn status<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    let line = wire.line().await?;
    match line.split(' ').next() {
        Some("+OK") => Ok(()),
        Some("-ERR") => Err(DialogueError::refused(line)),
        _ => Err(DialogueError::unexpected(line)),
    }
}
