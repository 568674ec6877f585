//! What mainstream TLS clients do with a served chain: one model for each, over the paths that our own validation found.
//!
//! A model is a column of the table in [`rules`]. Each rule is a trait of a path, and says which clients refuse a path
//! that has it. A client that tries several paths accepts if it does not refuse one of them. rustls' model is its own path
//! validation, webpki.

mod rules;
mod traits;
mod webpki_path;

use std::fmt;

use crate::certificate::Certificate;
use crate::model::{Hostname, Timestamp};

use super::TrustStore;
use super::path::{Found, Path};

pub use rules::{Effect, RULES, Rule};
pub use traits::Trait;

/// A client that is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    /// OpenSSL's library with its defaults, as `openssl s_client` uses it.
    Openssl,
    /// GnuTLS with the priority NORMAL, as `gnutls-cli` uses it.
    Gnutls,
    /// Go's crypto/tls.
    Go,
    /// Java's default trust manager.
    Java,
    /// Chromium.
    Chromium,
    /// rustls with webpki.
    Rustls,
}

impl Client {
    /// Every client, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Openssl,
        Self::Gnutls,
        Self::Go,
        Self::Java,
        Self::Chromium,
        Self::Rustls,
    ];

    /// The name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openssl => "openssl",
            Self::Gnutls => "gnutls",
            Self::Go => "go",
            Self::Java => "java",
            Self::Chromium => "chromium",
            Self::Rustls => "rustls",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Openssl => "OpenSSL",
            Self::Gnutls => "GnuTLS",
            Self::Go => "Go",
            Self::Java => "Java",
            Self::Chromium => "Chromium",
            Self::Rustls => "rustls",
        }
    }
}

/// What a client does with a served chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It accepts the chain.
    Accepts,
    /// It refuses the chain, for this reason.
    Refuses(Refusal),
    /// The model does not cover this case.
    Unknown,
}

/// Why a client refuses a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The trait of the path that it refuses, if it is one of the table.
    pub of: Option<Trait>,
    /// The reason for people: one clause.
    pub reason: String,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { of: None, reason }
    }
}

impl Opinion {
    /// True, false, or null in JSON.
    pub fn accepts(&self) -> Option<bool> {
        match self {
            Self::Accepts => Some(true),
            Self::Refuses(_) => Some(false),
            Self::Unknown => None,
        }
    }
}

/// The opinion of each client, in the order of [`Client::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients([Opinion; Client::ALL.len()]);

impl Clients {
    /// Each client with its opinion.
    pub fn iter(&self) -> impl Iterator<Item = (Client, &Opinion)> {
        Client::ALL.into_iter().zip(&self.0)
    }

    /// The clients that refuse the chain, each with its reason.
    pub fn refusals(&self) -> impl Iterator<Item = (Client, &Refusal)> {
        self.iter().filter_map(|(client, opinion)| match opinion {
            Opinion::Refuses(refusal) => Some((client, refusal)),
            Opinion::Accepts | Opinion::Unknown => None,
        })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// A served chain with everything that a client decides by.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) leaf: &'a Certificate,
    /// The served certificates after the leaf, as they came.
    pub(super) rest: &'a [Certificate],
    pub(super) hostname: &'a Hostname,
    pub(super) hostname_match: bool,
    pub(super) trust: &'a TrustStore,
    pub(super) now: Timestamp,
}

/// The opinion of each client on a served chain; `found` are its paths.
pub(super) fn opinions(presented: &Presented<'_>, found: &Found<'_>) -> Clients {
    let paths: Vec<Examined<'_>> = found
        .paths
        .iter()
        .filter(|path| path.is_anchored())
        .map(|path| Examined {
            path,
            traits: traits::of(path, presented),
        })
        .collect();
    if is_ordinary(presented, &paths) {
        return Clients(std::array::from_fn(|_| Opinion::Accepts));
    }
    Clients(Client::ALL.map(|client| match client {
        Client::Rustls => webpki_path::opinion(presented, &paths),
        _ => opinion(client, presented, found, &paths),
    }))
}

/// A path with its traits.
struct Examined<'a> {
    path: &'a Path<'a>,
    traits: Vec<(Trait, String)>,
}

/// Maximum intermediates of a path that every client follows.
const MAX_ORDINARY_INTERMEDIATES: usize = 4;

/// Returns true if no client has a reason to refuse the chain: exactly one path, served in its order, without any trait.
fn is_ordinary(presented: &Presented<'_>, paths: &[Examined<'_>]) -> bool {
    let [only] = paths else { return false };
    let served = std::iter::once(presented.leaf).chain(presented.rest);
    only.traits.is_empty()
        && only.path.faults.is_empty()
        && presented.hostname_match
        && only.path.certificates.len() <= MAX_ORDINARY_INTERMEDIATES + 1
        && served.eq(only.path.certificates.iter().copied())
}

fn opinion(
    client: Client,
    presented: &Presented<'_>,
    found: &Found<'_>,
    paths: &[Examined<'_>],
) -> Opinion {
    let mut refusal = None;
    let mut is_unknown = false;
    for examined in rules::preferred(client, paths) {
        match rules::verdict(client, &examined.traits) {
            Opinion::Accepts if presented.hostname_match => return Opinion::Accepts,
            Opinion::Accepts => {
                let reason = "the certificate is not valid for the name";
                refusal = refusal.or(Some(reason.to_owned().into()));
            }
            Opinion::Refuses(found) => refusal = refusal.or(Some(found)),
            Opinion::Unknown => is_unknown = true,
        }
    }
    match refusal {
        _ if is_unknown => Opinion::Unknown,
        Some(refusal) => Opinion::Refuses(refusal),
        None => {
            let reason = found.best().map(super::path::reason).unwrap_or_default();
            Opinion::Refuses(reason.into())
        }
    }
}
