//! Faults, grouped: the same fault of one certificate at many addresses is one fault.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::certificate::Fingerprint;
use crate::finding::{Code, Detail, Severity, Text};
use crate::model::{Hostname, Timestamp, Vantage};
use crate::observation::ErrorKind;
use crate::report::fix_of;

use super::super::snapshot::Since;
use super::html::{Address, Html};
use super::view::{Endpoint, VantageResult};

/// Kind of a fault. The order is that of the table of findings, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum About {
    Finding(Code),
    Error(ErrorKind),
}

impl About {
    /// Returns true if clients cannot use the server now, and false if they can, but something is
    /// not as expected.
    pub(super) fn is_suffered(self) -> bool {
        match self {
            Self::Error(kind) => kind != ErrorKind::Internal,
            Self::Finding(code) => matches!(
                code,
                Code::Expired
                    | Code::NotYetValid
                    | Code::ChainExpired
                    | Code::InvalidAuthority
                    | Code::HostnameMismatch
                    | Code::UntrustedRoot
                    | Code::SelfSigned
                    | Code::DummyCertificate
                    | Code::MissingIntermediate
                    | Code::Revoked
                    | Code::MustStapleMissing
                    | Code::TlsaMismatch
                    | Code::RefusedByClients
                    | Code::Unreachable
                    | Code::HandshakeFailed
            ),
        }
    }

    /// Returns the time since which a result has had the fault; `None` if it does not have it. A
    /// certificate expires, or reaches a threshold, while its server gives the same result.
    pub(super) fn since(self, result: &VantageResult<'_>) -> Option<Since> {
        let since = match self {
            Self::Finding(code) => {
                let mut findings = result.findings().iter();
                findings.find(|finding| finding.code() == code)?;
                result.last.starts.of(code)?
            }
            Self::Error(kind) => {
                let error = result.unreported_error();
                error.filter(|error| error.kind == kind)?;
                result.since
            }
        };
        let leaf = || result.served()?.leaf.facts().ok();
        let thresholds = result.judged.thresholds;
        let begin = match self {
            Self::Finding(Code::Expired) => leaf().map(|facts| facts.not_after),
            Self::Finding(Code::Expiring) => thresholds.map(|times| times.warn),
            _ => None,
        };
        let begin = begin.filter(|begin| *begin > result.since.at);
        Some(begin.map_or(since, |at| Since {
            at,
            is_change: true,
        }))
    }

    pub(super) fn meaning(self) -> &'static str {
        let sentence = match self {
            Self::Finding(code) => code.meaning(),
            Self::Error(kind) => kind.meaning(),
        };
        sentence.trim_end_matches('.')
    }

    /// Returns the address of its documentation.
    pub(super) fn address(self) -> Address {
        match self {
            Self::Finding(code) => Address::path(["docs", "findings", code.name()]),
            Self::Error(kind) => Address::path(["docs", "errors"]).at(kind.name()),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Finding(code) => code.name(),
            Self::Error(kind) => kind.name(),
        }
    }
}

/// One fault of one certificate, or of several that serve the same leaf.
pub(super) struct Fault<'a> {
    pub(super) severity: Severity,
    pub(super) about: About,
    pub(super) certificates: Vec<&'a str>,
    /// Variants by message and hint.
    pub(super) variants: Vec<Variant<'a>>,
}

/// Occurrences of a fault with the same text.
pub(super) struct Variant<'a> {
    pub(super) text: Rc<Text>,
    pub(super) occurrences: Vec<Occurrence<'a>>,
}

/// Endpoint with a fault, and the vantages that saw it.
pub(super) struct Occurrence<'a> {
    pub(super) endpoint: Rc<Endpoint<'a>>,
    pub(super) vantages: Vec<&'a str>,
}

impl<'a> Fault<'a> {
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Endpoint<'a>> {
        let occurrences = self.variants.iter().flat_map(|v| &v.occurrences);
        occurrences.map(|occurrence| &*occurrence.endpoint)
    }

    /// Returns the first of the hosts in the order of their names.
    pub(super) fn first_host(&self) -> Option<&'a Hostname> {
        self.endpoints().map(|e| &e.target.hostname).min()
    }

    /// Returns the fingerprint of the leaf, if all endpoints with the fault serve the same.
    fn leaf(&self) -> Option<Fingerprint> {
        let results = self.endpoints().flat_map(|endpoint| &endpoint.results);
        let mut leaves = results.map(|result| Some(result.served()?.leaf.sha256()));
        let first = leaves.next()??;
        leaves.all(|leaf| leaf == Some(first)).then_some(first)
    }

    /// Returns the time since which the first endpoint has had the fault.
    pub(super) fn since(&self) -> Option<Since> {
        let results = self.endpoints().flat_map(|endpoint| &endpoint.results);
        let since = results.filter_map(|result| self.about.since(result));
        since.min_by_key(|since| since.at)
    }

    /// Returns the first expiry of the leaves that are served.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.endpoints().filter_map(Endpoint::expiry).min()
    }

    /// Returns the number of endpoints with the fault. The results of one endpoint may report it
    /// with different texts.
    pub(super) fn occurrences(&self) -> usize {
        let occurrences = self.variants.iter().flat_map(|v| &v.occurrences);
        let endpoints =
            occurrences.map(|p| (p.endpoint.target, p.endpoint.ip, p.endpoint.key_type));
        endpoints.collect::<BTreeSet<_>>().len()
    }
}

/// Returns the faults to fix, the most severe and then the most frequent first.
pub(super) fn faults<'a>(endpoints: &[Rc<Endpoint<'a>>]) -> Vec<Fault<'a>> {
    collect(endpoints, Severity::Warning, |severity| {
        severity >= Severity::Warning
    })
}

/// Returns the findings that are only information.
pub(super) fn notes<'a>(endpoints: &[Rc<Endpoint<'a>>]) -> Vec<Fault<'a>> {
    collect(endpoints, Severity::Info, |severity| {
        severity == Severity::Info
    })
}

/// Cache of the texts of details: the probes of one fault usually have the same text.
type Texts<'a> = HashMap<&'a Detail, Rc<Text>>;
/// Parts that are equal for the same fault: severity, kind and certificate.
type Key<'a> = (Reverse<Severity>, About, &'a str);

#[expect(
    clippy::mutable_key_type,
    reason = "a certificate is hashed by its fingerprint, which never changes"
)]
fn collect<'a>(
    endpoints: &[Rc<Endpoint<'a>>],
    least: Severity,
    is_wanted: fn(Severity) -> bool,
) -> Vec<Fault<'a>> {
    let mut all: BTreeMap<Key<'a>, BTreeMap<Rc<Text>, Vec<Occurrence<'a>>>> = BTreeMap::new();
    let mut texts = Texts::new();
    // An endpoint has the highest severity of its findings.
    for endpoint in endpoints.iter().filter(|e| e.severity >= least) {
        for (result, vantages) in endpoint.distinct_results() {
            for (severity, about, text) in reported(&result, is_wanted, &mut texts) {
                let key = (Reverse(severity), about, &*endpoint.target.certificate);
                let occurrences = all.entry(key).or_default().entry(text).or_default();
                // The results of one endpoint are adjacent.
                match occurrences.last_mut() {
                    Some(last) if is_same(&last.endpoint, endpoint) => {
                        last.vantages.extend(&vantages)
                    }
                    _ => occurrences.push(Occurrence {
                        endpoint: endpoint.clone(),
                        vantages: vantages.clone(),
                    }),
                }
            }
        }
    }
    let faults: Vec<Fault<'a>> = all
        .into_iter()
        .map(|((Reverse(severity), about, certificate), variants)| {
            let variants = variants
                .into_iter()
                .map(|(text, occurrences)| Variant { text, occurrences });
            let mut variants: Vec<Variant<'a>> = variants.collect();
            variants.sort_by_key(|v| Reverse(v.occurrences.len()));
            Fault {
                severity,
                about,
                certificates: vec![certificate],
                variants,
            }
        })
        .collect();
    merged(faults)
}

/// Merges the same fault of several certificates at endpoints that all serve the same leaf.
fn merged(faults: Vec<Fault<'_>>) -> Vec<Fault<'_>> {
    let mut merged: Vec<Fault<'_>> = Vec::new();
    let mut by_leaf: HashMap<(Severity, About, Fingerprint), usize> = HashMap::new();
    for mut fault in faults {
        if let Some(leaf) = fault.leaf() {
            let key = (fault.severity, fault.about, leaf);
            let position = *by_leaf.entry(key).or_insert(merged.len());
            if let Some(other) = merged.get_mut(position) {
                other.certificates.append(&mut fault.certificates);
                other.variants.append(&mut fault.variants);
                continue;
            }
        }
        merged.push(fault);
    }
    merged
}

/// Returns the faults in a result.
#[expect(
    clippy::mutable_key_type,
    reason = "a certificate is hashed by its fingerprint, which never changes"
)]
fn reported<'a>(
    result: &VantageResult<'a>,
    is_wanted: fn(Severity) -> bool,
    texts: &mut Texts<'a>,
) -> Vec<(Severity, About, Rc<Text>)> {
    let findings = result.findings().iter().filter(|f| is_wanted(f.severity));
    let findings = findings.map(|finding| {
        let text = texts.entry(&finding.detail);
        let text = text.or_insert_with(|| Rc::new(finding.text())).clone();
        (finding.severity, About::Finding(finding.code()), text)
    });
    let error = result
        .unreported_error()
        .filter(|_| result.judged.severity() >= Severity::Unknown && is_wanted(Severity::Unknown));
    let error = error.map(|error| {
        let log = match error.kind {
            ErrorKind::Internal => "see the log of certvigil",
            _ => "see the log of the server",
        };
        let text = Text {
            message: error.message.clone(),
            hint: fix_of(error.kind).unwrap_or(log).to_owned(),
        };
        (Severity::Unknown, About::Error(error.kind), Rc::new(text))
    });
    findings.chain(error).collect()
}

fn is_same(a: &Endpoint<'_>, b: &Endpoint<'_>) -> bool {
    a.target == b.target && a.ip == b.ip && a.key_type == b.key_type
}

/// Writes the hint for a fix, if there is one.
pub(super) fn write_hint(html: &mut Html, hint: &str) {
    if hint.is_empty() {
        return;
    }
    html.element("p", &[("class", "hint")], |html| {
        html.line("strong", &[], "Fix:");
        html.text(" ");
        html.prose(&sentence(hint));
    });
}

/// Writes a message as a paragraph.
pub(super) fn message(html: &mut Html, text: &str) {
    html.element("p", &[("class", "message")], |html| {
        html.prose(&sentence(text))
    });
}

/// Returns the vantage as it is written after "from".
pub(super) fn from(vantage: &str) -> &str {
    match vantage {
        Vantage::LOCAL => "here",
        other => other,
    }
}

/// Converts a message, which begins in lower case and has no full stop, to a sentence. A name at
/// its beginning is not changed.
pub(super) fn sentence(text: &str) -> String {
    let word = text.split([' ', ',']).next().unwrap_or_default();
    let is_name = !word.chars().all(char::is_alphabetic);
    let mut chars = text.chars();
    let first: String = match chars.next() {
        Some(c) if is_name => c.to_string(),
        Some(c) => c.to_uppercase().collect(),
        None => return String::new(),
    };
    let ends = ['.', '!', '?', '"', '`'];
    let stop = if text.ends_with(ends) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_shown_as_a_sentence_with_names_unchanged() {
        assert_eq!(sentence("the leaf has expired"), "The leaf has expired.");
        assert_eq!(sentence("www.example.com: away"), "www.example.com: away.");
        assert_eq!(sentence("`x` is served"), "`x` is served.");
        assert_eq!(
            sentence("https://a.example answers 404!"),
            "https://a.example answers 404!"
        );
        assert_eq!(sentence(""), "");
    }
}
