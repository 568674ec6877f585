//! Alerts, their pages, and Grafana's copy of them with its provisioning files.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;
use crate::markdown::document;
use crate::support::{REWRITE, recorded};

/// Prefix of the links to the alerts' pages.
const RUNBOOK: &str = "http://localhost:10843/docs/alerts#";

#[test]
fn every_alert_has_severity_summary_and_advice() {
    let mut names = BTreeSet::new();
    for rule in alerts() {
        let name = &rule.name;
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert!(name.starts_with("Certvigil"), "{name}");
        assert!(rule.hold.is_some(), "{name}: `for` is missing");
        let severity = rule.labels.iter().find(|(key, _)| key == "severity");
        let of_series = name == "CertvigilExpiring";
        match severity {
            Some((_, value)) => {
                assert!(["warning", "critical"].contains(&value.as_str()), "{name}")
            }
            None => assert!(of_series, "{name} has no severity"),
        }
        assert!(!rule.annotation("summary").is_empty(), "{name}");
        assert!(
            rule.annotation("description").contains(". "),
            "{name}: what to do?"
        );
        let anchor = rule.annotation("runbook_url").strip_prefix(RUNBOOK);
        assert_eq!(anchor, Some(name.to_lowercase().as_str()));
    }
    assert!(names.len() > 15, "{names:?}");
}

#[test]
fn every_alert_is_documented() {
    let page = document("docs/alerts.md");
    let sections = page.sections();
    let entries = sections
        .iter()
        .filter(|s| s.heading.starts_with("Certvigil"));
    let rules = alerts();
    let mut names: Vec<&str> = rules.iter().map(|r| r.name.as_str()).collect();
    let mut shown = Vec::new();
    for section in entries {
        shown.push(section.heading);
        let rule = rules.iter().find(|r| r.name == section.heading);
        let rule = rule.unwrap_or_else(|| panic!("rules.yml has no {}", section.heading));
        let severity = rule.labels.iter().find(|(key, _)| key == "severity");
        let severity = severity.map_or("warning or critical", |(_, value)| value);
        let first = format!("**{severity}**, after {}.", rule.hold.as_ref().unwrap());
        let paragraphs = section.paragraphs();
        assert!(paragraphs[0].starts_with(&first), "{}: {first}", rule.name);
        for part in ["**Diagnose.**", "**Fix.**", "**False positive?**"] {
            let has = paragraphs.iter().any(|p| p.starts_with(part));
            assert!(has, "{}: {part}", rule.name);
        }
    }
    shown.sort_unstable();
    names.sort_unstable();
    assert_eq!(shown, names, "docs/alerts.md and rules.yml");
}

#[test]
fn every_alert_has_a_firing_test_case() {
    let cases = text("prometheus/rules_test.yml");
    // CertvigilRulesMissing fires without the records, so it cannot in a test of the whole file.
    for rule in alerts()
        .iter()
        .filter(|r| r.name != "CertvigilRulesMissing")
    {
        let fires = format!("alertname=\"{}\", alertstate=\"firing\"", rule.name);
        assert!(cases.contains(&fires), "{}", rule.name);
    }
}

/// A text as a YAML string on one line. JSON's strings are YAML's double-quoted ones.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The alerts of rules.yml in the format of Grafana's file provisioning.
fn grafana_rules() -> String {
    let mut out = String::from(
        "# The alerts of prometheus/rules.yml, evaluated by Grafana. Load only one of the two.\n\
         # Prometheus must load prometheus/recording.yml. Needs Grafana 11.\n\
         # Generated from that file; see CONTRIBUTING.md.\n\
         apiVersion: 1\n\
         groups:\n  - orgId: 1\n    name: certvigil\n    folder: certvigil\n    interval: 1m\n    rules:\n",
    );
    for rule in alerts() {
        // In Grafana, `$value` is a text of all values; the value of the query has a letter.
        let translated = |text: &str| text.replace("$value", "$values.A.Value");
        let hold = rule.hold.as_ref().unwrap();
        let uid = rule.name.to_lowercase();
        writeln!(
            out,
            "      - uid: {uid}\n        title: {}\n        condition: B",
            rule.name
        )
        .unwrap();
        out.push_str(
            "        data:\n          - refId: A\n            relativeTimeRange: {from: 600, to: 0}\n            \
             datasourceUid: certvigil-prometheus\n            model:\n              refId: A\n              \
             instant: true\n              range: false\n              expr: |\n",
        );
        assert!(
            !rule.expr.contains('$'),
            "Grafana takes it for a variable of its environment"
        );
        for line in rule.expr.lines() {
            writeln!(out, "                {line}").unwrap();
        }
        out.push_str(
            "          - refId: B\n            relativeTimeRange: {from: 600, to: 0}\n            datasourceUid: __expr__\n            \
             model:\n              refId: B\n              type: threshold\n              expression: A\n              \
             conditions:\n                - evaluator: {type: gt, params: [0]}\n",
        );
        // A query without series is not a fault: CertvigilDown covers a missing exporter. If Grafana cannot query
        // Prometheus, CertvigilDown alone reports it, and the others keep their state.
        let on_error = match rule.name == "CertvigilDown" {
            true => "Error",
            false => "KeepLast",
        };
        writeln!(
            out,
            "        noDataState: OK\n        execErrState: {on_error}\n        for: {hold}"
        )
        .unwrap();
        if !rule.labels.is_empty() {
            out.push_str("        labels:\n");
            for (key, value) in &rule.labels {
                assert!(
                    !value.contains('$'),
                    "Grafana takes it for a variable of its environment"
                );
                writeln!(out, "          {key}: {value}").unwrap();
            }
        }
        out.push_str("        annotations:\n");
        // Grafana's templates cannot query.
        let annotations = rule.annotations.iter();
        for (key, value) in annotations.filter(|(_, value)| !value.contains(" query ")) {
            writeln!(out, "          {key}: {}", quoted(&translated(value))).unwrap();
        }
    }
    out
}

#[test]
fn grafana_has_the_same_alerts() {
    const FILE: &str = "dashboards/grafana/provisioning/alerting/rules.yml";
    let wanted = grafana_rules();
    let is_same = recorded(FILE, &wanted) == wanted;
    assert!(
        is_same,
        "{FILE} is not what rules.yml says: run this test with {REWRITE}=1"
    );

    let document = Yaml::load_from_str(&wanted).unwrap().remove(0);
    let group = &document["groups"].as_vec().unwrap()[0];
    let titles = group["rules"].as_vec().unwrap().iter();
    let found: Vec<(&str, &str)> = titles
        .map(|r| {
            let uid = r["uid"].as_str().unwrap();
            assert!(uid.len() <= 40, "{uid}: Grafana refuses longer ones");
            let query = &r["data"].as_vec().unwrap()[0];
            (
                r["title"].as_str().unwrap(),
                query["model"]["expr"].as_str().unwrap().trim_end(),
            )
        })
        .collect();
    let rules = alerts();
    let wanted: Vec<(&str, &str)> = rules
        .iter()
        .map(|r| (r.name.as_str(), r.expr.as_str()))
        .collect();
    assert_eq!(found, wanted);
}

/// The records of rules.yml alone, for a Prometheus whose alerts Grafana evaluates.
#[test]
fn the_recording_rules_are_those_of_the_alerts() {
    const FILE: &str = "dashboards/prometheus/recording.yml";
    let whole = text("prometheus/rules.yml");
    let (records, _) = whole.split_once("      - alert:").unwrap();
    let (_, groups) = records.split_once("groups:\n").unwrap();
    let wanted = format!(
        "# The recording rules of rules.yml, for a Prometheus whose alerts Grafana evaluates. Load only one of the two.\n\
         # Generated from that file; see CONTRIBUTING.md.\n\
         groups:\n{}\n",
        groups.trim_end()
    );
    let is_same = recorded(FILE, &wanted) == wanted;
    assert!(is_same, "{FILE}: run this test with {REWRITE}=1");
}

#[test]
fn one_fault_of_the_data_source_is_one_alert_in_grafana() {
    let errors = grafana_rules().matches("execErrState: Error").count();
    assert_eq!(errors, 1);
}

#[test]
fn provisioning_files_are_consistent() {
    let load = |path: &str| {
        let text = text(&format!("grafana/provisioning/{path}"));
        let loaded = Yaml::load_from_str(&text)
            .unwrap_or_else(|e| panic!("{path}: {e}"))
            .remove(0);
        assert_eq!(loaded["apiVersion"].as_integer(), Some(1), "{path}");
        // The loaded document borrows from its text.
        loaded.into_owned_json()
    };
    let source = load("datasources/prometheus.yml");
    let uid = str_of(&source["datasources"][0], "uid").to_owned();
    assert!(
        grafana_rules().contains(&format!("datasourceUid: {uid}\n")),
        "{uid}"
    );
    let points = load("alerting/contact-points.yml");
    let names: BTreeSet<&str> = points["contactPoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| str_of(p, "name"))
        .collect();
    let policies = load("alerting/policies.yml");
    let mut receivers = BTreeSet::new();
    walk(&policies, &mut |value| {
        receivers.extend(value.get("receiver").and_then(Value::as_str));
    });
    assert_eq!(receivers, names);
    let provider = load("dashboards/certvigil.yml");
    let folder = str_of(&provider["providers"][0], "folder");
    assert!(grafana_rules().contains(&format!("folder: {folder}\n")));
    let told = policies["policies"][0]["routes"][0]["object_matchers"][0][2].as_str();
    assert_eq!(told, Some(folder), "the folder that the routes ask for");
}

#[test]
fn example_configurations_have_the_jobs_used_by_alerts() {
    let jobs = |path: &str| -> Vec<String> {
        let text = text(path);
        let names = text
            .lines()
            .filter_map(|l| l.trim_start().strip_prefix("- job_name: "));
        let name = |n: &str| n.split_whitespace().next().unwrap().to_owned();
        names.map(name).collect()
    };
    assert_eq!(jobs("prometheus/prometheus.yml"), ["certvigil"]);
    assert_eq!(
        jobs("prometheus/prometheus-sharded.yml"),
        ["certvigil", "certvigil-probe"]
    );
    let rules = alerts();
    let asked = |job: &str| rules.iter().any(|r| r.expr.contains(job));
    assert!(asked("up{job=\"certvigil\"}") && asked("up{job=~\"certvigil-.+\"}"));
}

/// Converts the subset of YAML in these files to JSON.
trait IntoJson {
    fn into_owned_json(self) -> Value;
}

impl IntoJson for Yaml<'_> {
    fn into_owned_json(self) -> Value {
        if let Some(map) = self.as_mapping() {
            let pairs = map
                .iter()
                .map(|(k, v)| (k.as_str().unwrap().to_owned(), v.clone().into_owned_json()));
            return Value::Object(pairs.collect());
        }
        if let Some(list) = self.as_vec() {
            return list.iter().map(|v| v.clone().into_owned_json()).collect();
        }
        if let Some(number) = self.as_integer() {
            return number.into();
        }
        if let Some(is) = self.as_bool() {
            return is.into();
        }
        self.as_str().map_or(Value::Null, Value::from)
    }
}
