//! Bounded reading of a server's cleartext data.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::certificate::printable;

use super::violation::Violation;

/// Maximum length of a line in protocols with short lines, in bytes. The RFC's limit is 512 (RFC
/// 5321, section 4.5.3.1.5), but all clients accept longer greetings.
pub(super) const SHORT_LINE: usize = 1000;
/// Maximum length of a line in protocols with long lines, in bytes. RFC 7162, section 4, requires
/// it for IMAP.
pub(super) const LONG_LINE: usize = 8192;
/// Maximum lines of one response.
pub(super) const MAX_LINES: usize = 200;
/// Maximum data that a server may send before TLS, in bytes.
pub(super) const MAX_DIALOGUE: usize = 64 * 1024;
/// Size of one read, in bytes.
const READ_SIZE: usize = 2 * 1024;
/// Maximum length of a quotation of the server in a message, in characters.
const MAX_QUOTE: usize = 160;

/// Reason for the end of a dialogue without a go-ahead for TLS.
#[derive(Debug)]
pub(super) enum DialogueError {
    /// The server refused. Contains its response.
    Refused(String),
    /// The server refused the client's name in SMTP. Contains the command and the response.
    RefusedName { command: String, received: String },
    /// The server's capabilities do not include STARTTLS.
    NotOffered,
    /// The server violated the protocol.
    Broken(Violation),
    /// The server sent more cleartext data after the go-ahead.
    Follows,
    /// The server did not send enough data before the deadline.
    Silent,
    /// The server closed the connection.
    Closed,
    /// The connection broke.
    Io(io::Error),
}

impl DialogueError {
    /// Creates the error for data that the protocol does not allow at this point.
    pub(super) fn unexpected(received: impl AsRef<[u8]>) -> Self {
        Self::Broken(Violation::unexpected(received))
    }

    /// Creates the error for a refusal.
    pub(super) fn refused(received: impl AsRef<[u8]>) -> Self {
        Self::Refused(quote(received))
    }

    /// Creates the error for a refusal of the client's name.
    pub(super) fn refused_name(command: &str, name: &str, received: &str) -> Self {
        Self::RefusedName {
            command: format!("{command} {name}"),
            received: quote(received),
        }
    }

    pub(super) fn too_many_lines() -> Self {
        Self::Broken(Violation::ManyLines)
    }
}

/// Returns a server's data as printable text of limited length.
pub(super) fn quote(received: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(received.as_ref());
    let mut text: String = text.trim_end().chars().take(MAX_QUOTE + 1).collect();
    if text.chars().count() > MAX_QUOTE {
        text.pop();
        text.push('…');
    }
    printable(&text)
}

/// Connection that carries a dialogue.
pub(super) struct Wire<S> {
    stream: S,
    /// Received data that is not parsed yet.
    buffer: Vec<u8>,
    received: usize,
    first: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            received: 0,
            first: Vec::new(),
        }
    }

    pub(super) async fn send(&mut self, words: impl AsRef<[u8]>) -> Result<(), DialogueError> {
        self.stream
            .write_all(words.as_ref())
            .await
            .map_err(DialogueError::Io)
    }

    /// Returns the next line without its end.
    pub(super) async fn line(&mut self, longest: usize) -> Result<String, DialogueError> {
        loop {
            match take_line(&mut self.buffer, longest) {
                Ok(Some(line)) => return Ok(line),
                Ok(None) => self.read().await?,
                Err(TooLong) => {
                    return Err(DialogueError::Broken(Violation::LongLine {
                        limit: longest,
                    }));
                }
            }
        }
    }

    /// Returns the next message. `parse` returns the message and its length, or `None` if it is
    /// incomplete.
    pub(super) async fn message<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, Violation>,
    ) -> Result<T, DialogueError> {
        loop {
            match parse(&self.buffer) {
                Ok(Some((message, length))) => {
                    self.buffer.drain(..length.min(self.buffer.len()));
                    return Ok(message);
                }
                Ok(None) => self.read().await?,
                Err(what) => return Err(DialogueError::Broken(what)),
            }
        }
    }

    /// Checks that the server has sent no further data.
    pub(super) async fn nothing_follows(&mut self) -> Result<(), DialogueError> {
        if !self.buffer.is_empty() {
            return Err(DialogueError::Follows);
        }
        let mut byte = [0];
        tokio::select! {
            biased;
            read = self.stream.read(&mut byte) => match read.map_err(DialogueError::Io)? {
                0 => Err(DialogueError::Closed),
                _ => Err(DialogueError::Follows),
            },
            () = std::future::ready(()) => Ok(()),
        }
    }

    /// Returns true if the server has sent nothing.
    pub(super) fn is_silent(&self) -> bool {
        self.received == 0
    }

    /// Returns true if the first data is a TLS record. A TLS server sends one as its response to an
    /// invalid record.
    pub(super) fn seems_tls(&self) -> bool {
        looks_like_tls(&self.first)
    }

    async fn read(&mut self) -> Result<(), DialogueError> {
        if self.received >= MAX_DIALOGUE {
            return Err(DialogueError::Broken(Violation::ManyBytes));
        }
        self.buffer.reserve(READ_SIZE);
        let before = self.buffer.len();
        let count = self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .map_err(DialogueError::Io)?;
        if count == 0 {
            return Err(DialogueError::Closed);
        }
        self.received = self.received.saturating_add(count);
        let missing = 2usize.saturating_sub(self.first.len());
        self.first
            .extend(self.buffer.iter().skip(before).take(missing));
        if self.seems_tls() {
            return Err(DialogueError::unexpected(&self.first));
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Removes the first line from the received data, if it is complete.
pub(super) fn take_line(buffer: &mut Vec<u8>, longest: usize) -> Result<Option<String>, TooLong> {
    let end = buffer.iter().take(longest).position(|b| *b == b'\n');
    let Some(end) = end else {
        return if buffer.len() >= longest {
            Err(TooLong)
        } else {
            Ok(None)
        };
    };
    let mut line: Vec<u8> = buffer.drain(..=end).collect();
    line.pop();
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// Returns true for the start of a TLS record: a handshake or alert, and a version 3.x (RFC 8446,
/// section 5.1).
pub(in crate::probe) fn looks_like_tls(first: &[u8]) -> bool {
    matches!(first, [0x15 | 0x16, 0x03, ..])
}
