//! Entries and files that would be called the same: none of them may hide another.

use super::*;
use crate::fixture::dns::{A, Responder};

/// Writes the chains of these leaves into folders of these names, by one file name.
fn write_chains(pki: &Pki, folder: &std::path::Path, file: &str, leaves: &[(&str, &Leaf)]) {
    for (name, leaf) in leaves {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::copy(pki.full_chain(leaf), folder.join(name).join(file)).unwrap();
    }
}

#[test]
fn files_of_one_pattern_are_not_each_others_other_instance() {
    let pki = Pki::new();
    let (served, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &served);
    let defaults = format!("interval: 1s, timeout: 2s, port: {}", server.port());
    let dns = Responder::start(|kind| match kind {
        A => Ok(vec![[127, 0, 0, 1].into()]),
        _ => Ok(Vec::new()),
    });
    // Files are read anew each second.
    let settings = format!(
        "sslmate: {{refresh_interval: 1s, api_key_file: key, endpoint: \"http://127.0.0.1:9\"}}\ndns: [\"{}\"]",
        dns.address
    );
    let entries = ["pem_dir: \"*/site.pem\"".to_owned()];
    let config = inventory(&pki, &defaults, &settings, &entries);
    let exporter = Exporter::start(&config, &[], |folder| {
        std::fs::write(folder.join("key"), "k").unwrap();
        write_chains(
            &pki,
            folder,
            "site.pem",
            &[("one", &other), ("two", &served)],
        );
    });
    exporter.wait_until_ready();
    let success = |exporter: &Exporter| {
        let labels = [r#"source="*/site.pem""#];
        exporter
            .get("/metrics")
            .sample("certvigil_source_last_success_timestamp_seconds", &labels)
    };
    let first = success(&exporter);
    wait_until("the files are read anew", || {
        (success(&exporter) > first).then_some(())
    });
    let metrics = exporter.get("/metrics");
    for (name, value) in [("one/site.pem", 0.0), ("two/site.pem", 1.0)] {
        let labels = [&label("certificate", name), r#"vantage="local""#];
        let correct = metrics.sample("certvigil_endpoint_correct", &labels);
        assert_eq!(correct, Some(value), "{name}: {}", metrics.text());
    }
    let critical = [r#"code="wrong_certificate""#, r#"severity="critical""#];
    let finding = |labels: &[&str]| metrics.samples("certvigil_endpoint_finding", labels).len();
    assert_eq!(finding(&critical), 1, "{}", metrics.text());
    assert_eq!(
        finding(&[r#"code="previous_instance""#]),
        0,
        "{}",
        metrics.text()
    );
    assert!(
        !exporter.log().contains("another instance"),
        "{}",
        exporter.log()
    );
}
