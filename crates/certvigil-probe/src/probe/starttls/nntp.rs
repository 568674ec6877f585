//! NNTP (RFC 3977, RFC 4642).

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Reply, Style, has_word, reply_with};
use super::wire::{DialogueError, Wire};

/// Replies of a ready server: posting is allowed, or not.
const READY: [u16; 2] = [200, 201];
const CAPABILITIES: u16 = 101;
const GO_AHEAD: u16 = 382;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    let greeting = one_line(wire).await?;
    if !READY.contains(&greeting.code) {
        return Err(greeting.refused());
    }
    let mut capabilities = capabilities(wire).await?;
    // A server in transit mode has other capabilities than one for readers (RFC 3977, section 3.4.2).
    if let Some(listed) = &capabilities
        && !listed.starttls
        && listed.mode_reader
    {
        wire.send("MODE READER\r\n").await?;
        let answer = one_line(wire).await?;
        if !READY.contains(&answer.code) {
            return Err(answer.refused());
        }
        capabilities = self::capabilities(wire).await?;
    }
    if capabilities.is_some_and(|listed| !listed.starttls) {
        return Err(DialogueError::NotOffered);
    }
    wire.send("STARTTLS\r\n").await?;
    let answer = one_line(wire).await?;
    match answer.code {
        GO_AHEAD => Ok(()),
        _ => Err(answer.refused()),
    }
}

/// Capabilities of a server.
#[derive(Default)]
struct Capabilities {
    starttls: bool,
    mode_reader: bool,
}

/// Requests the capabilities. Returns `None` if a server older than RFC 3977 rejects the command; it may support TLS
/// nevertheless.
async fn capabilities<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Option<Capabilities>, DialogueError> {
    wire.send("CAPABILITIES\r\n").await?;
    let answer = one_line(wire).await?;
    if answer.code != CAPABILITIES {
        return Ok(None);
    }
    let mut listed = Capabilities::default();
    until_dot(wire, |line| {
        listed.starttls |= has_word(line, "STARTTLS");
        listed.mode_reader |= has_word(line, "MODE-READER");
    })
    .await?;
    Ok(Some(listed))
}

/// Reads a reply. In NNTP, only the first line of a reply has a code, and it is never continued.
async fn one_line<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Reply, DialogueError> {
    let mut is_continued = false;
    let answer = reply_with(wire, Style::FirstAndLast, |_| is_continued = true).await?;
    if is_continued {
        return Err(DialogueError::unexpected(&answer.first));
    }
    Ok(answer)
}

/// Reads lines until one that contains only a dot, which ends lists in NNTP and POP3. Calls `each`
/// with each line before it.
pub(super) async fn until_dot<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    mut each: impl FnMut(&str),
) -> Result<(), DialogueError> {
    loop {
        let line = wire.line().await?;
        if line == "." {
            return Ok(());
        }
        each(&line);
    }
}
