//! The exporter with a real Prometheus: scraped, discovered, sharded, and behind TLS and a
//! password.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::common::dashboards::{add_rules, shipped};
use certvigil::testbed::Scenario;
use url::Url;

use crate::fixture::exporter::Exporter;
use crate::fixture::pki::Pki;
use crate::fixture::prometheus::{Prometheus, Sample, promtool};
use crate::fixture::tls::{Server, config};

/// The hosts of the demo without a critical finding.
const GOOD_HOSTS: [&str; 3] = [
    "right.demo.example",
    "disordered.demo.example",
    "pending.demo.example",
];

/// A scrape configuration with short intervals.
const SHORT_INTERVALS: &str =
    "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n";

/// Fails the test unless promtool succeeds without output.
fn assert_promtool_is_silent(what: &str, exposition: &[u8]) {
    assert!(!exposition.is_empty(), "{what}");
    let output = promtool(&["check", "metrics"], exposition);
    assert!(output.status.success(), "{what}: {output:?}");
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "", "{what}");
}

#[test]
#[ignore = "needs prometheus"]
fn promtool_accepts_exposed_and_probe_metrics() {
    let demo = Exporter::demo(&[]);
    demo.wait_until_ready();
    let metrics = demo.get("/metrics");
    assert_eq!(metrics.samples("certvigil_build_info", &[]).len(), 1);
    assert_promtool_is_silent("/metrics", &metrics.body);
    for target in demo.get("/sd").json().as_array().unwrap() {
        let place = target["targets"][0].as_str().unwrap();
        let probe = demo.probe(&format!("/probe?target={place}"));
        assert_eq!(probe.status, 200, "{place}");
        assert_promtool_is_silent(place, &probe.body);
    }
}

#[test]
#[ignore = "needs prometheus"]
fn planted_faults_reach_prometheus() {
    let demo = Exporter::demo(&[]);
    let config = format!(
        "{SHORT_INTERVALS}scrape_configs: [{{job_name: certvigil, static_configs: [{{targets: ['{}']}}]}}]\n",
        demo.address
    );
    // Prometheus starts during the first round of the demo, whose results it scrapes at the end.
    let prometheus = Prometheus::start(&config, |_| {});
    demo.wait_until_ready();
    let up = prometheus.wait_for("up", |up| up.len() == 1 && up[0].value == 1.0);
    assert_eq!(up[0].label("instance"), demo.address.to_string());

    let local = r#"certvigil_endpoint_finding{vantage="local"}"#;
    let exposed = demo.get("/metrics");
    let exposed = exposed.samples("certvigil_endpoint_finding", &[r#"vantage="local""#]);
    assert!(!exposed.is_empty());
    let found = prometheus.wait_for(local, |found| found.len() == exposed.len());
    let place = |s: &Sample| (s.label("hostname").to_owned(), s.label("ip").to_owned());
    let found: BTreeSet<_> = found
        .iter()
        .map(|s| (place(s), s.label("code").to_owned()))
        .collect();
    // The demo omits hosts for which this machine has no address.
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

    // Each series occurs once, and every metric name of /metrics occurs.
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

/// Relabelling as for blackbox_exporter: the target becomes a parameter, and the exporter is
/// scraped.
fn probed_by(exporter: &Exporter) -> String {
    format!(
        "{SHORT_INTERVALS}scrape_configs:
- job_name: certvigil-probe
  metrics_path: /probe
  scrape_interval: 5s
  scrape_timeout: 5s
  http_sd_configs: [{{url: 'http://{0}/sd', refresh_interval: 1s}}]
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
    // Prometheus starts during the first round of the demo.
    let prometheus = Prometheus::start(&probed_by(&demo), |_| {});
    demo.wait_until_ready();
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
    // The module is from /sd, and the probe reports all metrics.
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
        SHORT_INTERVALS.to_owned() + "scrape_configs:\n",
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
    // The others are down for the expected reason.
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

/// Number of hosts that are distributed over the replicas.
const SHARDED_HOSTS: usize = 30;
/// Number of replicas in the example.
const REPLICAS: usize = 3;

#[test]
#[ignore = "needs prometheus"]
fn targets_are_spread_over_three_replicas() {
    let pki = Pki::new();
    let names: Vec<String> = (0..SHARDED_HOSTS)
        .map(|n| format!("www{n}.example.com"))
        .collect();
    let leaf = pki.leaf(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let server = Server::tls("127.0.0.1", config(&pki, &leaf));
    // The replicas' own interval is long, so that Prometheus requested all probes that are counted
    // later.
    let inventory = format!(
        "defaults: {{interval: 12h, timeout: 2s, per_address: 30}}\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         certificates:\n- {{name: web, pem: {}, hostnames: [{}], addresses: 127.0.0.1, port: {}}}\n",
        pki.path("root.pem").display(),
        pki.full_chain(&leaf).display(),
        names.join(", "),
        server.port()
    );
    // The names of the example's replicas end in their numbers and share one port, as these
    // addresses do.
    let mut port = 0;
    let mut replicas = Vec::new();
    for number in 0..REPLICAS {
        let place = format!("127.0.7.1{number}:{port}");
        let replica = Exporter::start(&inventory, &["--web.listen-address", &place], |_| {});
        replica.wait_until_ready();
        port = replica.address.port();
        replicas.push(replica);
    }
    let place = format!("127.0.7.1$1:{port}");
    let listed: Vec<String> = replicas.iter().map(|r| r.address.to_string()).collect();
    let mut replacements = vec![
        ("certvigil-$1:10843", place.as_str()),
        ("evaluation_interval: 1m", "evaluation_interval: 1s"),
        ("scrape_interval: 1m", "scrape_interval: 1s"),
        ("scrape_interval: 2m", "scrape_interval: 2s"),
        ("scrape_timeout: 30s", "scrape_timeout: 2s"),
    ];
    let named = [
        "certvigil-0:10843",
        "certvigil-1:10843",
        "certvigil-2:10843",
    ];
    replacements.extend(named.into_iter().zip(listed.iter().map(String::as_str)));
    let config = shipped("prometheus-sharded.yml", &replacements);
    let prometheus = Prometheus::start(&config, add_rules);

    let success = prometheus.wait_for("probe_success", |found| found.len() == SHARDED_HOSTS);
    let places = names.iter().map(|name| format!("{name}:{}", server.port()));
    let places: BTreeSet<String> = places.collect();
    let probed: BTreeSet<String> = success
        .iter()
        .map(|s| s.label("instance").to_owned())
        .collect();
    assert_eq!(probed, places);
    assert!(success.iter().all(|s| s.value == 1.0), "{success:#?}");

    // Each target occurs once, although every replica lists it, and belongs to one replica.
    let targets = prometheus.api("targets?state=active");
    let mut shares: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for target in targets["activeTargets"].as_array().unwrap() {
        if target["labels"]["job"] == "certvigil-probe" {
            let url: Url = target["scrapeUrl"].as_str().unwrap().parse().unwrap();
            let replica = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
            let instance = target["labels"]["instance"].as_str().unwrap().to_owned();
            assert!(shares.entry(replica).or_default().insert(instance));
        }
    }
    let all: Vec<&String> = shares.values().flatten().collect();
    assert_eq!(all.len(), SHARDED_HOSTS, "each target once: {shares:#?}");
    assert_eq!(
        shares.keys().collect::<Vec<_>>(),
        listed.iter().collect::<Vec<_>>()
    );
    assert!(shares.values().all(|share| !share.is_empty()));

    // Each replica counts the probes of its share, besides its own first round.
    let beyond = format!(
        r#"sum by (instance) (certvigil_probes_total{{status="conclusive"}}) > {SHARDED_HOSTS}"#
    );
    let counted = prometheus.wait_for(&beyond, |counted| counted.len() == REPLICAS);
    let counted: BTreeSet<&str> = counted.iter().map(|s| s.label("instance")).collect();
    assert_eq!(counted, shares.keys().map(String::as_str).collect());

    // An endpoint has one series of each metric: those of the replicas' own rounds are dropped.
    let own = prometheus.query(r#"count({__name__=~"certvigil_endpoint_.*", job="certvigil"})"#);
    assert!(own.is_empty(), "{own:?}");
    for metric in ["certvigil_endpoint_correct", "certvigil_endpoint_info"] {
        let per_endpoint =
            format!("count by (certificate, hostname, ip, port, key_type, vantage) ({metric})");
        let series = prometheus.query(&per_endpoint);
        assert_eq!(series.len(), SHARDED_HOSTS, "{metric}");
        assert!(
            series.iter().all(|s| s.value == 1.0),
            "{metric}: {series:#?}"
        );
    }
    // No alert fires.
    let alerts = prometheus.query("ALERTS");
    assert!(alerts.is_empty(), "{alerts:#?}");

    // Without the first replica, a restarted Prometheus still has every target. The share of that
    // replica is not probed, which is reported.
    replicas.remove(0).kill();
    let anew = Prometheus::start(&config, add_rules);
    let up = anew.wait_for(r#"up{job="certvigil-probe"}"#, |up| {
        up.len() == SHARDED_HOSTS
    });
    let down: BTreeSet<String> = up
        .iter()
        .filter(|s| s.value == 0.0)
        .map(|s| s.label("instance").to_owned())
        .collect();
    assert_eq!(down, shares[&listed[0]]);
    anew.wait_for("ALERTS", |alerts| {
        let told: BTreeSet<&str> = alerts.iter().map(|a| a.label("alertname")).collect();
        told == BTreeSet::from(["CertvigilDown", "CertvigilProbesFailing"])
    });
}
