//! SMTP (RFC 5321, RFC 3207) and LMTP (RFC 2033), which differ in the client's first command.

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Style, has_word, reply};
use super::wire::{End, Wire};

/// The server is ready for commands, or for TLS.
const READY: u16 = 220;
/// The command was executed.
const DONE: u16 = 250;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    hello: &str,
    name: &str,
) -> Result<(), End> {
    let greeting = reply(wire, Style::EveryLine).await?;
    if greeting.code != READY {
        return Err(greeting.refused());
    }
    wire.say(format!("{hello} {name}\r\n")).await?;
    let capabilities = reply(wire, Style::EveryLine).await?;
    if capabilities.code != DONE {
        return Err(capabilities.refused());
    }
    if !has_word(capabilities.more(), "STARTTLS") {
        return Err(End::NotOffered);
    }
    wire.say("STARTTLS\r\n").await?;
    let answer = reply(wire, Style::EveryLine).await?;
    match answer.code {
        READY => Ok(()),
        _ => Err(answer.refused()),
    }
}
