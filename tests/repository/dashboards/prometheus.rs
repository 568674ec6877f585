//! Tests of the files with promtool, and of the panels with a real Prometheus.

use std::fmt::Write as _;
use std::process::Command;

use super::*;
use crate::canned::Canned;
use crate::fixture::process::run;
use crate::fixture::prometheus::Prometheus;

/// Panels that may be empty with an inventory of planted faults, each with the reason.
const MAY_BE_EMPTY: [(&str, &str, &str); 3] = [
    (
        "certvigil-exporter",
        "Failing probes",
        "Prometheus asks /metrics, not /probe",
    ),
    (
        "certvigil-exporter",
        "Duration of probes",
        "Prometheus asks /metrics, not /probe",
    ),
    (
        "certvigil-fleet",
        "Vantages disagree",
        "the vantages may see the same everywhere",
    ),
];

/// Runs every expression of every dashboard on a Prometheus (`http://HOST:PORT`). Returns those
/// without a result as `dashboard: panel: expression`, except for the panels that may be empty.
/// Fails the test if Prometheus refuses an expression.
pub(crate) fn panels_without_data(prometheus: &str) -> Vec<String> {
    let mut empty = Vec::new();
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        for panel in panels(&dashboard) {
            let title = str_of(panel, "title");
            let may_be_empty = MAY_BE_EMPTY
                .iter()
                .any(|(of, panel, _)| (*of, *panel) == (uid, title));
            for expression in expressions(panel) {
                let answer = promtool(&["query", "instant", prometheus, &substituted(expression)]);
                if answer.trim().is_empty() && !may_be_empty {
                    empty.push(format!("{uid}: {title}: {expression}"));
                }
            }
        }
    }
    empty
}

fn promtool(arguments: &[&str]) -> String {
    run(promtool_command()
        .args(arguments)
        .current_dir(folder().join("prometheus")))
}

/// promtool with fewer garbage collections, which are a quarter of the time of a test of rules.
pub(super) fn promtool_command() -> Command {
    let mut command = Command::new("promtool");
    command.env("GOGC", "800");
    command
}

#[test]
#[ignore = "needs prometheus"]
fn promtool_accepts_rules_and_scrape_configuration() {
    for file in ["rules.yml", "recording.yml"] {
        promtool(&["check", "rules", "--lint=all", "--lint-fatal", file]);
    }
    for file in ["prometheus.yml", "prometheus-sharded.yml"] {
        promtool(&["check", "config", "--lint=all", "--lint-fatal", file]);
    }
}

/// Without the records, no alert on findings can fire, and one alert reports it.
#[test]
#[ignore = "needs prometheus"]
fn missing_recording_rules_are_an_alert() {
    let place = tempfile::tempdir().unwrap();
    let whole = text("prometheus/rules.yml");
    let (_, alerts) = whole.split_once("      - alert:").unwrap();
    let alone = format!("groups:\n  - name: certvigil\n    rules:\n      - alert:{alerts}");
    std::fs::write(place.path().join("rules.yml"), alone).unwrap();
    let test = "rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job=\"certvigil\"}', values: '1x30'}
      - {series: 'certvigil_endpoint_status{certificate=\"c\", status=\"conclusive\", job=\"certvigil\"}', values: '1x30'}
    promql_expr_test:
      - expr: ALERTS{alertstate=\"firing\"}
        eval_time: 20m
        exp_samples:
          - {labels: 'ALERTS{alertname=\"CertvigilRulesMissing\", alertstate=\"firing\", job=\"certvigil\", severity=\"critical\"}', value: 1}
";
    let file = place.path().join("test.yml");
    std::fs::write(&file, test).unwrap();
    promtool(&["test", "rules", file.to_str().unwrap()]);
}

#[test]
#[ignore = "needs prometheus"]
fn alert_rules_pass_their_promtool_tests() {
    promtool(&["test", "rules", "rules_test.yml"]);
}

/// Metrics that certvigil could report for two hosts with faults, seen from two vantages.
fn exposition() -> String {
    let mut out = String::new();
    let hosts = [
        ("shop", "www.shop.example", "192.0.2.1"),
        ("mail", "mx.mail.example", "2001:db8::1"),
    ];
    for (at, (certificate, hostname, ip)) in hosts.into_iter().enumerate() {
        let entry = format!("certificate=\"{certificate}\"");
        let address = format!("{entry},hostname=\"{hostname}\",ip=\"{ip}\",port=\"443\"");
        for vantage in ["local", "sslmate"] {
            let labels = format!("{address},key_type=\"any\",vantage=\"{vantage}\"");
            let mut endpoint = |name: &str, more: &str, value: u64| {
                writeln!(out, "certvigil_endpoint_{name}{{{labels}{more}}} {value}").unwrap();
            };
            let is_judged = at == 0 || vantage == "local";
            endpoint("status", ",status=\"conclusive\"", is_judged.into());
            endpoint("status", ",status=\"connect_error\"", (!is_judged).into());
            endpoint("last_check_timestamp_seconds", "", 1_800_000_000);
            if !is_judged {
                endpoint("error", ",error_kind=\"connect_timeout\"", 1);
                continue;
            }
            endpoint("correct", "", 1);
            endpoint("chained", "", 0);
            endpoint(
                "finding",
                ",code=\"missing_intermediate\",severity=\"critical\"",
                1,
            );
            endpoint(
                "finding",
                ",code=\"unrelated_certificate\",severity=\"warning\"",
                1,
            );
            if vantage == "local" {
                endpoint("trusted", "", 0);
                endpoint("hostname_match", "", 1);
                endpoint("not_before_timestamp_seconds", "", 1_700_000_000);
                endpoint("not_after_timestamp_seconds", "", 2_000_000_000);
                endpoint("chain_not_after_timestamp_seconds", "", 1_900_000_000);
                endpoint("warn_timestamp_seconds", "", 1_800_000_000);
                endpoint("crit_timestamp_seconds", "", 1_900_000_000);
                // One serves a known instance, the other an unknown one.
                let served = format!(
                    ",sha256=\"{at:064}\",issuer=\"CN=CA\",tls_version=\"1.3\",cipher_suite=\"TLS_AES_128_GCM_SHA256\",protocol=\"https\""
                );
                endpoint("info", &served, 1);
            }
        }
        let known = format!(
            "{entry},source=\"sslmate\",instance_id=\"{at}\",sha256=\"{:064}\"",
            at * 7
        );
        // Two replicas may disagree on the state for a while.
        for state in ["active", "pending"] {
            writeln!(
                out,
                "certvigil_certificate_info{{{known},state=\"{state}\"}} 1"
            )
            .unwrap();
        }
        writeln!(
            out,
            "certvigil_certificate_not_before_timestamp_seconds{{{entry}}} 1700000000"
        )
        .unwrap();
        writeln!(
            out,
            "certvigil_certificate_not_after_timestamp_seconds{{{entry}}} 2000000000"
        )
        .unwrap();
        writeln!(out, "certvigil_vantages_disagree{{{address}}} {at}").unwrap();
        writeln!(
            out,
            "certvigil_hostname_addresses{{{entry},hostname=\"{hostname}\",family=\"ipv4\"}} 1"
        )
        .unwrap();
    }
    out.push_str(
        "certvigil_source_up{source=\"sslmate\"} 1
certvigil_source_last_success_timestamp_seconds{source=\"sslmate\"} 1800000000
certvigil_source_requests_total{source=\"sslmate\",code=\"200\"} 7
certvigil_probe_phase_duration_seconds_bucket{phase=\"connect\",le=\"0.1\"} 3
certvigil_probe_phase_duration_seconds_bucket{phase=\"connect\",le=\"+Inf\"} 4
certvigil_probes_total{vantage=\"local\",status=\"conclusive\"} 4
certvigil_probes_in_flight 0
certvigil_cycle_duration_seconds 2
certvigil_cycle_lag_seconds 0
certvigil_config_last_reload_successful 1
certvigil_config_last_reload_success_timestamp_seconds 1800000000
certvigil_build_info{version=\"0.2.0\"} 1
process_cpu_seconds_total 1
process_open_fds 9
process_max_fds 1024
process_resident_memory_bytes 1e7
process_start_time_seconds 1800000000
",
    );
    out
}

#[test]
#[ignore = "needs prometheus"]
fn every_panel_has_data_from_a_scrape() {
    let text = exposition();
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    );
    let exporter = Canned::start(move |_, _| answer.clone().into_bytes());
    let other = Canned::start(|_, _| crate::canned::response(200, "text/plain", FOREIGN));
    let config = format!(
        "global: {{scrape_interval: 1s}}
scrape_configs:
  - {{job_name: certvigil, static_configs: [{{targets: [\"{}\"]}}]}}
  - {{job_name: other, static_configs: [{{targets: [\"{}\", \"127.0.0.1:1\"]}}]}}\n",
        exporter.address, other.address
    );
    let prometheus = Prometheus::start(&config, |_| {});
    // A rate needs two scrapes.
    prometheus.wait_for("sum_over_time(up[5m]) >= 2", |enough| enough.len() == 2);
    assert_eq!(panels_without_data(&prometheus.url()), Vec::<String>::new());
    assert_eq!(panels_with_foreign_data(&prometheus), Vec::<String>::new());
}

/// Metrics of another exporter, by the names that certvigil has too.
const FOREIGN: &str = "probe_success 0
probe_duration_seconds 77
process_cpu_seconds_total 77
process_open_fds 77
process_max_fds 77
process_resident_memory_bytes 77
process_virtual_memory_bytes 77
process_threads 77
process_start_time_seconds 77
";

/// Returns the expressions whose result, with all jobs selected, has something of another job.
fn panels_with_foreign_data(prometheus: &Prometheus) -> Vec<String> {
    let mut foreign = Vec::new();
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        for panel in panels(&dashboard) {
            for expression in expressions(panel) {
                let with = |job: &str| {
                    let expression = expression.replace("$job", job);
                    // The time passes between the two queries.
                    let expression = substituted(&expression).replace("time()", "2e9");
                    let series = prometheus.query(&expression);
                    let mut all: Vec<String> = series.iter().map(|s| format!("{s:?}")).collect();
                    all.sort();
                    all
                };
                let is_rate = expression.contains("rate(");
                let (all, own) = (with(".*"), with("certvigil"));
                if all.len() != own.len() || (!is_rate && all != own) {
                    foreign.push(format!("{uid}: {}: {all:?} {own:?}", panel["title"]));
                }
            }
        }
    }
    foreign
}
