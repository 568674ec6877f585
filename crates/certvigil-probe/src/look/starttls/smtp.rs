//! SMTP (RFC 5321, RFC 3207) and LMTP (RFC 2033), which differ in the client's first command.

use tokio::io::{AsyncRead, AsyncWrite};

use super::reply::{Style, has_word, reply};
use super::wire::{End, Wire};

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
) -> Result<(), End> {
    let greeting = reply(wire, Style::EveryLine).await?;
    if greeting.code != READY {
        return Err(greeting.refused());
    }
    let mut refusal = None;
    for name in names {
        wire.say(format!("{hello} {name}\r\n")).await?;
        let capabilities = reply(wire, Style::EveryLine).await?;
        match capabilities.code {
            DONE if has_word(capabilities.more(), "STARTTLS") => return start(wire).await,
            DONE => return Err(End::NotOffered),
            500..600 => {
                let said = capabilities.lines.first().map_or("", String::as_str);
                // The first refusal is reported: it is of the best name.
                refusal.get_or_insert_with(|| End::refused_name(hello, name, said));
            }
            _ => return Err(capabilities.refused()),
        }
    }
    Err(refusal.unwrap_or(End::NotOffered))
}

async fn start<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<(), End> {
    wire.say("STARTTLS\r\n").await?;
    let answer = reply(wire, Style::EveryLine).await?;
    match answer.code {
        READY => Ok(()),
        _ => Err(answer.refused()),
    }
}
