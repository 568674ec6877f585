//! `/probe`: probes on demand, as Prometheus requests them from blackbox_exporter.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::metrics::assert_well_formed;
use super::*;
use crate::fixture::exporter::Answer;
use crate::fixture::tls::stay_silent;
use crate::support::{Refusing, for_each_concurrently};

/// Header with the scrape timeout of Prometheus, in seconds.
const SCRAPE_TIMEOUT: &str = "X-Prometheus-Scrape-Timeout-Seconds";
/// Maximum concurrent probes and tests on demand.
const MAX_ON_DEMAND: usize = 256;

fn success(answer: &Answer) -> f64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.sample("probe_success", &[]).unwrap()
}

#[test]
fn probe_endpoint_exposes_blackbox_exporter_metrics() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (right, wrong) = (server(&pki, &leaf), server(&pki, &other));
    let dead = Refusing::new();
    let dead_port: u16 = dead.place().rsplit_once(':').unwrap().1.parse().unwrap();
    let entries = [
        entry(&pki, "right", &leaf, right.port()),
        entry(&pki, "wrong", &leaf, wrong.port()),
        entry(&pki, "dead", &leaf, dead_port),
    ];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    let probe = |port: u16| exporter.probe(&format!("/probe?target={HOST}:{port}"));

    let answer = probe(right.port());
    assert_well_formed(&answer);
    assert_eq!(success(&answer), 1.0);
    assert!(answer.sample("probe_duration_seconds", &[]).unwrap() > 0.0);
    let end = leaf.certificate.facts().unwrap().not_after.0 as f64;
    for metric in [
        "probe_ssl_earliest_cert_expiry",
        "probe_ssl_last_chain_expiry_timestamp_seconds",
    ] {
        assert_eq!(answer.sample(metric, &[]), Some(end), "{metric}");
    }
    let sha256 = label("fingerprint_sha256", &leaf.certificate.sha256().to_string());
    let info = answer.samples("probe_ssl_last_chain_info", &[&sha256]);
    assert_eq!(info.len(), 1, "{}", answer.text());
    for name in [
        "subject=",
        "issuer=",
        "subjectalternative=",
        "serialnumber=",
    ] {
        assert!(info[0].contains(name), "{info:?}");
    }
    let version = [r#"version="TLS 1.3""#];
    assert_eq!(answer.sample("probe_tls_version_info", &version), Some(1.0));
    // The expected certificate is from the inventory.
    let labels = [r#"certificate="right""#];
    assert_eq!(
        answer.sample("certvigil_endpoint_correct", &labels),
        Some(1.0)
    );

    let answer = probe(wrong.port());
    assert_eq!(success(&answer), 0.0);
    let labels = [r#"certificate="wrong""#, r#"code="wrong_certificate""#];
    assert_eq!(
        answer.sample("certvigil_endpoint_finding", &labels),
        Some(1.0)
    );
    assert!(
        answer
            .sample("probe_ssl_earliest_cert_expiry", &[])
            .is_some()
    );

    let answer = probe(dead_port);
    assert_well_formed(&answer);
    assert_eq!(success(&answer), 0.0);
    for absent in [
        "probe_ssl_earliest_cert_expiry",
        "probe_ssl_last_chain_expiry_timestamp_seconds",
        "probe_ssl_last_chain_info",
        "probe_tls_version_info",
        "certvigil_endpoint_correct",
    ] {
        assert_eq!(answer.samples(absent, &[]), [""; 0]);
    }
    let error = [r#"error_kind="connect_refused""#];
    assert_eq!(answer.sample("certvigil_endpoint_error", &error), Some(1.0));
}

#[test]
fn probe_module_has_its_own_port_timeout_and_trust() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    let leaf = foreign.leaf(&[HOST]);
    let server = server(&foreign, &leaf);
    let silent = Server::start("127.0.0.1", stay_silent);
    let settings = format!(
        "probe:\n  allow: [127.0.0.1/32]\n  modules:\n    foreign: {{port: {}, trust: {{system: false, ca_files: [{}]}}}}\n    brief: {{port: {}, timeout: 100ms}}\n",
        server.port(),
        foreign.path("root.pem").display(),
        silent.port()
    );
    let config = inventory(
        &pki,
        LONG_TIMEOUT,
        &settings,
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let probe = |query: &str| exporter.probe(&format!("/probe?target=127.0.0.1{query}"));
    assert_eq!(
        success(&probe(&format!("&module=foreign&hostname={HOST}"))),
        1.0
    );
    // Without another name, the name to match is the target itself.
    let answer = probe("&module=foreign");
    assert_eq!(success(&answer), 0.0);
    let mismatch = [r#"code="hostname_mismatch""#, r#"hostname="127.0.0.1""#];
    assert_eq!(
        answer.sample("certvigil_endpoint_finding", &mismatch),
        Some(1.0)
    );
    // A port in the target overrides the module's, and the inventory's roots do not include this
    // one.
    let answer = probe(&format!(":{}&module=https&hostname={HOST}", server.port()));
    assert_eq!(success(&answer), 0.0);
    assert_eq!(answer.sample("certvigil_endpoint_trusted", &[]), Some(0.0));
    // The module's own timeout applies: otherwise the response would take an hour.
    let answer = probe("&module=brief");
    assert_eq!(success(&answer), 0.0);
    let error = [r#"error_kind="tls_timeout""#];
    assert_eq!(answer.sample("certvigil_endpoint_error", &error), Some(1.0));
}

#[test]
fn invalid_probe_request_is_explained_in_one_line() {
    let pki = Pki::new();
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]),
        &[],
        |_| {},
    );
    for (query, status, words) in [
        ("", 400, "`target` is missing"),
        ("?target=", 400, "`target` is missing"),
        ("?target=a%20b", 400, "white space"),
        ("?target=a.example:0", 400, "is not a port"),
        ("?target=a.example:99999", 400, "is not a port"),
        ("?target=nothing://a.example", 400, "target: "),
        ("?target=https://user:secret@127.0.0.1", 400, "remove it"),
        ("?target=*.example.com", 400, "is a wildcard"),
        ("?target=127.0.0.1&hostname=a..b", 400, "hostname: "),
        (
            "?target=127.0.0.1&module=nothing",
            404,
            "unknown module `nothing`",
        ),
        ("?target=127.0.0.1&module=htps", 404, "did you mean `https`"),
        (
            "?target=a.example:imap",
            400,
            "did you mean `imap://a.example`?",
        ),
        ("?target=other.example", 403, "is not in the inventory"),
    ] {
        let answer = exporter.get(&format!("/probe{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.text().contains(words), "{query}: {}", answer.text());
        assert_eq!(answer.text().lines().count(), 1, "{query}");
    }
    for wrong in ["soon", "-1", "inf"] {
        let header = [(SCRAPE_TIMEOUT, wrong)];
        let answer = exporter.request("GET", "/probe?target=127.0.0.1", &header, "");
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

#[test]
fn debug_shows_the_log_and_the_metrics() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entry = entry(&pki, "web", &leaf, server.port());
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let answer = exporter.probe(&format!(
        "/probe?target={HOST}:{}&debug=true",
        server.port()
    ));
    let text = answer.text();
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    for part in [
        "Log of the probe:\n127.0.0.1 port ",
        "correct true, chained true, trusted true",
        "Metrics:\n# HELP probe_success ",
        "\nprobe_success 1\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn probe_ends_within_the_scrape_timeout_with_its_error_kind() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let silent = Server::start("127.0.0.1", stay_silent);
    let entry = entry(&pki, "web", &leaf, silent.port());
    let exporter = Exporter::start(&inventory(&pki, LONG_TIMEOUT, "", &[entry]), &[], |_| {});
    wait_for_probes(&silent);
    // The server never responds, and a probe may take an hour.
    let path = format!("/probe?target={HOST}:{}", silent.port());
    let answer = exporter.request("GET", &path, &[(SCRAPE_TIMEOUT, "2.5")], "");
    assert_well_formed(&answer);
    assert_eq!(success(&answer), 0.0);
    let error = [r#"certificate="web""#, r#"error_kind="tls_timeout""#];
    assert_eq!(
        answer.sample("certvigil_endpoint_error", &error),
        Some(1.0),
        "{}",
        answer.text()
    );
}

#[test]
fn probe_request_gets_503_if_too_many_are_in_flight() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let silent = Server::start("127.0.0.1", stay_silent);
    let entry = entry(&pki, "web", &leaf, silent.port());
    let exporter = Exporter::start(&inventory(&pki, LONG_TIMEOUT, "", &[entry]), &[], |_| {});
    wait_for_probes(&silent);
    let path = format!("/probe?target={HOST}:{}", silent.port());
    let ask = || exporter.ask("GET", &path, &[], "");
    let mut stuck: Vec<TcpStream> = (0..MAX_ON_DEMAND).map(|_| ask()).collect();
    let brief = [(SCRAPE_TIMEOUT, "0.1")];
    let busy = wait_until("all of them are under way", || {
        let answer = exporter.request("GET", &path, &brief, "");
        if answer.status != 503 {
            // Another request may have evicted this one.
            stuck.push(ask());
            return None;
        }
        Some(answer)
    });
    assert!(busy.header("retry-after").is_some(), "{busy:?}");
    let test = exporter.get(&format!("/api/v2/certs/web/test?port={}", silent.port()));
    assert_eq!(
        (test.status, test.json()["reason"].as_str()),
        (503, Some("busy"))
    );
    // They delay no other client.
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert_eq!(exporter.get("/metrics").status, 200);

    drop(stuck);
    wait_until("who has gone gives their place back", || {
        let answer = exporter.request("GET", &path, &brief, "");
        (answer.status == 200).then_some(())
    });
}

#[test]
fn inventory_target_is_probed_at_its_own_address_with_any_hostname() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["other.example"]);
    let server = server(&pki, &leaf);
    // No name server has the name: only the inventory has its address.
    let entry = entry(&pki, "web", &leaf, server.port());
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, "dns: 127.0.0.1:1", &[entry]),
        &[],
        |_| {},
    );
    exporter.wait_until_ready();
    let path = format!(
        "/probe?target={HOST}:{}&hostname=other.example",
        server.port()
    );
    let answer = exporter.probe(&path);
    assert_eq!(success(&answer), 1.0, "{}", answer.text());
    let labels = [r#"hostname="other.example""#, r#"ip="127.0.0.1""#];
    assert_eq!(
        answer.sample("certvigil_endpoint_trusted", &labels),
        Some(1.0)
    );
}

/// The first bytes of each connection.
type FirstBytes = Arc<Mutex<Vec<Vec<u8>>>>;

/// Servers at two addresses and one port that record the first bytes of each connection, and close
/// it.
fn listeners() -> (Server, Server, [FirstBytes; 2]) {
    let seen = [FirstBytes::default(), FirstBytes::default()];
    let noting = |seen: &FirstBytes| {
        let seen = seen.clone();
        move |stream: &mut TcpStream| {
            let mut first = [0; 5];
            if stream.read_exact(&mut first).is_ok() {
                seen.lock().unwrap().push(first.to_vec());
            }
        }
    };
    let (first, second) = wait_until("a port that is free at both", || {
        let first = Server::start("127.0.0.1", noting(&seen[0]));
        let listener = TcpListener::bind(("127.0.0.2", first.port())).ok()?;
        Some((first, Server::listen(listener, noting(&seen[1]))))
    });
    (first, second, seen)
}

#[test]
fn proxy_header_of_an_entry_is_sent_only_to_its_own_servers() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (own, _other, seen) = listeners();
    let entry = format!(
        "{}, proxy_protocol: v1",
        entry(&pki, "web", &leaf, own.port())
    );
    let settings = "probe: {allow: [127.0.0.0/8]}";
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, settings, &[entry]),
        &[],
        |_| {},
    );
    exporter.wait_until_ready();
    let begins = |at: usize| std::mem::take(&mut *seen[at].lock().unwrap());
    let has_header = |first: &Vec<u8>| first == b"PROXY";
    begins(0);
    let port = own.port();
    // The entry's own server, by name and by address.
    for target in [HOST, "127.0.0.1"] {
        let path = format!("/probe?target={target}:{port}&hostname={HOST}");
        assert_eq!(exporter.probe(&path).status, 200);
        let firsts = begins(0);
        assert!(
            !firsts.is_empty() && firsts.iter().all(has_header),
            "{target}: {firsts:?}"
        );
    }
    // Another server, although the request contains the name of the entry.
    for path in [
        format!("/probe?target=127.0.0.2:{port}&hostname={HOST}"),
        format!("/api/v2/certs/web/test?hostname=127.0.0.2&port={port}"),
    ] {
        assert_eq!(exporter.probe(&path).status, 200, "{path}");
        let firsts = begins(1);
        assert!(
            !firsts.is_empty() && !firsts.iter().any(has_header),
            "{path}: {firsts:?}"
        );
    }
}

#[test]
fn probe_module_has_the_settings_of_an_entry() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    let leaf = foreign.leaf(&["127.0.0.1"]);
    let server = server(&foreign, &leaf);
    let settings = format!(
        "probe:\n  allow: [127.0.0.1/32]\n  modules:\n    own: {{ca_files: {root}}}\n    strict: {{ca_files: {root}, crit: 365d}}\n    accepting: {{ca_files: {root}, crit: 365d, accept: [{{finding: expiring, reason: planned}}]}}\n    v6: {{ca_files: {root}, families: ipv6}}\n",
        root = foreign.path("root.pem").display(),
    );
    let config = inventory(&pki, LONG_TIMEOUT, &settings, &[trusting("other.example")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    let probe = |module: &str| {
        let port = server.port();
        exporter.probe(&format!("/probe?target=127.0.0.1:{port}&module={module}"))
    };
    wait_until("the plan", || (probe("own").status == 200).then_some(()));
    assert_eq!(success(&probe("own")), 1.0);
    assert_eq!(success(&probe("https")), 0.0);
    let answer = probe("strict");
    assert_eq!(success(&answer), 0.0);
    let expiring = [r#"code="expiring""#, r#"severity="critical""#];
    assert_eq!(
        answer.sample("certvigil_endpoint_finding", &expiring),
        Some(1.0)
    );
    assert_eq!(success(&probe("accepting")), 1.0);
    assert_eq!(success(&probe("v6")), 0.0);
}

#[test]
fn probe_uses_the_port_and_protocol_of_the_inventory() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let silent = Server::start("127.0.0.1", stay_silent);
    let settings = "probe:\n  modules:\n    elsewhere: {port: 1}\n";
    let mail = format!(
        "name: mail, trust: true, hostnames: mail.example, addresses: 127.0.0.1, protocol: smtp, port: {}",
        silent.port()
    );
    let config = inventory(
        &pki,
        "interval: 1h, timeout: 2s",
        settings,
        &[entry(&pki, "web", &leaf, server.port()), mail],
    );
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    for query in ["", "&module=https", "&module=elsewhere"] {
        let answer = exporter.probe(&format!("/probe?target={HOST}{query}"));
        assert_eq!(success(&answer), 1.0, "{query}");
        let port = label("port", &server.port().to_string());
        assert_eq!(
            answer.sample("certvigil_endpoint_correct", &[&port]),
            Some(1.0)
        );
    }
    let targets = [
        "mail.example".to_owned(),
        format!("mail.example:{}", silent.port()),
    ];
    for_each_concurrently(targets, |target| {
        let answer = exporter.probe(&format!("/probe?target={target}&module=https"));
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("with smtp"), "{}", answer.text());
        let answer = exporter.probe(&format!("/probe?target={target}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(success(&answer), 0.0);
    });
}

#[test]
fn probe_of_another_name_uses_the_port_of_the_target_in_the_inventory() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST, "other.example"]);
    let server = server(&pki, &leaf);
    let entries = [entry(&pki, "web", &leaf, server.port())];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    let answer = exporter.probe(&format!("/probe?target={HOST}&hostname=other.example"));
    assert_eq!(success(&answer), 1.0);
    let port = label("port", &server.port().to_string());
    assert_eq!(
        answer.samples("certvigil_endpoint_status", &[&port]).len(),
        4
    );
    let answer = exporter.probe(&format!("/probe?target={HOST}:1&hostname=other.example"));
    assert_eq!(answer.status, 403);
    let text = answer.text();
    assert!(text.contains(&format!("port 1 of {HOST}")), "{text}");
}
