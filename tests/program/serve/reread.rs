//! Files of expected certificates that are read again when a probe finds another leaf.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::*;
use crate::canned::{self, Canned};
use crate::common::client_auth::{Guard, config_requiring_client_certificate};
use crate::fixture::exporter::Answer;
use crate::support::Refusing;

/// Replaces a file with the chain of a leaf.
fn write_chain(pki: &Pki, leaf: &Leaf, file: &Path) {
    let chain = std::fs::read(pki.full_chain(leaf)).unwrap();
    // As certbot and acme.sh do: the file is replaced at once.
    let new = file.with_extension("new");
    std::fs::write(&new, chain).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// A monitor of one server, whose expected certificate is in `web.pem` of its folder.
fn exporter(pki: &Pki, leaf: &Leaf, port: u16, settings: &str) -> Exporter {
    let place = format!("hostnames: {HOST}, addresses: 127.0.0.1, port: {port}");
    let entry = format!("name: web, pem: web.pem, {place}");
    let config = inventory(pki, SHORT_INTERVAL, settings, &[entry]);
    Exporter::start(&config, &[], |folder| {
        write_chain(pki, leaf, &folder.join("web.pem"));
    })
}

/// Copies a file over another one at once, as tools that renew files do.
fn replace(from: &Path, file: &Path) {
    let new = file.with_extension("new");
    std::fs::copy(from, &new).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[test]
fn changed_roots_and_client_certificates_are_used_without_a_reload() {
    let (pki, other) = (Pki::new(), Pki::new());
    let leaf = pki.leaf(&[HOST]);
    let (first, second) = (pki.leaf(&["first.example"]), pki.leaf(&["second.example"]));
    let guard = Arc::new(Guard::default());
    let server = Server::tls(
        "127.0.0.1",
        config_requiring_client_certificate(&pki, &leaf, guard.clone()).into(),
    );
    let entry = format!(
        "name: web, trust: true, hostnames: {HOST}, addresses: 127.0.0.1, port: {}, ca_files: [ca.pem], \
         client_cert: client.pem, client_key: client.key",
        server.port()
    );
    let text = inventory(&other, SHORT_INTERVAL, "", &[entry]);
    let exporter = Exporter::start(&text, &[], |folder| {
        replace(&pki.path("root.pem"), &folder.join("ca.pem"));
        replace(&pki.full_chain(&first), &folder.join("client.pem"));
        replace(&first.key, &folder.join("client.key"));
    });
    exporter.wait_until_ready();
    let trusted = |metrics: &Answer| metrics.sample("certvigil_endpoint_trusted", &[]);
    let is_accepted = |metrics: &Answer| {
        metrics.sample("certvigil_config_last_reload_successful", &[]) == Some(1.0)
    };
    assert_eq!(trusted(&exporter.get("/metrics")), Some(1.0));

    // The root is removed from the file.
    replace(&other.path("root.pem"), &exporter.path("ca.pem"));
    exporter.wait_for_metrics("the root is no longer trusted", |m| trusted(m) == Some(0.0));
    // A file that cannot be used is reported, and the roots before it stay in force.
    std::fs::write(exporter.path("ca.pem"), "nothing").unwrap();
    exporter.wait_for_metrics("the broken file is reported", |m| !is_accepted(m));
    assert_eq!(trusted(&exporter.get("/metrics")), Some(0.0));
    assert!(
        exporter
            .get("/")
            .text()
            .contains("A changed file of the configuration cannot be used")
    );
    replace(&pki.path("root.pem"), &exporter.path("ca.pem"));
    exporter.wait_for_metrics("the root is trusted again", |m| {
        trusted(m) == Some(1.0) && is_accepted(m)
    });

    // The client certificate is renewed.
    replace(&second.key, &exporter.path("client.key"));
    replace(&pki.full_chain(&second), &exporter.path("client.pem"));
    guard.wait_until_saw(&second);
}

fn served(metrics: &Answer, leaf: &Leaf) -> bool {
    let sha256 = label("sha256", &leaf.certificate.sha256().to_string());
    !metrics
        .samples("certvigil_endpoint_info", &[&sha256])
        .is_empty()
}

fn correct(metrics: &Answer) -> Option<f64> {
    metrics.sample("certvigil_endpoint_correct", &[r#"certificate="web""#])
}

#[test]
fn renewed_file_is_read_before_the_renewed_server_is_judged() {
    let pki = Pki::new();
    let (leaf, renewed) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &leaf);
    let exporter = exporter(&pki, &leaf, server.port(), "");
    exporter.wait_until_ready();
    assert_eq!(correct(&exporter.get("/metrics")), Some(1.0));

    // A renewal: the file is replaced, and the server reloads it.
    write_chain(&pki, &renewed, &exporter.path("web.pem"));
    server.serve(config(&pki, &renewed));
    let metrics = exporter.wait_for_metrics("the renewed certificate is shown", |metrics| {
        served(metrics, &renewed)
    });
    assert_eq!(correct(&metrics), Some(1.0), "{}", metrics.text());
    assert_eq!(metrics.samples("certvigil_endpoint_finding", &[]), [""; 0]);

    // A probe on demand reads it too.
    let again = pki.leaf(&[HOST]);
    write_chain(&pki, &again, &exporter.path("web.pem"));
    server.serve(config(&pki, &again));
    let target = format!("/probe?target={HOST}:{}", server.port());
    let probe = exporter.probe(&target);
    assert_eq!(
        probe.sample("probe_success", &[]),
        Some(1.0),
        "{}",
        probe.text()
    );
    let log = exporter.log();
    assert!(!log.contains("endpoint critical"), "{log}");
    assert!(log.contains("another instance is expected now"), "{log}");
}

/// The vantage has another leaf than the monitor expects, because the file was renewed.
#[test]
fn vantage_is_asked_again_once_the_renewed_file_is_read() {
    let pki = Pki::new();
    let (leaf, renewed) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    // Only the vantage reaches the server, so that no local probe reads the file again.
    let refusing = Refusing::new();
    let port: u16 = refusing
        .place()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let is_renewed = Arc::new(AtomicBool::new(false));
    let is_new = is_renewed.clone();
    let east = Canned::start(move |_, _| {
        let row = json!({
            "hostname": HOST,
            "ip_address": "192.0.2.1",
            "port": port,
            "status": "conclusive",
            "correct": !is_new.swap(false, Ordering::SeqCst),
            "chained": true,
            "dummy": false,
        });
        canned::json(200, &json!({ "result": [row] }))
    });
    let settings = format!(
        "vantages: [{{name: east, type: certvigil, url: '{}'}}]",
        east.endpoint()
    );
    let exporter = exporter(&pki, &leaf, port, &settings);
    exporter.wait_until_ready();
    let of_east = [r#"vantage="east""#];
    let is_correct =
        |metrics: &Answer| metrics.sample("certvigil_endpoint_correct", &of_east) == Some(1.0);
    exporter.wait_for_metrics("the vantage has answered", is_correct);

    write_chain(&pki, &renewed, &exporter.path("web.pem"));
    is_renewed.store(true, Ordering::SeqCst);
    wait_until("the vantage has another leaf", || {
        (!is_renewed.load(Ordering::SeqCst)).then_some(())
    });
    // Its next test, and one of a later probe.
    let asked = east.requests().len();
    wait_until("the result is published", || {
        (east.requests().len() > asked + 1).then_some(())
    });
    let log = exporter.log();
    assert!(!log.contains("vantage=east"), "{log}");
    assert!(log.contains("another instance is expected now"), "{log}");
}
