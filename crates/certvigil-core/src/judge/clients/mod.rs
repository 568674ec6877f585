//! Models of mainstream TLS clients: the result of each client for a served chain, based on the
//! paths that our own validation found.
//!
//! A model is a column of the table in [`rules`]. Each rule is a trait of a path, and lists the
//! clients that refuse a path with it. A client that tries several paths accepts the chain if it
//! accepts one of them. The model of rustls is its own path validation, webpki.

mod beside;
mod first_path;
mod gnutls_path;
mod hosts;
mod java_path;
mod rules;
mod stored_path;
mod traits;
mod webpki_path;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use crate::certificate::{Certificate, Facts, Key, Kind, rsa};
use crate::finding::{Client, Property, Refusal, Trait, TraitPosition};
use crate::model::{Hostname, Timestamp};

use super::TrustStore;
use super::links::Signatures;
use super::path::{Found, Path};

pub use beside::BESIDE;
pub(super) use first_path::{best as best_issuer, is_self_signed as is_named_self_signed};
pub(super) use hosts::unknown_for as unknown_for_names;
pub use rules::{Effect, Effects, RULES, Rule};
pub(super) use traits::Constraints;

/// Opinion of a client on a served chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It accepts the chain.
    Accepts,
    /// It refuses the chain, for this reason.
    Refuses(Refusal),
    /// The model does not cover this case.
    Unknown,
}

impl Opinion {
    /// Returns true, false, or null in JSON.
    pub fn accepts(&self) -> Option<bool> {
        match self {
            Self::Accepts => Some(true),
            Self::Refuses(_) => Some(false),
            Self::Unknown => None,
        }
    }
}

/// The opinion of each client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// In the order of [`Client::ALL`].
    opinions: [Opinion; Client::ALL.len()],
    traits: Vec<Trait>,
}

impl Clients {
    /// Returns each client with its opinion.
    pub fn iter(&self) -> impl Iterator<Item = (Client, &Opinion)> {
        Client::ALL.into_iter().zip(&self.opinions)
    }

    /// Returns the opinions of clients that need this and the other chain or name: a refusal of one
    /// of them is a refusal.
    pub(super) fn and(self, other: Self) -> Self {
        let mut others = other.opinions.into_iter();
        let opinions = self.opinions.map(|own| match (own, others.next()) {
            (own @ Opinion::Refuses(_), _) => own,
            (_, Some(other @ Opinion::Refuses(_))) => other,
            (Opinion::Unknown, _) => Opinion::Unknown,
            (own, other) => other.unwrap_or(own),
        });
        let traits: BTreeSet<Trait> = self.traits.into_iter().chain(other.traits).collect();
        Self {
            opinions,
            traits: traits.into_iter().collect(),
        }
    }

    /// Returns the opinions behind a pointer. Those of all chains that every client accepts, and
    /// whose paths have no traits, are one object.
    pub(super) fn shared(self) -> Arc<Self> {
        static ACCEPTED: LazyLock<Arc<Clients>> = LazyLock::new(|| Arc::new(Clients::accepted()));
        match self == **ACCEPTED {
            true => ACCEPTED.clone(),
            false => Arc::new(self),
        }
    }

    /// Returns the opinions on a chain that every client accepts, and whose paths have no traits.
    fn accepted() -> Self {
        Self {
            opinions: std::array::from_fn(|_| Opinion::Accepts),
            traits: Vec::new(),
        }
    }

    /// Makes clients refuse that cannot negotiate a handshake with the server.
    pub(super) fn refuse(&mut self, refusing: &[Client], reason: &str) {
        for (client, opinion) in Client::ALL.iter().zip(&mut self.opinions) {
            if refusing.contains(client) && !matches!(opinion, Opinion::Refuses(_)) {
                *opinion = Opinion::Refuses(reason.to_owned().into());
            }
        }
    }

    /// Makes the opinions of clients unknown that may refuse for a reason that is not known.
    pub(super) fn doubt(&mut self, doubted: &[Client]) {
        for (client, opinion) in Client::ALL.iter().zip(&mut self.opinions) {
            if doubted.contains(client) && *opinion == Opinion::Accepts {
                *opinion = Opinion::Unknown;
            }
        }
    }

    /// Returns the distinct traits of the paths, in the order of the rules.
    pub fn traits(&self) -> &[Trait] {
        &self.traits
    }

    /// Returns the clients that refuse the chain, each with its reason.
    pub fn refusals(&self) -> impl Iterator<Item = (Client, &Refusal)> {
        self.iter().filter_map(|(client, opinion)| match opinion {
            Opinion::Refuses(refusal) => Some((client, refusal)),
            Opinion::Accepts | Opinion::Unknown => None,
        })
    }
}

/// Returns true if the certificate has the name as its common name, and no alternative names of
/// another kind than e-mail.
pub(super) fn has_common_name(leaf: &Certificate, hostname: &Hostname) -> bool {
    let Ok(facts) = leaf.facts() else {
        return false;
    };
    hosts::property(facts, hostname, facts.matches(hostname)) == Some(Property::CommonName)
}

/// A served chain with all facts on which clients decide.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) leaf: &'a Certificate,
    /// The served certificates after the leaf, in the order received.
    pub(super) rest: &'a [Certificate],
    /// The name that clients match; `None` to leave the name out of the judgement.
    pub(super) hostname: Option<&'a Hostname>,
    pub(super) hostname_match: bool,
    /// True if an OCSP response is stapled.
    pub(super) is_stapled: bool,
    /// True if the leaf's own key verifies its signature.
    pub(super) is_self_signed: bool,
    /// True if the key exchange is RSA with the key of the leaf, without a signature.
    pub(super) is_static_rsa: bool,
    /// True for TLS 1.3, where each certificate of the message has extensions.
    pub(super) is_tls13: bool,
    pub(super) trust: &'a TrustStore,
    /// The budget of the probe, for paths that only one client builds.
    pub(super) signatures: &'a Signatures,
    pub(super) constraints: &'a Constraints<'a>,
    pub(super) now: Timestamp,
}

impl Presented<'_> {
    /// Returns the size in octets of the Certificate message, without a stapled OCSP response in it
    /// (RFC 5246, section 7.4.2; RFC 8446, section 4.4.2).
    fn message_bytes(&self) -> usize {
        /// Octets of the length of the list, and of that of a certificate.
        const LENGTH: usize = 3;
        /// Octets of the length of the extensions of a certificate.
        const EXTENSIONS: usize = 2;
        /// Octets of the length of the context, which is empty.
        const CONTEXT: usize = 1;
        let all = std::iter::once(self.leaf).chain(self.rest);
        if self.is_tls13 {
            let entries = all.map(|c| LENGTH + c.der().len() + EXTENSIONS);
            CONTEXT + LENGTH + entries.sum::<usize>()
        } else {
            LENGTH + all.map(|c| LENGTH + c.der().len()).sum::<usize>()
        }
    }
}

/// Returns the opinion of each client on a served chain; `found` contains its paths.
pub(super) fn opinions(presented: &Presented<'_>, found: &Found<'_>) -> Clients {
    let of_name = traits::of_name(presented);
    let paths: Vec<Examined<'_>> = found
        .paths
        .iter()
        .filter(|path| path.is_anchored())
        .map(|path| Examined {
            path,
            traits: traits::of(path, presented, of_name),
        })
        .collect();
    if is_ordinary(presented, &paths) {
        return Clients::accepted();
    }
    let opinions = Client::ALL.map(|client| match client {
        // Without a path, webpki would repeat the search.
        Client::Rustls if paths.is_empty() && !found.is_bounded => Opinion::Refuses(no_path(found)),
        Client::Rustls => webpki_path::opinion(presented, &paths),
        Client::Openssl => stored_path::opinion(presented, of_name)
            .unwrap_or_else(|| opinion(client, presented, found, &paths)),
        _ => opinion(client, presented, found, &paths),
    });
    let of_paths = paths.iter().flat_map(|examined| &examined.traits);
    let of_paths = of_paths.map(|(of, _)| *of);
    let of_refusals = opinions.iter().filter_map(|opinion| match opinion {
        Opinion::Refuses(refusal) => refusal.of,
        Opinion::Accepts | Opinion::Unknown => None,
    });
    let traits: BTreeSet<Trait> = of_paths.chain(of_refusals).collect();
    Clients {
        opinions,
        traits: traits.into_iter().collect(),
    }
}

/// A path with its traits.
struct Examined<'a> {
    path: &'a Path<'a>,
    traits: Vec<(Trait, String)>,
}

/// Maximum intermediates in a path that every client accepts.
const MAX_ORDINARY_INTERMEDIATES: usize = 4;

/// Returns true if no client has a reason to refuse the chain: exactly one path, served in order
/// and without traits, and only certificates whose contents webpki knows.
fn is_ordinary(presented: &Presented<'_>, paths: &[Examined<'_>]) -> bool {
    let [only] = paths else { return false };
    let served = std::iter::once(presented.leaf).chain(presented.rest);
    let anchor = only.path.anchor().and_then(|a| a.certificate());
    let mut all = only.path.certificates.iter().copied().chain(anchor);
    only.traits.is_empty()
        && only.path.faults.is_empty()
        && only.path.anchor().is_some()
        && anchor.is_none_or(|c| c.facts().is_ok_and(Facts::is_self_issued))
        && presented.hostname_match
        && only.path.certificates.len() <= MAX_ORDINARY_INTERMEDIATES + 1
        && served.eq(only.path.certificates.iter().copied())
        && presented.leaf.facts().is_ok_and(|facts| !facts.is_ca)
        && is_only_of_name(only.path, presented)
        && all.all(is_plain)
}

/// Returns true if no other trust anchor has the name of the path's anchor, and none that of an
/// intermediate: OpenSSL would follow it.
fn is_only_of_name(path: &Path<'_>, presented: &Presented<'_>) -> bool {
    let is_anchor_alone = path.anchor().is_some_and(|anchor| {
        let mut named = presented.trust.named(&anchor.normal_name);
        named.nth(1).is_none()
    });
    let mut intermediates = path.certificates.iter().skip(1);
    is_anchor_alone
        && intermediates.all(|certificate| {
            certificate.facts().is_ok_and(|facts| {
                let mut named = presented.trust.named(&facts.subject_normal);
                named.next().is_none()
            })
        })
}

/// Returns true for a certificate that contains only what every client knows.
fn is_plain(certificate: &Certificate) -> bool {
    certificate.facts().is_ok_and(|facts| {
        let extensions = &facts.extensions;
        let is_known = |kind: &Kind| {
            matches!(
                kind,
                Kind::BasicConstraints
                    | Kind::KeyUsage
                    | Kind::ExtendedKeyUsage
                    | Kind::SubjectAltName
            )
        };
        let is_known_key = match &facts.key {
            Key::Rsa(bits) => {
                let numbers = certificate.public_key();
                let numbers = numbers.and_then(|(_, key)| rsa::PublicKey::read(key));
                PLAIN_RSA.contains(bits)
                    && bits % 8 == 0
                    && numbers.is_some_and(|key| key.is_for_library())
            }
            Key::Ec(..) => true,
            _ => false,
        };
        facts.oddities.is_empty()
            && facts.version == 3
            && extensions.name_constraints.is_none()
            && (extensions.list.iter()).all(|l| !l.is_critical || is_known(&l.kind))
            && is_known_key
            && facts.signature.is_common
    })
}

/// Sizes in bits of RSA keys with which every client verifies.
const PLAIN_RSA: std::ops::RangeInclusive<usize> = 2048..=8192;

fn opinion(
    client: Client,
    presented: &Presented<'_>,
    found: &Found<'_>,
    paths: &[Examined<'_>],
) -> Opinion {
    let mut refusal = None;
    let mut is_unknown = false;
    let preferred = first_path::preferred(client, presented, paths);
    for examined in &preferred {
        match rules::verdict(client, &examined.traits) {
            _ if first_path::is_ambiguous(client, examined, presented) => is_unknown = true,
            Opinion::Accepts => return Opinion::Accepts,
            Opinion::Refuses(found) => refusal = refusal.or(Some(found)),
            Opinion::Unknown => is_unknown = true,
        }
    }
    if is_unknown || (found.is_bounded && paths.is_empty()) {
        return Opinion::Unknown;
    }
    // The path that the client needs may have a reason of its own.
    let others = paths.iter().filter(|_| preferred.is_empty());
    let mut others = others.filter_map(|e| match rules::verdict(client, &e.traits) {
        Opinion::Refuses(refusal) => Some(refusal),
        Opinion::Accepts | Opinion::Unknown => None,
    });
    let refusal = refusal.or_else(|| others.next()).or_else(|| {
        let is_other = preferred.is_empty() && found.is_valid();
        is_other.then(|| Refusal {
            of: Some(Trait {
                place: TraitPosition::Chain,
                property: Property::OtherPathFirst,
            }),
            reason: first_path::NOT_VALID.into(),
        })
    });
    Opinion::Refuses(refusal.unwrap_or_else(|| no_path(found)))
}

/// Returns the refusal of a chain that leads to no trust anchor.
fn no_path(found: &Found<'_>) -> Refusal {
    let reason = found.best().map(super::path::reason);
    let reason = reason.map(|reason| reason.to_string());
    reason.unwrap_or_default().into()
}
