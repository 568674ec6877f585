//! `certvigil serve`, over HTTP and against TLS servers of the test's own.

use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls::{Server, config};

/// A server that serves what it should, and the inventory that expects it.
fn one_right_server(pki: &Pki) -> (Server, String) {
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("127.0.0.1", config(pki, &leaf));
    let inventory = format!(
        "defaults: {{interval: 1s, timeout: 2s}}\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         certificates:\n- {{name: web, pem: {}, hostnames: {HOST}, addresses: 127.0.0.1, port: {}}}\n",
        pki.path("root.pem").display(),
        pki.full_chain(&leaf).display(),
        server.port()
    );
    (server, inventory)
}

#[test]
fn an_endpoint_that_turns_bad_is_told_at_the_next_look() {
    let pki = Pki::new();
    let (server, inventory) = one_right_server(&pki);
    let exporter = Exporter::start(&inventory, &[], |_| {});
    exporter.wait_until_ready();
    let labels = [r#"certificate="web""#, r#"ip="127.0.0.1""#];
    let metrics = exporter.get("/metrics");
    assert_eq!(
        metrics.sample("certvigil_endpoint_correct", &labels),
        Some(1.0)
    );
    assert_eq!(metrics.samples("certvigil_endpoint_finding", &[]), [""; 0]);

    // The server is given another certificate, and never told what is expected.
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
