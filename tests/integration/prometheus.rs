//! The exporter as a real Prometheus meets it: scraped, discovered, sharded, and behind TLS and a password.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use certvigil::lab::Scenario;

use crate::fixture::exporter::Exporter;
use crate::fixture::pki::Pki;
use crate::fixture::prometheus::{Prometheus, Sample, promtool};
use crate::fixture::tls::{Server, config};

/// The hosts of the demo at which nothing critical is found.
const GOOD_HOSTS: [&str; 3] = [
    "right.demo.example",
    "disordered.demo.example",
    "pending.demo.example",
];

/// A scrape configuration that asks often.
const OFTEN: &str = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n";

/// Fails the test unless promtool is silent and content.
fn assert_promtool_is_silent(what: &str, exposition: &[u8]) {
    assert!(!exposition.is_empty(), "{what}");
    let output = promtool(&["check", "metrics"], exposition);
    assert!(output.status.success(), "{what}: {output:?}");
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "", "{what}");
}

#[test]
#[ignore = "needs prometheus"]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let demo = Exporter::demo(&[]);
    demo.wait_until_ready();
    let metrics = demo.get("/metrics");
    assert_eq!(metrics.samples("certvigil_build_info", &[]).len(), 1);
    assert_promtool_is_silent("/metrics", &metrics.body);
    for target in demo.get("/sd").json().as_array().unwrap() {
        let place = target["targets"][0].as_str().unwrap();
        let probe = demo.get(&format!("/probe?target={place}"));
        assert_eq!(probe.status, 200, "{place}");
        assert_promtool_is_silent(place, &probe.body);
    }
}

#[test]
#[ignore = "needs prometheus"]
fn planted_faults_reach_prometheus() {
    let demo = Exporter::demo(&[]);
    demo.wait_until_ready();
    let config = format!(
        "{OFTEN}scrape_configs: [{{job_name: certvigil, static_configs: [{{targets: ['{}']}}]}}]\n",
        demo.address
    );
    let prometheus = Prometheus::start(&config, |_| {});
    let up = prometheus.wait_for("up", |up| up.len() == 1 && up[0].value == 1.0);
    assert_eq!(up[0].label("instance"), demo.address.to_string());

    let local = r#"certvigil_endpoint_finding{vantage="local"}"#;
    let found = prometheus.wait_for(local, |found| !found.is_empty());
    let place = |s: &Sample| (s.label("hostname").to_owned(), s.label("ip").to_owned());
    let found: BTreeSet<_> = found
        .iter()
        .map(|s| (place(s), s.label("code").to_owned()))
        .collect();
    // What this machine has no address for is left out by the demo.
    let looked = prometheus.query(r#"certvigil_endpoint_status{vantage="local"}"#);
    let looked: BTreeSet<_> = looked.iter().map(place).collect();
    let mut planted = BTreeSet::new();
    for host in Scenario::demo().unwrap().hosts {
        for server in host.servers {
            let at = (host.name.to_string(), server.at.to_string());
            if looked.contains(&at) {
                let codes = server.findings.into_iter();
                planted.extend(codes.map(|c| (at.clone(), c.name().to_owned())));
            }
        }
    }
    assert!(planted.len() >= 12, "{planted:?}");
    assert_eq!(found, planted);

    // A series is told once, by every name that /metrics has.
    let told = demo.get("/metrics").text();
    let told: BTreeSet<&str> = told
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let names = prometheus.query(r#"count by (__name__) ({job="certvigil"})"#);
    let names: BTreeSet<&str> = names.iter().map(|s| s.label("__name__")).collect();
    assert!(names.is_superset(&told), "{:?}", &told - &names);
}

/// Relabelling in the manner of blackbox_exporter: the target goes into a parameter, and the exporter is asked.
fn probed_by(exporter: &Exporter) -> String {
    format!(
        "{OFTEN}scrape_configs:
- job_name: certvigil-probe
  metrics_path: /probe
  scrape_interval: 5s
  scrape_timeout: 5s
  http_sd_configs: [{{url: 'http://{0}/sd'}}]
  relabel_configs:
  - {{source_labels: [__address__], target_label: __param_target}}
  - {{source_labels: [__param_target], target_label: instance}}
  - {{source_labels: [__meta_certvigil_certificate], target_label: owner}}
  - {{target_label: __address__, replacement: '{0}'}}
",
        exporter.address
    )
}

#[test]
#[ignore = "needs prometheus"]
fn prometheus_discovers_the_inventory_and_probes_it() {
    let demo = Exporter::demo(&[]);
    demo.wait_until_ready();
    let prometheus = Prometheus::start(&probed_by(&demo), |_| {});
    let discovered = demo.get("/sd").json();
    let groups = discovered.as_array().unwrap();
    let success = prometheus.wait_for("probe_success", |found| found.len() == groups.len());
    let success: BTreeMap<String, (f64, String)> = success
        .iter()
        .map(|s| {
            let value = (s.value, s.label("owner").to_owned());
            (s.label("instance").to_owned(), value)
        })
        .collect();
    let mut wanted = BTreeMap::new();
    for group in groups {
        let place = group["targets"][0].as_str().unwrap();
        let (host, _) = place.rsplit_once(':').unwrap();
        let value = f64::from(u8::from(GOOD_HOSTS.contains(&host)));
        wanted.insert(place.to_owned(), (value, host.to_owned()));
    }
    assert!(wanted.len() >= 13, "{wanted:?}");
    assert_eq!(success, wanted);
    // The module came from /sd, and the look is told of in full.
    let targets = prometheus.api("targets?state=active");
    for target in targets["activeTargets"].as_array().unwrap() {
        assert_eq!(target["discoveredLabels"]["__param_module"], "https");
        assert_eq!(target["health"], "up", "{target}");
    }
    let wrong = prometheus.query(
        r#"certvigil_endpoint_finding{hostname="another.demo.example",code="wrong_certificate"}"#,
    );
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

#[test]
#[ignore = "needs prometheus"]
fn prometheus_scrapes_over_tls_with_a_password() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["monitor.example"]);
    let salt = *b"0123456789abcdef";
    let hash = bcrypt::hash_with_salt("open sesame", 4, salt).unwrap();
    let web = format!(
        "tls_server_config: {{cert_file: {}, key_file: {}}}\nbasic_auth_users: {{prometheus: {hash}}}\n",
        pki.full_chain(&leaf).display(),
        leaf.key.display(),
    );
    let inventory = "certificates: [{trust: true, hostnames: none.invalid}]\n";
    let exporter = Exporter::start(inventory, &["--web.config.file", "web.yml"], |folder| {
        fs::write(folder.join("web.yml"), web).unwrap();
    });
    let job = |name: &str, password: &str, more: &str| {
        format!(
            "- job_name: {name}
  scheme: https
  basic_auth: {{username: prometheus, password: {password}}}
  tls_config: {{server_name: monitor.example{more}}}
  static_configs: [{{targets: ['{}']}}]
",
            exporter.address
        )
    };
    let config = [
        OFTEN.to_owned() + "scrape_configs:\n",
        job("right", "open sesame", ", ca_file: root.pem"),
        job("wrong_password", "open barley", ", ca_file: root.pem"),
        job("no_root", "open sesame", ""),
    ];
    let prometheus = Prometheus::start(&config.concat(), |folder| {
        fs::copy(pki.path("root.pem"), folder.join("root.pem")).unwrap();
    });
    let up = prometheus.wait_for("up", |up| up.len() == 3);
    let up: BTreeMap<&str, f64> = up.iter().map(|s| (s.label("job"), s.value)).collect();
    let wanted = [("right", 1.0), ("wrong_password", 0.0), ("no_root", 0.0)];
    assert_eq!(up, BTreeMap::from(wanted));
    let info = prometheus.query("certvigil_build_info");
    assert_eq!(info.len(), 1, "{info:?}");
    // Why the others are down is what it should be.
    let targets = prometheus.api("targets?state=active");
    for target in targets["activeTargets"].as_array().unwrap() {
        let error = target["lastError"].as_str().unwrap();
        let wanted = match target["labels"]["job"].as_str().unwrap() {
            "right" => "",
            "wrong_password" => "401 Unauthorized",
            _ => "certificate signed by unknown authority",
        };
        assert!(error.contains(wanted), "{error}");
    }
}
