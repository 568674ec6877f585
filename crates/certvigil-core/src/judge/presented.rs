//! What clients are presented with in a handshake.

use std::collections::HashSet;

use crate::certificate::Certificate;
use crate::model::{Hostname, Timestamp};
use crate::observation::{Served, Staple, TlsVersion};

use super::clients::{Constraints, Presented};
use super::links::{Links, Signatures};
use super::{TrustStore, path};

/// The input of the judgement of a chain, apart from the handshake.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) trust: &'a TrustStore,
    pub(super) links: &'a Links<'a>,
    pub(super) signatures: &'a Signatures,
    pub(super) now: Timestamp,
}

/// Returns what clients of this name are presented with; `None` leaves the name out.
pub(super) fn presented<'a>(
    served: &'a Served,
    hostname: Option<&'a Hostname>,
    context: Context<'a>,
    constraints: &'a Constraints<'a>,
) -> Presented<'a> {
    let leaf = &served.leaf;
    let is_match = |hostname| path::matches_name(leaf, hostname) == Some(true);
    Presented {
        leaf,
        rest: &served.rest,
        hostname,
        hostname_match: hostname.is_none_or(is_match),
        is_stapled: served.revocation.staple != Staple::Absent,
        is_self_signed: context.links.issued(leaf, leaf),
        is_static_rsa: served.cipher_suite.starts_with("TLS_RSA_WITH_"),
        is_tls13: served.tls_version == TlsVersion::Tls13,
        trust: context.trust,
        signatures: context.signatures,
        constraints,
        now: context.now,
    }
}

/// Returns the distinct served certificates above the leaf.
pub(super) fn once_each<'a>(leaf: &Certificate, rest: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut seen = HashSet::from([leaf.sha256()]);
    rest.iter().filter(|c| seen.insert(c.sha256())).collect()
}
