//! The result of a server: its chain, certificate by certificate, and the differences from the
//! expected one.

use std::collections::BTreeSet;

use crate::certificate::{Certificate, Facts};
use crate::finding::Severity;
use crate::instance::{Expectation, Expected, Instance};
use crate::judge::{Flags, Verdict};
use crate::model::{Timestamp, and_more};
use crate::observation::{KeyProof, Outcome, Served};

use super::faults::from;
use super::frame::{counted, facts, moment, relative, section, table, time};
use super::html::Html;
use super::view::VantageResult;

/// Maximum names of a certificate that are shown; it may have thousands.
const MAX_NAMES: usize = 20;
/// Maximum certificates of a chain that are shown. A longer chain is always a mistake.
const MAX_CERTIFICATES: usize = 20;

/// Returns a short text of a result.
pub(super) fn describe(result: &VantageResult<'_>, now: Timestamp) -> String {
    let mut codes: Vec<String> = result
        .findings()
        .iter()
        .filter(|f| f.severity > Severity::Info || result.judged.severity() == Severity::Info)
        .map(|f| f.code().name().replace('_', " "))
        .collect();
    codes.dedup();
    if let Some(error) = result.unreported_error() {
        codes.insert(0, error.message.clone());
    }
    if !codes.is_empty() {
        return codes.join(", ");
    }
    match &result.judged.observation.outcome {
        Outcome::Served(served) => match served.leaf.facts() {
            Ok(read) if !read.has_validity => "the expected certificate".into(),
            Ok(read) => format!(
                "the expected certificate, expires {}",
                relative(read.not_after, now)
            ),
            Err(malformed) => malformed.to_string(),
        },
        Outcome::Reported(_) => "the expected certificate".into(),
        Outcome::Failed(error) => error.message.clone(),
    }
}

/// Label of a part of a verdict, and the function that returns its value, if known.
type Part = (&'static str, fn(&Flags) -> Option<bool>);

/// Parts of a verdict.
const PARTS: [Part; 8] = [
    ("Expected certificate", |f| Some(f.correct)),
    ("Chain complete", |f| Some(f.chained)),
    ("Trusted", |f| f.trusted),
    ("Host name matches", |f| f.hostname_match),
    ("Expired", |f| f.expired),
    ("Not valid yet", |f| f.not_yet_valid),
    ("Revoked", |f| f.revoked),
    ("Temporary", |f| Some(f.dummy)),
];

/// Writes the verdicts of all vantages side by side, one part in each row.
pub(super) fn verdicts(html: &mut Html, results: &[VantageResult<'_>]) {
    let vantages: Vec<String> = results
        .iter()
        .map(|result| format!("From {}", from(result.vantage())))
        .collect();
    let columns: Vec<&str> = std::iter::once("Question")
        .chain(vantages.iter().map(String::as_str))
        .collect();
    table(html, "Each judged independently", &columns, |rows| {
        for (question, answer) in PARTS {
            rows.row("", |cells| {
                cells.head(|html| html.text(question));
                for result in results {
                    let answer = match &result.judged.verdict {
                        Verdict::Conclusive(flags) => answer(flags),
                        Verdict::Inconclusive(_) => None,
                    };
                    cells.cell(|html| {
                        html.text(match answer {
                            Some(true) => "yes",
                            Some(false) => "no",
                            None => "not known",
                        });
                    });
                }
            });
        }
    });
}

/// Writes the parameters and the duration of the handshake.
pub(super) fn handshake(html: &mut Html, result: &VantageResult<'_>) {
    let timings = &result.judged.observation.timings;
    facts(html, |list| {
        if let Some(served) = result.served() {
            if let Some((version, suite)) = served.session() {
                list.text("TLS", version.name());
                list.text("Cipher suite", suite);
            }
            if let Some(alpn) = &served.alpn {
                list.text("Application protocol", alpn);
            }
            list.text(
                "Proof of the key",
                match served.key_proof {
                    KeyProof::Handshake => "handshake",
                    KeyProof::BareKey => "handshake, verified with the bare key",
                    KeyProof::None => "none: cleartext handshake",
                    KeyProof::File(_) => "none: a file",
                },
            );
        }
        for (term, took) in [
            ("Name resolution", timings.resolve),
            ("Connect", timings.connect),
            ("STARTTLS", timings.starttls),
            ("Handshake", timings.handshake),
        ] {
            if let Some(took) = took {
                list.text(term, &format!("{:.1} ms", took.as_secs_f64() * 1000.0));
            }
        }
    });
}

/// Writes the expected and the served certificate side by side, if they differ.
pub(super) fn difference(html: &mut Html, result: &VantageResult<'_>) {
    let (Some(served), Some(expected)) = (result.served(), result.judged.expected.as_deref())
    else {
        return;
    };
    if expected.accepts(&served.leaf) != Some(false) {
        return;
    }
    section(
        html,
        "difference",
        "Differences from the expected certificate",
        |html| match &expected.what {
            Expectation::Instances(instances) => {
                side_by_side(html, &instances.expected.leaf, &served.leaf);
            }
            _ => facts(html, |list| {
                pins(list, expected);
                list.code("Served fingerprint", &served.leaf.sha256().to_string());
                if let Some(key) = served.leaf.public_key_hash() {
                    list.code("Served public key", &key.to_string());
                }
            }),
        },
    );
}

/// Writes the accepted fingerprints or keys.
pub(super) fn pins(list: &mut super::frame::Facts<'_>, expected: &Expected) {
    let shown = |all: Vec<String>| {
        let more = all.len().saturating_sub(MAX_NAMES);
        let mut text = all
            .into_iter()
            .take(MAX_NAMES)
            .collect::<Vec<_>>()
            .join(" or ");
        if more > 0 {
            text.push_str(&format!(" or {more} more"));
        }
        text
    };
    match &expected.what {
        Expectation::Fingerprints(all) => {
            list.code(
                "Expected fingerprint",
                &shown(all.iter().map(ToString::to_string).collect()),
            );
        }
        Expectation::PublicKeys(all) => {
            list.code(
                "Expected public key",
                &shown(all.iter().map(ToString::to_string).collect()),
            );
        }
        Expectation::Instances(_) | Expectation::TrustOnly => {}
    }
}

/// Field of a certificate that is compared.
#[derive(PartialEq)]
enum Field {
    Text(String),
    Time(Timestamp),
}

impl Field {
    fn write(&self, html: &mut Html) {
        match self {
            Self::Text(text) => html.line("span", &[("class", "value")], text),
            Self::Time(at) => moment(html, *at),
        }
    }
}

fn side_by_side(html: &mut Html, expected: &Certificate, served: &Certificate) {
    let of = |certificate: &Certificate, read: fn(&Facts) -> Field| match certificate.facts() {
        Ok(facts) => read(facts),
        Err(malformed) => Field::Text(format!("unreadable: {malformed}")),
    };
    let mut rows: Vec<(&str, Field, Field)> = Vec::new();
    let mut compare = |name, read: fn(&Facts) -> Field| {
        rows.push((name, of(expected, read), of(served, read)));
    };
    compare("Subject", |f| Field::Text(f.subject.clone()));
    compare("Names", |f| Field::Text(names(f)));
    compare("Issuer", |f| Field::Text(f.issuer.clone()));
    compare("Issued", |f| Field::Time(f.not_before));
    compare("Expires", |f| Field::Time(f.not_after));
    compare("Serial number", |f| Field::Text(f.serial.clone()));
    compare("Public key", |f| {
        Field::Text(format!("{} {}", f.key, f.public_key_hash))
    });
    let fingerprint = |certificate: &Certificate| Field::Text(certificate.sha256().to_string());
    rows.push(("Fingerprint", fingerprint(expected), fingerprint(served)));
    table(
        html,
        "The expected and the served certificate",
        &["Part", "Expected", "Served", "Same"],
        |table| {
            for (name, expected, served) in &rows {
                let differs = expected != served;
                table.row(if differs { "differs" } else { "" }, |cells| {
                    cells.head(|html| html.text(name));
                    cells.cell(|html| expected.write(html));
                    cells.cell(|html| served.write(html));
                    cells.cell(|html| html.text(if differs { "≠ differs" } else { "= same" }));
                });
            }
        },
    );
}

fn names(read: &Facts) -> String {
    and_more(read.sans.iter().take(MAX_NAMES), read.sans.len())
}

/// Writes the served chain.
pub(super) fn chain(html: &mut Html, served: &Served, expected: Option<&Expected>, now: Timestamp) {
    let instance = expected.and_then(Expected::instances).map(|i| &i.expected);
    let count = counted(1 + served.rest.len(), "certificate");
    html.line("p", &[], &format!("{count}, in the order of the server."));
    html.element("ol", &[("class", "chain")], |html| {
        let all = std::iter::once(&served.leaf).chain(&served.rest);
        for (position, certificate) in all.take(MAX_CERTIFICATES).enumerate() {
            let note = match position {
                0 => note_of_leaf(certificate, expected),
                _ => note_of_issuer(certificate, served, position, instance),
            };
            html.element("li", &[], |html| {
                one(html, certificate, &note, position == 0, now)
            });
        }
    });
    let more = (1 + served.rest.len()).saturating_sub(MAX_CERTIFICATES);
    if more > 0 {
        html.line(
            "p",
            &[("class", "more")],
            &format!("and {}", counted(more, "additional certificate")),
        );
    }
    missing(html, served, instance);
}

fn note_of_leaf(leaf: &Certificate, expected: Option<&Expected>) -> String {
    match expected.and_then(|e| e.accepts(leaf)) {
        Some(true) => "Leaf: the expected certificate.".into(),
        Some(false) => {
            let previous = expected.and_then(Expected::instances).map(|i| &i.previous);
            match previous.is_some_and(|all| all.iter().any(|old| old.leaf == *leaf)) {
                true => "Leaf: a previous instance, not the expected one.".into(),
                false => "Leaf: not the expected certificate.".into(),
            }
        }
        None => "Leaf. Any trusted certificate is expected.".into(),
    }
}

fn note_of_issuer(
    certificate: &Certificate,
    served: &Served,
    position: usize,
    instance: Option<&Instance>,
) -> String {
    let before = std::iter::once(&served.leaf)
        .chain(&served.rest)
        .take(position);
    let is_again = before.into_iter().any(|other| other == certificate);
    if is_again {
        return "Duplicate.".into();
    }
    let Some(instance) = instance else {
        return String::new();
    };
    if instance.chain.contains(certificate) {
        "Part of the expected chain.".into()
    } else if instance.root.as_ref() == Some(certificate) {
        "Root, which clients do not need.".into()
    } else if instance.chain.is_empty() {
        String::new()
    } else {
        "Not part of the expected chain.".into()
    }
}

/// Writes the certificates of the expected chain that the served one lacks.
fn missing(html: &mut Html, served: &Served, instance: Option<&Instance>) {
    let Some(instance) = instance.filter(|i| i.leaf == served.leaf) else {
        return;
    };
    let lacking: Vec<&Certificate> = instance
        .chain
        .iter()
        .filter(|c| !served.rest.contains(c))
        .collect();
    if lacking.is_empty() {
        return;
    }
    html.line(
        "p",
        &[("class", "message")],
        "Missing from the expected chain:",
    );
    html.element("ul", &[], |html| {
        for certificate in lacking.into_iter().take(MAX_CERTIFICATES) {
            html.element("li", &[], |html| {
                html.text(
                    certificate
                        .facts()
                        .map_or("an unreadable certificate", Facts::name),
                );
                html.text(" ");
                html.line("code", &[], &certificate.sha256().to_string());
            });
        }
    });
}

fn one(html: &mut Html, certificate: &Certificate, note: &str, is_leaf: bool, now: Timestamp) {
    let name = certificate
        .facts()
        .map_or("Unreadable certificate", Facts::name);
    html.line("p", &[("class", "subject")], name);
    if !note.is_empty() {
        html.line("p", &[("class", "note")], note);
    }
    let mut attributes = vec![("class", "certificate")];
    if is_leaf {
        attributes.push(("open", ""));
    }
    html.element("details", &attributes, |html| {
        html.line("summary", &[], &format!("Details of {name}"));
        details(html, certificate, now);
    });
}

/// Writes the relevant fields of a certificate.
pub(super) fn details(html: &mut Html, certificate: &Certificate, now: Timestamp) {
    facts(html, |list| {
        match certificate.facts() {
            Ok(read) => {
                list.text("Subject", &read.subject);
                if !read.sans.is_empty() {
                    list.text("Names", &names(read));
                }
                list.text("Issuer", &read.issuer);
                if let Some((begin, end)) = read.validity() {
                    list.fact("Issued", |html| moment(html, begin));
                    list.fact("Expires", |html| time(html, end, now));
                }
                list.text("Key", &read.key.to_string());
                list.text("Signature algorithm", &read.signature.name);
                list.code("Serial number", &read.serial);
                list.code("Public key SHA-256", &read.public_key_hash.to_string());
                let oddities: BTreeSet<String> =
                    read.oddities.iter().map(ToString::to_string).collect();
                for oddity in oddities.into_iter().take(MAX_NAMES) {
                    list.text("Odd", &oddity);
                }
            }
            Err(malformed) => list.text("Unreadable", &malformed.to_string()),
        }
        list.code("SHA-256", &certificate.sha256().to_string());
    });
}
