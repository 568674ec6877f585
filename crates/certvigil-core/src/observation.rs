//! What one look saw, from wherever it was taken. A failure is an outcome, never a lost error.

mod alert;
mod tls_version;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::certificate::{self, Certificate, MAX_OCSP_BYTES};
use crate::model::{KeyType, Protocol, Target, Timings, Vantage};

pub use alert::Alert;
pub use tls_version::TlsVersion;

/// What one look at one address saw.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What was looked at.
    pub target: Target,
    /// The address, unless the name had none.
    pub ip: Option<IpAddr>,
    /// Which kind of key was asked for.
    pub key_type: KeyType,
    /// Where the look was taken from.
    pub vantage: Vantage,
    /// How long each phase took.
    pub timings: Timings,
    /// What was seen.
    pub outcome: Outcome,
}

/// What was seen.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// No certificate: why.
    Failed(LookError),
    /// A certificate, seen by us.
    Served(Box<Served>),
    /// A remote vantage's word. It shows no certificate.
    Told(Told),
}

/// What a server showed in a handshake.
#[derive(Clone, Debug)]
pub struct Served {
    /// The first certificate.
    pub leaf: Certificate,
    /// The certificates after it, in the order they came.
    pub rest: Vec<Certificate>,
    /// The version of the handshake.
    pub tls_version: TlsVersion,
    /// The IANA name of the cipher suite.
    pub cipher_suite: String,
    /// The application protocol that was agreed on.
    pub alpn: Option<String>,
    /// What was said of the leaf's revocation.
    pub revocation: Revocation,
    /// How the server proved that it has the leaf's key.
    pub key_proof: KeyProof,
    /// Parameters of TLS 1.2 and before that clients refuse.
    pub parameters: Parameters,
}

/// Parameters of a handshake of TLS 1.2 or before. `Default` is unknown, and what TLS 1.3 has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Support of secure renegotiation (RFC 5746). `None` with TLS 1.3, which has no renegotiation.
    pub secure_renegotiation: Option<bool>,
    /// Size in bits of the prime of a finite-field Diffie-Hellman exchange.
    pub dh_bits: Option<u64>,
    /// Group of the key exchange, by its IANA name, if Chromium does not offer it.
    pub rare_group: Option<&'static str>,
    /// A signature of TLS 1.2 with SHA-1, where SHA-256, SHA-384 and SHA-512 were offered too.
    pub sha1_signature: bool,
    /// The server refused a hello with all that Go and Chromium offer.
    pub refused_common_offer: bool,
}

/// What was said of a leaf's revocation. `Default` is that nobody was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// By the server.
    pub staple: Staple,
    /// By the issuer, where it was asked and said something.
    pub fetched: Option<Fetched>,
}

/// The OCSP response that a server sends along with its certificate (RFC 6066, section 8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Staple {
    /// It was not asked for.
    #[default]
    NotAsked,
    /// It was asked for, and none came.
    Absent,
    /// It came, not verified, and cut off one byte after [`MAX_OCSP_BYTES`].
    Sent(Arc<[u8]>),
}

impl Staple {
    /// From what a handshake that asked for one has; empty where none came.
    pub fn of(response: &[u8]) -> Self {
        match response.get(..=MAX_OCSP_BYTES).unwrap_or(response) {
            [] => Self::Absent,
            bytes => Self::Sent(bytes.into()),
        }
    }
}

/// What the issuer says, verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// How it says so.
    pub by: Publication,
    /// What it says.
    pub status: certificate::Status,
}

/// How an issuer publishes what it has revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// A certificate revocation list.
    Crl,
    /// The answer of an OCSP responder.
    Ocsp,
}

/// How possession of the leaf's key was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyProof {
    /// The handshake's signature, checked by strict rules.
    Handshake,
    /// The handshake's signature, checked against the bare public key of a certificate that a
    /// strict parser refuses, or with a hash that it refuses.
    BareKey,
    /// Not at all: the handshake was read in the clear, and has no signature that can be checked.
    None,
}

impl KeyProof {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::BareKey => "bare_key",
            Self::None => "none",
        }
    }
}

/// What a remote `/test` says of one address. What it did not say is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The correct certificate was served.
    pub correct: bool,
    /// The correct chain was served.
    pub chained: bool,
    /// The certificate was a temporary one.
    pub dummy: bool,
}

/// Why a look saw no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LookError {
    /// For machines.
    pub kind: ErrorKind,
    /// For people: one line without a full stop.
    pub message: String,
    /// What the server seems to speak instead of what was tried.
    pub seems: Option<Protocol>,
    /// The TLS alert that the server sent.
    pub alert: Option<Alert>,
    /// The remote vantage failed, whatever it was asked for: it does not answer, or refuses every request.
    pub is_of_vantage: bool,
}

impl LookError {
    /// An error of this kind; control characters from outside are taken out of the message.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: crate::certificate::printable(message.as_ref()),
            seems: None,
            alert: None,
            is_of_vantage: false,
        }
    }

    /// Returns true if a name server returned it: no such name, or no such record. A server that fails or does not
    /// respond is no answer.
    pub fn is_dns_answer(&self) -> bool {
        matches!(self.kind, ErrorKind::DnsNxdomain | ErrorKind::DnsNoAddress)
    }

    /// A handshake that the server ended with an alert; `what` is what it did.
    pub fn of_alert(what: &str, alert: Alert) -> Self {
        Self {
            alert: Some(alert),
            ..Self::new(ErrorKind::TlsAlert, format!("{what} with {alert}"))
        }
    }
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// SSLMate's four words for how a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// A certificate was seen.
    Conclusive,
    /// No connection.
    ConnectError,
    /// A connection, but no handshake that proved a certificate.
    HandshakeError,
    /// Our own fault, or the expectation was not to be had.
    InternalError,
}

impl Status {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Conclusive,
        Self::ConnectError,
        Self::HandshakeError,
        Self::InternalError,
    ];

    /// The name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conclusive => "conclusive",
            Self::ConnectError => "connect_error",
            Self::HandshakeError => "handshake_error",
            Self::InternalError => "internal_error",
        }
    }
}

macro_rules! error_kinds {
    ($($variant:ident $name:literal $status:ident $meaning:literal;)+) => {
        /// Why a look saw no certificate, for machines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorKind { $(#[doc = $meaning] $variant,)+ }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [ErrorKind] = &[$(Self::$variant,)+];

            /// The name in JSON and labels.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// The status that goes with it.
            pub fn status(self) -> Status {
                match self { $(Self::$variant => Status::$status,)+ }
            }
        }
    };
}

error_kinds! {
    DnsNxdomain "dns_nxdomain" ConnectError "The name does not exist.";
    DnsNoAddress "dns_no_address" ConnectError "The name has no address of a requested family.";
    DnsServfail "dns_servfail" ConnectError "The name server returned an error.";
    DnsTimeout "dns_timeout" ConnectError "No name server responded in time.";
    ConnectRefused "connect_refused" ConnectError "The connection was refused at this address and port.";
    ConnectTimeout "connect_timeout" ConnectError "The address did not respond in time.";
    ConnectUnreachable "connect_unreachable" ConnectError "There is no route to the address.";
    ConnectReset "connect_reset" ConnectError "The connection was reset during connection setup.";
    StarttlsRefused "starttls_refused" HandshakeError "The server does not offer STARTTLS, or refuses it.";
    StarttlsProtocol "starttls_protocol" HandshakeError "The dialogue before TLS violated the protocol or timed out.";
    TlsAlert "tls_alert" HandshakeError "The server aborted the handshake with an alert.";
    TlsTimeout "tls_timeout" HandshakeError "The handshake timed out.";
    TlsClosed "tls_closed" HandshakeError "The server closed the connection during the handshake.";
    TlsProtocol "tls_protocol" HandshakeError "The server's response is not valid TLS.";
    TlsSignature "tls_signature" HandshakeError "The server did not prove possession of the certificate's key.";
    MalformedCertificate "malformed_certificate" HandshakeError "The server sent no readable certificate.";
    TooLarge "too_large" HandshakeError "The server sent more certificates than certvigil reads.";
    Internal "internal" InternalError "The probe failed or its result is unknown for a reason on certvigil's side.";
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
