//! Output stays valid with any text in names and messages. The tests parse it by the rules of its
//! format.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;
use crate::certificate::Unusable;
use crate::finding::{Client, ClientRefusal, Detail, Finding, Refused, Severity, TlsaMismatch};
use crate::judge::Verdict;
use crate::observation::Status;
use crate::report::prometheus::{Exposition, Lines, Metric, endpoints, labels};
use crate::report::{github, github_summary, jsonl, junit, nagios, nagios_error, prometheus};
use crate::tlsa::TlsaRecord;

/// Generates text that tries to escape its context, among other text.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "\n",
            "\r\n",
            "\r",
            "::error::",
            "\n::set-output name=a::b",
            "##[error]",
            "%0A::",
            "|",
            "'",
            "\"",
            "'a'=1;;;",
            "<",
            "]]>",
            "-->",
            "&amp;",
            "<!--",
            "</testcase>",
            "\u{0}",
            "\u{1b}[31m",
            "\u{85}",
            "\u{2028}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{10ffff}",
            "{\"a\":1}",
            "\\",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Returns findings of three severities that contain this text wherever external text may be.
fn findings_with(text: &str) -> [Finding; 3] {
    let mismatch = Detail::TlsaMismatch {
        name: text.to_owned(),
        is_authenticated: true,
        mismatch: TlsaMismatch::PendingOnly,
        publish: TlsaRecord {
            usage: 3,
            selector: 1,
            matching_type: 1,
            data: vec![0; 32],
        },
    };
    let staple = Detail::BadOcspStaple {
        fault: Unusable::NotAuthorised(text.to_owned()),
        responder: Some(text.to_owned()),
    };
    let refused = Detail::RefusedByClients(Refused::Chain {
        refusals: vec![ClientRefusal {
            clients: vec![Client::Go],
            refusal: text.to_owned().into(),
        }],
        accepted_by: vec![Client::Java],
    });
    [
        Finding::new(mismatch),
        Finding::new(staple),
        Finding::with_severity(Severity::Info, refused),
    ]
}

/// Returns probes that contain this text wherever external text may be.
fn results(text: &str) -> Vec<Judged> {
    let mut conclusive = result_of("www.example.com 192.0.2.1", right());
    let mut failed = result_of(
        "www.example.com 192.0.2.2 eu-west",
        failed(ErrorKind::TlsProtocol, "x"),
    );
    for judged in [&mut conclusive, &mut failed] {
        Arc::make_mut(&mut judged.observation.target).certificate = text.to_owned();
        judged.observation.vantage = Vantage::named(text);
        judged.findings.extend(findings_with(text));
    }
    let mut unknown = result_of(
        "www.example.com -",
        super::failed(ErrorKind::DnsNxdomain, "x"),
    );
    unknown.verdict = Verdict::Inconclusive(ProbeError {
        seems: None,
        alert: None,
        sent: None,
        is_of_vantage: false,
        kind: ErrorKind::DnsNxdomain,
        message: text.to_owned(),
    });
    vec![conclusive, failed, unknown]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn json_lines_row_is_one_line(text in text()) {
        let results = results(&text);
        let written = jsonl(&results);
        prop_assert_eq!(written.split('\n').count(), results.len() + 1);
        for (line, judged) in written.split('\n').zip(&results) {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(row["certificate"].as_str(), Some(judged.observation.target.certificate.as_str()));
        }
    }

    #[test]
    fn junit_is_well_formed_and_keeps_to_its_schema(text in text(), warnings_fail: bool) {
        let results = results(&text);
        let document = Element::parse(&junit(&results, warnings_fail)).unwrap();
        document.keeps_to_the_schema();
        let names: Vec<&str> = document.children.iter().map(|suite| suite.attribute("name")).collect();
        prop_assert!(names.contains(&allowed(&text).as_str()), "{names:?}");
        let cases: usize = document.children.iter().map(|suite| suite.children.len()).sum();
        prop_assert_eq!(cases, results.len());
    }

    #[test]
    fn arbitrary_text_never_becomes_a_github_command(text in text()) {
        let results = results(&text);
        let written = github(&results);
        let findings = results.iter().flat_map(|judged| &judged.findings);
        let faults: BTreeSet<_> = findings
            .map(|finding| {
                let text = finding.text();
                (finding.severity, finding.code().name(), text.message, text.hint)
            })
            .collect();
        let reported = faults.len();
        // The runner ends a line at either of these characters.
        let lines: Vec<&str> = written.trim_end().split(['\n', '\r']).collect();
        let (summary, commands) = lines.split_last().unwrap();
        prop_assert!(summary.starts_with("3 endpoints: "), "{}", summary);
        // The inconclusive probe adds one command.
        prop_assert!(commands.len() >= reported && commands.len() <= reported + 2, "{}", written);
        for line in commands {
            let (head, _) = line.strip_prefix("::").and_then(|l| l.split_once("::")).unwrap();
            let (command, properties) = head.split_once(' ').unwrap();
            prop_assert!(["error", "warning", "notice"].contains(&command));
            let title = properties.strip_prefix("title=").unwrap();
            prop_assert!(!title.contains([',', ':']), "{}", title);
            prop_assert!(!line.chars().any(char::is_control), "{}", line);
        }
        prop_assert!(!summary.contains("##["));
    }

    #[test]
    fn arbitrary_text_never_becomes_markup_of_a_job_summary(text in text()) {
        let written = github_summary(&results(&text), None);
        let (_, table) = written.split_once("| --- | --- | --- | --- |\n").unwrap();
        for line in table.trim_end().split(['\n', '\r']) {
            prop_assert_eq!(line.matches('|').count(), 5, "{}", line);
            let text = line.replace("<br>", "");
            prop_assert!(!text.contains(['<', '>', '[', ']', '*', '@', '$']), "{}", line);
            // The only quotes are those around the code of the finding.
            prop_assert_eq!(text.matches('`').count(), 2, "{}", line);
        }
    }

    #[test]
    fn nagios_output_has_one_pipe_character(text in text()) {
        let results = results(&text);
        for written in [
            nagios(&results, Severity::Critical, Some(thresholds()), now()),
            nagios(&results[2..], Severity::Unknown, None, now()),
        ] {
            let (first, details) = written.split_once('\n').unwrap();
            let (status, performance) = first.split_once(" | ").unwrap();
            prop_assert!(!status.contains('|') && !details.contains('|'), "{}", written);
            for datum in performance.split(' ') {
                let (label, values) = datum.split_once('=').unwrap();
                let label = label.strip_prefix('\'').and_then(|l| l.strip_suffix('\'')).unwrap();
                prop_assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
                let (value, bounds) = values.split_once(';').unwrap_or((values, ""));
                prop_assert!(value.trim_end_matches('s').parse::<f64>().is_ok(), "{}", datum);
                prop_assert!(bounds.chars().all(|c| c.is_ascii_digit() || ".;:".contains(c)), "{}", datum);
            }
            for line in details.lines() {
                prop_assert!(!line.chars().any(char::is_control), "{}", line);
            }
        }
        let error = nagios_error(&text, Severity::Unknown);
        prop_assert_eq!(error.matches('\n').count(), 1);
        prop_assert!(!error.contains('|'));
    }

    #[test]
    fn textfile_sample_is_one_line(text in text()) {
        let results = results(&text);
        for line in prometheus::textfile(&results, now()).split('\n').filter(|l| !l.is_empty()) {
            prop_assert!(line.starts_with("certvigil_") || line.starts_with("# "), "{}", line);
        }
    }

    /// Stored metrics of probes give the same text as writing each sample again, however often they
    /// are used.
    #[test]
    fn stored_metrics_equal_freshly_written_ones(
        texts in prop::collection::vec(text(), 1..4),
        at in any::<i64>(),
    ) {
        let results: Vec<Judged> = texts.iter().flat_map(|text| results(text)).collect();
        let at = Timestamp(at);
        let kept: Vec<Lines> = results.iter().map(|judged| Lines::new(judged, at)).collect();
        let mut seen = HashSet::new();
        let first: Vec<Judged> = results
            .into_iter()
            .filter(|judged| {
                let target = judged.observation.target.clone();
                seen.insert((target, judged.observation.ip, judged.observation.vantage.clone()))
            })
            .collect();
        let afresh = sample_by_sample(&first, at);
        for _ in 0..2 {
            let mut out = Exposition::default();
            endpoints(&mut out, &kept);
            prop_assert_eq!(out.finish(), afresh.as_str());
        }
    }
}

/// Formats every sample of the probes, each written separately at its position in the text.
fn sample_by_sample(results: &[Judged], at: Timestamp) -> String {
    let mut out = Exposition::default();
    for metric in Metric::ALL
        .iter()
        .filter(|m| m.name().contains("_endpoint_"))
    {
        let mut samples = out.begin(*metric);
        for judged in results {
            let observation = &judged.observation;
            let target = &observation.target;
            let ip = observation.ip.map(|ip| ip.to_string());
            let mut put = |more: &[(&str, &str)], value: i64| {
                let (hostname, port) = (target.hostname.to_string(), target.port_label());
                let pairs = [
                    ("certificate", target.certificate.as_str()),
                    ("hostname", &hostname),
                    ("ip", ip.as_deref().unwrap_or_default()),
                    ("port", &port),
                    ("key_type", observation.key_type.name()),
                    ("vantage", observation.vantage.as_str()),
                ];
                samples.put(
                    &labels(pairs.into_iter().chain(more.iter().copied())),
                    value,
                );
            };
            let (flags, error) = match &judged.verdict {
                Verdict::Conclusive(flags) => (Some(flags), None),
                Verdict::Inconclusive(error) => (None, Some(error)),
            };
            let served = match &judged.observation.outcome {
                Outcome::Served(served) => Some(served),
                _ => None,
            };
            let facts = served.and_then(|served| served.leaf.facts().ok());
            let value = match metric {
                Metric::EndpointStatus => {
                    let is = error.map_or(Status::Conclusive, |e| e.kind.status());
                    for one in Status::ALL {
                        put(&[("status", one.name())], i64::from(one == is));
                    }
                    None
                }
                Metric::EndpointCorrect => flags.map(|f| i64::from(f.correct)),
                Metric::EndpointChained => flags.map(|f| i64::from(f.chained)),
                Metric::EndpointDummy => flags.map(|f| i64::from(f.dummy)),
                Metric::EndpointTrusted => flags.and_then(|f| f.trusted).map(i64::from),
                Metric::EndpointHostnameMatch => {
                    flags.and_then(|f| f.hostname_match).map(i64::from)
                }
                Metric::EndpointRevoked => flags.and_then(|f| f.revoked).map(i64::from),
                Metric::EndpointError => {
                    if let Some(error) = error {
                        put(&[("error_kind", error.kind.name())], 1);
                    }
                    None
                }
                Metric::EndpointFinding => {
                    let found = judged.findings.iter().map(|f| (f.code(), f.severity));
                    for (code, severity) in found.collect::<BTreeSet<_>>() {
                        put(&[("code", code.name()), ("severity", severity.name())], 1);
                    }
                    None
                }
                Metric::EndpointClientRefuses => {
                    for (client, opinion) in judged.clients.iter().flat_map(|all| all.iter()) {
                        if opinion.accepts() == Some(false) {
                            put(&[("client", client.name())], 1);
                        }
                    }
                    None
                }
                Metric::EndpointWarn => judged.thresholds.map(|t| t.warn.0),
                Metric::EndpointCrit => judged.thresholds.map(|t| t.crit.0),
                Metric::EndpointNotBefore => facts.map(|f| f.not_before.0),
                Metric::EndpointNotAfter => facts.map(|f| f.not_after.0),
                Metric::EndpointChainNotAfter => served.and_then(|served| {
                    let all = std::iter::once(&served.leaf).chain(&served.rest);
                    all.filter_map(|c| Some(c.facts().ok()?.not_after.0)).min()
                }),
                Metric::EndpointInterval => {
                    let interval = judged.notes.interval;
                    interval.map(|interval| i64::try_from(interval.as_secs()).unwrap())
                }
                Metric::EndpointLastCheck => Some(at.0),
                Metric::EndpointLastConclusive => flags.map(|_| at.0),
                Metric::EndpointInfo => {
                    if let Some(served) = served {
                        put(
                            &[
                                ("sha256", &served.leaf.sha256().to_string()),
                                ("issuer", facts.map_or("", |f| f.issuer.as_str())),
                                ("tls_version", served.tls_version.name()),
                                ("cipher_suite", &served.cipher_suite),
                                ("protocol", target.protocol.name()),
                                ("subject", facts.map_or("", |f| f.subject.as_str())),
                                ("serial", facts.map_or("", |f| f.serial.as_str())),
                                (
                                    "key",
                                    &facts.map_or_else(String::new, |f| f.key.to_string()),
                                ),
                            ],
                            1,
                        );
                    }
                    None
                }
                other => unreachable!("{other:?}"),
            };
            if let Some(value) = value {
                put(&[], value);
            }
        }
    }
    out.finish()
}

/// Returns the text without characters that XML 1.0 does not allow.
fn allowed(text: &str) -> String {
    let is_allowed = |c: &char| match *c {
        '\t' | '\n' | '\r' => true,
        c => c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}',
    };
    let replaced = |c| match is_allowed(&c) {
        true => c,
        false => char::REPLACEMENT_CHARACTER,
    };
    text.chars().map(replaced).collect()
}

/// Element of an XML document. Supports no namespaces, comments or document type.
#[derive(Debug)]
pub(super) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Self>,
    text: String,
}

impl Element {
    /// Parses a document. The error names what is not well-formed.
    pub(super) fn parse(document: &str) -> Result<Self, String> {
        if let Some(bad) = document
            .chars()
            .find(|c| allowed(&c.to_string()) != c.to_string() || *c == '\r')
        {
            return Err(format!("{bad:?} is not allowed"));
        }
        let mut rest = document
            .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
            .ok_or("no declaration")?;
        let root = Self::read(&mut rest)?;
        match rest.trim() {
            "" => Ok(root),
            more => Err(format!("after the end: {more}")),
        }
    }

    fn read(rest: &mut &str) -> Result<Self, String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let after = rest.strip_prefix('<').ok_or("no element")?;
        let end = after.find(|c| !is_name(c)).ok_or("no end of a name")?;
        let mut element = Self {
            name: after[..end].to_owned(),
            attributes: Vec::new(),
            children: Vec::new(),
            text: String::new(),
        };
        *rest = &after[end..];
        loop {
            if let Some(after) = rest.strip_prefix("/>") {
                *rest = after;
                return Ok(element);
            }
            if let Some(after) = rest.strip_prefix('>') {
                *rest = after;
                break;
            }
            let after = rest.strip_prefix(' ').ok_or("no space")?;
            let (name, after) = after.split_once("=\"").ok_or("no value")?;
            let (value, after) = after.split_once('"').ok_or("no end of a value")?;
            if !name.chars().all(is_name) || element.attributes.iter().any(|(n, _)| n == name) {
                return Err(format!("the attribute {name}"));
            }
            // A line end in a value is read as a space (XML 1.0, section 3.3.3).
            let value = resolved(&value.replace(['\n', '\t'], " "))?;
            element.attributes.push((name.to_owned(), value));
            *rest = after;
        }
        loop {
            let open = rest.find('<').ok_or("no end of an element")?;
            element.text.push_str(&resolved(&rest[..open])?);
            *rest = &rest[open..];
            if let Some(after) = rest.strip_prefix("</") {
                let after = after.strip_prefix(element.name.as_str());
                *rest = after
                    .and_then(|a| a.strip_prefix('>'))
                    .ok_or("another element ends")?;
                return Ok(element);
            }
            element.children.push(Self::read(rest)?);
        }
    }

    pub(super) fn attribute(&self, name: &str) -> &str {
        let mut all = self.attributes.iter();
        let found = all.find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("no {name}: {self:?}")).1
    }

    /// Checks the rules of Jenkins' junit-10.xsd for these elements, and the counts.
    pub(super) fn keeps_to_the_schema(&self) {
        assert_eq!(self.name, "testsuites");
        self.has("name tests failures errors time");
        let mut cases = Vec::new();
        for suite in &self.children {
            assert_eq!(suite.name, "testsuite");
            suite.has("name tests failures errors time skipped");
            suite.counts(&suite.children.iter().collect::<Vec<_>>());
            for case in &suite.children {
                assert_eq!(case.name, "testcase");
                case.has("classname name time");
                assert_eq!(case.attribute("classname"), suite.attribute("name"));
                assert!(case.attribute("time").parse::<f64>().unwrap() >= 0.0);
                assert!(case.children.len() <= 1, "{case:?}");
                for outcome in &case.children {
                    match outcome.name.as_str() {
                        "failure" | "error" => outcome.has("type message"),
                        "system-out" => outcome.has(""),
                        other => panic!("{other}"),
                    }
                    assert!(outcome.children.is_empty(), "{outcome:?}");
                    assert!(!outcome.text.is_empty(), "{outcome:?}");
                }
                cases.push(case);
            }
        }
        self.counts(&cases);
    }

    fn has(&self, names: &str) {
        let own: Vec<&str> = self.attributes.iter().map(|(n, _)| n.as_str()).collect();
        let names: Vec<&str> = names.split_whitespace().collect();
        assert_eq!(own, names, "{}", self.name);
    }

    fn counts(&self, cases: &[&Self]) {
        let with = |name: &str| {
            let ends = cases
                .iter()
                .filter(|c| c.children.iter().any(|o| o.name == name));
            ends.count().to_string()
        };
        assert_eq!(self.attribute("tests"), cases.len().to_string());
        assert_eq!(self.attribute("failures"), with("failure"));
        assert_eq!(self.attribute("errors"), with("error"));
    }
}

/// Returns text with its references resolved.
fn resolved(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or("a lone &")?;
        out.push_str(before);
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#9" => '\t',
            "#10" => '\n',
            "#13" => '\r',
            other => return Err(format!("&{other};")),
        });
        rest = after;
    }
    out.push_str(rest);
    if text.contains(['<', '>']) {
        return Err(format!("a bracket in {text}"));
    }
    Ok(out)
}

#[test]
fn xml_test_parser_refuses_malformed_xml() {
    let parse = |body: &str| {
        Element::parse(&format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}"
        ))
    };
    assert!(parse("<a b=\"&lt;\">&amp;<c/></a>\n").is_ok());
    for bad in [
        "<a>",
        "<a></b>",
        "<a/><a/>",
        "<a>&</a>",
        "<a>&nbsp;</a>",
        "<a b=\"<\"/>",
        "<a>]]></a>",
        "<a b=\"\" b=\"\"/>",
        "<a>\u{1}</a>",
        "<a>\u{ffff}</a>",
        "<a",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
