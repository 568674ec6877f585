//! Codes of findings and their severities, in one table.

use std::fmt;

/// Severity of a finding. The order is the order of exit codes: the greatest determines the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to report.
    Ok,
    /// Worth knowing; nothing to fix.
    Info,
    /// To be fixed, but clients still connect.
    Warning,
    /// The endpoint could not be judged. Never the severity of a finding.
    Unknown,
    /// Clients fail now or within days, or the server does not serve the expected certificate.
    Critical,
}

impl Severity {
    /// Returns the name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The table of codes: for each its public name, its possible severities, and its meaning.
macro_rules! codes {
    ($($variant:ident $name:literal [$($severity:ident)+] $meaning:literal;)+) => {
        /// The subject of a finding. The names are fixed: scripts and alerts match on them.
        // Exhaustive: a new code must not compile until every output handles it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $meaning] $variant,)+ }

        impl Code {
            /// Every code, most severe first.
            pub const ALL: &'static [Code] = &[$(Self::$variant,)+];

            /// Returns the name in JSON, labels and documentation.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns the meaning, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// Returns the severities that a finding of this code may have.
            pub fn severities(self) -> &'static [Severity] {
                match self { $(Self::$variant => &[$(Severity::$severity),+],)+ }
            }
        }
    };
}

codes! {
    WrongCertificate "wrong_certificate" [Critical] "Another certificate than the expected one is served.";
    PreviousInstance "previous_instance" [Critical Warning] "An older instance of the expected certificate is still served.";
    SameKeyOtherCertificate "same_key_other_certificate" [Critical] "Another certificate for the expected public key is served.";
    DummyCertificate "dummy_certificate" [Warning Critical] "The temporary, self-signed certificate of a pending instance is served.";
    MissingIntermediate "missing_intermediate" [Critical] "A certificate between the leaf and the root is not served.";
    Expired "expired" [Critical] "The served leaf has expired.";
    NotYetValid "not_yet_valid" [Critical] "The served leaf, or a certificate of its chain, is not valid yet.";
    Expiring "expiring" [Warning Critical] "The served leaf expires soon.";
    ChainExpired "chain_expired" [Critical Warning] "An intermediate or a root has expired.";
    InvalidAuthority "invalid_authority" [Critical] "An issuer in the chain, or the root, may not issue certificates.";
    HostnameMismatch "hostname_mismatch" [Critical] "The served leaf is not valid for the host name.";
    UntrustedRoot "untrusted_root" [Critical] "The served chain does not lead to a trusted root.";
    SelfSigned "self_signed" [Critical] "The served leaf is self-signed and not trusted.";
    KeyMismatch "key_mismatch" [Critical] "The private key does not belong to the certificate in the file.";
    Revoked "revoked" [Critical] "The served leaf has been revoked.";
    MustStapleMissing "must_staple_missing" [Critical] "The certificate requires a stapled OCSP response, and no valid one is served.";
    TlsaMismatch "tlsa_mismatch" [Critical Warning] "The served certificates do not match the TLSA records (DANE).";
    TlsaMissing "tlsa_missing" [Critical Warning Info] "DANE does not protect the host: records or DNSSEC signatures are missing.";
    MtaStsMismatch "mta_sts_mismatch" [Critical Warning] "The MTA-STS policy of the mail domain does not allow the mail host.";
    Unreachable "unreachable" [Critical] "An address does not respond, while another address of the host does.";
    HandshakeFailed "handshake_failed" [Critical] "The server responds, but the TLS handshake fails.";
    MtaStsUnusable "mta_sts_unusable" [Warning] "The mail domain announces an MTA-STS policy that senders cannot use.";
    ChainExpiring "chain_expiring" [Warning] "An intermediate or the root expires soon.";
    RefusedByClients "refused_by_clients" [Warning Critical Info] "Some mainstream clients refuse what most accept.";
    ChainOutOfOrder "chain_out_of_order" [Warning] "The served chain is not in the order that TLS 1.2 requires.";
    UnrelatedCertificate "unrelated_certificate" [Warning] "A served certificate does not belong to the chain of the leaf.";
    WeakSignature "weak_signature" [Warning] "A served certificate is signed with MD5 or SHA-1.";
    WeakKey "weak_key" [Warning] "A served certificate has an RSA key under 2048 or an EC key under 256 bits.";
    LegacyProtocol "legacy_protocol" [Warning] "The server supports nothing newer than TLS 1.1.";
    LegacyCipher "legacy_cipher" [Critical] "The server offers only RC4, 3DES, export or NULL cipher suites.";
    NonconformantCertificate "nonconformant_certificate" [Warning Info] "A certificate deviates from RFC 5280.";
    BadOcspStaple "bad_ocsp_staple" [Warning] "The stapled OCSP response is unusable.";
    AddressesDisagree "addresses_disagree" [Warning] "The addresses of one host serve different leaves.";
    VantagesDisagree "vantages_disagree" [Warning] "The results of two vantages for one address differ.";
    MaterialChange "material_change" [Warning] "Another certificate than before is served, and it is not a renewal.";
    SourceStale "source_stale" [Warning] "The source of the expected certificate does not respond, and its last result is old.";
    RootIncluded "root_included" [Info] "The root is served, and clients do not need it.";
    DuplicateCertificate "duplicate_certificate" [Info] "A certificate is served more than once.";
    AlternateChain "alternate_chain" [Info] "The chain is complete by another path than the expected one.";
    KeyTypeMissing "key_type_missing" [Info] "The server has no certificate of this key type, but one of another.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
