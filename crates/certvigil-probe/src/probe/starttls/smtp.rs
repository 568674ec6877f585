//! SMTP (RFC 5321, RFC 3207) and LMTP (RFC 2033), which differ in the client's first command.

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Style, has_word, reply, reply_with};
use super::wire::{DialogueError, Wire};

/// The server is ready for commands, or for TLS.
const READY: u16 = 220;
/// The command was executed.
const DONE: u16 = 250;

/// Performs the dialogue. `names` are the names of this client. A server that refuses one
/// permanently gets the next.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    hello: &str,
    names: &[String],
) -> Result<(), DialogueError> {
    let greeting = reply(wire, Style::EveryLine).await?;
    if greeting.code != READY {
        return Err(greeting.refused());
    }
    let mut refusal = None;
    for name in names {
        wire.send(format!("{hello} {name}\r\n")).await?;
        let mut is_offered = false;
        let listed = |line: &str| is_offered |= has_word(line, "STARTTLS");
        let answer = reply_with(wire, Style::EveryLine, listed).await?;
        match answer.code {
            DONE if is_offered => return start(wire).await,
            DONE => return Err(DialogueError::NotOffered),
            500..600 => {
                // The first refusal is reported: it is of the best name.
                refusal
                    .get_or_insert_with(|| DialogueError::refused_name(hello, name, &answer.first));
            }
            _ => return Err(answer.refused()),
        }
    }
    Err(refusal.unwrap_or(DialogueError::NotOffered))
}

async fn start<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<(), DialogueError> {
    wire.send("STARTTLS\r\n").await?;
    let answer = reply(wire, Style::EveryLine).await?;
    match answer.code {
        READY => Ok(()),
        _ => Err(answer.refused()),
    }
}
