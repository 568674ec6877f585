//! The finding for a chain that some clients refuse, and that no critical finding is about.

use crate::finding::{Code, Finding, Severity};

use super::clients::{Client, Clients, Opinion, Place, Property, Refusal, Trait};

/// The finding for the clients that refuse a trusted chain. It names each client that does, with its reason, and the clients
/// that accept the chain.
pub(super) fn finding(clients: &Clients) -> Option<Finding> {
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
    // The most clients first.
    groups.sort_by_key(|(_, clients)| std::cmp::Reverse(clients.len()));
    let (first, _) = groups.first()?;
    let mut parts: Vec<String> = groups
        .iter()
        .map(|(refusal, clients)| {
            let verb = if clients.len() == 1 {
                "refuses"
            } else {
                "refuse"
            };
            format!(
                "{} {verb} the certificate: {}",
                list(clients),
                refusal.reason
            )
        })
        .collect();
    let accepting: Vec<Client> = clients
        .iter()
        .filter(|(_, opinion)| **opinion == Opinion::Accepts)
        .map(|(client, _)| client)
        .collect();
    if !accepting.is_empty() {
        let verb = if accepting.len() == 1 {
            "accepts"
        } else {
            "accept"
        };
        parts.push(format!("{} {verb} it", list(&accepting)));
    }
    // A server may have another certificate for clients that do not offer the algorithm of this key.
    let is_of_key = groups
        .iter()
        .all(|(refusal, _)| refusal.of.is_some_and(is_of_key));
    let severity = if is_of_key {
        Severity::Info
    } else {
        Severity::Warning
    };
    let finding = Finding::with_severity(
        Code::RefusedByClients,
        severity,
        parts.join("; "),
        advice(first),
    );
    Some(finding)
}

/// A missing OCSP response has a finding of its own.
fn is_reported_elsewhere(refusal: &Refusal) -> bool {
    refusal
        .of
        .is_some_and(|of| of.property == Property::MustStaple)
}

/// Returns true if a client refuses only the kind of the leaf's key.
fn is_of_key(of: Trait) -> bool {
    of.place == Place::Leaf
        && matches!(
            of.property,
            Property::Ed25519 | Property::Ed448 | Property::P521 | Property::RsaPssKey
        )
}

fn list(clients: &[Client]) -> String {
    let names: Vec<&str> = clients.iter().map(|c| c.title()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

fn advice(refusal: &Refusal) -> &'static str {
    let Some(of) = refusal.of else {
        return OTHERWISE;
    };
    match (of.place, of.property) {
        _ if is_of_key(of) => {
            "serve a certificate with an RSA or a P-256 key, or one beside this: servers choose by what the client offers"
        }
        (
            _,
            Property::KeyIdentifier | Property::KeyIdentifierOfNone | Property::KeyIdentifierIssuer,
        ) => {
            "serve the issuer's certificate that the authorityKeyIdentifier names, or have the certificate reissued by the present one"
        }
        (_, Property::NameEncoding | Property::NameCase | Property::NameInBmp) => {
            "have the certificate reissued with the issuer's name encoded byte by byte as in the issuer's certificate"
        }
        (_, Property::NoDigitalSignature | Property::EmptyKeyUsage) => {
            "have the certificate reissued with digitalSignature in its key usage"
        }
        (Place::Intermediate, Property::WeakRsa | Property::TinyRsa) => {
            "have the certificate issued by an authority with a stronger key"
        }
        (Place::Leaf, Property::WeakRsa | Property::TinyRsa) => {
            "have the certificate reissued for a key of RSA 2048, EC P-256 or stronger"
        }
        (_, Property::NotSelfIssued | Property::StoredLeaf | Property::StoredLeafAlone) => {
            "give clients the root of this certificate: OpenSSL accepts another certificate as trust anchor only with -partial_chain"
        }
        (_, Property::OtherPathFirst) => {
            "serve only the certificates of the valid path, the leaf first and each issuer after it"
        }
        (_, Property::ManyServed) => "serve only the certificates of the valid path",
        (_, Property::AnyExtendedKeyUsage | Property::NetscapeTypeNotServer) => {
            "have the certificate reissued with serverAuth as its extended key usage"
        }
        (Place::Root, _) => "give clients a root that all of them accept, and issue below it",
        _ => OTHERWISE,
    }
}

const OTHERWISE: &str = "have the certificate reissued without that, or serve a chain that all clients accept; --format json shows each client's answer";
