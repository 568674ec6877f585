//! The table of the client models: one row a rule.

use super::{Client, Examined, Opinion, Refusal, Trait};

/// What a client does with a path that has a trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It refuses the path.
    Refuses,
    /// It takes no notice.
    Accepts,
    /// It depends on more than the model knows.
    Unknown,
}

/// One row: a trait, and what each client does.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The trait of a path.
    pub of: Trait,
    /// What OpenSSL, GnuTLS, Go, Java and Chromium do, in the order of [`Client::ALL`].
    pub effects: [Effect; 5],
    /// Why: a section of an RFC, or of the client's documentation or source.
    pub source: &'static str,
}

use Effect::{Accepts as A, Refuses as R, Unknown as U};

/// Every rule. The versions that it holds for are in docs/clients.md, with the record of the real clients.
pub const RULES: &[Rule] = &[
    rule(
        Trait::LeafExpired,
        [R, R, R, R, R],
        "RFC 5280, 6.1.3 (a)(2)",
    ),
    rule(
        Trait::LeafNotYetValid,
        [R, R, R, R, R],
        "RFC 5280, 6.1.3 (a)(2)",
    ),
    rule(
        Trait::IntermediateExpired,
        [R, R, R, R, R],
        "RFC 5280, 6.1.3 (a)(2)",
    ),
    rule(
        Trait::IntermediateNotYetValid,
        [R, R, R, R, R],
        "RFC 5280, 6.1.3 (a)(2)",
    ),
    rule(
        Trait::RootExpired,
        [R, R, R, A, R],
        "RFC 5280, 6.1.1 (d) does not ask for it",
    ),
    rule(
        Trait::RootNotYetValid,
        [R, R, R, A, R],
        "RFC 5280, 6.1.1 (d) does not ask for it",
    ),
    rule(
        Trait::IntermediateNotCa,
        [R, R, R, R, R],
        "RFC 5280, 6.1.4 (k)",
    ),
    rule(
        Trait::IntermediateNoBasicConstraints,
        [R, R, R, R, R],
        "RFC 5280, 6.1.4 (k)",
    ),
    rule(
        Trait::IntermediateOldVersion,
        [R, R, R, R, R],
        "RFC 5280, 6.1.4 (k)",
    ),
    rule(
        Trait::IntermediateNoKeyCertSign,
        [R, R, R, R, R],
        "RFC 5280, 6.1.4 (n)",
    ),
    rule(Trait::RootNotCa, [R, R, R, R, R], "RFC 5280, 4.2.1.9"),
    rule(
        Trait::RootNoBasicConstraints,
        [R, R, R, R, R],
        "RFC 5280, 4.2.1.9",
    ),
    rule(
        Trait::RootNoKeyCertSign,
        [R, R, R, R, R],
        "RFC 5280, 4.2.1.3",
    ),
    rule(
        Trait::PathLength,
        [R, R, R, R, R],
        "RFC 5280, 6.1.4 (l), (m)",
    ),
    rule(Trait::RootPathLength, [R, R, R, R, R], "RFC 5280, 4.2.1.9"),
    rule(
        Trait::LeafNotForServers,
        [R, R, R, R, R],
        "RFC 5280, 4.2.1.12",
    ),
    rule(
        Trait::IntermediateNotForServers,
        [R, R, R, R, R],
        "CA/Browser Forum, 7.1.2",
    ),
    rule(
        Trait::RootNotForServers,
        [R, R, R, R, R],
        "CA/Browser Forum, 7.1.2",
    ),
    rule(Trait::NoTlsKeyUsage, [R, R, A, R, R], "RFC 5280, 4.2.1.3"),
    rule(
        Trait::RsaWithoutDigitalSignature,
        [A, R, A, R, R],
        "RFC 8446, 4.4.2.2",
    ),
    rule(
        Trait::EcWithoutDigitalSignature,
        [R, R, A, R, R],
        "RFC 8446, 4.4.2.2",
    ),
    rule(
        Trait::NameConstraint,
        [R, R, R, R, R],
        "RFC 5280, 6.1.3 (b), (c)",
    ),
    rule(
        Trait::RootNameConstraint,
        [R, R, R, R, R],
        "RFC 5280, 4.2.1.10",
    ),
    rule(
        Trait::NameConstraintUnsupported,
        [R, R, R, R, R],
        "RFC 5280, 4.2.1.10",
    ),
    rule(
        Trait::NameConstraintMalformed,
        [R, R, R, R, R],
        "RFC 5280, 4.2.1.10",
    ),
    rule(Trait::NoValidPolicy, [A, A, R, R, R], "RFC 5280, 6.1.5 (g)"),
    rule(
        Trait::AnyPolicyMapped,
        [A, A, A, R, R],
        "RFC 5280, 6.1.4 (a)",
    ),
    rule(Trait::LeafUnknownCritical, [R, R, R, R, R], "RFC 5280, 4.2"),
    rule(
        Trait::IntermediateUnknownCritical,
        [R, R, R, R, R],
        "RFC 5280, 4.2",
    ),
    rule(Trait::RootUnknownCritical, [R, R, R, R, R], "RFC 5280, 4.2"),
    rule(Trait::MalformedExtension, [R, R, R, R, R], "RFC 5280, 4.2"),
    rule(
        Trait::RootMalformedExtension,
        [R, R, R, R, R],
        "RFC 5280, 4.2",
    ),
    rule(Trait::DuplicateExtension, [R, R, R, R, R], "RFC 5280, 4.2"),
    rule(Trait::Unverifiable, [U, U, U, U, U], "not verified here"),
    rule(Trait::WeakSignature, [R, R, R, A, R], "RFC 9155"),
    rule(
        Trait::AlgorithmMismatch,
        [R, R, R, R, R],
        "RFC 5280, 4.1.1.2",
    ),
    rule(Trait::TinyKey, [R, R, A, R, R], "key size"),
    rule(Trait::WeakKey, [R, A, A, A, A], "OpenSSL: security level 2"),
    rule(Trait::Unreadable, [R, R, R, R, R], "RFC 5280, 4.1"),
    rule(Trait::NameEncoding, [A, R, R, A, A], "RFC 5280, 7.1"),
    rule(Trait::KeyIdentifier, [R, R, A, A, A], "RFC 5280, 4.2.1.1"),
    rule(
        Trait::KeyIdentifierIssuer,
        [R, A, A, A, A],
        "RFC 5280, 4.2.1.1",
    ),
    rule(
        Trait::CriticalPolicies,
        [A, A, A, A, A],
        "RFC 5280, 4.2.1.4",
    ),
    rule(
        Trait::CriticalKeyIdentifier,
        [R, A, A, A, A],
        "RFC 5280, 4.2.1.1, 4.2.1.2",
    ),
    rule(Trait::LeafIsAuthority, [A, A, A, A, A], "RFC 5280, 4.2.1.9"),
    rule(Trait::LeafInStore, [A, A, A, A, A], "RFC 5280, 6.1"),
    rule(
        Trait::RootNotSelfIssued,
        [R, A, A, A, A],
        "OpenSSL: X509_V_FLAG_PARTIAL_CHAIN",
    ),
    rule(
        Trait::ManyIntermediates,
        [A, A, A, A, A],
        "webpki: six intermediates",
    ),
    rule(Trait::NegativeSerial, [A, A, A, A, A], "RFC 5280, 4.1.2.2"),
    rule(
        Trait::UniqueIdentifiers,
        [A, A, A, A, A],
        "RFC 5280, 4.1.2.8",
    ),
    rule(Trait::UnknownVersion, [A, R, A, R, R], "RFC 5280, 4.1.2.1"),
    rule(
        Trait::LeafEd25519,
        [A, A, A, A, R],
        "RFC 8446, 4.2.3: not offered",
    ),
    rule(
        Trait::LeafP521,
        [A, A, A, A, R],
        "RFC 8446, 4.2.3: not offered",
    ),
    rule(
        Trait::LeafRsaPss,
        [A, A, R, A, R],
        "RFC 8446, 4.2.3: not offered",
    ),
];

const fn rule(of: Trait, effects: [Effect; 5], source: &'static str) -> Rule {
    Rule {
        of,
        effects,
        source,
    }
}

/// The paths that a client tries, in its order.
pub(super) fn preferred<'p, 'a>(
    _client: Client,
    paths: &'p [Examined<'a>],
) -> impl Iterator<Item = &'p Examined<'a>> {
    paths.iter()
}

/// What a client does with a path that has these traits.
pub(super) fn verdict(client: Client, traits: &[(Trait, String)]) -> Opinion {
    let mut is_unknown = false;
    for (of, words) in traits {
        match effect(client, *of) {
            Effect::Refuses => {
                return Opinion::Refuses(Refusal {
                    of: Some(*of),
                    reason: words.clone(),
                });
            }
            Effect::Unknown => is_unknown = true,
            Effect::Accepts => {}
        }
    }
    if is_unknown {
        Opinion::Unknown
    } else {
        Opinion::Accepts
    }
}

fn effect(client: Client, of: Trait) -> Effect {
    let column = Client::ALL.iter().position(|c| *c == client);
    let rule = RULES.iter().find(|rule| rule.of == of);
    let effect = rule.zip(column).and_then(|(rule, at)| rule.effects.get(at));
    effect.copied().unwrap_or(Effect::Unknown)
}
