//! NNTP (RFC 3977, RFC 4642).

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Reply, Style, has_word, reply};
use super::wire::{End, MAX_LINES, SHORT_LINE, Wire};

/// The server is ready, and posting is allowed or is not.
const READY: [u16; 2] = [200, 201];
const CAPABILITIES: u16 = 101;
const GO_AHEAD: u16 = 382;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<(), End> {
    let greeting = one_line(wire).await?;
    if !READY.contains(&greeting.code) {
        return Err(greeting.refused());
    }
    wire.say("CAPABILITIES\r\n").await?;
    let answer = one_line(wire).await?;
    // What is older than RFC 3977 does not know the question, and may do TLS all the same.
    if answer.code == CAPABILITIES {
        let capabilities = until_dot(wire).await?;
        if !has_word(capabilities.iter().map(String::as_str), "STARTTLS") {
            return Err(End::NotOffered);
        }
    }
    wire.say("STARTTLS\r\n").await?;
    let answer = one_line(wire).await?;
    match answer.code {
        GO_AHEAD => Ok(()),
        _ => Err(answer.refused()),
    }
}

/// In NNTP the first line of an answer is the only one with a code, and never continued.
async fn one_line<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<Reply, End> {
    let answer = reply(wire, Style::FirstAndLast).await?;
    match answer.lines.len() {
        1 => Ok(answer),
        _ => Err(End::unexpected(
            answer.lines.first().map_or("", String::as_str),
        )),
    }
}

/// The lines up to one with a dot alone, as NNTP and POP3 end their lists.
pub(super) async fn until_dot<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Vec<String>, End> {
    let mut lines = Vec::new();
    loop {
        let line = wire.line(SHORT_LINE).await?;
        if line == "." {
            return Ok(lines);
        }
        if lines.len() >= MAX_LINES {
            return Err(End::too_many_lines());
        }
        lines.push(line);
    }
}
