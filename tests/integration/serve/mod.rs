//! `certvigil serve`, over HTTP and with TLS servers inside the test process.

mod account;
mod api;
mod clock;
mod crowd;
mod demo;
mod discovery;
mod dns;
mod faults;
mod file_sd;
mod files;
mod flags;
mod guard;
mod hostile_chain;
mod lifecycle;
mod material_change;
mod metrics;
mod names;
mod on_demand;
mod page;
mod peer;
mod probe;
mod reload;
mod reread;
mod secrets;
mod state;
mod test_api;
mod vantages;
mod webhook;

use std::net::TcpListener;

use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::wait_until;
use crate::fixture::tls::{Server, config};

/// For changes that must happen during the test.
const SHORT_INTERVAL: &str = "interval: 1s, timeout: 2s";
/// For a state that must not change unless something triggers a probe.
const LONG_INTERVAL: &str = "interval: 1h, timeout: 2s";
/// For servers that never respond, which must not time out before the test has seen enough.
const LONG_TIMEOUT: &str = "interval: 1h, timeout: 1h";

/// A configuration that trusts only the tests' root.
fn inventory(pki: &Pki, defaults: &str, settings: &str, certificates: &[String]) -> String {
    let root = pki.path("root.pem");
    let entries: String = certificates
        .iter()
        .map(|c| format!("- {{{c}}}\n"))
        .collect();
    format!(
        "defaults: {{{defaults}}}\ntrust: {{system: false, ca_files: [{}]}}\n{settings}\ncertificates:\n{entries}",
        root.display()
    )
}

/// An entry that expects this leaf of [`HOST`] at a port of 127.0.0.1, unless the entry says
/// otherwise.
fn entry(pki: &Pki, name: &str, leaf: &Leaf, port: u16) -> String {
    let place = format!("hostnames: {HOST}, addresses: 127.0.0.1, port: {port}");
    expecting(pki, name, leaf, &place)
}

/// An entry that expects this leaf with these fields for host, address and port.
fn expecting(pki: &Pki, name: &str, leaf: &Leaf, place: &str) -> String {
    let chain = pki.full_chain(leaf);
    format!("name: {name}, pem: {}, {place}", chain.display())
}

/// An entry that expects any trusted certificate.
fn trusting(hostname: &str) -> String {
    format!("name: any, trust: true, hostnames: \"{hostname}\"")
}

/// A server with this leaf at 127.0.0.1.
fn server(pki: &Pki, leaf: &Leaf) -> Server {
    Server::tls("127.0.0.1", config(pki, leaf))
}

/// Servers with this leaf at two addresses and one port.
fn two_servers(pki: &Pki, leaf: &Leaf) -> (Server, Server) {
    wait_until("a port that is free at both", || {
        let first = server(pki, leaf);
        let listener = TcpListener::bind(("127.0.0.2", first.port())).ok()?;
        Some((first, Server::tls_at(listener, config(pki, leaf))))
    })
}

/// Waits until the server is probed.
fn wait_for_probes(server: &Server) {
    wait_until("a look", || (server.connections() > 0).then_some(()));
}

/// A label in the exposition format.
fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

#[test]
fn new_fault_is_reported_at_the_next_probe() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entry = entry(&pki, "web", &leaf, server.port());
    let exporter = Exporter::start(&inventory(&pki, SHORT_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let labels = [r#"certificate="web""#, r#"ip="127.0.0.1""#];
    let metrics = exporter.get("/metrics");
    assert_eq!(
        metrics.sample("certvigil_endpoint_correct", &labels),
        Some(1.0)
    );
    assert_eq!(metrics.samples("certvigil_endpoint_finding", &[]), [""; 0]);

    // The server gets another certificate, which is never expected.
    let other = pki.leaf(&[HOST]);
    server.serve(config(&pki, &other));
    let metrics = exporter.wait_for_metrics("the fault is told", |metrics| {
        metrics.sample("certvigil_endpoint_correct", &labels) == Some(0.0)
    });
    let finding = [
        labels[0],
        r#"code="wrong_certificate""#,
        r#"severity="critical""#,
    ];
    assert_eq!(
        metrics.sample("certvigil_endpoint_finding", &finding),
        Some(1.0)
    );
}

#[test]
fn fault_found_by_the_first_probe_is_logged() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &other);
    let entry = entry(&pki, "web", &leaf, server.port());
    let exporter = Exporter::start(&inventory(&pki, SHORT_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let log = exporter.log();
    assert!(log.contains("endpoint critical: hostname="), "{log}");
    server.serve(config(&pki, &leaf));
    wait_until("the recovery is logged", || {
        exporter
            .log()
            .contains("endpoint recovered: ")
            .then_some(())
    });
    assert!(!exporter.log().contains("was=ok"), "{}", exporter.log());
}
