//! A server's words in the clear, bounded.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::certificate::printable;

/// The longest line of a protocol of short lines, in bytes. Its RFC says 512 (RFC 5321, section 4.5.3.1.5); servers
/// that say more in a greeting are understood by all the same.
pub(super) const SHORT_LINE: usize = 1000;
/// The longest line of a protocol of long ones: what RFC 7162, section 4, asks of IMAP.
pub(super) const LONG_LINE: usize = 8192;
/// The most lines of one answer.
pub(super) const MAX_LINES: usize = 200;
/// The most that a server may say before TLS, in bytes.
pub(super) const MAX_DIALOGUE: usize = 64 * 1024;
/// How much is read at a time.
const READ_SIZE: usize = 2 * 1024;
/// How much of a server's words is told, in characters.
const MAX_QUOTE: usize = 160;

/// Why a dialogue ended without a go-ahead for TLS.
#[derive(Debug)]
pub(super) enum End {
    /// The server said no: its words.
    Refused(String),
    /// The server has no such thing among what it can do.
    NotOffered,
    /// What the server said is against the protocol: what.
    Broken(String),
    /// There was more in the clear after the go-ahead.
    Follows,
    /// The server had said too little when the time was over.
    Silent,
    /// The server hung up.
    Closed,
    /// The connection broke off.
    Io(io::Error),
}

impl End {
    /// What the server said is not what comes here.
    pub(super) fn unexpected(said: impl AsRef<[u8]>) -> Self {
        Self::Broken(format!("it sent `{}`", quote(said)))
    }

    /// The server said no.
    pub(super) fn refused(said: impl AsRef<[u8]>) -> Self {
        Self::Refused(quote(said))
    }

    pub(super) fn too_many_lines() -> Self {
        Self::Broken(format!("its answer has more than {MAX_LINES} lines"))
    }
}

/// A server's words as they can be told.
pub(super) fn quote(said: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(said.as_ref());
    let mut text: String = text.trim_end().chars().take(MAX_QUOTE + 1).collect();
    if text.chars().count() > MAX_QUOTE {
        text.pop();
        text.push('…');
    }
    printable(&text)
}

/// A connection on which a dialogue takes place.
pub(super) struct Wire<S> {
    stream: S,
    /// What has been received and not been understood yet.
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

    pub(super) async fn say(&mut self, words: impl AsRef<[u8]>) -> Result<(), End> {
        self.stream.write_all(words.as_ref()).await.map_err(End::Io)
    }

    /// The next line without its end.
    pub(super) async fn line(&mut self, longest: usize) -> Result<String, End> {
        loop {
            match take_line(&mut self.buffer, longest) {
                Ok(Some(line)) => return Ok(line),
                Ok(None) => self.read().await?,
                Err(TooLong) => {
                    return Err(End::Broken(format!(
                        "it sent a line of more than {longest} bytes"
                    )));
                }
            }
        }
    }

    /// The next message, of which `parse` says what it is and how long, or that more of it has to come.
    pub(super) async fn message<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, String>,
    ) -> Result<T, End> {
        loop {
            match parse(&self.buffer) {
                Ok(Some((message, length))) => {
                    self.buffer.drain(..length.min(self.buffer.len()));
                    return Ok(message);
                }
                Ok(None) => self.read().await?,
                Err(what) => return Err(End::Broken(what)),
            }
        }
    }

    /// Makes sure that the server waits for us now.
    pub(super) async fn nothing_follows(&mut self) -> Result<(), End> {
        if !self.buffer.is_empty() {
            return Err(End::Follows);
        }
        let mut byte = [0];
        tokio::select! {
            biased;
            read = self.stream.read(&mut byte) => match read.map_err(End::Io)? {
                0 => Err(End::Closed),
                _ => Err(End::Follows),
            },
            () = std::future::ready(()) => Ok(()),
        }
    }

    /// Whether the server began with a TLS record: its answer to what it takes for a bad one.
    pub(super) fn seems_tls(&self) -> bool {
        looks_like_tls(&self.first)
    }

    async fn read(&mut self) -> Result<(), End> {
        if self.received >= MAX_DIALOGUE {
            return Err(End::Broken(format!(
                "it sent more than {MAX_DIALOGUE} bytes before TLS"
            )));
        }
        self.buffer.reserve(READ_SIZE);
        let before = self.buffer.len();
        let count = self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .map_err(End::Io)?;
        if count == 0 {
            return Err(End::Closed);
        }
        self.received = self.received.saturating_add(count);
        let missing = 2usize.saturating_sub(self.first.len());
        self.first
            .extend(self.buffer.iter().skip(before).take(missing));
        if self.seems_tls() {
            return Err(End::unexpected(&self.first));
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Takes the first line out of what has been received, if it is there as a whole.
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

/// A TLS record: handshake or alert, then a version 3.x (RFC 8446, section 5.1).
pub(in crate::look) fn looks_like_tls(first: &[u8]) -> bool {
    matches!(first, [0x15 | 0x16, 0x03, ..])
}
