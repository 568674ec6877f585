//! The facts of each kind of finding.

use std::net::IpAddr;

use serde::Serialize;

use crate::certificate::{Certificate, LeafRecord, Oddity, PublicKeyHash, Unusable};
use crate::instance::{Expectation, Expected, SourceKind, State};
use crate::model::{Hostname, KeyType, Protocol, Timestamp, Vantage};
use crate::mta_sts::{StsFault, StsMode};
use crate::observation::{Alert, PeerFinding, ProbeError, TlsVersion};
use crate::tlsa::TlsaRecord;

use super::{Client, Code, Fault, Refusal, Role};

/// Maximum addresses that one finding lists.
pub const MAX_LISTED_ADDRESSES: usize = 16;
/// Maximum names of a certificate that one finding lists.
pub const MAX_LISTED_NAMES: usize = 16;
/// Maximum TLSA records that one finding lists.
pub const MAX_LISTED_RECORDS: usize = 16;

/// The facts of a finding: one variant for each [`Code`].
///
/// Serialized, it is the object `detail` of a finding in JSON. Its keys are part of the public
/// interface; docs/json.md lists them. If a code covers several cases, the key `kind` names the
/// case. A [`Certificate`] becomes an object with its fingerprint, names, serial number and
/// validity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// [`Code::WrongCertificate`].
    WrongCertificate {
        /// The served leaf. `None` if a remote vantage reports the finding, which transfers no
        /// certificate.
        served: Option<Certificate>,
        /// True if the served leaf is likely a renewal that the source does not have: it is for the
        /// host, has not expired, and is newer than each expected certificate.
        is_newer: bool,
        /// The expected certificate.
        expected: Wanted,
    },
    /// [`Code::PreviousInstance`].
    PreviousInstance {
        /// The older instance.
        #[serde(flatten)]
        older: Older,
        /// The end of the grace period of a rollout, if there is one.
        grace_until: Option<Timestamp>,
        /// The expected certificate.
        expected: Wanted,
    },
    /// [`Code::SameKeyOtherCertificate`].
    SameKeyOtherCertificate {
        /// The served leaf.
        served: Certificate,
        /// The same as for [`Self::WrongCertificate`].
        is_newer: bool,
        /// The expected certificate.
        expected: Wanted,
    },
    /// [`Code::DummyCertificate`].
    DummyCertificate {
        /// The reason for which the temporary certificate is served.
        #[serde(flatten)]
        dummy: Dummy,
        /// The expected certificate.
        expected: Wanted,
    },
    /// [`Code::MissingIntermediate`].
    MissingIntermediate {
        /// The certificates that are missing.
        #[serde(flatten)]
        missing: Missing,
        /// The expected certificate.
        expected: Wanted,
    },
    /// [`Code::Expired`].
    Expired(LeafValidity),
    /// [`Code::NotYetValid`].
    NotYetValid(ChainValidity),
    /// [`Code::Expiring`].
    Expiring(LeafValidity),
    /// [`Code::ChainExpired`].
    ChainExpired {
        /// The expired certificate.
        #[serde(flatten)]
        validity: ChainValidity,
        /// True if no path is valid without the certificate.
        is_needed: bool,
    },
    /// [`Code::InvalidAuthority`].
    InvalidAuthority {
        /// The faults of one certificate; at least one.
        faults: Vec<Fault>,
    },
    /// [`Code::HostnameMismatch`].
    HostnameMismatch {
        /// The requested name.
        hostname: Hostname,
        /// Subject alternative names of the leaf: at most [`MAX_LISTED_NAMES`].
        names: Vec<String>,
        /// The number of the names.
        name_count: usize,
        /// True if the leaf has the requested IP address as a dNSName, which no client compares
        /// with an address (RFC 9110, section 4.3.5).
        is_address_in_dns_name: bool,
    },
    /// [`Code::KeyMismatch`].
    KeyMismatch {
        /// The leaf of the file.
        certificate: Certificate,
        /// The hash of its public key, if it can be read.
        pubkey_hash: Option<PublicKeyHash>,
        /// The hash of the public key that belongs to the private key.
        key_pubkey_hash: PublicKeyHash,
    },
    /// [`Code::UntrustedRoot`].
    UntrustedRoot(Untrusted),
    /// [`Code::SelfSigned`].
    SelfSigned {
        /// The served leaf.
        certificate: Certificate,
    },
    /// [`Code::Revoked`].
    Revoked {
        /// The reporter of the revocation.
        reported_by: RevocationReporter,
        /// The date, if it is known.
        revoked_at: Option<Timestamp>,
        /// The reason as RFC 5280, section 5.3.1, names it, if it is known.
        reason: Option<&'static str>,
    },
    /// [`Code::MustStapleMissing`].
    MustStapleMissing {
        /// The fault of the stapled response. `None` if none was sent.
        fault: Option<Unusable>,
    },
    /// [`Code::TlsaMismatch`].
    TlsaMismatch {
        /// The name of the TLSA records.
        name: String,
        /// True if the name server reports that DNSSEC authenticates the records.
        is_authenticated: bool,
        /// The mismatch.
        #[serde(flatten)]
        mismatch: TlsaMismatch,
        /// The record to publish.
        publish: TlsaRecord,
    },
    /// [`Code::TlsaMissing`].
    TlsaMissing(TlsaMissing),
    /// [`Code::MtaStsMismatch`].
    MtaStsMismatch {
        /// The mail domain.
        domain: Hostname,
        /// The mail host.
        hostname: Hostname,
        /// The identifier of the policy (RFC 8461, section 3.1).
        id: String,
        /// The mode of the policy.
        mode: StsMode,
        /// The mismatch.
        #[serde(flatten)]
        mismatch: StsMismatch,
    },
    /// [`Code::MtaStsUnusable`].
    MtaStsUnusable {
        /// The mail domain.
        domain: Hostname,
        /// The reason.
        #[serde(flatten)]
        fault: StsFault,
    },
    /// [`Code::Unreachable`].
    Unreachable {
        /// The address that does not respond.
        address: IpAddr,
        /// A responding address of the same host.
        responding: IpAddr,
        /// The host.
        hostname: Hostname,
        /// True if this machine has no route to the address, nor to any other of its family.
        is_without_route: bool,
        /// The error of the probe.
        error: ProbeError,
    },
    /// [`Code::HandshakeFailed`].
    HandshakeFailed {
        /// The requested name.
        hostname: Hostname,
        /// The port.
        port: u16,
        /// The protocol that was tried.
        protocol: Protocol,
        /// The error of the probe.
        error: ProbeError,
        /// True if the server proved possession of its key before the handshake failed.
        is_key_proved: bool,
    },
    /// [`Code::ChainExpiring`].
    ChainExpiring(ChainValidity),
    /// [`Code::RefusedByClients`].
    RefusedByClients(Refused),
    /// [`Code::ChainOutOfOrder`].
    ChainOutOfOrder {
        /// The certificate that is served before one that it issued.
        certificate: Certificate,
    },
    /// [`Code::UnrelatedCertificate`].
    UnrelatedCertificate {
        /// The certificates that are on no path from the leaf; at least one.
        certificates: Vec<Certificate>,
        /// True if the chain is complete without them.
        is_chain_complete: bool,
    },
    /// [`Code::WeakSignature`].
    WeakSignature {
        /// The certificate with the signature.
        certificate: Certificate,
        /// Its position.
        position: Role,
        /// The signature algorithm.
        algorithm: String,
    },
    /// [`Code::WeakKey`].
    WeakKey {
        /// The certificate with the key.
        certificate: Certificate,
        /// Its position.
        position: Role,
        /// The kind and size of the key.
        key: String,
    },
    /// [`Code::LegacyProtocol`].
    LegacyProtocol {
        /// The newest version that the server supports.
        tls_version: TlsVersion,
        /// True if the handshake proves that the server has the certificate's key.
        is_key_proved: bool,
    },
    /// [`Code::LegacyCipher`].
    LegacyCipher {
        /// The best cipher suite of the server, by its IANA name.
        cipher_suite: String,
        /// The weakness of the suite.
        weakness: CipherWeakness,
        /// The TLS version of the handshake.
        tls_version: TlsVersion,
        /// True if the handshake proves that the server has the certificate's key.
        is_key_proved: bool,
    },
    /// [`Code::NonconformantCertificate`].
    NonconformantCertificate(Nonconformant),
    /// [`Code::BadOcspStaple`].
    BadOcspStaple {
        /// The fault of the response.
        fault: Unusable,
        /// The URL of the OCSP responder that the certificate names.
        responder: Option<String>,
    },
    /// [`Code::AddressesDisagree`].
    AddressesDisagree {
        /// The host.
        hostname: Hostname,
        /// The certificate that this address serves.
        served: Certificate,
        /// The certificate that the other addresses serve, if there is only one other.
        other: Option<Certificate>,
        /// The other addresses, in order: at most [`MAX_LISTED_ADDRESSES`].
        addresses: Vec<IpAddr>,
        /// The number of the other addresses.
        address_count: usize,
    },
    /// [`Code::VantagesDisagree`].
    VantagesDisagree {
        /// The vantage of this probe.
        vantage: Vantage,
        /// Its result.
        seen: Seen,
        /// The other vantage.
        other_vantage: Vantage,
        /// The result of the other vantage.
        other_seen: Seen,
    },
    /// [`Code::MaterialChange`].
    MaterialChange {
        /// The leaf that was served before.
        before: Box<LeafRecord>,
        /// The served leaf.
        served: Certificate,
        /// The differences that a renewal does not have; at least one.
        changes: Vec<MaterialChange>,
        /// The time at which the served leaf was first seen.
        first_seen: Timestamp,
        /// The time at which the finding ends.
        until: Timestamp,
    },
    /// [`Code::SourceStale`].
    SourceStale {
        /// The time of the last response of the source.
        last_success: Timestamp,
    },
    /// [`Code::RootIncluded`].
    RootIncluded {
        /// The roots that are served; at least one.
        certificates: Vec<Certificate>,
    },
    /// [`Code::DuplicateCertificate`].
    DuplicateCertificate {
        /// The certificates that are served more than once; at least one.
        certificates: Vec<Certificate>,
    },
    /// [`Code::AlternateChain`].
    AlternateChain {
        /// The certificates of the expected chain that are not served; at least one.
        not_served: Vec<Certificate>,
    },
    /// A finding that another certvigil reports as a remote vantage, of any code. Its facts are not
    /// transferred.
    ByVantage(ByVantage),
    /// [`Code::KeyTypeMissing`].
    KeyTypeMissing {
        /// The requested kind of key.
        key_type: KeyType,
    },
}

impl Detail {
    /// Returns the code of a finding with these facts.
    pub fn code(&self) -> Code {
        match self {
            Self::WrongCertificate { .. } => Code::WrongCertificate,
            Self::PreviousInstance { .. } => Code::PreviousInstance,
            Self::SameKeyOtherCertificate { .. } => Code::SameKeyOtherCertificate,
            Self::DummyCertificate { .. } => Code::DummyCertificate,
            Self::MissingIntermediate { .. } => Code::MissingIntermediate,
            Self::Expired(_) => Code::Expired,
            Self::NotYetValid(_) => Code::NotYetValid,
            Self::Expiring(_) => Code::Expiring,
            Self::ChainExpired { .. } => Code::ChainExpired,
            Self::InvalidAuthority { .. } => Code::InvalidAuthority,
            Self::HostnameMismatch { .. } => Code::HostnameMismatch,
            Self::KeyMismatch { .. } => Code::KeyMismatch,
            Self::UntrustedRoot(_) => Code::UntrustedRoot,
            Self::SelfSigned { .. } => Code::SelfSigned,
            Self::Revoked { .. } => Code::Revoked,
            Self::MustStapleMissing { .. } => Code::MustStapleMissing,
            Self::TlsaMismatch { .. } => Code::TlsaMismatch,
            Self::TlsaMissing(_) => Code::TlsaMissing,
            Self::MtaStsMismatch { .. } => Code::MtaStsMismatch,
            Self::MtaStsUnusable { .. } => Code::MtaStsUnusable,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::HandshakeFailed { .. } => Code::HandshakeFailed,
            Self::ChainExpiring(_) => Code::ChainExpiring,
            Self::RefusedByClients(_) => Code::RefusedByClients,
            Self::ChainOutOfOrder { .. } => Code::ChainOutOfOrder,
            Self::UnrelatedCertificate { .. } => Code::UnrelatedCertificate,
            Self::WeakSignature { .. } => Code::WeakSignature,
            Self::WeakKey { .. } => Code::WeakKey,
            Self::LegacyProtocol { .. } => Code::LegacyProtocol,
            Self::LegacyCipher { .. } => Code::LegacyCipher,
            Self::NonconformantCertificate(_) => Code::NonconformantCertificate,
            Self::BadOcspStaple { .. } => Code::BadOcspStaple,
            Self::AddressesDisagree { .. } => Code::AddressesDisagree,
            Self::VantagesDisagree { .. } => Code::VantagesDisagree,
            Self::MaterialChange { .. } => Code::MaterialChange,
            Self::SourceStale { .. } => Code::SourceStale,
            Self::RootIncluded { .. } => Code::RootIncluded,
            Self::DuplicateCertificate { .. } => Code::DuplicateCertificate,
            Self::AlternateChain { .. } => Code::AlternateChain,
            Self::KeyTypeMissing { .. } => Code::KeyTypeMissing,
            Self::ByVantage(ByVantage::ReportedByVantage { finding }) => finding.code,
        }
    }

    /// Returns the error of the probe that the finding is about, if it is about one. The finding's
    /// message contains the error's message.
    pub fn error(&self) -> Option<&ProbeError> {
        match self {
            Self::Unreachable { error, .. } | Self::HandshakeFailed { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// A finding that a remote vantage reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ByVantage {
    /// The finding of another certvigil.
    ReportedByVantage {
        /// Its code and its text, which the finding itself has.
        #[serde(skip)]
        finding: Box<PeerFinding>,
    },
}

/// The expected certificate, as far as its source knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wanted {
    /// The source of the instance.
    Instance {
        /// The source.
        source: SourceKind,
        /// SSLMate's identifier of the instance.
        id: Option<u64>,
        /// The certificate.
        certificate: Certificate,
    },
    /// A certificate with one of the expected fingerprints.
    Fingerprint,
    /// A certificate for one of the expected public keys.
    PublicKey,
    /// Any certificate that is valid and trusted.
    Trust,
}

impl Wanted {
    /// Returns the expected certificate of an expectation.
    pub fn of(expected: &Expected) -> Self {
        match &expected.what {
            Expectation::Instances(instances) => Self::Instance {
                source: expected.source,
                id: instances.expected.id,
                certificate: instances.expected.leaf.clone(),
            },
            Expectation::Fingerprints(_) => Self::Fingerprint,
            Expectation::PublicKeys(_) => Self::PublicKey,
            Expectation::TrustOnly => Self::Trust,
        }
    }
}

/// An older instance that is still served.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Older {
    /// An instance that the source names as an earlier one.
    Known {
        /// SSLMate's identifier of the instance.
        id: Option<u64>,
        /// Its state.
        state: State,
        /// The served leaf.
        served: Certificate,
    },
    /// A certificate with the names of an accepted one, with its issuer or its key, and an earlier
    /// notBefore.
    SameNames {
        /// The served leaf.
        served: Certificate,
        /// The accepted certificate that is newer.
        newer: Certificate,
    },
    /// A remote vantage reports another certificate during a rollout.
    Reported,
}

/// A served temporary certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Dummy {
    /// A self-signed certificate for an expected public key.
    ExpectedKey,
    /// The certificate that will replace it has not been issued.
    Pending,
    /// The certificate that replaces it has been issued.
    Replaced {
        /// The end of the grace period of a rollout, if there is one.
        grace_until: Option<Timestamp>,
    },
}

/// Certificates that a chain lacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Missing {
    /// Certificates of the expected chain.
    Known {
        /// The missing certificates, the lowest first; at least one.
        missing: Vec<Certificate>,
        /// The URL of the lowest of them.
        issuer_url: Option<String>,
    },
    /// The unknown issuer of a served certificate.
    Unknown {
        /// The certificate whose issuer is missing.
        below: Certificate,
        /// Its position.
        position: Role,
        /// The issuer's distinguished name.
        issuer: String,
        /// The URL of the issuer's certificate.
        issuer_url: Option<String>,
        /// A certificate with the issuer's name that is not the issuer.
        namesake: Option<Namesake>,
    },
    /// A remote vantage reports an incomplete chain.
    Reported,
}

/// A certificate with the name of an issuer that is not the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Namesake {
    /// A served authority with another key.
    ServedWithOtherKey,
    /// A served certificate that may not issue others.
    ServedNoAuthority,
    /// A trusted root with another key.
    RootWithOtherKey,
}

/// The validity of the leaf at the time of judging.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct LeafValidity {
    /// The leaf's notAfter.
    pub not_after: Timestamp,
    /// The time of judging.
    pub judged_at: Timestamp,
    /// True if a newer certificate than the served one is expected.
    pub is_newer_expected: bool,
}

/// The validity of a certificate of the chain, or of the leaf, at the time of judging.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ChainValidity {
    /// The certificate.
    pub certificate: Certificate,
    /// Its position.
    pub position: Role,
    /// Its notBefore.
    pub not_before: Timestamp,
    /// Its notAfter.
    pub not_after: Timestamp,
    /// The time of judging.
    pub judged_at: Timestamp,
}

/// The reason for which there is no valid path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NoPath {
    /// The path ends below an issuer that is neither served nor trusted.
    NoIssuer {
        /// The issuer's distinguished name.
        issuer: String,
    },
    /// The path ends at a root that is not trusted.
    UntrustedRoot {
        /// The root's distinguished name.
        subject: String,
    },
    /// The authorities issued each other.
    Circle,
    /// A certificate cannot be read.
    Unreadable,
    /// The path to a trusted root has a fault.
    Fault {
        /// The first fault.
        fault: Fault,
    },
    /// Clients follow another certificate with the issuer's name, which comes first.
    OtherIssuerFirst,
    /// The search reached one of its limits.
    GivenUp,
    /// The certificate is not valid for the name.
    Hostname {
        /// The requested name.
        hostname: Hostname,
    },
}

/// The reason for which the chain does not lead to a trusted root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Untrusted {
    /// The chain ends at a root that is not trusted.
    Root {
        /// The root's distinguished name.
        subject: String,
    },
    /// The issuer of the last certificate is neither served nor trusted.
    Issuer {
        /// The issuer's distinguished name.
        issuer: String,
        /// A certificate with the issuer's name that is not the issuer.
        namesake: Option<Namesake>,
    },
    /// The served authorities issued each other.
    Circle,
    /// The server sends more certificates of one name than certvigil tries.
    TooManyCandidates,
    /// The path to the root is not valid.
    InvalidPath {
        /// The fault.
        fault: Fault,
    },
    /// The path cannot be verified.
    Unverifiable {
        /// The fault.
        fault: Fault,
    },
    /// There is no valid path, and no other finding is about the reason.
    NoValidPath {
        /// The reason.
        reason: NoPath,
        /// The fault to fix first.
        fault: Option<Fault>,
    },
}

/// A deviation from the rules for certificates.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Nonconformant {
    /// Strict clients refuse the certificate.
    Refused {
        /// The certificate.
        certificate: Certificate,
        /// Its position.
        position: Role,
        /// The deviations; at least one.
        deviations: Vec<Oddity>,
    },
    /// The certificate cannot be read.
    Unreadable {
        /// The certificate.
        certificate: Certificate,
        /// The part that cannot be read.
        reason: String,
    },
    /// Mainstream clients accept the deviations.
    Accepted {
        /// The certificate.
        certificate: Certificate,
        /// Its position.
        position: Role,
        /// Deviations from RFC 5280.
        deviations: Vec<Oddity>,
        /// Deviations from the CA/Browser Forum's rules for public authorities.
        baseline_deviations: Vec<Oddity>,
    },
    /// The certificates have more findings than are listed.
    MoreFindings {
        /// The number of the others. The most severe finding of each code is listed.
        count: usize,
    },
    /// The path cannot be verified.
    Unverifiable {
        /// The fault.
        fault: Fault,
    },
    /// There is no valid path, and no other finding is about the reason.
    NoValidPath {
        /// The reason.
        reason: NoPath,
        /// The fault to fix first.
        fault: Option<Fault>,
    },
}

/// The reporter of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReporter {
    /// The issuer's revocation list.
    Crl,
    /// The issuer's OCSP responder.
    Ocsp,
    /// The OCSP response that the server staples.
    Staple,
    /// The source of the expected certificate.
    Source,
}

/// The reason for which the TLSA records do not match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TlsaMismatch {
    /// The records are for the expected certificate, and another is served.
    WrongCertificate {
        /// The expected certificate.
        expected: Wanted,
    },
    /// A matching record requires a trusted root, to which there is no valid path.
    Untrusted {
        /// The record.
        record: TlsaRecord,
    },
    /// A record names an authority to which there is no valid path.
    NoPath {
        /// The record.
        record: TlsaRecord,
        /// The reason.
        reason: NoPath,
        /// The requested name.
        hostname: Hostname,
    },
    /// The records name an authority that is not served.
    AuthorityNotServed {
        /// The authority.
        authority: Certificate,
    },
    /// The records are for the pending instance only.
    PendingOnly,
    /// The records are for a previous instance only.
    PreviousOnly,
    /// No record matches.
    NoMatch {
        /// True if the served certificate is accepted, or if no particular certificate is expected.
        is_accepted: bool,
        /// The records: at most [`MAX_LISTED_RECORDS`].
        records: Vec<TlsaRecord>,
        /// The number of records.
        record_count: usize,
    },
    /// No record is usable.
    Unusable {
        /// The first record.
        record: Option<TlsaRecord>,
        /// True for mail between servers, which uses usages 2 and 3 only (RFC 7672, section
        /// 3.1.3).
        is_mail: bool,
    },
}

/// The reason for which DANE does not protect a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TlsaMissing {
    /// The host has no TLSA records for the port.
    NoRecords {
        /// The name at which they were requested.
        name: String,
        /// The record to publish.
        publish: TlsaRecord,
    },
    /// DNSSEC does not authenticate the records, or the addresses of a mail host.
    NotAuthenticated {
        /// The name of the records.
        name: String,
    },
    /// DNSSEC does not authenticate the MX records of the mail domain.
    UnsignedMx {
        /// The mail domain.
        domain: Hostname,
        /// True if DNSSEC authenticates TLSA records of the host.
        is_host_protected: bool,
    },
    /// DNSSEC does not authenticate the SRV records that name the host, so that clients do not use
    /// its TLSA records (RFC 7673, section 3.1).
    UnsignedSrv {
        /// The owner of the SRV records.
        service: String,
    },
    /// The endpoint cannot have TLSA records: it is an IP address, a local name, or speaks QUIC.
    NotApplicable {
        /// The host.
        hostname: Hostname,
        /// The protocol.
        protocol: Protocol,
    },
}

/// The reason for which senders do not deliver to a mail host under the MTA-STS policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StsMismatch {
    /// No `mx` pattern of the policy covers the host (RFC 8461, section 4.1).
    Host {
        /// The patterns: at most [`MAX_LISTED_RECORDS`].
        patterns: Vec<String>,
        /// The number of patterns.
        pattern_count: usize,
    },
    /// The host is allowed, and its certificate is not valid and trusted for its name, although a
    /// TLSA record matches (RFC 8461, section 4.2).
    Certificate,
}

/// A deviation that some clients refuse and most accept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refused {
    /// Clients refuse the chain.
    Chain {
        /// The reasons, most clients first; at least one.
        refusals: Vec<ClientRefusal>,
        /// The clients that accept the chain.
        accepted_by: Vec<Client>,
    },
    /// The server does not support secure renegotiation (RFC 5746).
    NoSecureRenegotiation,
    /// The server sent the warning `unrecognized_name`, which ends the handshake of Java.
    UnrecognizedName,
    /// The server sent the warning `no_renegotiation` during the handshake.
    NoRenegotiationAlert,
    /// The server sent another warning, which ends the handshake of Java.
    WarningAlert {
        /// The first such warning.
        alert: Alert,
    },
    /// The server cannot read a ClientHello of more than one packet, as clients with ML-KEM send it.
    LargeHello,
    /// The server does not accept the parameter `ech` of the HTTPS record, and clients refuse its
    /// certificate for the public name (RFC 9849, section 6.1.7).
    EchRejected {
        /// The public name in the parameter.
        public_name: Hostname,
        /// The reasons; at least one.
        refusals: Vec<ClientRefusal>,
    },
    /// With Encrypted Client Hello, the server serves another certificate, which clients refuse.
    EchAccepted {
        /// The reasons; at least one.
        refusals: Vec<ClientRefusal>,
    },
    /// Handshakes that offer Encrypted Client Hello fail.
    EchFailed {
        /// The clients that offer it.
        refused_by: Vec<Client>,
        /// The public name in the parameter, which these handshakes send as SNI.
        public_name: Hostname,
        /// The failure.
        reason: String,
    },
    /// The parameter `ech` of the HTTPS record cannot be decoded.
    EchMalformed {
        /// The clients that refuse it.
        refused_by: Vec<Client>,
    },
    /// The prime of the finite-field Diffie-Hellman exchange is too small.
    SmallDhPrime {
        /// The clients that refuse it.
        refused_by: Vec<Client>,
        /// Its size in bits.
        bits: u64,
        /// The minimum size in bits that all clients accept.
        required_bits: u64,
    },
    /// The server has nothing in common with the offer of some clients.
    NoCommonOffer {
        /// The clients.
        refused_by: Vec<Client>,
        /// The cipher suite that was negotiated with certvigil.
        cipher_suite: String,
        /// The negotiated group, if the clients do not offer it.
        group: Option<&'static str>,
        /// True if the negotiated signature uses SHA-1.
        is_signed_with_sha1: bool,
    },
}

/// The clients that refuse a chain for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ClientRefusal {
    /// The clients; at least one.
    pub clients: Vec<Client>,
    /// The reason.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// The weakness of a cipher suite that current clients do not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CipherWeakness {
    /// No encryption.
    Null,
    /// Export grade: 40 or 56 bits.
    Export,
    /// RC4 (RFC 7465).
    Rc4,
    /// Triple DES, with blocks of 64 bits (CVE-2016-2183).
    TripleDes,
    /// DES, with a key of 56 bits.
    Des,
    /// Another cipher with blocks of 64 bits (CVE-2016-2183).
    SmallBlocks,
}

/// A difference between a leaf and its replacement that a renewal does not have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MaterialChange {
    /// Another organization is the issuer.
    Issuer {
        /// Organization or common name of the issuer of the replaced leaf.
        before: String,
        /// Organization or common name of the issuer of the new leaf.
        after: String,
    },
    /// The new leaf is not valid for names of the replaced one.
    LostNames {
        /// The names: at most [`MAX_LISTED_NAMES`].
        names: Vec<String>,
        /// The number of the names.
        name_count: usize,
    },
    /// The new key has less security strength than the key of the replaced leaf.
    WeakerKey {
        /// Key of the replaced leaf.
        before: String,
        /// Key of the new leaf.
        after: String,
    },
}

impl MaterialChange {
    /// Returns the loss of these names.
    pub(crate) fn lost_names(names: &[&str]) -> Self {
        let listed = names.iter().take(MAX_LISTED_NAMES);
        Self::LostNames {
            names: listed.map(ToString::to_string).collect(),
            name_count: names.len(),
        }
    }
}

/// The result of a probe that every vantage can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The expected certificate with its chain.
    Expected,
    /// The expected certificate without its chain.
    ExpectedWithoutChain,
    /// A temporary certificate.
    Temporary,
    /// An unexpected certificate.
    Unexpected,
    /// The handshake fails.
    HandshakeFails,
    /// The address cannot be reached.
    Unreachable,
}
