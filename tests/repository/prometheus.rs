//! The shipped rules, dashboards and the examples of `docs/prometheus.md`, with a real Prometheus.

use crate::common::dashboards::{add_rules, shipped};
use crate::dashboards::panels_without_data;
use crate::docs::example_queries;
use crate::fixture::exporter::Exporter;
use crate::fixture::process::wait_until;
use crate::fixture::prometheus::{Prometheus, Sample, promtool};
use crate::markdown::document;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

#[test]
#[ignore = "needs prometheus"]
fn alerts_and_dashboards_show_the_planted_faults() {
    let demo = Exporter::demo(&[]);
    demo.wait_until_ready();
    let address = demo.address.to_string();
    let config = shipped(
        "prometheus.yml",
        &[(": 1m\n", ": 1s\n"), ("localhost:10843", &address)],
    );
    let prometheus = Prometheus::start(&config, add_rules);
    // A rate needs two scrapes.
    prometheus.wait_for("sum_over_time(up[5m]) >= 2", |enough| !enough.is_empty());
    // Each rule has been evaluated since then.
    let rules = wait_until("all rules are evaluated", || {
        let groups = prometheus.api("rules")["groups"].take();
        let groups = groups.as_array()?.iter();
        let rules: Vec<Value> = groups
            .flat_map(|g| g["rules"].as_array().cloned().unwrap())
            .collect();
        let is_done = |rule: &Value| rule["health"] != "unknown";
        (!rules.is_empty() && rules.iter().all(is_done)).then_some(rules)
    });
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_eq!(rule["lastError"], Value::Null, "{rule}");
    }
    let shipped_rules = shipped("rules.yml", &[]);
    let rule = |line: &&str| line.contains("- alert: ") || line.contains("- record: ");
    assert_eq!(rules.len(), shipped_rules.lines().filter(rule).count());

    // The wrong certificate at one address of ipv6.demo.example covers that its addresses disagree.
    let mut wanted = BTreeSet::from([
        ("CertvigilChainIncomplete", "incomplete.demo.example"),
        ("CertvigilCriticalFinding", "misnamed.demo.example"),
        ("CertvigilCriticalFinding", "selfsigned.demo.example"),
        ("CertvigilExpired", "expired.demo.example"),
        ("CertvigilHandshakeFailed", "stalling.demo.example"),
        ("CertvigilRolloutStuck", "previous.demo.example"),
        ("CertvigilUnreachable", "refusing.demo.example"),
        ("CertvigilWarningFinding", "disordered.demo.example"),
        ("CertvigilWarningFinding", "pending.demo.example"),
        ("CertvigilWrongCertificate", "another.demo.example"),
        ("CertvigilWrongCertificate", "ipv6.demo.example"),
        ("CertvigilWrongCertificate", "reissued.demo.example"),
        ("CertvigilWrongCertificate", "temporary.demo.example"),
    ]);
    let has_ipv6 = !prometheus
        .query(r#"certvigil_endpoint_status{ip="::1"}"#)
        .is_empty();
    if !has_ipv6 {
        wanted.retain(|(_, certificate)| *certificate != "ipv6.demo.example");
    }
    let is_wanted = |alerts: &[Sample]| {
        let alerts = alerts.iter();
        let told: BTreeSet<_> = alerts
            .map(|a| (a.label("alertname"), a.label("certificate")))
            .collect();
        told == wanted
    };
    let alerts = prometheus.wait_for("ALERTS", is_wanted);
    for alert in alerts {
        assert!(
            ["pending", "firing"].contains(&alert.label("alertstate")),
            "{alert:?}"
        );
    }
    assert_eq!(panels_without_data(&prometheus.url()), Vec::<String>::new());
    // Prometheus accepts the query; not every query has results here.
    for query in example_queries() {
        prometheus.query(&query);
    }
}

/// Every Prometheus configuration in the guide is a complete file, or a part of a shipped file.
#[test]
#[ignore = "needs prometheus"]
fn promtool_accepts_the_examples_of_the_guide() {
    let folder = tempfile::tempdir().unwrap();
    let sharded = shipped("prometheus-sharded.yml", &[]);
    let page = document("docs/prometheus.md");
    let mut checked = 0;
    for block in page.blocks().iter().filter(|b| b.info == "yaml") {
        let text = block.lines.join("\n") + "\n";
        if !sharded.contains(&text) {
            let file = folder.path().join(format!("{}.yml", block.line));
            fs::write(&file, &text).unwrap();
            let output = promtool(
                &[
                    "check",
                    "config",
                    "--lint=all",
                    "--lint-fatal",
                    file.to_str().unwrap(),
                ],
                b"",
            );
            assert!(output.status.success(), "line {}: {output:?}", block.line);
        }
        checked += 1;
    }
    assert!(checked >= 5, "{checked}");
}
