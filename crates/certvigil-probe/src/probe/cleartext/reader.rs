//! Incremental parser for a server's first flight with SSL 3.0 to TLS 1.2. It stops at the
//! ServerHelloDone if the handshake can be completed here, and otherwise at the message that proves
//! the key (RFC 5246, sections 6.2 and 7.4; RFC 8422, section 5.4).

use crate::model::KeyType;
use crate::observation::TlsVersion;

use super::super::bounds::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};
use super::completion;
use super::cursor::Cursor;
use super::first_bytes::Warnings;
use super::hello::{HEADER, MAX_RECORD, Random};
use super::hello_fault::HelloFault;
use super::server_hello::server_hello;
use super::suites::{Exchange, Offer, Suite};

/// Maximum length of a message, in bytes: a Certificate with a chain of the maximum size, including
/// its length fields.
const MAX_MESSAGE: usize = MAX_CHAIN_BYTES + 3 * (MAX_CHAIN_CERTIFICATES + 1);
const RECORD_HEADER: usize = HEADER;
/// Length of the type and the length of a message, in bytes.
const MESSAGE_HEADER: usize = 4;
/// Type of a message that is no part of the handshake (RFC 5246, section 7.4.1.1).
const HELLO_REQUEST: u8 = 0;

/// Version that the server negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
}

impl Version {
    /// Returns the version for an observation.
    pub(super) fn tls_version(self) -> TlsVersion {
        match self {
            Self::Ssl3 => TlsVersion::Ssl30,
            Self::Tls10 => TlsVersion::Tls10,
            Self::Tls11 => TlsVersion::Tls11,
            Self::Tls12 => TlsVersion::Tls12,
        }
    }

    /// Returns the version for a record header.
    pub(super) fn wire(self) -> [u8; 2] {
        match self {
            Self::Ssl3 => [3, 0],
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
            Self::Tls12 => [3, 3],
        }
    }
}

/// ServerHello of TLS 1.2 or before.
#[derive(Debug)]
pub(super) struct ServerHello {
    pub(super) version: Version,
    pub(super) random: Random,
    pub(super) suite: Suite,
    /// Application protocol that the server selected.
    pub(super) alpn: Option<Vec<u8>>,
    /// True if the server supports secure renegotiation (RFC 5746, section 3.4).
    pub(super) secure_renegotiation: bool,
    /// True if the server supports the extended master secret (RFC 7627).
    pub(super) extended_master_secret: bool,
    /// True if the server announced a stapled OCSP response.
    pub(super) staples: bool,
    /// The first fault in it that ends the handshake of most clients.
    pub(super) fault: Option<HelloFault>,
}

/// Signed part of a ServerKeyExchange, and the signature.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    /// Parameters of the key exchange, as received.
    pub(super) parameters: Vec<u8>,
    /// Group of a key exchange over an elliptic curve.
    pub(super) group: Option<u16>,
    /// Size of the prime of a key exchange over a finite field, in bits.
    pub(super) dh_bits: Option<u64>,
    /// Hash and signature algorithm, which only TLS 1.2 names.
    pub(super) scheme: Option<u16>,
    pub(super) signature: Vec<u8>,
}

/// Reason to stop reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server refused with this alert.
    Alert(u8),
    /// The server violated the protocol.
    Malformed(&'static str),
    /// The certificate list is empty.
    NoCertificate,
    /// The server negotiated an anonymous suite, which has no certificate.
    Anonymous(u16),
    /// The server negotiated TLS 1.3, with this suite and this key exchange group.
    Tls13 { suite: u16, group: Option<u16> },
    /// The chain exceeds the limits.
    TooLarge,
    /// A record is not protected with the keys of the handshake.
    Unauthentic,
}

/// Parser state. The parsed data remains available after an error.
#[derive(Debug)]
pub(super) struct Reader {
    offer: Offer,
    key_type: KeyType,
    /// True if application protocols were offered.
    offers_alpn: bool,
    /// Start of an incomplete record.
    record: Vec<u8>,
    /// Start of an incomplete message.
    message: Vec<u8>,
    /// ServerHello.
    pub(super) hello: Option<ServerHello>,
    /// Certificates as received, at least one.
    pub(super) certificates: Option<Vec<Vec<u8>>>,
    /// Stapled OCSP response. Empty if there is none.
    pub(super) staple: Vec<u8>,
    /// Proof of the key, if the suite has one.
    pub(super) signed: Option<Signed>,
    /// True if the server sent a CertificateRequest.
    pub(super) is_client_asked: bool,
    /// Warnings of the server.
    pub(super) warnings: Warnings,
    /// Messages from the ServerHello on, as received. Empty for a handshake that cannot be
    /// completed here.
    pub(super) messages: Vec<u8>,
}

impl Reader {
    /// Creates a parser for the response to this offer and this requested kind of key, with
    /// application protocols.
    pub(super) fn new(offer: Offer, key_type: KeyType) -> Self {
        Self {
            offer,
            key_type,
            offers_alpn: true,
            record: Vec::new(),
            message: Vec::new(),
            hello: None,
            certificates: None,
            staple: Vec::new(),
            signed: None,
            is_client_asked: false,
            warnings: Warnings::default(),
            messages: Vec::new(),
        }
    }

    /// Sets whether application protocols were offered.
    pub(super) fn offering_alpn(self, offers_alpn: bool) -> Self {
        Self {
            offers_alpn,
            ..self
        }
    }

    /// Parses the next bytes. Returns true if no more data is needed.
    ///
    /// # Errors
    /// If reading cannot continue, or the server refused.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        self.record.extend(bytes);
        let mut records = std::mem::take(&mut self.record);
        let mut input = Cursor(&records);
        while let Some(header) = Cursor(input.0).take(RECORD_HEADER) {
            let (kind, length) = record_header(header)?;
            let mut whole = Cursor(input.0);
            let Some(record) = whole.take(RECORD_HEADER + length) else {
                break;
            };
            input = whole;
            let content = record.get(RECORD_HEADER..).unwrap_or_default();
            match kind {
                Kind::Alert => {
                    alert(content)?;
                    self.warnings.add(content, None);
                }
                Kind::Handshake => {
                    if self.take_messages(content)? {
                        return Ok(true);
                    }
                }
            }
        }
        // The rest stays in the same buffer, because a server may send byte by byte.
        let left = input.0.len();
        records.drain(..records.len() - left);
        self.record = records;
        Ok(false)
    }

    /// Asserts that incomplete records and messages are within their limits.
    #[cfg(any(test, fuzzing))]
    pub(super) fn assert_bounded(&self) {
        assert!(self.record.len() < RECORD_HEADER + MAX_RECORD);
        assert!(self.message.len() < MESSAGE_HEADER + MAX_MESSAGE);
    }

    fn take_messages(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        self.message.extend(bytes);
        let mut messages = std::mem::take(&mut self.message);
        let mut input = Cursor(&messages);
        loop {
            let mut ahead = Cursor(input.0);
            let (Some(kind), Some(length)) = (ahead.u8(), ahead.u24()) else {
                break;
            };
            if length > MAX_MESSAGE {
                return Err(Fault::TooLarge);
            }
            let Some(body) = ahead.take(length) else {
                break;
            };
            let whole = input.take(MESSAGE_HEADER + length).unwrap_or_default();
            let is_last = self.message(kind, body)?;
            if kind != HELLO_REQUEST && self.is_completable() {
                self.messages.extend(whole);
            }
            if is_last {
                return Ok(true);
            }
        }
        let left = input.0.len();
        messages.drain(..messages.len() - left);
        self.message = messages;
        Ok(false)
    }

    /// Returns true if the handshake can be completed here, as far as its parameters are known.
    fn is_completable(&self) -> bool {
        let hello = self.hello.as_ref();
        hello.is_some_and(|hello| completion::is_possible(hello, self.signed.as_ref()))
    }

    /// Processes a complete message. Returns true if no more messages are needed.
    fn message(&mut self, kind: u8, body: &[u8]) -> Result<bool, Fault> {
        const SERVER_HELLO: u8 = 2;
        const CERTIFICATE: u8 = 11;
        const SERVER_KEY_EXCHANGE: u8 = 12;
        const CERTIFICATE_REQUEST: u8 = 13;
        const SERVER_HELLO_DONE: u8 = 14;
        const CERTIFICATE_STATUS: u8 = 22;
        const OUT_OF_ORDER: Fault = Fault::Malformed("a message came out of order");

        let Some(hello) = &self.hello else {
            return match kind {
                HELLO_REQUEST if body.is_empty() => Ok(false),
                SERVER_HELLO => {
                    let alpn = self.offers_alpn;
                    self.hello = Some(server_hello(body, self.offer, self.key_type, alpn)?);
                    Ok(false)
                }
                _ => Err(OUT_OF_ORDER),
            };
        };
        if kind == SERVER_HELLO_DONE && !body.is_empty() {
            return Err(Fault::Malformed("its ServerHelloDone is not empty"));
        }
        let is_static = hello.suite.exchange == Exchange::Static;
        let is_signed = matches!(hello.suite.exchange, Exchange::Dhe | Exchange::Ecdhe);
        let is_completable = self.is_completable();
        let is_exchanged = self.signed.is_some() || self.is_client_asked;
        match (kind, self.certificates.is_some()) {
            (HELLO_REQUEST, _) if body.is_empty() => Ok(false),
            (CERTIFICATE, false) => {
                self.certificates = Some(certificates(body)?);
                Ok(is_static && !hello.staples && !is_completable)
            }
            (CERTIFICATE_STATUS, true)
                if hello.staples && self.staple.is_empty() && !is_exchanged =>
            {
                self.staple = status(body)?.to_vec();
                Ok(is_static && !is_completable)
            }
            (SERVER_KEY_EXCHANGE, true) if !is_static && !is_exchanged => {
                let signed = signed(body, hello)
                    .ok_or(Fault::Malformed("its ServerKeyExchange cannot be read"))?;
                self.signed = Some(signed);
                Ok(!self.is_completable())
            }
            // A server may omit a CertificateStatus that it announced (RFC 6066, section 8).
            (CERTIFICATE_REQUEST, true)
                if is_completable
                    && !self.is_client_asked
                    && is_signed == self.signed.is_some() =>
            {
                self.is_client_asked = true;
                Ok(false)
            }
            (SERVER_HELLO_DONE, true) if is_signed == self.signed.is_some() => Ok(true),
            (CERTIFICATE_REQUEST, true) if !is_signed && !is_completable => Ok(true),
            (SERVER_HELLO_DONE, true) => Err(Fault::Malformed(
                "it left out the ServerKeyExchange, which proves its key",
            )),
            _ => Err(OUT_OF_ORDER),
        }
    }
}

enum Kind {
    Alert,
    Handshake,
}

/// Parses the kind and length of a record (RFC 5246, section 6.2.1).
fn record_header(header: &[u8]) -> Result<(Kind, usize), Fault> {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let &[kind, 3, _, high, low] = header else {
        return Err(Fault::Malformed("what it sent is no record of TLS"));
    };
    let kind = match kind {
        ALERT => Kind::Alert,
        HANDSHAKE => Kind::Handshake,
        _ => return Err(Fault::Malformed("a record came out of order")),
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err(Fault::Malformed("it sent an empty record")),
        length if length > MAX_RECORD => Err(Fault::Malformed("a record is longer than allowed")),
        length => Ok((kind, length)),
    }
}

/// Returns the fault for a fatal alert. Warnings are ignored, because old servers send one for an
/// unknown name and continue.
pub(super) fn alert(content: &[u8]) -> Result<(), Fault> {
    const WARNING: u8 = 1;
    const CLOSE_NOTIFY: u8 = 0;
    match *content {
        [WARNING, description] if description != CLOSE_NOTIFY => Ok(()),
        [_, description] => Err(Fault::Alert(description)),
        _ => Err(Fault::Malformed("an alert cannot be read")),
    }
}

/// Parses a Certificate message (RFC 5246, section 7.4.2).
fn certificates(body: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    const UNREADABLE: Fault = Fault::Malformed("its list of certificates cannot be read");
    let mut input = Cursor(body);
    let mut list = Cursor(input.u24_vector().ok_or(UNREADABLE)?);
    if !input.is_empty() {
        return Err(UNREADABLE);
    }
    let mut certificates = Vec::new();
    let mut bytes = 0;
    while !list.is_empty() {
        let certificate = list.u24_vector().ok_or(UNREADABLE)?;
        bytes += certificate.len();
        if certificates.len() == MAX_CHAIN_CERTIFICATES || bytes > MAX_CHAIN_BYTES {
            return Err(Fault::TooLarge);
        }
        certificates.push(certificate.to_vec());
    }
    if certificates.is_empty() {
        return Err(Fault::NoCertificate);
    }
    Ok(certificates)
}

/// Returns the OCSP response in a CertificateStatus (RFC 6066, section 8).
fn status(body: &[u8]) -> Result<&[u8], Fault> {
    const OCSP: u8 = 1;
    let mut input = Cursor(body);
    match (input.u8(), input.u24_vector()) {
        (Some(OCSP), Some(response)) if input.is_empty() => Ok(response),
        _ => Err(Fault::Malformed("its CertificateStatus cannot be read")),
    }
}

/// Splits a ServerKeyExchange into the signed part and the signature (RFC 5246, section 7.4.3; RFC
/// 8422, section 5.4).
fn signed(body: &[u8], hello: &ServerHello) -> Option<Signed> {
    const NAMED_CURVE: u8 = 3;
    let mut input = Cursor(body);
    let (mut group, mut dh_bits) = (None, None);
    match hello.suite.exchange {
        Exchange::Static => return None,
        // Prime, generator, and public value.
        Exchange::Dhe => {
            dh_bits = Some(bits(input.u16_vector()?));
            input.u16_vector()?;
            input.u16_vector()?;
        }
        Exchange::Ecdhe => {
            input.u8().filter(|kind| *kind == NAMED_CURVE)?;
            group = Some(input.u16()?);
            input.u8_vector()?;
        }
        // Modulus and exponent.
        Exchange::RsaExport => {
            input.u16_vector()?;
            input.u16_vector()?;
        }
    }
    let parameters = body.get(..body.len().checked_sub(input.0.len())?)?.to_vec();
    let scheme = match hello.version {
        Version::Tls12 => Some(input.u16()?),
        Version::Ssl3 | Version::Tls10 | Version::Tls11 => None,
    };
    let signature = input.u16_vector()?.to_vec();
    input.is_empty().then_some(Signed {
        parameters,
        group,
        dh_bits,
        scheme,
        signature,
    })
}

/// Returns the size of a number in bits.
fn bits(number: &[u8]) -> u64 {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let rest = number.get(zeros..).unwrap_or_default();
    let first = rest.first().map_or(0, |octet| octet.leading_zeros());
    8 * rest.len() as u64 - u64::from(first)
}
