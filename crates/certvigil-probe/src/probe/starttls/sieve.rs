//! ManageSieve (RFC 5804).

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{DialogueError, Wire};

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
    loop {
        let line = wire.line().await?;
        let word = line.split([' ', '(']).next().unwrap_or_default();
        match word.to_ascii_uppercase().as_str() {
            "OK" => {
                wire.skip_literals(&line).await?;
                return Ok(is_offered);
            }
            "NO" | "BYE" => return Err(DialogueError::refused(line)),
            "\"STARTTLS\"" => is_offered = true,
            // Another capability. Its name and its value may be literals.
            _ if line.starts_with('"') || line.starts_with('{') => {
                wire.skip_literals(&line).await?;
            }
            _ => return Err(DialogueError::unexpected(line)),
        }
    }
}
