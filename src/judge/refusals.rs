//! The finding for a chain that most clients accept and some refuse.

use crate::finding::{Code, Finding, Severity};

use super::clients::{Client, Clients, Refusal, Trait};

/// The finding for the clients that refuse a trusted chain.
pub(super) fn finding(clients: &Clients) -> Option<Finding> {
    let mut groups: Vec<(&Refusal, Vec<Client>)> = Vec::new();
    for (client, refusal) in clients.refusals() {
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
    let reasons: Vec<String> = groups
        .iter()
        .map(|(refusal, clients)| {
            format!(
                "{} refuse{} it: {}",
                list(clients),
                if clients.len() == 1 { "s" } else { "" },
                refusal.reason
            )
        })
        .collect();
    // A server may have another certificate for clients that do not offer the algorithm of this key.
    let is_of_key = groups
        .iter()
        .all(|(refusal, _)| refusal.of.is_some_and(is_of_key));
    let severity = if is_of_key {
        Severity::Info
    } else {
        Severity::Warning
    };
    let message = format!(
        "most clients accept the certificate, but {}",
        reasons.join("; ")
    );
    Some(Finding::with_severity(
        Code::RefusedByClients,
        severity,
        message,
        advice(first),
    ))
}

fn is_of_key(of: Trait) -> bool {
    matches!(of, Trait::LeafEd25519 | Trait::LeafP521 | Trait::LeafRsaPss)
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
    match refusal.of {
        Some(of) if is_of_key(of) => {
            "serve a certificate with an RSA or a P-256 key, or one beside this: servers choose by what the client offers"
        }
        Some(Trait::KeyIdentifier | Trait::KeyIdentifierIssuer) => {
            "serve the issuer's certificate that the authorityKeyIdentifier names, or have the certificate reissued by the present one"
        }
        Some(Trait::NameEncoding) => {
            "have the certificate reissued with the issuer's name encoded byte by byte as in the issuer's certificate"
        }
        Some(Trait::RsaWithoutDigitalSignature | Trait::EcWithoutDigitalSignature) => {
            "have the certificate reissued with digitalSignature in its key usage"
        }
        Some(Trait::WeakKey) => {
            "have the certificate reissued for a key of RSA 2048, EC P-256 or stronger"
        }
        Some(Trait::WeakSignature) => {
            "have the certificate reissued with a signature over SHA-256 or better"
        }
        Some(Trait::RootNotSelfIssued) => {
            "give clients the root of this intermediate: OpenSSL accepts an intermediate as trust anchor only with -partial_chain"
        }
        Some(Trait::RootExpired | Trait::RootNotYetValid) => {
            "give clients a root that is valid now"
        }
        _ => {
            "have the certificate reissued without that, or serve a chain that all clients accept; --format json shows each client's answer"
        }
    }
}
