//! Faults, grouped: the same fault of one certificate at many addresses is one fault.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::certificate::Fingerprint;
use crate::finding::{Code, Detail, Severity, Text};
use crate::model::{Timestamp, Vantage};
use crate::observation::ErrorKind;

use super::frame::{badge, counted, relative};
use super::html::{Address, Html};
use super::view::{Endpoint, VantageResult, certificate_address};

/// Maximum faults that are shown.
const MAX_FAULTS: usize = 40;
/// Maximum variants of one fault that are shown, each with its own message.
const MAX_VARIANTS: usize = 3;
/// Maximum hosts, and maximum certificates, that the row of a fault names.
const MAX_HOSTS: usize = 3;
/// Maximum addresses that are listed with one variant.
const MAX_OCCURRENCES: usize = 12;

/// Kind of a fault. The order is that of the table of findings, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum About {
    Finding(Code),
    Error(ErrorKind),
}

impl About {
    /// Returns true if clients cannot use the server now, and false if they can, but something is
    /// not as expected.
    fn is_suffered(self) -> bool {
        match self {
            Self::Error(_) => true,
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

    fn meaning(self) -> &'static str {
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
    pub(super) endpoint: Endpoint<'a>,
    pub(super) vantages: Vec<&'a str>,
}

impl<'a> Fault<'a> {
    fn endpoints(&self) -> impl Iterator<Item = &Endpoint<'a>> {
        let occurrences = self.variants.iter().flat_map(|v| &v.occurrences);
        occurrences.map(|occurrence| &occurrence.endpoint)
    }

    /// Returns the fingerprint of the leaf, if all endpoints with the fault serve the same.
    fn leaf(&self) -> Option<Fingerprint> {
        let results = self.endpoints().flat_map(|endpoint| &endpoint.results);
        let mut leaves = results.map(|result| Some(result.served()?.leaf.sha256()));
        let first = leaves.next()??;
        leaves.all(|leaf| leaf == Some(first)).then_some(first)
    }

    /// Returns the time since which the first endpoint has had its result.
    fn since(&self) -> Option<Timestamp> {
        let results = self.endpoints().flat_map(|endpoint| &endpoint.results);
        results.map(|result| result.since.at).min()
    }

    /// Returns the first expiry of the leaves that are served.
    fn expiry(&self) -> Option<Timestamp> {
        let results = self.endpoints().flat_map(|endpoint| &endpoint.results);
        let served = results.filter_map(|result| result.served());
        let facts = served.filter_map(|served| served.leaf.facts().ok());
        let facts = facts.filter(|facts| facts.has_validity);
        facts.map(|facts| facts.not_after).min()
    }

    /// Returns the number of endpoints with the fault. The results of one endpoint may report it
    /// with different texts.
    fn occurrences(&self) -> usize {
        let occurrences = self.variants.iter().flat_map(|v| &v.occurrences);
        let endpoints =
            occurrences.map(|p| (p.endpoint.target, p.endpoint.ip, p.endpoint.key_type));
        endpoints.collect::<BTreeSet<_>>().len()
    }
}

/// Returns the faults to fix, the most severe and then the most frequent first.
pub(super) fn faults<'a>(endpoints: &[Endpoint<'a>]) -> Vec<Fault<'a>> {
    collect(endpoints, |severity| severity >= Severity::Warning)
}

/// Returns the findings that are only information.
pub(super) fn notes<'a>(endpoints: &[Endpoint<'a>]) -> Vec<Fault<'a>> {
    collect(endpoints, |severity| severity == Severity::Info)
}

/// Cache of the texts of details: the probes of one fault usually have the same text.
type Texts<'a> = HashMap<&'a Detail, Rc<Text>>;
/// Parts that are equal for the same fault: severity, kind and certificate.
type Key<'a> = (Reverse<Severity>, About, &'a str);

#[expect(
    clippy::mutable_key_type,
    reason = "a certificate is hashed by its fingerprint, which never changes"
)]
fn collect<'a>(endpoints: &[Endpoint<'a>], is_wanted: fn(Severity) -> bool) -> Vec<Fault<'a>> {
    let mut all: BTreeMap<Key<'a>, BTreeMap<Rc<Text>, Vec<Occurrence<'a>>>> = BTreeMap::new();
    let mut texts = Texts::new();
    for endpoint in endpoints {
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
    let mut faults = merged(faults);
    faults.sort_by_key(|f| {
        let is_refused = f.about.is_suffered();
        let (severity, count) = (Reverse(f.severity), Reverse(f.occurrences()));
        (severity, !is_refused, f.about, count)
    });
    faults
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
        let text = Text {
            message: error.message.clone(),
            hint: String::new(),
        };
        (Severity::Unknown, About::Error(error.kind), Rc::new(text))
    });
    findings.chain(error).collect()
}

fn is_same(a: &Endpoint<'_>, b: &Endpoint<'_>) -> bool {
    a.target == b.target && a.ip == b.ip && a.key_type == b.key_type
}

/// Scope of the page. A fault does not repeat the subject of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Everything,
    Certificate,
}

/// Writes the faults as a list; `more` returns the address of a list of all endpoints with a fault.
pub(super) fn write(
    html: &mut Html,
    faults: &[Fault<'_>],
    scope: Scope,
    now: Timestamp,
    more: impl Fn(&Fault<'_>) -> Address,
) {
    html.element("ol", &[("class", "faults")], |html| {
        for fault in faults.iter().take(MAX_FAULTS) {
            let class = format!("fault {}", fault.severity);
            html.element("li", &[("class", &class)], |html| {
                write_one(html, fault, scope, now, &more(fault))
            });
        }
    });
    let hidden = faults.len().saturating_sub(MAX_FAULTS);
    if hidden > 0 {
        let text = format!(
            "{} less severe or less frequent not shown: fix these first, or use the filter.",
            match hidden {
                1 => "1 more finding is".into(),
                more => format!("{more} more findings are"),
            }
        );
        html.line("p", &[("class", "more")], &text);
    }
}

fn write_one(html: &mut Html, fault: &Fault<'_>, scope: Scope, now: Timestamp, more: &Address) {
    html.element("h3", &[], |html| {
        badge(html, fault.severity);
        html.text(" ");
        hosts(html, fault);
        html.line("span", &[("class", "problem")], fault.about.meaning());
    });
    html.element("p", &[("class", "where")], |html| {
        if scope == Scope::Everything {
            html.text("Certificate ");
            for (index, certificate) in fault.certificates.iter().take(MAX_HOSTS).enumerate() {
                if index > 0 {
                    html.text(", ");
                }
                html.link(&certificate_address(certificate), certificate);
            }
            let hidden = fault.certificates.len().saturating_sub(MAX_HOSTS);
            if hidden > 0 {
                html.text(&format!(" and {hidden} more"));
            }
            html.text(", at ");
        } else {
            html.text("At ");
        }
        html.text(&counted(fault.occurrences(), "address"));
        if let Some(since) = fault.since() {
            html.element("span", &[("class", "relative")], |html| {
                html.text(&format!(", since {}", relative(since, now)));
            });
        }
        if let Some(expiry) = fault.expiry() {
            let verb = if expiry < now { "expired" } else { "expires" };
            html.element("span", &[("class", "relative")], |html| {
                html.text(&format!(", {verb} {}", relative(expiry, now)));
            });
        }
    });
    let mut hints = fault
        .variants
        .iter()
        .map(|variant| variant.text.hint.as_str());
    let first = hints.next().unwrap_or_default();
    let is_shared = hints.all(|hint| hint == first);
    if is_shared {
        write_hint(html, first);
    }
    html.element("details", &[("class", "fault-details")], |html| {
        html.line("summary", &[], "Details");
        details(html, fault, is_shared, more);
    });
}

/// Writes what a fault's row does not show: messages, addresses and explanation.
fn details(html: &mut Html, fault: &Fault<'_>, is_shared: bool, more: &Address) {
    for variant in fault.variants.iter().take(MAX_VARIANTS) {
        message(html, &variant.text.message);
        if !is_shared {
            write_hint(html, &variant.text.hint);
        }
        occurrences(html, variant, more);
    }
    let hidden = fault.variants.len().saturating_sub(MAX_VARIANTS);
    if hidden > 0 {
        html.element("p", &[("class", "more")], |html| {
            html.text(&format!("It causes {} more: ", counted(hidden, "way")));
            html.link(more, "all addresses with this finding");
        });
    }
    html.element("p", &[("class", "explain")], |html| {
        html.link(
            &fault.about.address(),
            &format!("What {} means, and how to fix it", fault.about.name()),
        );
    });
}

/// Writes the names of the hosts with a fault.
fn hosts(html: &mut Html, fault: &Fault<'_>) {
    let hosts = fault.endpoints().map(|e| e.target.hostname.to_string());
    let hosts: BTreeSet<String> = hosts.collect();
    for host in hosts.iter().take(MAX_HOSTS) {
        html.line("strong", &[("class", "host")], host);
        html.text(" ");
    }
    let hidden = hosts.len().saturating_sub(MAX_HOSTS);
    if hidden > 0 {
        html.text(&format!("and {} ", counted(hidden, "host")));
    }
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

fn occurrences(html: &mut Html, variant: &Variant<'_>, more: &Address) {
    html.element("ul", &[("class", "places")], |html| {
        for place in variant.occurrences.iter().take(MAX_OCCURRENCES) {
            html.element("li", &[], |html| {
                let endpoint = &place.endpoint;
                let text = format!("{} at {}", endpoint.target.hostname, endpoint.place());
                html.link(&endpoint.address(), &text);
                if place.vantages != [Vantage::LOCAL] {
                    let vantages: Vec<&str> = place.vantages.iter().map(|v| from(v)).collect();
                    html.text(&format!(", from {}", vantages.join(" and ")));
                }
            });
        }
        let hidden = variant.occurrences.len().saturating_sub(MAX_OCCURRENCES);
        if hidden > 0 {
            html.element("li", &[], |html| {
                html.link(more, &format!("and at {hidden} more"))
            });
        }
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
