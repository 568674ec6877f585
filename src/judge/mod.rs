//! Judging: what ought to be served against what was seen. Pure: no clock, no sockets, no files.

mod bundle;
mod chain;
mod dane;
mod expiry;
mod identity;
mod links;
mod path;
mod revocation;
#[cfg(test)]
mod tests;
mod together;
mod trust_store;

use std::sync::Arc;

use crate::certificate::{Certificate, Facts, Fingerprint, Issuer, NO_SAN};
use crate::finding::{Code, Finding, Severity};
use crate::instance::{Expectation, Expected, Instance, SourceKind, State};
use crate::model::{Hostname, Protocol, RevocationCheck, Target, Threshold, Timestamp};
use crate::observation::{
    ErrorKind, KeyProof, LookError, Observation, Outcome, Served, Status, Told,
};

pub use bundle::{Bundle, End};
pub use dane::{Dane, dane};
use links::Links;
pub use together::{agree, together};
pub use trust_store::TrustStore;

/// What judging depends on beside what is expected and what was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// From when on a coming end is a warning.
    pub warn: Threshold,
    /// From when on a coming end is critical.
    pub crit: Threshold,
    /// A rollout under way; who knows no before knows of none.
    pub grace: Option<Grace>,
    /// When the source last said what is expected, if that is too long ago.
    pub stale_since: Option<Timestamp>,
    /// How it is found out whether the leaf has been revoked.
    pub revocation: RevocationCheck,
}

/// A new certificate is not everywhere at once: so long the one before is only a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The leaf that was expected before.
    pub before: Fingerprint,
    /// When patience ends.
    pub until: Timestamp,
}

impl Rules {
    /// The grace that there is now, if any.
    fn grace_at(&self, now: Timestamp) -> Option<Grace> {
        self.grace.filter(|grace| now < grace.until)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            warn: Threshold::WARN,
            crit: Threshold::CRIT,
            grace: None,
            stale_since: None,
            revocation: RevocationCheck::default(),
        }
    }
}

/// A look with its judgement.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was seen.
    pub observation: Observation,
    /// What ought to be served; `None` where the source could not say.
    pub expected: Option<Arc<Expected>>,
    /// The judgement.
    pub verdict: Verdict,
    /// What is right to tell, worst first.
    pub findings: Vec<Finding>,
    /// The TLSA records, judged by [`dane()`]; `None` where they were not asked for, or are not known.
    pub dane: Option<Dane>,
}

impl Judged {
    /// A look that failed before there was anything to judge.
    pub fn failed(observation: Observation, error: LookError) -> Self {
        Self {
            observation,
            expected: None,
            verdict: Verdict::Inconclusive(error),
            findings: Vec::new(),
            dane: None,
        }
    }

    /// The worst of the findings; unknown where nothing could be judged and nothing critical is known.
    pub fn severity(&self) -> Severity {
        let is_absent = || self.findings.iter().any(|f| f.code == Code::KeyTypeMissing);
        let floor = match self.verdict {
            Verdict::Conclusive(_) => Severity::Ok,
            // That there is nothing of the kind is an answer.
            Verdict::Inconclusive(_) if is_absent() => Severity::Ok,
            Verdict::Inconclusive(_) => Severity::Unknown,
        };
        let findings = self.findings.iter().map(|f| f.severity);
        findings.fold(floor, Severity::max)
    }
}

/// An observation judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A certificate was seen, by us or by a remote vantage.
    Conclusive(Flags),
    /// None was seen.
    Inconclusive(LookError),
}

/// What is true of a served certificate, each judged on its own. `None` is unknown: a remote
/// vantage tells only the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The leaf is the expected instance.
    pub correct: bool,
    /// A client that holds only the roots can build the chain from what was served.
    pub chained: bool,
    /// The leaf is a temporary certificate.
    pub dummy: bool,
    /// There is a path to the trust store, valid now, and the name matches.
    pub trusted: Option<bool>,
    /// The leaf is valid for the name that was asked for.
    pub hostname_match: Option<bool>,
    /// The leaf's end has passed.
    pub expired: Option<bool>,
    /// The leaf's beginning has not come.
    pub not_yet_valid: Option<bool>,
    /// The leaf has been revoked.
    pub revoked: Option<bool>,
}

/// Judges one look. What needs several looks is judged by [`together()`] afterwards.
pub fn judge(
    expected: Option<&Arc<Expected>>,
    observation: Observation,
    trust: &TrustStore,
    rules: &Rules,
    now: Timestamp,
) -> Judged {
    let expected = expected.map(|e| e.for_key_type(observation.key_type));
    let (verdict, mut findings) = match (&observation.outcome, &expected) {
        (Outcome::Failed(error), _) => (
            Verdict::Inconclusive(error.clone()),
            handshake_finding(error, &observation.target)
                .into_iter()
                .collect(),
        ),
        (_, None) => (
            Verdict::Inconclusive(LookError::new(
                ErrorKind::Internal,
                "it is not known which certificate is expected",
            )),
            Vec::new(),
        ),
        (Outcome::Served(served), Some(expected)) => {
            let hostname = &observation.target.hostname;
            let (flags, findings) = judge_served(expected, served, hostname, trust, rules, now);
            (Verdict::Conclusive(flags), findings)
        }
        (Outcome::Told(told), Some(expected)) => {
            let (flags, findings) = judge_told(expected, *told, rules.grace_at(now));
            (Verdict::Conclusive(flags), findings)
        }
    };
    if expected.is_some() {
        findings.extend(rules.stale_since.map(stale_finding));
    }
    sort(&mut findings);
    Judged {
        observation,
        expected,
        verdict,
        findings,
        dane: None,
    }
}

/// The issuer that may be asked whether a served leaf has been revoked. Where to ask is written in the leaf, and who
/// made one up could have anything fetched: so it has to be expected, or to lead to a trusted root.
pub fn issuer_to_ask(expected: &Expected, served: &Served, trust: &TrustStore) -> Option<Issuer> {
    let leaf = &served.leaf;
    let instance = instance_for(expected, leaf);
    let links = Links::new(trust);
    let is_vouched_for = expected.accepts(leaf) == Some(true)
        || chain::examine(leaf, &served.rest, instance, &links).anchored;
    is_vouched_for
        .then(|| issuer_of(served, instance, &links))
        .flatten()
}

/// Who issued the leaf, from what was served, what belongs above it, and the trust store.
fn issuer_of(served: &Served, instance: Option<&Instance>, links: &Links<'_>) -> Option<Issuer> {
    let known = instance
        .into_iter()
        .flat_map(|i| i.chain.iter().chain(&i.root));
    links.issuer_of(&served.leaf, served.rest.iter().chain(known))
}

/// Worst first; within one severity in the order of the table.
fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|f| (std::cmp::Reverse(f.severity), f.code));
}

fn handshake_finding(error: &LookError, target: &Target) -> Option<Finding> {
    let hint = match error.kind {
        ErrorKind::StarttlsRefused => {
            "give the server its certificate and key and switch STARTTLS on; its log says why it refuses"
        }
        ErrorKind::StarttlsProtocol => {
            "check that this port speaks this protocol, and begins in the clear"
        }
        ErrorKind::TlsAlert => {
            "check which TLS versions, names and client certificates the server demands"
        }
        ErrorKind::TlsTimeout => {
            "check whether the server is overloaded, or speaks another protocol at this port"
        }
        ErrorKind::TlsClosed => "check the server's log: it hung up before it showed a certificate",
        ErrorKind::TlsSignature => {
            "the server does not have the key of the certificate that it shows: install the key that belongs to it"
        }
        ErrorKind::MalformedCertificate => {
            "check the server's certificate file: it is damaged or empty"
        }
        ErrorKind::TooLarge => {
            "check the server's certificate file: it should have the leaf and its chain, not a bundle of roots"
        }
        _ if target.protocol.is_quic() => {
            "check that the server's HTTP/3 is switched on and listens at this UDP port, with version 1 of QUIC"
        }
        _ => "check that this port speaks TLS from the first byte",
    };
    let hint = starttls_hint(error, target).unwrap_or_else(|| hint.to_owned());
    (error.kind.status() == Status::HandshakeError)
        .then(|| Finding::new(Code::HandshakeFailed, error.message.clone(), hint))
}

/// The advice where TLS was expected from the first byte and something else began: by what it said, or by
/// its port.
fn starttls_hint(error: &LookError, target: &Target) -> Option<String> {
    let by_port = || {
        let may_be_clear = matches!(
            error.kind,
            ErrorKind::TlsProtocol | ErrorKind::TlsTimeout | ErrorKind::TlsClosed
        );
        let is_tls = !target.protocol.begins_in_the_clear();
        (may_be_clear && is_tls)
            .then(|| Protocol::in_the_clear_at(target.port))
            .flatten()
    };
    let protocol = error.seems.or_else(by_port)?;
    Some(format!(
        "this looks like {protocol}, which begins in the clear: look with --starttls {protocol}, or \
         `protocol: {protocol}` in the configuration"
    ))
}

fn stale_finding(since: Timestamp) -> Finding {
    Finding::new(
        Code::SourceStale,
        format!(
            "the source has not said what is expected since {since}; judged by what it said then"
        ),
        "see certvigil's log for why the source fails, and mend its endpoint, credentials or file",
    )
}

fn judge_told(expected: &Expected, told: Told, grace: Option<Grace>) -> (Flags, Vec<Finding>) {
    let mut findings = Vec::new();
    if told.dummy {
        findings.push(identity::dummy_finding(told.correct, expected, grace));
    } else if !told.correct
        && let Some(grace) = grace
    {
        // Which one is served is not told; while a rollout is under way it is most likely the one before.
        findings.push(Finding::with_severity(
            Code::PreviousInstance,
            Severity::Warning,
            format!(
                "seen from there, the expected certificate is not served yet; it has time until {}",
                grace.until
            ),
            "install the expected certificate and reload the server",
        ));
    } else if !told.correct {
        findings.push(Finding::new(
            Code::WrongCertificate,
            "seen from there, another certificate than the expected one is served",
            "look at this address from there to see which; then install the expected one and reload the server",
        ));
    } else if !told.chained {
        findings.push(Finding::new(
            Code::MissingIntermediate,
            "seen from there, the chain is not complete",
            format!(
                "append the missing intermediates to the server's certificate file and reload the server; \
                 {} writes the whole file",
                chain_command(expected)
            ),
        ));
    }
    let flags = Flags {
        correct: told.correct,
        chained: told.chained,
        dummy: told.dummy,
        trusted: None,
        hostname_match: None,
        expired: None,
        not_yet_valid: None,
        revoked: None,
    };
    (flags, findings)
}

fn judge_served(
    expected: &Expected,
    served: &Served,
    hostname: &Hostname,
    trust: &TrustStore,
    rules: &Rules,
    now: Timestamp,
) -> (Flags, Vec<Finding>) {
    let leaf = &served.leaf;
    let facts = leaf.facts().ok();
    let instance = instance_for(expected, leaf);
    let links = Links::new(trust);
    let chain = chain::examine(leaf, &served.rest, instance, &links);
    let path = path::build(leaf, &chain, hostname, trust, now);

    let dummy = identity::is_dummy(expected, leaf);
    let self_signed = links.issued(leaf, leaf);
    let accepted = expected.accepts(leaf);
    // Nothing is above a self-signed instance.
    let nothing_above = self_signed && accepted == Some(true);
    let revocation = revocation::examine(
        served,
        is_revoked(expected, leaf),
        || issuer_of(served, instance, &links),
        rules.revocation,
        now,
    );
    let flags = Flags {
        correct: accepted.unwrap_or(path.trusted),
        chained: chain.as_expected || chain.complete || nothing_above,
        dummy,
        trusted: Some(path.trusted),
        hostname_match: path::matches_name(leaf, hostname),
        expired: facts.map(|f| now > f.not_after),
        not_yet_valid: facts.map(|f| now < f.not_before),
        revoked: revocation.revoked,
    };

    let mut findings = Vec::new();
    // What its clients hold as a root is no placeholder to them.
    let is_pinned_root = matches!(expected.what, Expectation::PublicKeys(_)) && chain.anchored;
    let told_as_dummy = dummy && !is_pinned_root;
    if told_as_dummy {
        let grace = rules.grace_at(now).filter(|g| g.before == leaf.sha256());
        findings.push(identity::dummy_finding(flags.correct, expected, grace));
    } else if accepted == Some(false) {
        findings.push(identity::other_finding(expected, leaf, rules.grace_at(now)));
    }
    findings.extend(revocation.findings);
    match facts {
        Some(facts) => {
            let is_newer_known = accepted == Some(false);
            findings.extend(expiry::of_leaf(facts, is_newer_known, rules, now));
            findings.extend(weakness(Place::Leaf, facts));
        }
        None => findings.push(nonconformant("the certificate", &unreadable(leaf))),
    }
    // A temporary certificate is told of as such: that it is not a proper one goes without saying.
    if !told_as_dummy {
        findings.extend(facts.and_then(|f| name_finding(f, &flags, hostname)));
        findings.extend(facts.and_then(|f| oddity_finding(f, &path)));
        findings.extend(trust_findings(
            expected,
            leaf,
            self_signed,
            &flags,
            &chain,
            &path,
            trust,
        ));
    }
    findings.extend(protocol_finding(served));
    findings.extend(chain_findings(&chain, &flags, facts, rules, now));
    if !path.trusted && !told_as_dummy {
        findings.extend(unexplained(accepted, &findings, &path));
    }
    (flags, findings)
}

/// What strict clients refuse has to have a reason. With trust as the only expectation it is what
/// makes the leaf incorrect, so the reason is critical then.
fn unexplained(accepted: Option<bool>, findings: &[Finding], path: &path::Path) -> Option<Finding> {
    let reason = path.reason.as_deref().unwrap_or("its names cannot be read");
    if accepted.is_none() {
        return findings
            .iter()
            .all(|f| f.severity < Severity::Critical)
            .then(|| {
                Finding::new(
                    Code::UntrustedRoot,
                    format!(
                        "there is no path to a trusted root that clients would accept: {reason}"
                    ),
                    "replace the certificate by one that clients accept",
                )
            });
    }
    let explains = |f: &Finding| {
        f.severity == Severity::Critical
            || matches!(
                f.code,
                Code::NonconformantCertificate | Code::WeakKey | Code::WeakSignature
            )
    };
    (!findings.iter().any(explains)).then(|| nonconformant("the certificate", reason))
}

/// The instance whose chain belongs to the leaf: the one that it is, else the expected one.
fn instance_for<'a>(expected: &'a Expected, leaf: &Certificate) -> Option<&'a Instance> {
    let instances = expected.instances()?;
    let mut known = instances
        .accepted()
        .chain(&instances.previous)
        .chain(&instances.pending);
    Some(
        known
            .find(|i| i.leaf == *leaf)
            .unwrap_or(&instances.expected),
    )
}

/// Whether the source calls this instance revoked.
fn is_revoked(expected: &Expected, leaf: &Certificate) -> bool {
    let mut known = expected
        .instances()
        .into_iter()
        .flat_map(|instances| instances.accepted().chain(&instances.previous));
    known.any(|i| i.leaf == *leaf && i.state == State::Revoked)
}

fn unreadable(certificate: &Certificate) -> String {
    certificate
        .facts()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn nonconformant(what: &str, why: &str) -> Finding {
    Finding::new(
        Code::NonconformantCertificate,
        format!("strict clients refuse {what}: {why}"),
        "replace it by one that follows RFC 5280",
    )
}

/// What is spoken is the newest that both can; we can everything.
fn protocol_finding(served: &Served) -> Option<Finding> {
    let name = match served.tls_version {
        "SSL 3.0" => "SSL 3.0",
        "1.0" => "TLS 1.0",
        "1.1" => "TLS 1.1",
        _ => return None,
    };
    let proof = match served.key_proof {
        KeyProof::Handshake | KeyProof::BareKey => "",
        KeyProof::None => {
            "; that it has the certificate's key is not proved, for this handshake has no signature that can be checked"
        }
    };
    Some(Finding::new(
        Code::LegacyProtocol,
        format!("the server speaks nothing newer than {name}, which current clients refuse{proof}"),
        "allow TLS 1.2 and 1.3 on the server",
    ))
}

fn oddity_finding(facts: &Facts, path: &path::Path) -> Option<Finding> {
    let mut reasons = facts.oddities.clone();
    // The path builder stops at the first thing that it refuses, which is told of already where it
    // is a known one. A name is missing to people, not to parsers.
    if reasons.iter().all(|reason| reason == NO_SAN) {
        reasons.extend(path.refused.clone());
    }
    (!reasons.is_empty()).then(|| nonconformant("the certificate", &reasons.join(", ")))
}

/// Where a certificate stands in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Leaf,
    Intermediate,
    Root,
}

impl Place {
    fn describe(self, facts: &Facts) -> String {
        match self {
            Self::Leaf => "the certificate".into(),
            Self::Intermediate => format!("the intermediate `{}`", facts.name()),
            Self::Root => format!("the root `{}`", facts.name()),
        }
    }
}

fn weakness(place: Place, facts: &Facts) -> Vec<Finding> {
    let what = place.describe(facts);
    let mut findings = Vec::new();
    if facts.key.is_weak() {
        findings.push(Finding::new(
            Code::WeakKey,
            format!("{what} has a weak key: {}", facts.key),
            match place {
                Place::Leaf => "make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it",
                Place::Intermediate | Place::Root => "have the certificate reissued by an authority with a stronger key",
            },
        ));
    }
    // Nobody relies on the signature that a root makes on itself.
    if facts.signature.is_weak && !facts.is_self_issued() {
        findings.push(Finding::new(
            Code::WeakSignature,
            format!("{what} has a weak signature: {}", facts.signature.name),
            "have the certificate reissued: today's authorities sign with SHA-256 or better",
        ));
    }
    findings
}

fn name_finding(facts: &Facts, flags: &Flags, hostname: &Hostname) -> Option<Finding> {
    /// So many names are told; certificates may have hundreds.
    const TOLD_NAMES: usize = 5;
    if flags.hostname_match != Some(false) {
        return None;
    }
    let names: Vec<_> = facts
        .sans
        .iter()
        .take(TOLD_NAMES)
        .map(ToString::to_string)
        .collect();
    let more = match facts.sans.len().saturating_sub(TOLD_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = if names.is_empty() {
        format!("the certificate is not valid for {hostname}: it has no subject alternative names")
    } else {
        format!(
            "the certificate is not valid for {hostname}, only for {}{more}",
            names.join(", ")
        )
    };
    Some(Finding::new(
        Code::HostnameMismatch,
        message,
        format!("serve a certificate that names {hostname}, or take the name from the inventory"),
    ))
}

fn trust_findings(
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
    Finding::new(
        Code::MissingIntermediate,
        match not_the_issuer(leaf, namesake, trust) {
            Some(why) => format!("the certificate was issued by `{issuer}`, {why}"),
            None => format!(
                "the issuer of the certificate, `{issuer}`, is not served, and is not a trusted root"
            ),
        },
        append_hint(expected, &format!("`{issuer}`"), leaf.issuer_url.as_deref()),
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
fn chain_command(expected: &Expected) -> String {
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

fn chain_findings(
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
            let mut oddities = facts.oddities.iter().map(String::as_str);
            let oddities: Vec<_> = oddities.by_ref().filter(|o| *o != NO_SAN).collect();
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
