//! The finding for a chain that some clients refuse, and that has no critical finding.

use std::collections::BTreeSet;

use crate::finding::{
    Client, ClientRefusal, Detail, Finding, Property, Refusal, Refused, Severity, Trait,
    TraitPosition,
};

use super::clients::{Clients, Opinion};
use super::handshake::severity_of;

/// Returns the finding for the clients that refuse a trusted chain. It names each of them with its
/// reason, and the clients that accept the chain.
///
/// Clients that cannot negotiate a handshake, `without_handshake`, do not accept it. The finding is
/// critical if most clients refuse a chain with a valid path, or if it is too large for certvigil's
/// own handshake. Without a valid path, other findings decide.
pub(super) fn finding(
    clients: &Clients,
    without_handshake: &[Client],
    has_path: bool,
) -> Option<Finding> {
    let mut groups: Vec<(&Refusal, Vec<Client>)> = Vec::new();
    for (client, refusal) in clients
        .refusals()
        .filter(|(_, r)| !is_reported_elsewhere(r))
    {
        match groups
            .iter_mut()
            .find(|(known, _)| known.of == refusal.of && known.reason == refusal.reason)
        {
            Some((_, clients)) => clients.push(client),
            None => groups.push((refusal, vec![client])),
        }
    }
    // Most clients first.
    groups.sort_by_key(|(_, clients)| std::cmp::Reverse(clients.len()));
    if groups.is_empty() {
        return None;
    }
    // The server may have another certificate for clients that do not offer the algorithm of this
    // key.
    let is_of_key = groups
        .iter()
        .all(|(refusal, _)| refusal.of.is_some_and(Trait::is_of_leaf_key));
    let severity = if is_of_key {
        Severity::Info
    } else if has_path && is_too_large(clients) {
        Severity::Critical
    } else if has_path {
        let refusing = groups.iter().flat_map(|(_, clients)| clients);
        let all: BTreeSet<&Client> = refusing.chain(without_handshake).collect();
        severity_of(all.len())
    } else {
        Severity::Warning
    };
    let refusals = groups.into_iter().map(|(refusal, clients)| ClientRefusal {
        clients,
        refusal: refusal.clone(),
    });
    let accepting = clients.iter().filter(|(client, opinion)| {
        **opinion == Opinion::Accepts && !without_handshake.contains(client)
    });
    let refused = Refused::Chain {
        refusals: refusals.collect(),
        accepted_by: accepting.map(|(client, _)| client).collect(),
    };
    let detail = Detail::RefusedByClients(refused);
    Some(Finding::with_severity(severity, detail))
}

/// Returns true for a chain that a probe cannot read either (`too_large`).
fn is_too_large(clients: &Clients) -> bool {
    let mut traits = clients.traits().iter();
    traits.any(|of| of.property == Property::LargeMessage64)
}

/// Returns true if the refusal has a separate finding, as a missing OCSP response has.
fn is_reported_elsewhere(refusal: &Refusal) -> bool {
    refusal
        .of
        .is_some_and(|of| of.property == Property::MustStaple && of.place == TraitPosition::Leaf)
}
