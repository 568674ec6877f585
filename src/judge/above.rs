//! What is told of the certificates above a leaf: what is missing, what is too much, and whom clients trust.

use crate::certificate::{Certificate, Facts, Oddity};
use crate::finding::{Code, Finding};
use crate::instance::{Expected, SourceKind};
use crate::model::Timestamp;

use super::served::{Place, nonconformant, weakness};
use super::{Flags, Rules, TrustStore, chain, expiry, path};

/// What keeps clients from trusting the leaf by what is above it.
pub(super) fn trust_findings(
    expected: &Expected,
    leaf: &Certificate,
    self_signed: bool,
    flags: &Flags,
    chain: &chain::Chain<'_>,
    path: &path::Path,
    trust: &TrustStore,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if self_signed {
        if !chain.anchored {
            findings.push(Finding::new(
                Code::SelfSigned,
                "the certificate is self-signed, and no client trusts it by itself",
                "install a certificate from an authority, or give this one as --ca-file if its clients hold it",
            ));
        }
        return findings;
    }
    let Ok(facts) = leaf.facts() else {
        return findings;
    };
    if !flags.chained && !chain.missing.is_empty() {
        findings.push(missing_known(expected, &chain.missing, chain.top));
    } else if !flags.chained && chain.top == leaf && !chain.anchored {
        findings.push(missing_unknown(expected, facts, chain.namesake, trust));
        return findings;
    }
    if !chain.anchored {
        findings.push(untrusted_root(
            chain.end.facts().unwrap_or(facts),
            chain.namesake,
            trust,
        ));
    } else if let Some(fault) = &path.fault {
        findings.push(Finding::new(
            Code::UntrustedRoot,
            format!("the path to the root is not valid: {fault}"),
            "have the certificate reissued by an authority that may issue it, and serve its chain",
        ));
    }
    findings
}

fn untrusted_root(end: &Facts, namesake: Option<&Certificate>, trust: &TrustStore) -> Finding {
    let message = if end.is_self_issued() {
        format!(
            "the chain ends at `{}`, which is not a trusted root",
            end.subject
        )
    } else {
        let why = not_the_issuer(end, namesake, trust)
            .unwrap_or("which is neither served nor a trusted root");
        format!("the chain ends below `{}`, {why}", end.issuer)
    };
    Finding::new(
        Code::UntrustedRoot,
        message,
        "serve the chain that belongs to the certificate; if its clients hold that root, give it as --ca-file",
    )
}

/// A certificate of the issuer's name that is not the issuer: an authority that has changed its key
/// keeps its name, and the old certificate is easily taken for the new one.
fn not_the_issuer(
    below: &Facts,
    namesake: Option<&Certificate>,
    trust: &TrustStore,
) -> Option<&'static str> {
    match namesake.map(|c| c.facts()) {
        Some(Ok(above)) if above.subject_der == below.issuer_der => Some(if above.is_ca {
            "of which another certificate is served, with a key that did not sign"
        } else {
            "of which a certificate is served that may not issue others"
        }),
        _ if trust.keys_of(&below.issuer_der).next().is_some() => {
            Some("which is not served; the trusted root of that name has another key")
        }
        _ => None,
    }
}

fn missing_known(expected: &Expected, missing: &[&Certificate], top: &Certificate) -> Finding {
    let names: Vec<_> = missing
        .iter()
        .map(|c| c.facts().map_or("(unreadable)", |f| f.subject.as_str()))
        .map(|name| format!("`{name}`"))
        .collect();
    let url = top.facts().ok().and_then(|f| f.issuer_url.as_deref());
    let plural = if names.len() == 1 { "" } else { "s" };
    Finding::new(
        Code::MissingIntermediate,
        format!("the intermediate{plural} {} not served", with_verb(&names)),
        append_hint(expected, &names.join(", then "), url),
    )
}

fn with_verb(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

fn missing_unknown(
    expected: &Expected,
    leaf: &Facts,
    namesake: Option<&Certificate>,
    trust: &TrustStore,
) -> Finding {
    let issuer = &leaf.issuer;
    let url = leaf.issuer_url.as_deref();
    let mut hint = append_hint(expected, &format!("`{issuer}`"), url);
    if url.is_none() {
        // Public authorities name one, so this may as well be the root of a private one.
        hint.push_str("; if it is a root that clients hold, give it as --ca-file");
    }
    Finding::new(
        Code::MissingIntermediate,
        match not_the_issuer(leaf, namesake, trust) {
            Some(why) => format!("the certificate was issued by `{issuer}`, {why}"),
            None => format!(
                "the issuer of the certificate, `{issuer}`, is not served, and is not a trusted root"
            ),
        },
        hint,
    )
}

fn append_hint(expected: &Expected, names: &str, url: Option<&str>) -> String {
    let from = url
        .map(|url| format!(" (DER at {url})"))
        .unwrap_or_default();
    format!(
        "append the PEM of {names}{from} to the server's certificate file, after the leaf \
         (nginx ssl_certificate, Apache SSLCertificateFile, HAProxy crt), and reload the server; \
         {} writes the whole file",
        chain_command(expected)
    )
}

/// The command that makes the file that the server ought to have, to be copied. What its words stand for is not known
/// here: a file's name, or a URL that may be a secret.
pub(super) fn chain_command(expected: &Expected) -> String {
    match expected.source {
        SourceKind::Sslmate => {
            let leaf = expected.instances().map(|i| &i.expected.leaf);
            let facts = leaf.and_then(|leaf| leaf.facts().ok());
            let name = facts.and_then(|facts| facts.common_name.as_deref());
            format!(
                "`certvigil chain --sslmate {}`",
                shell_word(name.unwrap_or("CN"))
            )
        }
        SourceKind::Download => "`certvigil chain --download URL`".into(),
        SourceKind::Pem | SourceKind::Fingerprint | SourceKind::PublicKey | SourceKind::Trust => {
            "`certvigil chain --cert FILE`".into()
        }
    }
}

/// A host name as a shell takes it for itself; the word for one where it is none.
fn shell_word(name: &str) -> String {
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match name.strip_prefix("*.").unwrap_or(name) {
        "" => "CN".into(),
        host if host.starts_with('-') || !host.chars().all(is_of_host) => "CN".into(),
        host if host.len() < name.len() => format!("'{name}'"),
        host => host.to_owned(),
    }
}

/// What is odd about the chain as it was served.
pub(super) fn chain_findings(
    chain: &chain::Chain<'_>,
    flags: &Flags,
    leaf: Option<&Facts>,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for intermediate in &chain.intermediates {
        if let Ok(facts) = intermediate.facts() {
            let of_leaf = leaf.map_or(i64::MAX, Facts::lifetime);
            findings.extend(expiry::of_intermediate(facts, of_leaf, rules, now));
            findings.extend(weakness(Place::Intermediate, facts));
            // Nobody looks for names in an authority's certificate.
            let oddities = facts.oddities.iter().filter(|o| **o != Oddity::NoSan);
            let oddities: Vec<_> = oddities.map(ToString::to_string).collect();
            if !oddities.is_empty() {
                let what = Place::Intermediate.describe(facts);
                findings.push(nonconformant(&what, &oddities.join(", ")));
            }
        }
    }
    for root in &chain.roots {
        if let Ok(facts) = root.facts() {
            findings.extend(weakness(Place::Root, facts));
        }
    }
    if let Some(early) = chain.out_of_order {
        findings.push(Finding::new(
            Code::ChainOutOfOrder,
            format!(
                "{} is served before the certificate that it issued",
                names(&[early])
            ),
            "order the server's certificate file: the leaf first, then each issuer after what it issued",
        ));
    }
    if !chain.unrelated.is_empty() {
        findings.push(Finding::new(
            Code::UnrelatedCertificate,
            format!(
                "{} {} served, but on no path from the certificate",
                names(&chain.unrelated),
                is_or_are(&chain.unrelated)
            ),
            if flags.chained {
                "take what is not needed out of the server's certificate file"
            } else {
                "when the chain is complete, take what is not needed out of the server's certificate file"
            },
        ));
    }
    if !chain.roots.is_empty() {
        let plural = if chain.roots.len() == 1 { "" } else { "s" };
        findings.push(Finding::new(
            Code::RootIncluded,
            format!(
                "the root{plural} {} {} served along",
                names(&chain.roots),
                is_or_are(&chain.roots)
            ),
            "take it out of the server's certificate file: clients have it, and the handshake gets smaller",
        ));
    }
    if !chain.duplicates.is_empty() {
        findings.push(Finding::new(
            Code::DuplicateCertificate,
            format!(
                "{} {} served more than once",
                names(&chain.duplicates),
                is_or_are(&chain.duplicates)
            ),
            "take the copy out of the server's certificate file",
        ));
    }
    if flags.correct && chain.complete && !chain.missing.is_empty() {
        findings.push(Finding::new(
            Code::AlternateChain,
            "the chain is complete by another path than the expected one",
            "nothing is broken; serve the chain that came with the certificate to reach the most clients",
        ));
    }
    findings
}

/// The names of certificates for a message, and of very many only the first few.
fn names(certificates: &[&Certificate]) -> String {
    /// A chain has two or three; a bundle of roots has a hundred.
    const TOLD: usize = 4;
    let name = |c: &&Certificate| match c.facts() {
        Ok(facts) => format!("`{}`", facts.name()),
        Err(malformed) => format!("(unreadable: {malformed})"),
    };
    let told: Vec<_> = certificates.iter().take(TOLD).map(name).collect();
    let more = match certificates.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", told.join(", "))
}

fn is_or_are(certificates: &[&Certificate]) -> &'static str {
    if certificates.len() == 1 { "is" } else { "are" }
}
