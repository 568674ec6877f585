//! Each critical finding leads to a critical alert, and each warning to a warning, whatever its code.

use std::fmt::Write as _;

use certvigil::finding::Code;

use super::prometheus::promtool_command;
use super::*;
use crate::fixture::process::run;

/// Warnings without an alert about their certificate, each with the reason.
const NO_ALERT: [(Code, &str); 2] = [
    (
        Code::PreviousInstance,
        "within the grace period, it is a rollout in progress",
    ),
    (
        Code::SourceStale,
        "CertvigilSourceStale names the source, for all of its certificates",
    ),
];

/// Finding at an address of its own.
struct Case {
    code: Code,
    severity: &'static str,
    /// Status of the probe with the finding.
    status: &'static str,
    key_type: &'static str,
    is_leaf_known: bool,
}

impl Case {
    /// Returns the name of the certificate.
    fn certificate(&self) -> String {
        let leaf = match self.is_leaf_known {
            true => "leaf",
            false => "no-leaf",
        };
        let Self {
            code,
            severity,
            status,
            key_type,
            ..
        } = self;
        format!("{code} {severity} {status} {key_type} {leaf}")
    }

    /// Writes the series of the endpoint.
    fn write(&self, out: &mut String, number: usize) {
        let place = format!(
            "certificate=\"{}\", hostname=\"h{number}\", ip=\"2001:db8::{number:x}\", port=\"443\", job=\"certvigil\", instance=\"i\"",
            self.certificate()
        );
        let endpoint = format!("{place}, key_type=\"{}\", vantage=\"local\"", self.key_type);
        let mut series = |name: &str, labels: &str, more: &str, value: u8| {
            writeln!(
                out,
                "      - {{series: '{name}{{{labels}{more}}}', values: '{value}x20'}}"
            )
            .unwrap();
        };
        for status in ["conclusive", "connect_error", "handshake_error"] {
            let more = format!(", status=\"{status}\"");
            let is_it = u8::from(self.status == status);
            series("certvigil_endpoint_status", &endpoint, &more, is_it);
        }
        let more = format!(", code=\"{}\", severity=\"{}\"", self.code, self.severity);
        series("certvigil_endpoint_finding", &endpoint, &more, 1);
        if self.is_leaf_known {
            let more = format!(", sha256=\"{number:064x}\", subject=\"CN=h{number}\"");
            series("certvigil_endpoint_info", &endpoint, &more, 1);
        }
        if self.code == Code::VantagesDisagree {
            series("certvigil_vantages_disagree", &place, "", 1);
        }
    }

    /// Returns the severities of the alerts about the certificate.
    fn alerts(&self) -> Vec<&'static str> {
        let is_excepted = NO_ALERT.iter().any(|(code, _)| *code == self.code);
        match self.severity {
            "info" => vec![],
            "warning" if is_excepted => vec![],
            // The metric for the address is a second cause.
            "critical" if self.code == Code::VantagesDisagree => vec!["critical", "warning"],
            severity => vec![severity],
        }
    }
}

/// Returns every code with every severity: accepted findings are info, and a later version may have
/// others than those in the table. The status is one that the finding may have.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &code in Code::ALL {
        let statuses: &[_] = match code {
            Code::Unreachable => &["connect_error"],
            Code::HandshakeFailed => &["handshake_error", "conclusive"],
            _ => &["conclusive"],
        };
        for &status in statuses {
            for severity in ["critical", "warning", "info"] {
                // A remote vantage may not know the leaf.
                for (key_type, is_leaf_known) in [("any", true), ("ecdsa", true), ("any", false)] {
                    if status == "conclusive" || !is_leaf_known {
                        cases.push(Case {
                            code,
                            severity,
                            status,
                            key_type,
                            is_leaf_known,
                        });
                    }
                }
            }
        }
    }
    cases
}

#[test]
#[ignore = "needs prometheus"]
fn every_critical_finding_is_a_critical_alert_and_every_warning_a_warning() {
    let mut series = String::new();
    let mut samples = String::new();
    for (number, case) in cases().iter().enumerate() {
        case.write(&mut series, number + 1);
        for severity in case.alerts() {
            writeln!(
                samples,
                "          - {{labels: '{{certificate=\"{}\", severity=\"{severity}\"}}', value: 1}}",
                case.certificate()
            )
            .unwrap();
        }
    }
    let place = tempfile::tempdir().unwrap();
    let rules = text("prometheus/rules.yml");
    std::fs::write(place.path().join("rules.yml"), rules).unwrap();
    // Nothing changes in this test, so one scrape in 4 minutes is enough: a sample is valid for 5.
    let test = format!(
        "rule_files: [rules.yml]
evaluation_interval: 4m
tests:
  - interval: 4m
    input_series:
      - {{series: 'up{{job=\"certvigil\", instance=\"i\"}}', values: '1x20'}}
{series}    promql_expr_test:
      - expr: count by (certificate, severity) (ALERTS{{alertstate=\"firing\"}})
        eval_time: 76m
        exp_samples:
{samples}"
    );
    std::fs::write(place.path().join("test.yml"), test).unwrap();
    run(promtool_command()
        .args(["test", "rules", "test.yml"])
        .current_dir(place.path()));
}
