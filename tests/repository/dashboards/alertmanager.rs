//! The example of Alertmanager, with a real one: one fault is one notification, and is resolved once.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::canned::{Canned, response};
use crate::fixture::process::{Process, run, wait_until};
use crate::fixture::prometheus::Prometheus;

/// A receiver of notifications, as `receiver status alertnames`, in the order of arrival.
struct Receiver {
    address: SocketAddr,
    notifications: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let notifications: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = notifications.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                for line in (&mut reader).lines().map_while(Result::ok) {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap();
                let alerts = body["alerts"].as_array().unwrap();
                let mut names: Vec<&str> = alerts
                    .iter()
                    .map(|a| str_of(&a["labels"], "alertname"))
                    .collect();
                names.sort_unstable();
                let (receiver, status) = (str_of(&body, "receiver"), str_of(&body, "status"));
                let line = format!("{receiver} {status} {}", names.join(" "));
                seen.lock().unwrap().push(line);
                let _ = stream.write_all(&response(200, "text/plain", ""));
            }
        });
        Self {
            address,
            notifications,
        }
    }

    fn notifications(&self) -> Vec<String> {
        self.notifications.lock().unwrap().clone()
    }
}

/// Metrics of twelve names on one leaf of team web, which has expired and has a weak key.
fn exposition(is_fixed: bool) -> String {
    let mut out = String::from(
        "certvigil_build_info{version=\"1\"} 1\ncertvigil_cycle_duration_seconds 300\n",
    );
    for n in 0..12 {
        let labels = format!(
            "certificate=\"shop\",hostname=\"n{n}.shop.example\",ip=\"192.0.2.1\",port=\"443\",key_type=\"any\",vantage=\"local\",team=\"web\""
        );
        let sha256 = if is_fixed { "b" } else { "a" };
        writeln!(
            out,
            "certvigil_endpoint_status{{{labels},status=\"conclusive\"}} 1"
        )
        .unwrap();
        writeln!(
            out,
            "certvigil_endpoint_info{{{labels},sha256=\"{sha256}\",subject=\"CN=shop\"}} 1"
        )
        .unwrap();
        let findings: &[_] = match is_fixed {
            true => &[],
            false => &[("expired", "critical"), ("weak_key", "warning")],
        };
        for (code, severity) in findings {
            writeln!(
                out,
                "certvigil_endpoint_finding{{{labels},code=\"{code}\",severity=\"{severity}\"}} 1"
            )
            .unwrap();
        }
    }
    out
}

/// Starts an Alertmanager with this configuration.
fn alertmanager(config: &str) -> Process {
    Process::start(&["127.0.0.1"], |folder, port| {
        std::fs::write(folder.join("alertmanager.yml"), config).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .args(["--config.file=alertmanager.yml", "--storage.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=");
        command
    })
}

#[test]
#[ignore = "needs prometheus and prometheus-alertmanager"]
fn one_fault_is_one_notification_and_is_resolved_once() {
    let is_fixed = Arc::new(AtomicBool::new(false));
    let state = is_fixed.clone();
    let exporter = Canned::start(move |_, _| {
        let text = exposition(state.load(Ordering::SeqCst));
        response(200, "text/plain; version=0.0.4", &text)
    });
    let receiver = Receiver::start();
    let example = text("prometheus/alertmanager.yml")
        .replace("localhost:9095", &receiver.address.to_string())
        .replace("group_wait: 1m", "group_wait: 3s")
        .replace("group_interval: 5m", "group_interval: 1s");
    let alertmanager = alertmanager(&example);
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: [\"127.0.0.1:{}\"]}}]}}]}}
scrape_configs: [{{job_name: certvigil, static_configs: [{{targets: [\"{}\"]}}]}}]\n",
        alertmanager.port, exporter.address
    );
    let rules: Vec<String> = text("prometheus/rules.yml")
        .lines()
        .map(|line| match line.trim_start().starts_with("for: ") {
            true => "        for: 2s".into(),
            false => line.into(),
        })
        .collect();
    let prometheus = Prometheus::start(&config, |folder| {
        std::fs::write(folder.join("rules.yml"), rules.join("\n")).unwrap();
    });
    let firing = "ALERTS{alertstate=\"firing\", alertname!=\"CertvigilDown\"}";
    // The warning of the same leaf fires too, and is inhibited.
    prometheus.wait_for(firing, |alerts| alerts.len() == 2);
    wait_until("a notification", || {
        (!receiver.notifications().is_empty()).then_some(())
    });
    is_fixed.store(true, Ordering::SeqCst);
    prometheus.wait_for(firing, |alerts| alerts.is_empty());
    let resolved = "team-web resolved CertvigilExpired";
    wait_until(resolved, || {
        let all = receiver.notifications();
        all.iter().any(|n| n == resolved).then_some(())
    });
    let of_shop: Vec<String> = receiver
        .notifications()
        .into_iter()
        // Before the first scrape, there is no exporter.
        .filter(|n| !n.ends_with(" CertvigilDown"))
        .collect();
    assert_eq!(of_shop, ["team-web firing CertvigilExpired", resolved]);
}

/// An exporter or a vantage that is down explains its own alerts only.
#[test]
#[ignore = "needs prometheus-alertmanager"]
fn alerts_of_other_exporters_and_vantages_are_not_inhibited() {
    let alertmanager = alertmanager(&text("prometheus/alertmanager.yml"));
    let url = format!("--alertmanager.url=http://127.0.0.1:{}", alertmanager.port);
    let amtool = |arguments: &[&str]| run(Command::new("amtool").arg(&url).args(arguments));
    let own = [
        "CertvigilResultsStale severity=critical instance=a",
        "CertvigilCycleLagging severity=warning instance=a",
        "CertvigilVantageLagging severity=warning instance=b vantage=far",
    ];
    let shown = [
        "CertvigilDown severity=critical instance=a",
        "CertvigilVantageDown severity=warning instance=b vantage=far",
        "CertvigilResultsStale severity=critical instance=b",
        "CertvigilCycleLagging severity=warning instance=b",
        "CertvigilVantageLagging severity=warning instance=c vantage=far",
        "CertvigilVantageFailing severity=warning vantage=near",
        "CertvigilMostNotJudged severity=critical",
        "CertvigilNotJudged severity=warning certificate=shop",
        "CertvigilUnreachable severity=critical certificate=mail",
        "CertvigilSourceStale severity=warning source=sslmate",
        "CertvigilRulesMissing severity=critical",
        "CertvigilProbesFailing severity=warning",
    ];
    for alert in own.iter().chain(&shown) {
        let mut arguments = vec!["alert", "add"];
        arguments.extend(alert.split(' '));
        arguments.push("job=certvigil");
        amtool(&arguments);
    }
    let query = |which: &str| -> BTreeSet<String> {
        let all = amtool(&["alert", "query", which, "--output=json"]);
        let all: Value = serde_json::from_str(&all).unwrap();
        let line = |alert: &Value| {
            let label =
                |name: &str| Some(format!("{name}={}", alert["labels"].get(name)?.as_str()?));
            let labels = ["severity", "instance", "vantage", "certificate", "source"];
            let rest: Vec<String> = labels.iter().filter_map(|name| label(name)).collect();
            format!(
                "{} {}",
                str_of(&alert["labels"], "alertname"),
                rest.join(" ")
            )
        };
        all.as_array().unwrap().iter().map(line).collect()
    };
    let is_own: BTreeSet<String> = own.map(str::to_owned).into();
    wait_until("inhibition", || {
        (query("--inhibited") == is_own).then_some(())
    });
    assert_eq!(query("--active"), shown.map(str::to_owned).into());
}

/// Whether an alert can have labels that match a matcher of Alertmanager.
fn is_matched(rule: &Rule, matcher: &str) -> bool {
    let [label, operator, value] = matcher.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{matcher}: three words are expected");
    };
    let value = value.trim_matches('"');
    let found = match label {
        "alertname" => rule.name.as_str(),
        "certificate" if rule.annotation("summary").contains("$labels.certificate") => "some",
        "certificate" => "",
        _ => {
            let pair = rule.labels.iter().find(|(key, _)| key == label);
            pair.map_or("", |(_, value)| value)
        }
    };
    match operator {
        "=" => found == value,
        "!=" => found != value,
        "=~" => match value.split_once('(') {
            Some((prefix, names)) => {
                let name = found.strip_prefix(prefix);
                let mut names = names.trim_end_matches(')').split('|');
                names.any(|n| Some(n) == name)
            }
            None => found.starts_with(value.strip_suffix(".+").unwrap()),
        },
        _ => panic!("{matcher}: unknown operator"),
    }
}

/// Prometheus sends the alerts of a group in the order of its rules. If the alert that inhibits were
/// the first to be resolved, the other one could be notified before it is resolved too.
#[test]
fn inhibited_alerts_precede_those_that_inhibit_them() {
    let document = text("prometheus/alertmanager.yml");
    let document = Yaml::load_from_str(&document).unwrap().remove(0);
    let rules = alerts();
    for inhibition in document["inhibit_rules"].as_vec().unwrap() {
        let positions = |key: &str| -> Vec<usize> {
            let matchers = inhibition[key].as_vec().unwrap();
            let is_one = |rule: &Rule| {
                let mut matchers = matchers.iter().map(|m| m.as_str().unwrap());
                matchers.all(|m| is_matched(rule, m))
            };
            (0..rules.len()).filter(|&n| is_one(&rules[n])).collect()
        };
        let (sources, targets) = (positions("source_matchers"), positions("target_matchers"));
        let (first, last) = (sources.iter().min().unwrap(), targets.iter().max().unwrap());
        assert!(
            last < first,
            "{} inhibits {}",
            rules[*first].name,
            rules[*last].name
        );
    }
}

#[test]
#[ignore = "needs prometheus-alertmanager"]
fn the_example_is_valid_and_routes_by_labels() {
    let amtool = |arguments: &[&str]| {
        run(Command::new("amtool")
            .args(arguments)
            .current_dir(folder().join("prometheus")))
    };
    amtool(&["check-config", "alertmanager.yml"]);
    for (labels, receiver) in [
        (
            &["severity=critical", "certificate=a", "team=web"][..],
            "team-web",
        ),
        (
            &["severity=warning", "certificate=a", "team=web"],
            "certificates",
        ),
        (
            &["severity=critical", "certificate=a", "team=mail"],
            "on-call",
        ),
        (&["severity=critical", "certificate=a", "env=test"], "none"),
        (
            &["severity=warning", "alertname=CertvigilStateDown"],
            "certificates",
        ),
        (&["severity=critical", "alertname=CertvigilDown"], "on-call"),
    ] {
        let mut arguments = vec!["config", "routes", "test", "--config.file=alertmanager.yml"];
        arguments.extend(labels);
        assert_eq!(amtool(&arguments).trim(), receiver, "{labels:?}");
    }
}
