//! `/metrics`: the endpoints that it reports, those that it does not, and the format.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use certvigil::report::prometheus::{Kind, Metric};

use super::*;
use crate::fixture::dns::{A, Responder};
use crate::fixture::exporter::Answer;
use crate::fixture::tls::stay_silent;
use crate::support::Refusing;

/// Fails if the text violates the Prometheus format: HELP and TYPE of a metric occur once, before
/// its samples, which are contiguous; no series occurs twice.
pub(super) fn assert_well_formed(answer: &Answer) {
    let text = answer.text();
    let kinds: BTreeMap<&str, Kind> = Metric::ALL.iter().map(|m| (m.name(), m.kind())).collect();
    let mut begun = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut current = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap();
            assert!(begun.insert(current), "{current} comes twice");
            let kind = kinds
                .get(current)
                .unwrap_or_else(|| panic!("{current} is no metric of ours"));
            let wanted = format!("# TYPE {current} {}", kind.name());
            assert_eq!(lines.next(), Some(wanted.as_str()));
            continue;
        }
        let (name_and_labels, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = name_and_labels.split('{').next().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|part| {
            kinds.get(current) == Some(&Kind::Histogram) && name.strip_suffix(part) == Some(current)
        });
        assert!(name == current || of_histogram, "{line} is among {current}");
        assert!(
            series.insert(name_and_labels),
            "{name_and_labels} comes twice"
        );
    }
    assert!(!series.is_empty());
}

#[test]
fn endpoint_metrics_depend_on_the_probe_outcome() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (right, wrong) = (server(&pki, &leaf), server(&pki, &other));
    let silent = Server::start("127.0.0.1", stay_silent);
    let dead = Refusing::new();
    let dead_port: u16 = dead.place().rsplit_once(':').unwrap().1.parse().unwrap();
    let names = Responder::start(|_| Ok(Vec::new()));
    let settings = format!("dns: {}", names.address);
    let entries = [
        entry(&pki, "right", &leaf, right.port()),
        entry(&pki, "wrong", &leaf, wrong.port()),
        entry(&pki, "dead", &leaf, dead_port),
        entry(&pki, "silent", &leaf, silent.port()),
        expecting(&pki, "nowhere", &leaf, "hostnames: nowhere.example"),
        format!("name: unknown, pem: /there/is/no/such/file, hostnames: {HOST}"),
    ];
    let config = inventory(&pki, "interval: 1h, timeout: 1s", &settings, &entries);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert_well_formed(&metrics);
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );

    for (name, status, kind, finding) in [
        ("right", "conclusive", "", ""),
        ("wrong", "conclusive", "", "wrong_certificate"),
        ("dead", "connect_error", "connect_refused", ""),
        (
            "silent",
            "handshake_error",
            "tls_timeout",
            "handshake_failed",
        ),
        ("nowhere", "connect_error", "dns_no_address", ""),
        ("unknown", "internal_error", "internal", ""),
    ] {
        let certificate = label("certificate", name);
        let of = |metric: &str, more: &[&str]| {
            let labels: Vec<&str> = [certificate.as_str()].iter().chain(more).copied().collect();
            metrics.sample(&format!("certvigil_endpoint_{metric}"), &labels)
        };
        for one in [
            "conclusive",
            "connect_error",
            "handshake_error",
            "internal_error",
        ] {
            let wanted = f64::from(u8::from(one == status));
            assert_eq!(
                of("status", &[&label("status", one)]),
                Some(wanted),
                "{name}: {one}"
            );
        }
        let is_conclusive = status == "conclusive";
        let flag = |value: bool| is_conclusive.then_some(f64::from(u8::from(value)));
        assert_eq!(of("correct", &[]), flag(name == "right"), "{name}");
        assert_eq!(of("chained", &[]), flag(true), "{name}");
        assert_eq!(of("dummy", &[]), flag(false), "{name}");
        assert_eq!(of("trusted", &[]), flag(true), "{name}");
        assert_eq!(of("hostname_match", &[]), flag(true), "{name}");
        assert_eq!(of("revoked", &[]), None, "{name}");
        for metric in [
            "not_before_timestamp_seconds",
            "not_after_timestamp_seconds",
            "chain_not_after_timestamp_seconds",
            "info",
        ] {
            assert_eq!(of(metric, &[]).is_some(), is_conclusive, "{name}: {metric}");
        }
        assert!(
            of("last_check_timestamp_seconds", &[]).unwrap() > 1.7e9,
            "{name}"
        );
        let errors = metrics.samples("certvigil_endpoint_error", &[&certificate]);
        assert_eq!(
            errors.len(),
            usize::from(!is_conclusive),
            "{name}: {errors:?}"
        );
        assert!(
            errors
                .iter()
                .all(|e| e.contains(&label("error_kind", kind))),
            "{errors:?}"
        );
        let findings = metrics.samples("certvigil_endpoint_finding", &[&certificate]);
        assert_eq!(
            findings.len(),
            usize::from(!finding.is_empty()),
            "{name}: {findings:?}"
        );
        assert!(
            findings.iter().all(|f| f.contains(&label("code", finding))),
            "{findings:?}"
        );
    }
    let served = leaf.certificate.facts().unwrap();
    let port = right.port();
    let wanted = format!(
        "certvigil_endpoint_not_after_timestamp_seconds{{certificate=\"right\",hostname=\"{HOST}\",ip=\"127.0.0.1\",port=\"{port}\",key_type=\"any\",vantage=\"local\"}} {}",
        served.not_after.0
    );
    assert!(
        metrics.text().lines().any(|line| line == wanted),
        "{wanted}"
    );
    let sha256 = label("sha256", &leaf.certificate.sha256().to_string());
    for metric in ["certvigil_endpoint_info", "certvigil_certificate_info"] {
        let labels = [r#"certificate="right""#, sha256.as_str()];
        assert_eq!(metrics.sample(metric, &labels), Some(1.0));
    }
    let address = [r#"certificate="nowhere""#, r#"family="ipv4""#];
    assert_eq!(
        metrics.sample("certvigil_hostname_addresses", &address),
        Some(0.0)
    );
    let up = |source: &str| metrics.sample("certvigil_source_up", &[&label("source", source)]);
    assert_eq!(up("/there/is/no/such/file"), Some(0.0));
    let looks = [r#"vantage="local""#, r#"status="conclusive""#];
    assert_eq!(metrics.sample("certvigil_probes_total", &looks), Some(2.0));
    for (metric, value) in [
        ("certvigil_config_last_reload_successful", 1.0),
        ("certvigil_probes_in_flight", 0.0),
        ("certvigil_build_info", 1.0),
    ] {
        assert_eq!(metrics.sample(metric, &[]), Some(value), "{metric}");
    }
}

/// The names of certificates in a folder are not in the configuration, which rejects duplicate
/// names.
#[test]
fn certificates_with_the_same_name_cause_no_duplicate_series() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (first, second) = (server(&pki, &leaf), server(&pki, &leaf));
    let addresses = |kind| {
        Ok(if kind == A {
            vec![IpAddr::from([127, 0, 0, 1])]
        } else {
            Vec::new()
        })
    };
    let names = Responder::start(addresses);
    let settings = format!("dns: {}", names.address);
    let entries = [first.port(), second.port()].map(|port| format!("pem_dir: web.*, port: {port}"));
    let config = inventory(&pki, LONG_INTERVAL, &settings, &entries);
    let exporter = Exporter::start(&config, &[], |folder| {
        std::fs::copy(pki.full_chain(&leaf), folder.join("web.pem")).unwrap();
    });
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert_well_formed(&metrics);
    assert_eq!(metrics.samples("certvigil_endpoint_correct", &[]).len(), 2);
    assert_eq!(metrics.samples("certvigil_certificate_info", &[]).len(), 1);
}

#[test]
fn metrics_are_compressed_only_on_request() {
    let pki = Pki::new();
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]),
        &[],
        |_| {},
    );
    let gzip = exporter.request(
        "GET",
        "/metrics",
        &[("Accept-Encoding", "deflate, gzip;q=0.5")],
        "",
    );
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(gzip.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("\ncertvigil_build_info{"), "{text}");
    for refused in [&[] as &[_], &[("Accept-Encoding", "gzip;q=0, identity")]] {
        let plain = exporter.request("GET", "/metrics", refused, "");
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.header("vary"), Some("accept-encoding"));
        assert_well_formed(&plain);
    }
}

#[test]
fn address_removed_from_dns_leaves_the_metrics() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (first, _second) = two_servers(&pki, &leaf);
    let last = Arc::new(AtomicU8::new(2));
    let in_force = last.clone();
    let names = Responder::start(move |kind| {
        let all = 1..=in_force.load(Ordering::SeqCst);
        let all = all.map(|n| IpAddr::from(Ipv4Addr::new(127, 0, 0, n)));
        Ok(if kind == A { all.collect() } else { Vec::new() })
    });
    let settings = format!("dns: {}", names.address);
    let entry = expecting(
        &pki,
        "web",
        &leaf,
        &format!("hostnames: {HOST}, port: {}", first.port()),
    );
    let exporter = Exporter::start(
        &inventory(&pki, SHORT_INTERVAL, &settings, &[entry]),
        &[],
        |_| {},
    );
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    let (gone, count) = (r#"ip="127.0.0.2""#, "certvigil_hostname_addresses");
    assert_eq!(
        metrics.sample("certvigil_endpoint_correct", &[gone]),
        Some(1.0)
    );
    assert_eq!(metrics.sample(count, &[r#"family="ipv4""#]), Some(2.0));
    assert_eq!(metrics.sample(count, &[r#"family="ipv6""#]), Some(0.0));

    last.store(1, Ordering::SeqCst);
    let metrics = exporter.wait_for_metrics("the address is gone", |metrics| {
        !metrics.text().contains(gone)
    });
    assert_eq!(
        metrics.sample("certvigil_endpoint_correct", &[r#"ip="127.0.0.1""#]),
        Some(1.0)
    );
    assert_eq!(metrics.sample(count, &[r#"family="ipv4""#]), Some(1.0));
}

#[test]
fn every_path_reports_its_allowed_methods() {
    let pki = Pki::new();
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]),
        &[],
        |_| {},
    );
    for (method, path, status, allow) in [
        ("HEAD", "/metrics", 200, None),
        ("HEAD", "/", 200, None),
        ("POST", "/metrics", 405, Some("GET, HEAD")),
        ("DELETE", "/probe", 405, Some("GET, HEAD")),
        ("PUT", "/", 405, Some("GET, HEAD")),
        ("POST", "/api/v2/certs/x/test", 405, Some("GET, HEAD")),
        ("GET", "/-/reload", 405, Some("POST, PUT")),
        ("GET", "/webhook/sslmate", 405, Some("POST")),
        ("PUT", "/-/reload", 200, None),
        ("GET", "/-/healthy", 200, None),
        ("GET", "/nowhere", 404, None),
        ("GET", "/metrics/", 404, None),
        ("GET", "/%2Fmetrics", 404, None),
    ] {
        let answer = exporter.request(method, path, &[], "");
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
        if status == 404 {
            assert!(
                answer.text().contains("/metrics, /probe and /sd"),
                "{}",
                answer.text()
            );
        }
    }
    let head = exporter.request("HEAD", "/metrics", &[], "");
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    assert!(length > 1000, "{length}");
}

#[cfg(target_os = "linux")]
#[test]
fn process_metrics_match_the_operating_system() {
    let pki = Pki::new();
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]),
        &[],
        |_| {},
    );
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    let told = |metric: &str| metrics.sample(metric, &[]).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", exporter.pid())).unwrap();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft: f64 = files
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(told("process_max_fds"), soft);
    assert!((1.0..soft).contains(&told("process_open_fds")));
    assert!(told("process_resident_memory_bytes") > 1e6);
    assert!(told("process_threads") >= 2.0);
    let now = crate::fixture::pki::now().0 as f64;
    assert!((now - 600.0..=now + 1.0).contains(&told("process_start_time_seconds")));
}

#[test]
fn interval_of_an_entry_is_a_metric() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let own = entry(&pki, "own", &leaf, server.port()) + ", interval: 30m";
    let common = expecting(
        &pki,
        "common",
        &leaf,
        &format!("hostnames: 127.0.0.1, port: {}", server.port()),
    );
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, "", &[own, common]),
        &[],
        |_| {},
    );
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    let interval = |name: &str| {
        let name = label("certificate", name);
        metrics.sample("certvigil_endpoint_interval_seconds", &[&name])
    };
    assert_eq!((interval("own"), interval("common")), (Some(1800.0), None));
    let default = metrics.sample("certvigil_interval_seconds", &[]);
    assert_eq!(default, Some(3600.0));
}

/// Alerts about a source are routed by the labels of its entries.
#[test]
fn a_source_has_the_labels_that_all_of_its_entries_have() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let (own, shared) = (pki.full_chain(&leaf), pki.full_chain(&leaf));
    let place = format!(
        "hostnames: {HOST}, addresses: 127.0.0.1, port: {}",
        server.port()
    );
    let entry = |name: &str, file: &std::path::Path, labels: &str| {
        let file = file.display();
        format!("name: {name}, pem: {file}, {place}, labels: {{{labels}}}")
    };
    let entries = [
        entry("a", &own, "team: shop, env: prod"),
        entry("b", &shared, "team: shop, env: prod"),
        entry("c", &shared, "team: office, env: prod"),
    ];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert_well_formed(&metrics);
    let series =
        |file: &std::path::Path, labels: &str| format!("{{source=\"{}\"{labels}}}", file.display());
    let text = metrics.text();
    for metric in [
        "certvigil_source_up",
        "certvigil_source_last_success_timestamp_seconds",
    ] {
        for series in [
            series(&own, ",env=\"prod\",team=\"shop\""),
            series(&shared, ",env=\"prod\""),
        ] {
            assert!(
                text.contains(&format!("{metric}{series} ")),
                "{metric}{series}: {text}"
            );
        }
    }
}
