//! Properties of a handshake of rustls that are read from the records of the server's flight.

use rustls::{ClientConnection, ProtocolVersion};

use crate::observation::{Alert, ErrorKind, Parameters, ProbeError};

use super::cursor::Cursor;
use super::hello::{HANDSHAKE, HEADER, TLS_1_2};

/// Splits received bytes at the ends of records. Tolerates bytes that are no records.
#[derive(Debug, Default)]
pub(in crate::probe) struct Records {
    /// Start of the current record, as far as an alert is long.
    start: Vec<u8>,
    /// Number of bytes of the current record so far.
    seen: usize,
}

/// Length of an alert's content, in bytes.
const ALERT_LENGTH: usize = 2;

/// Complete record that matters although rustls ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Notable {
    /// Alert in cleartext, with its content.
    Alert([u8; ALERT_LENGTH]),
    /// Encrypted record of TLS 1.3 that has no content, only a content type (RFC 8446, section 5.2).
    /// During a handshake this is not permitted (section 5.1). Padding hides it.
    Empty,
    /// Record whose header has another version than SSL 3.0 or TLS.
    OtherProtocol,
    /// Record whose header does not have the version of TLS 1.2. After a ServerHello of TLS 1.2 or 1.3
    /// it must (RFC 5246, section 6.2.1; RFC 8446, sections 5.1 and 5.2).
    OtherVersion,
}

impl Records {
    /// Takes the bytes up to the end of a record off. Returns them, and what the record is, if it is
    /// notable and complete now.
    pub(in crate::probe) fn split<'a>(
        &mut self,
        bytes: &mut &'a [u8],
    ) -> (&'a [u8], Option<Notable>) {
        const CHANGE_CIPHER_SPEC: u8 = 20;
        const ALERT: u8 = 21;
        const APPLICATION_DATA: u8 = 23;
        const MAJOR_VERSION: u8 = 3;
        /// Content type and authentication tag, in bytes.
        const NO_CONTENT: u8 = 1 + 16;
        let all = *bytes;
        // First the header, which has the length of the content.
        for _ in [HEADER, ALERT_LENGTH] {
            let mut rest = Cursor(bytes);
            let part = rest.take(self.missing().min(bytes.len()));
            let part = part.unwrap_or_default();
            let kept = (HEADER + ALERT_LENGTH).saturating_sub(self.start.len());
            self.start.extend(part.iter().take(kept));
            self.seen += part.len();
            *bytes = rest.0;
        }
        let taken = all.get(..all.len() - bytes.len()).unwrap_or(all);
        if self.missing() > 0 {
            return (taken, None);
        }
        let notable = match *self.start {
            [CHANGE_CIPHER_SPEC..=APPLICATION_DATA, major, ..] if major != MAJOR_VERSION => {
                Some(Notable::OtherProtocol)
            }
            [ALERT, _, _, 0, 2, level, description] => Some(Notable::Alert([level, description])),
            [APPLICATION_DATA, _, _, 0, NO_CONTENT, ..] => Some(Notable::Empty),
            [
                CHANGE_CIPHER_SPEC | HANDSHAKE | APPLICATION_DATA,
                major,
                minor,
                ..,
            ] if [major, minor] != TLS_1_2 => Some(Notable::OtherVersion),
            _ => None,
        };
        *self = Self::default();
        (taken, notable)
    }

    /// Returns the number of bytes that are missing to the end of the header or of the record.
    fn missing(&self) -> usize {
        let length = match *self.start {
            [_, _, _, high, low, ..] => HEADER + usize::from(u16::from_be_bytes([high, low])),
            _ => HEADER,
        };
        length.saturating_sub(self.seen)
    }
}

/// Alerts of level 1 in cleartext during a handshake, and empty records. rustls ignores most of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::probe) struct Warnings {
    /// Fault of the server that ends the handshake of all other clients.
    pub(in crate::probe) fatal: Option<FatalWarning>,
    /// The warning `no_renegotiation`, which has no meaning here (RFC 5246, section 7.2.2).
    no_renegotiation: bool,
    /// The warning `unrecognized_name`.
    unrecognized_name: bool,
    /// The first other warning that ends the handshake of Java.
    other: Option<Alert>,
}

/// Record that rustls ignores, and after which no other client completes the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum FatalWarning {
    /// A `close_notify` before the ServerHello. Nothing that follows counts (RFC 8446, section 6.1;
    /// RFC 5246, section 7.2.1).
    ClosedFirst,
    /// A `close_notify` after a ServerHello of TLS 1.2.
    Closed,
    /// An alert after a ServerHello of TLS 1.3, where only encrypted records may follow (RFC 8446,
    /// section 2).
    NotEncrypted,
    /// A record without content in the encrypted part of a handshake of TLS 1.3.
    Empty,
    /// A record whose header has a version that it must not have. OpenSSL and GnuTLS refuse it, and Go
    /// or Chromium.
    Version,
}

impl FatalWarning {
    /// Describes the failure.
    pub(in crate::probe) fn explain(self) -> ProbeError {
        match self {
            Self::ClosedFirst | Self::Closed => ProbeError::new(
                ErrorKind::TlsClosed,
                "the server closed the connection in the middle of the handshake",
            ),
            Self::NotEncrypted => ProbeError::new(
                ErrorKind::TlsProtocol,
                "the handshake failed: the server sent an alert that is not encrypted after its ServerHello",
            ),
            Self::Empty => ProbeError::new(
                ErrorKind::TlsProtocol,
                "the handshake failed: the server sent an empty record",
            ),
            Self::Version => ProbeError::new(
                ErrorKind::TlsProtocol,
                "the handshake failed: the server sent a record with a wrong version in its header",
            ),
        }
    }
}

/// Returns the version of the ServerHello, once it was received. The version is known before, if there
/// was a HelloRetryRequest.
pub(in crate::probe) fn hello_version(tls: &ClientConnection) -> Option<ProtocolVersion> {
    tls.protocol_version().filter(|version| {
        *version != ProtocolVersion::TLSv1_3 || tls.negotiated_key_exchange_group().is_some()
    })
}

impl Warnings {
    /// Adds a record of a handshake; `hello` is the version of the ServerHello before it.
    pub(in crate::probe) fn note(&mut self, record: Notable, hello: Option<ProtocolVersion>) {
        let is_tls13 = hello == Some(ProtocolVersion::TLSv1_3);
        let fatal = match record {
            Notable::Alert(alert) => return self.add(&alert, hello),
            Notable::Empty => is_tls13.then_some(FatalWarning::Empty),
            Notable::OtherVersion => hello.map(|_| FatalWarning::Version),
            Notable::OtherProtocol => Some(FatalWarning::Version),
        };
        self.fatal = self.fatal.or(fatal);
    }

    /// Adds the content of an alert; `hello` is the version of the ServerHello before it.
    pub(in crate::probe) fn add(&mut self, alert: &[u8], hello: Option<ProtocolVersion>) {
        const WARNING: u8 = 1;
        let [WARNING, description] = *alert else {
            return;
        };
        let fatal = match (hello, Alert(description)) {
            (Some(ProtocolVersion::TLSv1_3), _) => Some(FatalWarning::NotEncrypted),
            (None, Alert::CLOSE_NOTIFY) => Some(FatalWarning::ClosedFirst),
            (Some(_), Alert::CLOSE_NOTIFY) => Some(FatalWarning::Closed),
            _ => None,
        };
        self.fatal = self.fatal.or(fatal);
        match Alert(description) {
            Alert::CLOSE_NOTIFY => {}
            Alert::NO_RENEGOTIATION => self.no_renegotiation = true,
            Alert::UNRECOGNIZED_NAME => self.unrecognized_name = true,
            alert if alert.ends_java() => self.other = self.other.or(Some(alert)),
            _ => {}
        }
    }

    /// Adds the warnings to the parameters of the handshake.
    pub(in crate::probe) fn add_to(self, parameters: &mut Parameters) {
        parameters.no_renegotiation |= self.no_renegotiation;
        parameters.unrecognized_name |= self.unrecognized_name;
        parameters.warning = parameters.warning.or(self.other);
    }
}
