//! The findings about the certificates above a leaf: what is missing, what is superfluous, and which path is trusted.

use crate::certificate::{Certificate, Facts, Oddity};
use crate::finding::{Code, Finding, Severity};
use crate::instance::{Expectation, Expected, SourceKind};
use crate::model::Timestamp;

use super::expiry::Need;
use super::path::{Fault, FaultKind, PathRole};
use super::served::{Place, nonconformant, weakness};
use super::{Flags, Rules, TrustStore, chain, expiry, path};

/// A leaf and what is above it.
pub(super) struct Above<'a> {
    pub(super) expected: &'a Expected,
    pub(super) leaf: &'a Certificate,
    pub(super) is_self_signed: bool,
    pub(super) flags: &'a Flags,
    pub(super) chain: &'a chain::Chain<'a>,
    /// The paths over what was served and what is missing.
    pub(super) found: &'a path::Found<'a>,
    pub(super) trust: &'a TrustStore,
}

/// The findings about missing issuers, untrusted roots and invalid paths.
pub(super) fn trust_findings(above: &Above<'_>) -> Vec<Finding> {
    let Above {
        expected,
        leaf,
        flags,
        chain,
        trust,
        ..
    } = above;
    let mut findings = Vec::new();
    let (Some(best), Ok(facts)) = (above.found.best(), leaf.facts()) else {
        return findings;
    };
    if above.is_self_signed && !best.is_anchored() {
        findings.push(Finding::new(
            Code::SelfSigned,
            "the certificate is self-signed, and no client trusts it by itself",
            "install a certificate from an authority, or give this one as --ca-file if its clients hold it",
        ));
        return findings;
    }
    if !flags.chained && !chain.missing.is_empty() {
        findings.push(missing_known(expected, &chain.missing, chain.top));
    }
    let top = best.top().and_then(|c| c.facts().ok()).unwrap_or(facts);
    let is_missing_reported = !findings.is_empty();
    match best.end {
        path::End::Anchor(_) | path::End::LeafInStore => {}
        path::End::NoIssuer if best.top() == Some(leaf) && !is_missing_reported => {
            findings.push(missing_unknown(above, facts, "the certificate"));
        }
        path::End::NoIssuer if !chain.beyond_gap.is_empty() && !is_missing_reported => {
            let what = Place::Intermediate.describe(top);
            findings.push(missing_unknown(above, top, &what));
        }
        path::End::NoIssuer | path::End::SelfSigned => {
            findings.push(untrusted_root(top, chain.namesake, trust));
        }
        path::End::Loop => findings.push(Finding::new(
            Code::UntrustedRoot,
            "the served authorities issued each other, and none of them is a trusted root",
            "serve the chain that belongs to the certificate",
        )),
    }
    findings.extend(fault_findings(best, expected));
    if above.found.is_bounded && !best.is_valid() {
        findings.push(Finding::new(
            Code::UntrustedRoot,
            "the server sends more certificates of one name than are tried: no valid path was found among the first",
            "serve the leaf and its chain, and nothing else",
        ));
    }
    findings
}

/// The findings for the faults of a path that are reported nowhere else.
fn fault_findings(path: &path::Path<'_>, expected: &Expected) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let is_trust_only = matches!(expected.what, Expectation::TrustOnly);
    let of_authority: Vec<&Fault> = (path.faults.iter())
        .filter(|fault| fault.kind.is_of_authority())
        .collect();
    // One finding for each authority, with everything that is wrong with it.
    for faults in of_authority.chunk_by(|a, b| a.is_about_the_same(b)) {
        let Some(first) = faults.first() else {
            continue;
        };
        let more = faults.iter().skip(1).map(|fault| fault.kind.to_string());
        let message: Vec<String> = std::iter::once(first.to_string()).chain(more).collect();
        findings.push(Finding::new(
            Code::InvalidAuthority,
            message.join(", and "),
            advice(first),
        ));
    }
    for fault in &path.faults {
        let (code, what) = match &fault.kind {
            kind if kind.is_of_authority() || kind.is_of_time() => continue,
            // They have warnings of their own. Without an expectation they make the leaf incorrect.
            FaultKind::WeakSignature(_) | FaultKind::TinyKey(_) if !is_trust_only => continue,
            FaultKind::Unverifiable(_) if is_trust_only => {
                (Code::UntrustedRoot, "the path cannot be judged")
            }
            FaultKind::Unverifiable(_) => {
                (Code::NonconformantCertificate, "the path cannot be judged")
            }
            _ => (Code::UntrustedRoot, "the path to the root is not valid"),
        };
        let message = format!("{what}: {fault}");
        findings.push(Finding::new(code, message, advice(fault)));
    }
    findings
}

/// What to do about a fault of a path.
pub(super) fn advice(fault: &Fault) -> &'static str {
    match (&fault.kind, fault.role) {
        (FaultKind::Unverifiable(_), _) => {
            "test with a client that knows this algorithm, or have the certificate reissued with RSA or ECDSA (P-256, P-384)"
        }
        (kind, PathRole::Anchor) if kind.is_of_authority() => {
            "make the root again as a certificate authority (basicConstraints CA:TRUE, keyUsage keyCertSign), and give it to clients and as --ca-file"
        }
        (kind, _) if kind.is_of_authority() => {
            "have the certificate issued by an authority that may issue it, and serve its chain"
        }
        (FaultKind::NotForServers { .. }, PathRole::Leaf) => {
            "have the certificate reissued for TLS servers (extended key usage serverAuth)"
        }
        (FaultKind::NameConstraint { .. }, _) => {
            "have the certificate issued by an authority that may issue for this name, and serve its chain"
        }
        (
            FaultKind::UnknownCritical(_)
            | FaultKind::MalformedExtension(_)
            | FaultKind::DuplicateExtension(_),
            PathRole::Leaf,
        ) => {
            "have the certificate reissued without that extension, or with one that is well-formed"
        }
        (FaultKind::WeakSignature(_), _) => {
            "have the certificate reissued: today's authorities sign with SHA-256 or better"
        }
        (FaultKind::TinyKey(_) | FaultKind::RareAlgorithm(_), _) => {
            "have the certificate reissued for a key of RSA 2048, EC P-256 or stronger"
        }
        (FaultKind::Expired(_) | FaultKind::NotYetValid(_), _) => {
            "install a certificate that is valid now, with the chain that came with it"
        }
        _ => {
            "have the certificate reissued by an authority whose chain clients accept, and serve that chain"
        }
    }
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
        Some(Ok(above)) if above.subject_normal == below.issuer_normal => Some(if above.is_ca {
            "of which another certificate is served, with a key that did not sign"
        } else {
            "of which a certificate is served that may not issue others"
        }),
        _ if trust.named(&below.issuer_normal).next().is_some() => {
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

/// The finding for a certificate whose issuer was not served and is not known; `what` names the certificate.
fn missing_unknown(above: &Above<'_>, below: &Facts, what: &str) -> Finding {
    let issuer = &below.issuer;
    let url = below.issuer_url.as_deref();
    let mut hint = append_hint(above.expected, &format!("`{issuer}`"), url);
    if url.is_none() {
        // Public authorities name one, so this may as well be the root of a private one.
        hint.push_str("; if it is a root that clients hold, give it as --ca-file");
    }
    Finding::new(
        Code::MissingIntermediate,
        match not_the_issuer(below, above.chain.namesake, above.trust) {
            Some(why) => format!("{what} was issued by `{issuer}`, {why}"),
            None => format!(
                "the issuer of {what}, `{issuer}`, is not served, and is not a trusted root"
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

/// The findings about the served chain itself, and about the validity of what is above the leaf.
pub(super) fn chain_findings(
    chain: &chain::Chain<'_>,
    flags: &Flags,
    leaf: Option<&Facts>,
    found: &path::Found<'_>,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A client that knows several paths needs only the one that lasts longest.
    let longest = found.valid().max_by_key(|path| path.expiry());
    let of_leaf = leaf.map_or(i64::MAX, Facts::lifetime);
    for &intermediate in &chain.intermediates {
        if let Ok(facts) = intermediate.facts() {
            let need = match longest {
                Some(path) if path.certificates.contains(&intermediate) => Need::Needed,
                Some(_) => Need::NotNeeded,
                None => Need::Needed,
            };
            let place = Place::Intermediate;
            findings.extend(expiry::of_authority(
                facts, place, need, of_leaf, rules, now,
            ));
            findings.extend(weakness(Place::Intermediate, facts));
            // No client matches names against an authority's certificate.
            let oddities = facts.oddities.iter().filter(|o| **o != Oddity::NoSan);
            let oddities: Vec<_> = oddities.map(ToString::to_string).collect();
            if !oddities.is_empty() {
                let what = Place::Intermediate.describe(facts);
                findings.push(nonconformant(&what, &oddities.join(", ")));
            }
        }
    }
    let anchor = longest.or(found.best()).and_then(path::Path::anchor);
    if let Some(facts) = anchor
        .and_then(|a| a.certificate())
        .and_then(|c| c.facts().ok())
    {
        findings.extend(expiry::of_authority(
            facts,
            Place::Root,
            Need::Needed,
            of_leaf,
            rules,
            now,
        ));
    }
    findings.extend(remarks(chain, found));
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
    let best = found.best();
    let is_on_path = |c: &&&Certificate| best.is_some_and(|path| path.certificates.contains(*c));
    let unrelated: Vec<&Certificate> = (chain.unrelated.iter())
        .filter(|c| !is_on_path(c))
        .copied()
        .collect();
    if !unrelated.is_empty() {
        findings.push(Finding::new(
            Code::UnrelatedCertificate,
            format!(
                "{} {} served, but on no path from the certificate",
                names(&unrelated),
                is_or_are(&unrelated)
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
            "take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller",
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

/// One finding for each certificate of the path that deviates from RFC 5280 or the CA/Browser Forum's rules in a way that
/// no mainstream client minds.
fn remarks(chain: &chain::Chain<'_>, found: &path::Found<'_>) -> Vec<Finding> {
    let Some(best) = found.best() else {
        return Vec::new();
    };
    let anchor = best.anchor().and_then(|anchor| anchor.certificate());
    let above = (chain.intermediates.iter().copied()).filter(|c| !best.certificates.contains(c));
    let all = best.certificates.iter().copied().chain(above).chain(anchor);
    let remark = |(position, certificate): (usize, &Certificate)| {
        let facts = certificate.facts().ok()?;
        let is_anchor = anchor == Some(certificate) && position > 0;
        let place = match (position, is_anchor) {
            (0, _) => Place::Leaf,
            (_, true) => Place::Root,
            (_, false) => Place::Intermediate,
        };
        // What is no authority has a finding of its own there.
        if position > 0 && !facts.is_ca {
            return None;
        }
        // What is odd about a root is no reason for a client to refuse it, and no client matches names against one.
        let odd = facts.oddities.iter();
        let is_reported = |oddity: &Oddity| {
            let mut faults = best.faults.iter().filter(|f| f.role == PathRole::Anchor);
            faults.any(|fault| fault.kind.covers(oddity))
        };
        let odd =
            odd.filter(|oddity| is_anchor && **oddity != Oddity::NoSan && !is_reported(oddity));
        let all = facts.remarks.iter().chain(odd);
        let (of_public, of_rfc): (Vec<&Oddity>, Vec<&Oddity>) =
            all.partition(|oddity| oddity.concerns_public_authorities());
        remark_finding(&place.describe(facts), &of_rfc, &of_public)
    };
    all.enumerate().filter_map(remark).collect()
}

/// The finding for deviations from RFC 5280, and from the CA/Browser Forum's rules for public authorities.
fn remark_finding(what: &str, of_rfc: &[&Oddity], of_public: &[&Oddity]) -> Option<Finding> {
    let list = |oddities: &[&Oddity]| {
        let oddities = oddities.iter().map(ToString::to_string);
        oddities.collect::<Vec<_>>().join(", ")
    };
    let (message, hint) = match (of_rfc, of_public) {
        ([], []) => return None,
        ([], of_public) => (
            format!(
                "{what} deviates from the CA/Browser Forum's rules for public authorities, which most clients do not check: {}",
                list(of_public)
            ),
            "nothing is broken; an authority of your own need not follow these rules",
        ),
        (of_rfc, of_public) => {
            let more = match of_public {
                [] => String::new(),
                of_public => format!(
                    "; and from the rules for public authorities: {}",
                    list(of_public)
                ),
            };
            (
                format!(
                    "{what} deviates from RFC 5280, which only strict validators check: {}{more}",
                    list(of_rfc)
                ),
                "nothing is broken for most clients; have it reissued for strict ones, such as Python's ssl module since 3.13",
            )
        }
    };
    let severity = Severity::Info;
    Some(Finding::with_severity(
        Code::NonconformantCertificate,
        severity,
        message,
        hint,
    ))
}
