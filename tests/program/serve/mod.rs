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

use crate::common::monitor::{
    LONG_INTERVAL, LONG_TIMEOUT, SHORT_INTERVAL, entry, expecting, inventory, label, server,
    trusting, two_servers, wait_for_probes,
};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::wait_until;
use crate::fixture::tls::{Server, config};

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
