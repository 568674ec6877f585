//! NNTP (RFC 3977, RFC 4642).

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Reply, Style, has_word, reply};
use super::wire::{DialogueError, MAX_LINES, SHORT_LINE, Wire};

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
        && !lists(listed, "STARTTLS")
        && lists(listed, "MODE-READER")
    {
        wire.send("MODE READER\r\n").await?;
        let answer = one_line(wire).await?;
        if !READY.contains(&answer.code) {
            return Err(answer.refused());
        }
        capabilities = self::capabilities(wire).await?;
    }
    if capabilities.is_some_and(|listed| !lists(&listed, "STARTTLS")) {
        return Err(DialogueError::NotOffered);
    }
    wire.send("STARTTLS\r\n").await?;
    let answer = one_line(wire).await?;
    match answer.code {
        GO_AHEAD => Ok(()),
        _ => Err(answer.refused()),
    }
}

/// Requests the capabilities. Returns `None` if a server older than RFC 3977 rejects the command; it may support TLS
/// nevertheless.
async fn capabilities<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Option<Vec<String>>, DialogueError> {
    wire.send("CAPABILITIES\r\n").await?;
    let answer = one_line(wire).await?;
    match answer.code {
        CAPABILITIES => until_dot(wire).await.map(Some),
        _ => Ok(None),
    }
}

fn lists(capabilities: &[String], word: &str) -> bool {
    has_word(capabilities.iter().map(String::as_str), word)
}

/// Reads a reply. In NNTP, only the first line of a reply has a code, and it is never continued.
async fn one_line<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Reply, DialogueError> {
    let answer = reply(wire, Style::FirstAndLast).await?;
    match answer.lines.len() {
        1 => Ok(answer),
        _ => Err(DialogueError::unexpected(
            answer.lines.first().map_or("", String::as_str),
        )),
    }
}

/// Reads lines until one that contains only a dot, which ends lists in NNTP and POP3.
pub(super) async fn until_dot<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Vec<String>, DialogueError> {
    let mut lines = Vec::new();
    loop {
        let line = wire.line(SHORT_LINE).await?;
        if line == "." {
            return Ok(lines);
        }
        if lines.len() >= MAX_LINES {
            return Err(DialogueError::too_many_lines());
        }
        lines.push(line);
    }
}
