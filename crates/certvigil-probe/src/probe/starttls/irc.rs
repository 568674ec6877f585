//! IRC: the `tls` capability and the STARTTLS command of IRCv3
//! (<https://ircv3.net/specs/deprecated/tls>).

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{DialogueError, Wire};

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    wire.send("CAP LS 302\r\n").await?;
    loop {
        let line = answer(wire).await?;
        let message = Message::of(&line);
        match message.command {
            "CAP" => {
                let (capabilities, goes_on) = message.capabilities();
                // A capability may have a value.
                let mut names = capabilities.split(' ').filter_map(|c| c.split('=').next());
                if names.any(|name| name == "tls") {
                    if goes_on {
                        skip_list(wire).await?;
                    }
                    break;
                }
                if !goes_on {
                    return Err(DialogueError::NotOffered);
                }
            }
            // A server without capabilities may support the command nevertheless.
            "421" | "451" | "461" => break,
            _ => return Err(DialogueError::refused(&line)),
        }
    }
    wire.send("STARTTLS\r\n").await?;
    let line = answer(wire).await?;
    match Message::of(&line).command {
        "670" => Ok(()),
        _ => Err(DialogueError::refused(&line)),
    }
}

/// Skips the remaining lines of a capability list.
async fn skip_list<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<(), DialogueError> {
    loop {
        let line = answer(wire).await?;
        let message = Message::of(&line);
        if message.command != "CAP" || !message.capabilities().1 {
            return Ok(());
        }
    }
}

/// Returns the next message that is a reply to the client's command.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<String, DialogueError> {
    loop {
        let line = wire.line().await?;
        let message = Message::of(&line);
        match message.command {
            "NOTICE" | "" => {}
            // Some servers accept these as the end of a line (RFC 1459, section 2.3.1). A server
            // could make the client send lines of the server's choice.
            "PING" if message.parameters.contains(['\r', '\0']) => {
                return Err(DialogueError::unexpected(line));
            }
            "PING" => {
                let token = message.parameters;
                wire.send(format!("PONG {token}\r\n")).await?;
            }
            "CAP" => return Ok(line),
            command if command.len() == 3 && command.bytes().all(|b| b.is_ascii_digit()) => {
                return Ok(line);
            }
            "ERROR" => return Err(DialogueError::refused(line)),
            _ => return Err(DialogueError::unexpected(line)),
        }
    }
}

/// Message without its tags and its source (RFC 1459, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message<'a> {
    command: &'a str,
    parameters: &'a str,
}

impl<'a> Message<'a> {
    fn of(line: &'a str) -> Self {
        let mut rest = line;
        for mark in ['@', ':'] {
            if rest.starts_with(mark) {
                rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
                rest = rest.trim_start_matches(' ');
            }
        }
        let (command, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
        Self {
            command,
            parameters,
        }
    }

    /// Returns the list in `CAP nick LS :…`. The second value is true if a `*` announces more
    /// lines.
    fn capabilities(self) -> (&'a str, bool) {
        let (middle, list) = match self.parameters.split_once(" :") {
            Some((middle, list)) => (middle, list),
            None => self.parameters.rsplit_once(' ').unwrap_or_default(),
        };
        (list, middle.ends_with(" LS *"))
    }
}
