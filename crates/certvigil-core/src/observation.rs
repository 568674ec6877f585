//! The observation of one probe, from any vantage. A failure is an outcome, so no error is lost.

mod alert;
mod ech;
mod tls_version;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::certificate::{self, Certificate, MAX_OCSP_BYTES, PublicKeyHash};
use crate::code::{Code, Severity};
use crate::model::{KeyType, Protocol, Sni, Target, Timings, Vantage};

pub use alert::Alert;
pub use ech::Ech;
pub use tls_version::TlsVersion;

/// The observation of one probe of one address.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The target. Observations of one target share it.
    pub target: Arc<Target>,
    /// The address, unless the name did not resolve.
    pub ip: Option<IpAddr>,
    /// The requested kind of key.
    pub key_type: KeyType,
    /// The vantage of the probe.
    pub vantage: Vantage,
    /// The duration of each phase.
    pub timings: Timings,
    /// The outcome.
    pub outcome: Outcome,
}

/// Outcome of a probe.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// No certificate, for this reason.
    Failed(ProbeError),
    /// A certificate that this program received.
    Served(Box<Served>),
    /// The result that a remote vantage reports, without the certificate.
    Reported(Reported),
}

/// The certificates and parameters of a handshake, or the certificates of a file.
#[derive(Clone, Debug)]
pub struct Served {
    /// The first certificate. In a file, the leaf wherever it is.
    pub leaf: Certificate,
    /// The certificates after it, in the order received.
    pub rest: Vec<Certificate>,
    /// The version of the handshake. Without meaning for a file: see [`Served::session`].
    pub tls_version: TlsVersion,
    /// The IANA name of the cipher suite; empty for a file.
    pub cipher_suite: Cow<'static, str>,
    /// The negotiated application protocol.
    pub alpn: Option<String>,
    /// The reports on the leaf's revocation.
    pub revocation: Revocation,
    /// The server's proof of possession of the leaf's key.
    pub key_proof: KeyProof,
    /// Parameters of TLS 1.2 and earlier that some clients refuse.
    pub parameters: Parameters,
    /// The failure of the handshake after the proof of the key. `None` if the handshake was
    /// completed, if it ended for want of a client certificate, or if it was read in cleartext.
    pub failure: Option<Box<ProbeError>>,
    /// The result of a further handshake that offers Encrypted Client Hello. `None` if it was not
    /// offered, or if the result is unknown.
    pub ech: Option<Box<Ech>>,
}

impl Served {
    /// Creates the observation of a file; `rest` has its certificates but the leaf, in the order in
    /// which a server sends them.
    pub fn from_file(leaf: Certificate, rest: Vec<Certificate>, file: FileFacts) -> Self {
        Self {
            leaf,
            rest,
            tls_version: TlsVersion::Tls13,
            cipher_suite: Cow::Borrowed(""),
            alpn: None,
            revocation: Revocation::default(),
            key_proof: KeyProof::File(file),
            parameters: Parameters::default(),
            failure: None,
            ech: None,
        }
    }

    /// Returns the TLS version and the cipher suite; `None` for a file.
    pub fn session(&self) -> Option<(TlsVersion, &str)> {
        self.file()
            .is_none()
            .then_some((self.tls_version, &self.cipher_suite))
    }

    /// Returns the properties of the file that the certificates are from; `None` for a server.
    pub fn file(&self) -> Option<FileFacts> {
        match self.key_proof {
            KeyProof::File(file) => Some(file),
            KeyProof::Handshake | KeyProof::BareKey | KeyProof::None => None,
        }
    }
}

/// Properties of a certificate file other than its certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// The private key that the file was compared with.
    pub key: FileKey,
    /// True if the file has another certificate before the leaf. Servers take the first
    /// certificate for their own.
    pub is_leaf_late: bool,
}

/// The private key that a certificate file was compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKey {
    /// No key was given.
    #[default]
    NotGiven,
    /// The key belongs to the leaf.
    Matches,
    /// The key belongs to another certificate. The hash is that of its public key.
    Differs(PublicKeyHash),
}

/// Parameters of a handshake that some clients refuse. Most of them exist only in TLS 1.2 or earlier.
/// `Default` means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Support of secure renegotiation (RFC 5746). `None` with TLS 1.3, which has no renegotiation.
    pub secure_renegotiation: Option<bool>,
    /// True if the server sent the warning `unrecognized_name` (RFC 6066, section 3).
    pub unrecognized_name: bool,
    /// True if the server sent the warning `no_renegotiation` during the handshake.
    pub no_renegotiation: bool,
    /// Another warning during the handshake that [ends that of Java](Alert::ends_java).
    pub warning: Option<Alert>,
    /// Size in bits of the prime of a finite-field Diffie-Hellman exchange.
    pub dh_bits: Option<u64>,
    /// Group of the key exchange, by its IANA name, if Chromium does not offer it.
    pub rare_group: Option<&'static str>,
    /// True if a TLS 1.2 signature uses SHA-1 although SHA-256, SHA-384 and SHA-512 were offered.
    pub sha1_signature: bool,
    /// True if the server refused a ClientHello with everything that Go and Chromium offer.
    pub refused_common_offer: bool,
    /// True if the server refused a ClientHello with everything that Java offers for TLS 1.2.
    pub refused_java_offer: bool,
    /// True if the server refused a ClientHello with everything that GnuTLS offers for TLS 1.2.
    pub refused_gnutls_offer: bool,
    /// True if the server cannot read a ClientHello of more than one packet.
    pub refused_large_hello: bool,
}

/// Reports on a leaf's revocation. `Default` means that none was requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// The server's report.
    pub staple: Staple,
    /// The issuer's report, if one was requested and received.
    pub fetched: Option<Fetched>,
}

/// The OCSP response that a server sends with its certificate (RFC 6066, section 8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Staple {
    /// Not requested.
    #[default]
    NotAsked,
    /// Requested, but not sent.
    Absent,
    /// Sent; not verified, and truncated one byte after [`MAX_OCSP_BYTES`].
    Sent(Arc<[u8]>),
}

impl Staple {
    /// Creates the staple of a handshake that requested one; `response` is empty if none was sent.
    pub fn of(response: &[u8]) -> Self {
        match response.get(..=MAX_OCSP_BYTES).unwrap_or(response) {
            [] => Self::Absent,
            bytes => Self::Sent(bytes.into()),
        }
    }
}

/// The issuer's verified report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The form of publication.
    pub by: Publication,
    /// The revocation status.
    pub status: certificate::Status,
}

/// The form in which an issuer publishes revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// A certificate revocation list.
    Crl,
    /// The response of an OCSP responder.
    Ocsp,
}

/// The proof of possession of the leaf's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyProof {
    /// The handshake, verified by strict rules: its signature, or a key exchange with the key.
    Handshake,
    /// The handshake's signature, verified with the bare public key of a certificate that a strict
    /// parser refuses, or with a hash that it refuses.
    BareKey,
    /// None: the handshake was read in cleartext, and has no signature that can be verified.
    None,
    /// There was no handshake: the certificates are from a file.
    File(FileFacts),
}

impl KeyProof {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::BareKey => "bare_key",
            Self::None => "none",
            Self::File(_) => "file",
        }
    }
}

/// The report of a remote `/test` on one address. Properties that it does not report are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// True if the correct certificate was served.
    pub correct: bool,
    /// True if the correct chain was served.
    pub chained: bool,
    /// True if the certificate was a temporary one.
    pub dummy: bool,
    /// The rest of the result of another certvigil. `None` for SSLMate, which reports no more.
    pub peer: Option<Box<PeerReport>>,
}

/// The part of a report that only another certvigil makes. It judged the served certificate itself,
/// by the trust store, the time and the settings of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// True if it trusts the served chain.
    pub trusted: Option<bool>,
    /// True if the leaf is valid for the host name.
    pub hostname_match: Option<bool>,
    /// True if the leaf has expired.
    pub expired: Option<bool>,
    /// True if the leaf's notBefore is in the future.
    pub not_yet_valid: Option<bool>,
    /// True if the leaf has been revoked.
    pub revoked: Option<bool>,
    /// Its critical findings and its warnings, of codes that this version knows. Each severity is
    /// one that its code may have.
    pub findings: Vec<PeerFinding>,
}

/// A finding of another certvigil.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerFinding {
    /// Its code.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// Its message, for people: one line without a full stop.
    pub message: String,
    /// Its hint, for people: one line without a full stop.
    pub hint: String,
}

impl PeerFinding {
    /// Creates a finding. Control characters are removed from its texts. `None` if a finding of the
    /// code cannot have the severity.
    pub fn new(code: Code, severity: Severity, message: &str, hint: &str) -> Option<Self> {
        let is_possible = code.severities().contains(&severity);
        is_possible.then(|| Self {
            code,
            severity,
            message: certificate::printable(message),
            hint: certificate::printable(hint),
        })
    }
}

/// The error of a probe without a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeError {
    /// The kind, for programs.
    pub kind: ErrorKind,
    /// The message, for people: one line without a full stop.
    pub message: String,
    /// The protocol that the server seems to speak instead of the one that was tried.
    pub seems: Option<Protocol>,
    /// The TLS alert that the server sent.
    pub alert: Option<Alert>,
    /// The connection options that may be the cause of a failed handshake. `None` means none, and
    /// keeps waiting probes small.
    pub sent: Option<Box<Sent>>,
    /// True if the remote vantage failed regardless of the request: it does not respond, or refuses
    /// every request.
    pub is_of_vantage: bool,
}

impl ProbeError {
    /// Creates an error of this kind. Control characters from the network are removed from the
    /// message.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: certificate::printable(message.as_ref()),
            seems: None,
            alert: None,
            sent: None,
            is_of_vantage: false,
        }
    }

    /// Returns true if a name server returned the error: no such name, or no such record. A server
    /// that fails or does not respond has not returned one.
    pub fn is_dns_answer(&self) -> bool {
        matches!(self.kind, ErrorKind::DnsNxdomain | ErrorKind::DnsNoAddress)
    }

    /// Creates the error of a handshake that the server ended with an alert; `what` is the server's
    /// action.
    pub fn of_alert(what: &str, alert: Alert) -> Self {
        Self {
            alert: Some(alert),
            ..Self::new(ErrorKind::TlsAlert, format!("{what} with {alert}"))
        }
    }
}

/// Connection options of a probe that may be the cause of a failed handshake. `Default` means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sent {
    /// True if the connection began with a PROXY protocol header.
    pub proxy_header: bool,
    /// True if a client certificate was available.
    pub client_certificate: bool,
    /// The server name that was sent, if it is not the host.
    pub sni: Sni,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// SSLMate's four statuses of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// A certificate was received.
    Conclusive,
    /// The connection failed.
    ConnectError,
    /// The connection succeeded, but no handshake proved a certificate.
    HandshakeError,
    /// An internal error, or the expected certificate was unavailable.
    InternalError,
}

impl Status {
    /// All four statuses.
    pub const ALL: [Self; 4] = [
        Self::Conclusive,
        Self::ConnectError,
        Self::HandshakeError,
        Self::InternalError,
    ];

    /// Returns the name in JSON and labels.
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
        /// The kind of an error of a probe, for programs.
        // Exhaustive: a catch-all could report a new kind as a success.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorKind { $(#[doc = $meaning] $variant,)+ }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [ErrorKind] = &[$(Self::$variant,)+];

            /// Returns the name in JSON and labels.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns the meaning, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// Returns the corresponding status.
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
