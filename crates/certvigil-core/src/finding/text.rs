//! English text of findings. No other module writes a message or a hint of a finding.

mod chain;
mod clients;
mod fault;
mod handshake;
mod identity;
mod mta_sts;
mod replacement;
mod tlsa;
mod validity;

use crate::certificate::{Certificate, Facts};
use crate::instance::SourceKind;
use crate::model::{Timestamp, and_more};

use super::{ByVantage, Detail, RevocationReporter, Role, Seen, Wanted};

/// Maximum certificates in a message. A chain has two or three; a bundle of roots has a hundred.
const MAX_NAMED_CERTIFICATES: usize = 4;

/// The text of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text {
    /// The fact: one sentence without a full stop.
    pub message: String,
    /// The fix: one sentence without a full stop.
    pub hint: String,
}

impl Text {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Returns the text of a finding whose check a TLSA record replaces.
pub(super) fn replaced(text: Text) -> Text {
    Text::new(
        format!("{}; a TLSA record authenticates the server", text.message),
        format!(
            "nothing to fix for clients that use DANE; for others, {}",
            text.hint
        ),
    )
}

/// Returns the text of a finding with these facts.
pub(super) fn of(detail: &Detail) -> Text {
    match detail {
        Detail::WrongCertificate {
            served,
            is_newer,
            expected,
        } => identity::wrong_certificate(served.as_ref(), *is_newer, expected),
        Detail::PreviousInstance {
            older,
            grace_until,
            expected,
        } => identity::previous_instance(older, *grace_until, expected),
        Detail::SameKeyOtherCertificate {
            served,
            is_newer,
            expected,
        } => identity::same_key(served, *is_newer, expected),
        Detail::DummyCertificate { dummy, expected } => identity::dummy(*dummy, expected),
        Detail::MissingIntermediate { missing, expected } => chain::missing(missing, expected),
        Detail::Expired(validity) => validity::expired(validity),
        Detail::NotYetValid(validity) => validity::not_yet_valid(validity),
        Detail::Expiring(validity) => validity::expiring(validity),
        Detail::ChainExpired {
            validity,
            is_needed,
        } => validity::chain_expired(validity, *is_needed),
        Detail::ChainExpiring(validity) => validity::chain_expiring(validity),
        Detail::InvalidAuthority { faults } => chain::invalid_authority(faults),
        Detail::HostnameMismatch {
            hostname,
            names,
            name_count,
            is_address_in_dns_name,
        } => identity::hostname_mismatch(hostname, names, *name_count, *is_address_in_dns_name),
        Detail::KeyMismatch {
            certificate,
            pubkey_hash,
            key_pubkey_hash,
        } => identity::key_mismatch(certificate, *pubkey_hash, *key_pubkey_hash),
        Detail::UntrustedRoot(untrusted) => chain::untrusted(untrusted),
        Detail::SelfSigned { .. } => Text::new(
            "the certificate is self-signed, and no client trusts it by itself",
            "install a certificate from an authority, or give this one as --ca-file if its clients hold it",
        ),
        Detail::Revoked {
            reported_by,
            revoked_at,
            reason,
        } => revoked(*reported_by, *revoked_at, *reason),
        Detail::MustStapleMissing { fault } => handshake::must_staple_missing(fault.as_ref()),
        Detail::BadOcspStaple { fault, responder } => {
            handshake::bad_staple(fault, responder.as_deref())
        }
        Detail::TlsaMismatch {
            name,
            is_authenticated,
            mismatch,
            publish,
        } => tlsa::mismatch(name, *is_authenticated, mismatch, publish),
        Detail::TlsaMissing(missing) => tlsa::missing(missing),
        Detail::MtaStsMismatch {
            domain,
            hostname,
            id,
            mode,
            mismatch,
        } => mta_sts::mismatch(domain, hostname, id, *mode, mismatch),
        Detail::MtaStsUnusable { domain, fault } => mta_sts::unusable(domain, fault),
        Detail::Unreachable {
            address,
            responding,
            hostname,
            is_without_route,
            error,
        } => handshake::unreachable(*address, *responding, hostname, *is_without_route, error),
        Detail::HandshakeFailed {
            hostname,
            port,
            protocol,
            error,
            is_key_proved,
        } => match is_key_proved {
            true => handshake::incomplete(hostname, *protocol, error),
            false => handshake::failed(hostname, *port, *protocol, error),
        },
        Detail::RefusedByClients(refused) => clients::refused(refused),
        Detail::ChainOutOfOrder { certificate } => Text::new(
            format!(
                "{} is served before the certificate that it issued",
                name(certificate)
            ),
            "order the server's certificate file: the leaf first, then each issuer after what it issued",
        ),
        Detail::UnrelatedCertificate {
            certificates,
            is_chain_complete,
        } => chain::unrelated(certificates, *is_chain_complete),
        Detail::WeakSignature {
            certificate,
            position,
            algorithm,
        } => Text::new(
            format!(
                "{} has a weak signature: {algorithm}",
                described(*position, certificate)
            ),
            "have the certificate reissued: today's authorities sign with SHA-256 or better",
        ),
        Detail::WeakKey {
            certificate,
            position,
            key,
        } => Text::new(
            format!(
                "{} has a weak key: {key}",
                described(*position, certificate)
            ),
            match position {
                Role::Leaf => {
                    "make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it"
                }
                Role::Intermediate | Role::Anchor => {
                    "have the certificate reissued by an authority with a stronger key"
                }
            },
        ),
        Detail::LegacyProtocol {
            tls_version,
            is_key_proved,
        } => handshake::legacy_protocol(*tls_version, *is_key_proved),
        Detail::LegacyCipher {
            cipher_suite,
            weakness,
            tls_version,
            is_key_proved,
        } => handshake::legacy_cipher(cipher_suite, *weakness, *tls_version, *is_key_proved),
        Detail::NonconformantCertificate(nonconformant) => chain::nonconformant(nonconformant),
        Detail::AddressesDisagree {
            hostname,
            served,
            other,
            addresses,
            address_count,
        } => identity::addresses_disagree(
            hostname,
            served,
            other.as_ref(),
            addresses,
            *address_count,
        ),
        Detail::ByVantage(ByVantage::ReportedByVantage { finding }) => Text::new(
            format!("the vantage reports: {}", finding.message),
            finding.hint.as_str(),
        ),
        Detail::VantagesDisagree {
            vantage,
            seen,
            other_vantage,
            other_seen,
        } => Text::new(
            format!(
                "seen from `{other_vantage}`, {}; seen from `{vantage}`, {}",
                clause(*other_seen),
                clause(*seen)
            ),
            "check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them",
        ),
        Detail::MaterialChange {
            before,
            served,
            changes,
            until,
            ..
        } => replacement::material_change(before, served, changes, *until),
        Detail::SourceStale { last_success } => Text::new(
            format!(
                "the source has not reported the expected certificate since {last_success}; judged by its last report"
            ),
            "see certvigil's log for why the source fails, and fix its endpoint, credentials or file",
        ),
        Detail::RootIncluded { certificates } => Text::new(
            format!(
                "the root{} {} {} served along",
                plural(certificates.len()),
                names(certificates),
                is_or_are(certificates.len())
            ),
            "take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller",
        ),
        Detail::DuplicateCertificate { certificates } => Text::new(
            format!(
                "{} {} served more than once",
                names(certificates),
                is_or_are(certificates.len())
            ),
            "take the copy out of the server's certificate file",
        ),
        Detail::AlternateChain { .. } => Text::new(
            "the chain is complete by another path than the expected one",
            "nothing is broken; serve the chain that came with the certificate to reach the most clients",
        ),
        Detail::KeyTypeMissing { key_type } => Text::new(
            format!("the server has no {key_type} certificate here, but one with another key"),
            "nothing is broken; to probe for the other key, leave out --key-type or name that kind",
        ),
    }
}

fn revoked(
    reported_by: RevocationReporter,
    revoked_at: Option<Timestamp>,
    reason: Option<&'static str>,
) -> Text {
    let date = revoked_at.map(|at| format!(" on {}", at.date()));
    let reason = reason.map(|reason| format!(" ({reason})"));
    let reporter = match reported_by {
        RevocationReporter::Crl => ", according to its issuer's revocation list",
        RevocationReporter::Ocsp => ", according to its issuer's OCSP responder",
        RevocationReporter::Staple => ", according to the stapled OCSP response",
        RevocationReporter::Source => "",
    };
    Text::new(
        format!(
            "the served certificate has been revoked{}{}{reporter}",
            date.unwrap_or_default(),
            reason.unwrap_or_default()
        ),
        "install the newest certificate and reload the server",
    )
}

fn clause(seen: Seen) -> &'static str {
    match seen {
        Seen::Expected => "the right certificate is served",
        Seen::ExpectedWithoutChain => "the right certificate is served without its chain",
        Seen::Temporary => "a temporary certificate is served",
        Seen::Unexpected => "another certificate is served",
        Seen::HandshakeFails => "the handshake fails",
        Seen::Unreachable => "it cannot be reached",
    }
}

/// Describes a certificate by its position, and above the leaf also by its name.
fn described(position: Role, certificate: &Certificate) -> String {
    let name = || certificate.facts().map_or("(unreadable)", Facts::name);
    match position {
        Role::Leaf => "the certificate".into(),
        Role::Intermediate => format!("the intermediate `{}`", name()),
        Role::Anchor => format!("the root `{}`", name()),
    }
}

/// Returns the name of a certificate.
fn name(certificate: &Certificate) -> String {
    match certificate.facts() {
        Ok(facts) => format!("`{}`", facts.name()),
        Err(malformed) => format!("(unreadable: {malformed})"),
    }
}

/// Returns the names of certificates, at most [`MAX_NAMED_CERTIFICATES`] of them.
fn names(certificates: &[Certificate]) -> String {
    and_more(
        certificates.iter().take(MAX_NAMED_CERTIFICATES).map(name),
        certificates.len(),
    )
}

/// Returns a list with "and" before its last item.
fn list(items: &[impl AsRef<str>]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Returns a span of time in the largest unit that fits.
fn span(later: Timestamp, earlier: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let seconds = later.seconds_since(earlier).max(0);
    let (count, unit) = match seconds {
        _ if seconds < 2 * MINUTE => (seconds, "second"),
        _ if seconds < 2 * HOUR => (seconds / MINUTE, "minute"),
        _ if seconds < 2 * DAY => (seconds / HOUR, "hour"),
        _ => (seconds / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Returns the expected certificate, for "install …".
fn expected_name(expected: &Wanted) -> String {
    match expected {
        Wanted::Instance {
            id, certificate, ..
        } => {
            let validity = certificate.facts().ok().and_then(Facts::validity);
            let expiry = validity
                .map(|(_, not_after)| format!(" (expires on {})", not_after.date()))
                .unwrap_or_default();
            match id {
                Some(id) => format!("instance {id}{expiry}"),
                None => format!("the expected certificate{expiry}"),
            }
        }
        Wanted::Fingerprint => "the certificate with the expected fingerprint".into(),
        Wanted::PublicKey => "a certificate for the expected public key".into(),
        Wanted::Trust => "a valid certificate".into(),
    }
}

/// Returns the command that writes the server's certificate file, for copying. The file's name and
/// the URL, which may be a secret, are unknown here.
fn chain_command(expected: &Wanted) -> String {
    match expected {
        Wanted::Instance {
            source: SourceKind::Sslmate,
            certificate,
            ..
        } => {
            let facts = certificate.facts().ok();
            let name = facts.and_then(|facts| facts.common_name.as_deref());
            format!(
                "`certvigil chain --sslmate {}`",
                shell_word(name.unwrap_or("CN"))
            )
        }
        Wanted::Instance {
            source: SourceKind::Download,
            ..
        } => "`certvigil chain --download URL`".into(),
        Wanted::Instance { .. } | Wanted::Fingerprint | Wanted::PublicKey | Wanted::Trust => {
            "`certvigil chain --cert FILE`".into()
        }
    }
}

/// Returns a host name that a shell takes literally, or the placeholder `CN` for any other text.
fn shell_word(name: &str) -> String {
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match name.strip_prefix("*.").unwrap_or(name) {
        "" => "CN".into(),
        host if host.starts_with('-') || !host.chars().all(is_of_host) => "CN".into(),
        host if host.len() < name.len() => format!("'{name}'"),
        host => host.to_owned(),
    }
}
