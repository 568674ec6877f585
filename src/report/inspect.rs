//! Human-readable view of a server's certificates: the chain from the leaf to its root, the verdict
//! of clients, and the connection to each address.

use std::collections::HashSet;
use std::fmt::Write as _;

use textwrap::{Options, WordSplitter, wrap};

use crate::certificate::{Certificate, Facts, Fingerprint};
use crate::finding::{Finding, Severity, Text};
use crate::judge::{
    Clients, Flags, Judged, Opinion, PathEntry, Role, TrustStore, Verdict, served_path,
};
use crate::model::{Timestamp, Timings, and_more};
use crate::observation::{KeyProof, Outcome, Served, Staple};

use super::human::{BOLD, severity_word};
use super::rows::Row;
use super::{DAY, Style, colour_of, paint};

/// Maximum names of a certificate that are shown. It may have thousands.
const MAX_NAMES: usize = 100;
/// Width of the labels.
const LABEL_WIDTH: usize = 11;

/// Formats the probes of a place, grouped by the chain that they saw. The text ends with a newline.
/// A brief text has one line for each certificate, and no connections.
pub fn inspect(results: &[Judged], trust: &TrustStore, style: &Style, is_brief: bool) -> String {
    let mut page = Page {
        is_brief,
        out: String::new(),
        style,
        shown_already: HashSet::new(),
    };
    let same = |a: &Judged, b: &Judged| a.observation.target == b.observation.target;
    for results in results.chunk_by(same) {
        page.place(results, trust);
    }
    page.out
}

/// Probes that saw the same chain.
#[derive(Debug)]
pub struct Group<'a> {
    /// Chain that all of them saw.
    pub served: &'a Served,
    /// Probes of the group, at least one.
    pub results: Vec<&'a Judged>,
}

/// Groups the probes that saw a certificate by chain, largest group first.
pub fn by_chain(results: &[Judged]) -> Vec<Group<'_>> {
    let mut groups: Vec<(Vec<Fingerprint>, Group<'_>)> = Vec::new();
    for judged in results {
        let Outcome::Served(served) = &judged.observation.outcome else {
            continue;
        };
        let chain = std::iter::once(&served.leaf).chain(&served.rest);
        let key: Vec<Fingerprint> = chain.map(Certificate::sha256).collect();
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.results.push(judged),
            None => groups.push((
                key,
                Group {
                    served,
                    results: vec![judged],
                },
            )),
        }
    }
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.results.len()));
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Formats the addresses of the probes, such as `127.0.0.1:443, [::1]:443`.
pub fn addresses<'a>(results: impl IntoIterator<Item = &'a Judged>) -> String {
    let addresses = results.into_iter().map(|judged| Row::new(judged).address);
    addresses.collect::<Vec<_>>().join(", ")
}

struct Page<'a> {
    is_brief: bool,
    out: String,
    style: &'a Style,
    /// Certificates that were already shown. They are not repeated.
    shown_already: HashSet<Fingerprint>,
}

impl Page<'_> {
    fn place(&mut self, results: &[Judged], trust: &TrustStore) {
        let Some(first) = results.first() else { return };
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let target = &first.observation.target;
        let title = format!(
            "{} port {}, {}",
            crate::certificate::printable(&target.hostname.to_string()),
            target.port_label(),
            target.protocol
        );
        self.line("", "", &title, Some(BOLD));
        let groups = by_chain(results);
        for (at, group) in groups.iter().enumerate() {
            let places = addresses(group.results.iter().copied());
            let what = match (at, group.results.len()) {
                (0, 1) => "serves this",
                (0, _) => "serve this",
                (_, 1) => "serves another",
                (_, _) => "serve another",
            };
            if at > 0 {
                self.out.push('\n');
            }
            self.line("", "", &format!("{places} {what}:"), None);
            self.chain(group.served, trust);
            self.client(group);
            if !self.is_brief {
                self.connections(group);
            }
        }
        let others = results.iter().filter(|j| served(j).is_none());
        for (at, judged) in others.enumerate() {
            if at == 0 && !groups.is_empty() {
                self.out.push('\n');
            }
            self.failed(judged);
        }
    }

    /// Formats the certificates, from the leaf up.
    fn chain(&mut self, served: &Served, trust: &TrustStore) {
        let path = served_path(served, trust);
        let count = path.entries.len();
        self.out.push('\n');
        for (at, entry) in path.entries.iter().enumerate() {
            let (head, below) = match (at, at + 1 == count) {
                (0, true) => ("── ", "   "),
                (0, false) => ("┌─ ", "│  "),
                (_, true) => ("└─ ", "   "),
                (_, false) => ("├─ ", "│  "),
            };
            if self.is_brief {
                self.brief_entry(head, below, entry);
                continue;
            }
            match entry {
                PathEntry::Served {
                    certificate,
                    place,
                    role,
                } => {
                    let role = match role {
                        Role::Leaf => "the leaf".to_owned(),
                        Role::Intermediate => format!("intermediate, sent as number {place}"),
                        Role::TrustedRoot => format!("trusted root, sent as number {place}"),
                        Role::StrangeRoot => {
                            format!("root, sent as number {place}, which is not trusted")
                        }
                    };
                    self.line(head, below, certificate.subject(), Some(BOLD));
                    self.line(below, below, &role, None);
                    self.certificate(below, certificate);
                }
                PathEntry::Root(root) => {
                    self.line(head, below, &root.name, Some(BOLD));
                    self.line(below, below, "root of the trust store, not sent", None);
                    match &root.certificate {
                        Some(certificate) => self.certificate(below, certificate),
                        None => self.field(below, "key", &root.key.to_string()),
                    }
                }
                PathEntry::Missing(issuer) => {
                    self.line(head, below, issuer, Some(BOLD));
                    let critical = colour_of(Severity::Critical);
                    let missing = "missing: neither sent nor a trusted root";
                    self.line(below, below, missing, Some(critical));
                }
            }
        }
        for (place, certificate) in &path.aside {
            let text = format!(
                "sent as number {place}, and not needed: {}",
                certificate.subject()
            );
            self.line("", "   ", &text, None);
            if !self.is_brief {
                self.certificate("   ", certificate);
            }
        }
    }

    /// Formats a certificate in one line: its name, and its expiry or role.
    fn brief_entry(&mut self, head: &str, below: &str, entry: &PathEntry) {
        let (name, what) = match entry {
            PathEntry::Served {
                certificate, role, ..
            } => {
                let expiry = match certificate.facts().map(Facts::validity) {
                    Ok(Some((_, to))) if self.style.now > to => format!("expired on {}", to.date()),
                    Ok(Some((_, to))) => super::human::until(to, self.style.now),
                    Ok(None) | Err(_) => "unreadable".into(),
                };
                let role = match role {
                    Role::Leaf | Role::Intermediate => "",
                    Role::TrustedRoot => ", trusted root",
                    Role::StrangeRoot => ", root, which is not trusted",
                };
                (certificate.subject(), format!("{expiry}{role}"))
            }
            PathEntry::Root(root) => (&*root.name, "root of the trust store, not sent".into()),
            PathEntry::Missing(issuer) => {
                let critical = colour_of(Severity::Critical);
                let text = format!("{issuer}  missing: neither sent nor a trusted root");
                return self.line(head, below, &text, Some(critical));
            }
        };
        self.line(head, below, &format!("{name}  {what}"), None);
    }

    fn certificate(&mut self, before: &str, certificate: &Certificate) {
        if !self.shown_already.insert(certificate.sha256()) {
            return self.line(before, before, "as above", None);
        }
        match certificate.facts() {
            Ok(facts) => self.facts(before, facts),
            Err(malformed) => self.field(before, "unreadable", &malformed.to_string()),
        }
        let sha256 = certificate.sha256().to_string();
        self.field(before, "SHA-256", &sha256);
        if let Some(hash) = certificate.public_key_hash() {
            self.field(before, "key hash", &hash.to_string());
        }
    }

    fn facts(&mut self, before: &str, facts: &Facts) {
        let issuer = match facts.is_self_issued() {
            true => "itself",
            false => &facts.issuer,
        };
        self.field(before, "issuer", issuer);
        let valid = validity(facts, self.style.now);
        self.field(before, "valid", &valid);
        if !facts.sans.is_empty() {
            let names = and_more(facts.sans.iter().take(MAX_NAMES), facts.sans.len());
            self.field(before, "names", &names);
        }
        self.field(before, "key", &facts.key.to_string());
        self.field(before, "signature", &facts.signature.name);
        self.field(before, "serial", &facts.serial);
    }

    /// Formats the verdict of a client and the findings to fix.
    fn client(&mut self, group: &Group<'_>) {
        self.out.push('\n');
        // All probes saw the same chain, but stapled responses may differ.
        let flags = |judged: &Judged| match &judged.verdict {
            Verdict::Conclusive(flags) => Some(*flags),
            Verdict::Inconclusive(_) => None,
        };
        let all = || group.results.iter().filter_map(|judged| flags(judged));
        let revoked = all().find(|flags| flags.revoked == Some(true));
        let (Some(first), Some(flags)) = (group.results.first(), revoked.or_else(|| all().next()))
        else {
            return;
        };
        let refusing = first.clients.as_ref().map_or(0, |c| c.refusals().count());
        let (text, severity) = match flags.trusted {
            Some(true) if flags.revoked == Some(true) => (
                "A client that holds these roots refuses it:",
                Severity::Critical,
            ),
            Some(true) if refusing > 0 => (
                "Not every client that holds these roots accepts it:",
                Severity::Warning,
            ),
            Some(true) => ("A client that holds these roots accepts it:", Severity::Ok),
            _ => (
                "A client that holds these roots refuses it:",
                Severity::Critical,
            ),
        };
        let text = match self.is_brief && severity == Severity::Ok {
            true => text.trim_end_matches(':'),
            false => text,
        };
        self.line("", "", text, Some(colour_of(severity)));
        let host = &first.observation.target.hostname;
        // A brief text has no reasons for a result without problems.
        if !self.is_brief || severity != Severity::Ok {
            for (label, says) in opinions(&flags, &host.to_string(), group.served) {
                self.field("  ", label, &says);
            }
        }
        if let Some(clients) = &first.clients
            && refusing > 0
        {
            self.field("  ", "clients", &opinions_of(clients));
        }
        let mut reported: Vec<&Finding> = Vec::new();
        for judged in &group.results {
            for finding in &judged.findings {
                if !reported.contains(&finding) {
                    reported.push(finding);
                    let with_it = group
                        .results
                        .iter()
                        .filter(|j| j.findings.contains(finding));
                    let with_it: Vec<&Judged> = with_it.copied().collect();
                    let at = (with_it.len() < group.results.len()).then(|| addresses(with_it));
                    self.finding(finding, at);
                }
            }
        }
    }

    fn finding(&mut self, finding: &Finding, at: Option<String>) {
        let word = severity_word(finding.severity);
        let at = at.map(|at| format!(" (at {at})")).unwrap_or_default();
        let Text { message, hint } = finding.text();
        let text = format!("{word} {}{at}: {message}", finding.code());
        let start = self.out.len();
        self.line("", "  ", &text, None);
        if self.style.colour {
            // Only the severity at the beginning is coloured.
            let painted = paint(&word, colour_of(finding.severity), self.style);
            self.out.replace_range(start..start + word.len(), &painted);
        }
        if !hint.is_empty() {
            self.line("  ", "    ", &format!("fix: {hint}"), None);
        }
    }

    /// Formats the connection to each address.
    fn connections(&mut self, group: &Group<'_>) {
        self.out.push('\n');
        for judged in &group.results {
            let Some(served) = served(judged) else {
                continue;
            };
            let text = format!("{}: {}", addresses([*judged]), connection(served));
            self.line("", "  ", &text, None);
            let times = timings(&judged.observation.timings);
            self.line("  ", "  ", &times, None);
        }
    }

    fn failed(&mut self, judged: &Judged) {
        let row = Row::new(judged);
        let why = match &judged.verdict {
            Verdict::Inconclusive(error) => error.to_string(),
            Verdict::Conclusive(_) => String::new(),
        };
        let text = format!("{} served no certificate: {why}", row.address);
        self.line("", "  ", &text, Some(colour_of(judged.severity())));
        let hints = judged.findings.iter().map(|f| f.text().hint);
        for hint in hints.filter(|hint| !hint.is_empty()) {
            self.line("  ", "    ", &format!("fix: {hint}"), None);
        }
    }

    fn field(&mut self, before: &str, label: &str, value: &str) {
        let head = format!("{before}{label:LABEL_WIDTH$}");
        let below = format!("{before}{:LABEL_WIDTH$}", "");
        self.line(&head, &below, value, None);
    }

    /// Formats wrapped text. The colour does not apply to the text before it.
    fn line(&mut self, head: &str, below: &str, text: &str, colour: Option<&str>) {
        let options = Options::new(self.style.width)
            .initial_indent(head)
            .subsequent_indent(below)
            .word_splitter(WordSplitter::NoHyphenation);
        for (at, line) in wrap(text, options).iter().enumerate() {
            let before = if at == 0 { head } else { below };
            let text = line.strip_prefix(before).unwrap_or(line);
            let text = match colour {
                Some(colour) => paint(text, colour, self.style),
                None => text.to_owned(),
            };
            let _ = writeln!(self.out, "{}", format!("{before}{text}").trim_end());
        }
    }
}

fn served(judged: &Judged) -> Option<&Served> {
    match &judged.observation.outcome {
        Outcome::Served(served) => Some(served),
        Outcome::Reported(_) | Outcome::Failed(_) => None,
    }
}

fn validity(facts: &Facts, now: Timestamp) -> String {
    let Some((from, to)) = facts.validity() else {
        return "cannot be read".into();
    };
    let span = format!("{} to {}", from.date(), to.date());
    let days = |from: Timestamp, to: Timestamp| match to.seconds_since(from) / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    if now > to {
        format!("{span}, expired {} ago", days(to, now))
    } else if now < from {
        format!("{span}, begins in {}", days(now, from))
    } else {
        format!("{span}, {} left", days(now, to))
    }
}

/// Returns the checks of a certificate, each with its result.
fn opinions(flags: &Flags, host: &str, served: &Served) -> Vec<(&'static str, String)> {
    let name = match flags.hostname_match {
        Some(true) => format!("it is for {host}"),
        Some(false) => format!("it is not for {host}"),
        None => "its names cannot be read".into(),
    };
    let time = match (flags.expired, flags.not_yet_valid) {
        (Some(true), _) => "it has expired",
        (_, Some(true)) => "it is not valid yet",
        (Some(false), Some(false)) => "it is valid now",
        _ => "its time cannot be read",
    };
    let chain = if flags.chained {
        "it leads to a trusted root"
    } else {
        "it does not lead to a trusted root"
    };
    let revoked = match (flags.revoked, &served.revocation.fetched) {
        (Some(true), _) => "it has been revoked",
        (Some(false), None) => "not revoked, according to the stapled OCSP response",
        (Some(false), Some(_)) => "not revoked, according to its issuer",
        (None, _) => "unknown: no revocation information",
    };
    vec![
        ("name", name),
        ("time", time.into()),
        ("chain", chain.into()),
        ("revoked", revoked.into()),
    ]
}

fn connection(served: &Served) -> String {
    let Some((version, suite)) = served.session() else {
        return "a file".into();
    };
    let alpn = match &served.alpn {
        Some(alpn) => format!("ALPN {}", crate::certificate::printable(alpn)),
        None => "no ALPN".into(),
    };
    let proof = match served.key_proof {
        KeyProof::Handshake => "the key is proved",
        KeyProof::BareKey => "the key is proved by its bare signature",
        KeyProof::None | KeyProof::File(_) => "the key is not proved",
    };
    let staple = match served.revocation.staple {
        Staple::NotAsked => "no OCSP response requested",
        Staple::Absent => "no OCSP response stapled",
        Staple::Sent(_) => "OCSP response stapled",
    };
    format!("{version}, {suite}, {alpn}, {proof}, {staple}")
}

fn timings(timings: &Timings) -> String {
    let phases = [
        ("resolve", timings.resolve),
        ("connect", timings.connect),
        ("STARTTLS", timings.starttls),
        ("handshake", timings.handshake),
    ];
    let reported = phases.into_iter().filter_map(|(phase, took)| {
        let milliseconds = took?.as_secs_f64() * 1000.0;
        Some(format!("{phase} {milliseconds:.1} ms"))
    });
    reported.collect::<Vec<_>>().join(", ")
}

/// Formats each client and its verdict, in one line.
fn opinions_of(clients: &Clients) -> String {
    let says = |opinion: &Opinion| match opinion {
        Opinion::Accepts => "accepts",
        Opinion::Refuses(_) => "refuses",
        Opinion::Unknown => "is not known",
    };
    let all = clients.iter();
    let all: Vec<String> = all
        .map(|(client, opinion)| format!("{client} {}", says(opinion)))
        .collect();
    all.join(", ")
}
