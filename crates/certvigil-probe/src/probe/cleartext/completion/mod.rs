//! The rest of a handshake of TLS 1.2 after the server's first flight: the key exchange, and the
//! Finished messages of both sides (RFC 5246, sections 7.3 and 7.4.9).
//!
//! Key exchange with RSA has no signature. There, the server proves its key with the first record
//! that it encrypts. A handshake that a client cannot complete is no success, whatever its first
//! flight was.

mod exchange;
mod protection;
mod secrets;

use crate::certificate::Certificate;
use crate::observation::KeyProof;

use super::cursor::Cursor;
use super::first_bytes::Warnings;
use super::hello::{HANDSHAKE, HEADER, MAX_RECORD, Random, TLS_1_2};
use super::reader::{self, Fault, Reader, ServerHello, Signed, Version};
use protection::{Cipher, Protection};
use secrets::{Finished, Master, Side};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;

/// Maximum growth of a record by its protection, in bytes (RFC 5246, section 6.2.3).
const MAX_EXPANSION: usize = 2048;
/// Maximum length of a message after the first flight, in bytes: a NewSessionTicket with the longest
/// ticket (RFC 5077, section 3.3).
const MAX_MESSAGE: usize = 4 + 2 + u16::MAX as usize;
/// Length of the type and the length of a message, in bytes.
const MESSAGE_HEADER: usize = 4;

/// ClientHello that was sent.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) random: &'a Random,
    /// The record with the message.
    pub(super) record: &'a [u8],
}

/// Returns true if a handshake with these parameters can be completed.
pub(super) fn is_possible(hello: &ServerHello, signed: Option<&Signed>) -> bool {
    hello.version == Version::Tls12
        && Cipher::of(hello.suite.id).is_some()
        && exchange::is_possible(hello.suite, signed)
}

/// Handshake from the server's ServerHelloDone to its Finished.
pub(super) struct Completion {
    client: Protection,
    server: Protection,
    finished: Finished,
    /// Messages of both sides.
    messages: Vec<u8>,
    /// Start of an incomplete record.
    record: Vec<u8>,
    /// Start of an incomplete message.
    message: Vec<u8>,
    /// True if the server sent a ChangeCipherSpec.
    is_protected: bool,
    /// True if the server sent a record with the keys of the handshake.
    has_authentic_record: bool,
    /// Proof of the key that such a record is. `None` if the server's signature is the proof.
    proof: Option<KeyProof>,
    /// Warnings of the server.
    pub(super) warnings: Warnings,
}

impl Completion {
    /// Performs the client's part. Returns the handshake, and the data to send. `None` if the
    /// handshake cannot be completed here.
    ///
    /// # Errors
    /// If the server's parameters are not valid.
    pub(super) fn start(
        sent: Sent<'_>,
        reader: &Reader,
        leaf: &Certificate,
    ) -> Result<Option<(Self, Vec<u8>)>, Fault> {
        let signed = reader.signed.as_ref();
        let Some(hello) = reader.hello.as_ref().filter(|h| is_possible(h, signed)) else {
            return Ok(None);
        };
        let exchanged = exchange::exchange(hello.suite, leaf, signed)?;
        Ok(exchanged.and_then(|exchanged| Self::with(sent, reader, hello, exchanged)))
    }

    fn with(
        sent: Sent<'_>,
        reader: &Reader,
        hello: &ServerHello,
        exchanged: exchange::Exchanged,
    ) -> Option<(Self, Vec<u8>)> {
        const CERTIFICATE: u8 = 11;
        const CLIENT_KEY_EXCHANGE: u8 = 16;
        const FINISHED: u8 = 20;
        let mut flight = Vec::new();
        if reader.is_client_asked {
            // An empty list.
            flight.extend(message(CERTIFICATE, &[0, 0, 0])?);
        }
        flight.extend(message(CLIENT_KEY_EXCHANGE, &exchanged.body)?);
        let mut messages = sent.record.get(HEADER..)?.to_vec();
        messages.extend(&reader.messages);
        messages.extend(&flight);

        let (cipher, hash) = Cipher::of(hello.suite.id)?;
        let premaster = &exchanged.premaster;
        let master = Master::derive(hash, premaster, sent.random, hello, &messages)?;
        let finished = master.finished();
        let mut client = Protection::derive(cipher, &master, Side::Client)?;
        let own = message(FINISHED, &finished.of(Side::Client, &messages)?)?;
        let mut out = record(HANDSHAKE, &flight)?;
        out.extend(record(CHANGE_CIPHER_SPEC, &[1])?);
        out.extend(record(HANDSHAKE, &client.protect(HANDSHAKE, &own)?)?);
        messages.extend(own);
        let completion = Self {
            client,
            server: Protection::derive(cipher, &master, Side::Server)?,
            finished,
            messages,
            record: Vec::new(),
            message: Vec::new(),
            is_protected: false,
            has_authentic_record: false,
            proof: exchanged.proof,
            warnings: Warnings::default(),
        };
        Some((completion, out))
    }

    /// Returns true if only a record of the server proves its key, and it has sent none.
    pub(super) fn lacks_proof(&self) -> bool {
        self.proof.is_some() && !self.has_authentic_record
    }

    /// Returns the proof of the key that the server has given since the first flight.
    pub(super) fn proof(&self) -> Option<KeyProof> {
        self.proof.filter(|_| self.has_authentic_record)
    }

    /// Parses the next bytes. Returns true if the server's Finished is complete and correct.
    ///
    /// # Errors
    /// If the server refused, or violated the protocol.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        self.record.extend(bytes);
        let mut records = std::mem::take(&mut self.record);
        let mut input = Cursor(&records);
        while let Some(header) = Cursor(input.0).take(HEADER) {
            let (kind, length) = record_header(header)?;
            let mut whole = Cursor(input.0);
            let Some(record) = whole.take(HEADER + length) else {
                break;
            };
            input = whole;
            if self.take_record(kind, record.get(HEADER..).unwrap_or_default())? {
                return Ok(true);
            }
        }
        let left = input.0.len();
        records.drain(..records.len() - left);
        self.record = records;
        Ok(false)
    }

    fn take_record(&mut self, kind: u8, content: &[u8]) -> Result<bool, Fault> {
        if kind == CHANGE_CIPHER_SPEC {
            if self.is_protected || !self.message.is_empty() || *content != [1] {
                return Err(Fault::Malformed("its ChangeCipherSpec came out of order"));
            }
            self.is_protected = true;
            return Ok(false);
        }
        let plaintext = if self.is_protected {
            let plaintext = self.server.unprotect(kind, content);
            self.has_authentic_record |= plaintext.is_some();
            plaintext.ok_or(Fault::Unauthentic)?
        } else {
            content.to_vec()
        };
        match kind {
            ALERT => {
                reader::alert(&plaintext)?;
                self.warnings.add(&plaintext, None);
                Ok(false)
            }
            HANDSHAKE => self.take_messages(&plaintext),
            _ => Err(Fault::Malformed("a record came out of order")),
        }
    }

    fn take_messages(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        self.message.extend(bytes);
        let messages = std::mem::take(&mut self.message);
        let mut input = Cursor(&messages);
        loop {
            let mut ahead = Cursor(input.0);
            let (Some(kind), Some(length)) = (ahead.u8(), ahead.u24()) else {
                break;
            };
            if length > MAX_MESSAGE {
                return Err(Fault::Malformed("a message is longer than allowed"));
            }
            let Some(body) = ahead.take(length) else {
                break;
            };
            let whole = input.take(MESSAGE_HEADER + length).unwrap_or_default();
            if self.take_message(kind, whole, body)? {
                return Ok(true);
            }
        }
        self.message = input.0.to_vec();
        Ok(false)
    }

    fn take_message(&mut self, kind: u8, whole: &[u8], body: &[u8]) -> Result<bool, Fault> {
        const HELLO_REQUEST: u8 = 0;
        const NEW_SESSION_TICKET: u8 = 4;
        const FINISHED: u8 = 20;
        match (kind, self.is_protected) {
            (HELLO_REQUEST, _) if body.is_empty() => Ok(false),
            // Not requested, but all clients request it, and accept it.
            (NEW_SESSION_TICKET, false) => {
                self.messages.extend(whole);
                Ok(false)
            }
            (FINISHED, true) => {
                let expected = self.finished.of(Side::Server, &self.messages);
                if expected.as_deref() != Some(body) {
                    return Err(Fault::Malformed("its Finished is wrong"));
                }
                Ok(true)
            }
            _ => Err(Fault::Malformed("a message came out of order")),
        }
    }

    /// Returns the records that close the connection, after the Finished of the client.
    pub(super) fn close(&mut self) -> Option<Vec<u8>> {
        const WARNING: u8 = 1;
        const CLOSE_NOTIFY: u8 = 0;
        let content = self.client.protect(ALERT, &[WARNING, CLOSE_NOTIFY])?;
        record(ALERT, &content)
    }

    /// Asserts that incomplete records and messages are within their limits.
    #[cfg(any(test, fuzzing))]
    pub(super) fn assert_bounded(&self) {
        assert!(self.record.len() < HEADER + MAX_RECORD + MAX_EXPANSION);
        assert!(self.message.len() < MESSAGE_HEADER + MAX_MESSAGE);
    }
}

/// Parses the type and length of a record, which may be protected.
fn record_header(header: &[u8]) -> Result<(u8, usize), Fault> {
    let &[kind, 3, _, high, low] = header else {
        return Err(Fault::Malformed("what it sent is no record of TLS"));
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err(Fault::Malformed("it sent an empty record")),
        length if length > MAX_RECORD + MAX_EXPANSION => {
            Err(Fault::Malformed("a record is longer than allowed"))
        }
        length => Ok((kind, length)),
    }
}

fn record(kind: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?.to_be_bytes();
    Some([&[kind], &TLS_1_2[..], &length, content].concat())
}

fn message(kind: u8, body: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    Some([&[kind], length.get(1..)?, body].concat())
}

#[cfg(test)]
mod tests;
