//! Files of expected certificates that are read again when a probe finds another leaf.

use std::path::Path;

use super::*;
use crate::fixture::exporter::Answer;

/// Replaces a file with the chain of a leaf.
fn write_chain(pki: &Pki, leaf: &Leaf, file: &Path) {
    let chain = std::fs::read(pki.full_chain(leaf)).unwrap();
    // As certbot and acme.sh do: the file is replaced at once.
    let new = file.with_extension("new");
    std::fs::write(&new, chain).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// A monitor of one server, whose expected certificate is in `web.pem` of its folder.
fn exporter(pki: &Pki, leaf: &Leaf, port: u16) -> Exporter {
    let place = format!("hostnames: {HOST}, addresses: 127.0.0.1, port: {port}");
    let entry = format!("name: web, pem: web.pem, {place}");
    let config = inventory(pki, SHORT_INTERVAL, "", &[entry]);
    Exporter::start(&config, &[], |folder| {
        write_chain(pki, leaf, &folder.join("web.pem"));
    })
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
    let exporter = exporter(&pki, &leaf, server.port());
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
    let probe = exporter.get(&target);
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
