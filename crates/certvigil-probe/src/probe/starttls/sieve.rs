//! ManageSieve (RFC 5804).

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{DialogueError, LONG_LINE, MAX_LINES, Wire};

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    // The greeting has the form of a response to CAPABILITY (section 1.7).
    if !response(wire).await? {
        return Err(DialogueError::NotOffered);
    }
    wire.send("STARTTLS\r\n").await?;
    response(wire).await.map(|_| ())
}

/// Reads until the end of a response. Returns true if its capabilities include STARTTLS.
async fn response<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<bool, DialogueError> {
    let mut is_offered = false;
    for _ in 0..MAX_LINES {
        let line = wire.line(LONG_LINE).await?;
        let word = line.split([' ', '(']).next().unwrap_or_default();
        match word.to_ascii_uppercase().as_str() {
            "OK" => return Ok(is_offered),
            "NO" | "BYE" => return Err(DialogueError::refused(line)),
            "\"STARTTLS\"" => is_offered = true,
            // A capability, or a line of a literal in one.
            _ if line.starts_with('"') || line.starts_with('{') => {}
            _ => return Err(DialogueError::unexpected(line)),
        }
    }
    Err(DialogueError::too_many_lines())
}
