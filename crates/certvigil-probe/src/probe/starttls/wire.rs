//! Bounded reading of a server's cleartext data.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::certificate::printable;

use super::violation::Violation;

/// Maximum data that a server may send before TLS, in bytes. Lines and responses have no other
/// limit: RFC 5321, section 4.5.3.1.5, has 512 bytes per line, but clients accept longer ones, and
/// no RFC limits the lines of a greeting.
pub(super) const MAX_DIALOGUE: usize = 256 * 1024;
/// Maximum length of a message that is no line, in bytes. An incomplete message is parsed again
/// after each read.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;
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
    /// The server sent more data than certvigil reads. Contains the limit, in bytes.
    TooMuch(usize),
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
    /// Start of the buffer that contains no end of a line, in bytes.
    searched: usize,
    received: usize,
    first: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            searched: 0,
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
    pub(super) async fn line(&mut self) -> Result<String, DialogueError> {
        loop {
            if let Some(line) = take_line(&mut self.buffer, &mut self.searched) {
                return Ok(line);
            }
            self.read().await?;
        }
    }

    /// Skips the literals of a response whose first line is this one, up to the end of the response
    /// (RFC 3501, section 4.3; RFC 5804, section 4).
    pub(super) async fn skip_literals(&mut self, line: &str) -> Result<(), DialogueError> {
        let mut literal = literal(line);
        while let Some(mut rest) = literal {
            if rest > MAX_DIALOGUE {
                return Err(DialogueError::TooMuch(MAX_DIALOGUE));
            }
            loop {
                let skipped = rest.min(self.buffer.len());
                self.buffer.drain(..skipped);
                rest -= skipped;
                if rest == 0 {
                    break;
                }
                self.read().await?;
            }
            literal = self::literal(&self.line().await?);
        }
        Ok(())
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
                Ok(None) if self.buffer.len() >= MAX_MESSAGE => {
                    return Err(DialogueError::TooMuch(MAX_MESSAGE));
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
            return Err(DialogueError::TooMuch(MAX_DIALOGUE));
        }
        self.buffer.reserve(READ_SIZE);
        let before = self.buffer.len();
        // The buffer of a long line has more capacity than that.
        let mut piece = (&mut self.stream).take(READ_SIZE as u64);
        let count = piece
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

/// Removes the first line from the received data, if it is complete. The first `searched` bytes
/// contain no end of a line.
pub(super) fn take_line(buffer: &mut Vec<u8>, searched: &mut usize) -> Option<String> {
    let end = buffer.iter().skip(*searched).position(|b| *b == b'\n');
    let Some(end) = end else {
        *searched = buffer.len();
        return None;
    };
    let end = std::mem::take(searched) + end;
    let mut line: Vec<u8> = buffer.drain(..=end).collect();
    line.pop();
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}

/// Returns the length of the literal that a line announces at its end, as `{n}` or `{n+}`.
fn literal(line: &str) -> Option<usize> {
    let (_, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    let length = length.strip_suffix('+').unwrap_or(length);
    // A number has no sign.
    let is_number = length.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| length.parse().ok()).flatten()
}

/// Returns true for the start of a TLS record: a handshake or alert, and a version 3.x (RFC 8446,
/// section 5.1).
pub(in crate::probe) fn looks_like_tls(first: &[u8]) -> bool {
    matches!(first, [0x15 | 0x16, 0x03, ..])
}
