//! IMAP (RFC 3501, which RFC 9051 follows here).

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{DialogueError, Wire};

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    let greeting = wire.line().await?;
    match words(&greeting).as_slice() {
        ["*", "OK", ..] => {}
        // An authenticated client can no longer start TLS (section 6.2.1).
        ["*", "PREAUTH" | "BYE", ..] => return Err(DialogueError::refused(greeting)),
        _ => return Err(DialogueError::unexpected(greeting)),
    }
    wire.send("a1 CAPABILITY\r\n").await?;
    if !completion(wire, "a1").await? {
        return Err(DialogueError::NotOffered);
    }
    wire.send("a2 STARTTLS\r\n").await?;
    completion(wire, "a2").await.map(|_| ())
}

/// Reads until the completion of the command with this tag. Returns true if the server's
/// capabilities included STARTTLS.
async fn completion<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    tag: &str,
) -> Result<bool, DialogueError> {
    let mut is_offered = false;
    loop {
        let line = wire.line().await?;
        match words(&line).as_slice() {
            ["*", "BYE", ..] => return Err(DialogueError::refused(line)),
            ["*", "CAPABILITY", capabilities @ ..] => {
                is_offered |= capabilities.contains(&"STARTTLS");
            }
            // The text of a status response contains no literals, but may look like one.
            ["*", "OK" | "NO" | "BAD", ..] => {}
            ["*", ..] => wire.skip_literals(&line).await?,
            [of, "OK", ..] if of.eq_ignore_ascii_case(tag) => return Ok(is_offered),
            [of, "NO" | "BAD", ..] if of.eq_ignore_ascii_case(tag) => {
                return Err(DialogueError::refused(line));
            }
            _ => return Err(DialogueError::unexpected(line)),
        }
    }
}

/// Keywords of IMAP that the parser recognizes.
const KEYWORDS: [&str; 8] = [
    "*",
    "OK",
    "NO",
    "BAD",
    "BYE",
    "PREAUTH",
    "CAPABILITY",
    "STARTTLS",
];

/// Splits a line into words. Keywords are returned in upper case, because they are
/// case-insensitive.
fn words(line: &str) -> Vec<&str> {
    let keyword = |word| KEYWORDS.iter().find(|k| k.eq_ignore_ascii_case(word));
    line.split(' ')
        .map(|word| keyword(word).copied().unwrap_or(word))
        .collect()
}
