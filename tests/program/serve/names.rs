//! Entries and files with the same name: none of them may hide another.

use super::*;
use crate::fixture::dns::{A, Responder};
use crate::support::certvigil;

/// Writes the chains of these leaves into folders with these names, each with the same file name.
fn write_chains(pki: &Pki, folder: &std::path::Path, file: &str, leaves: &[(&str, &Leaf)]) {
    for (name, leaf) in leaves {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::copy(pki.full_chain(leaf), folder.join(name).join(file)).unwrap();
    }
}

/// The values of the endpoints, by certificate name.
fn correct(exporter: &Exporter) -> Vec<(String, f64)> {
    let lines = exporter
        .get("/metrics")
        .samples("certvigil_endpoint_correct", &[]);
    let each = lines.iter().map(|line| {
        let (_, rest) = line.split_once("certificate=\"").unwrap();
        let (name, rest) = rest.split_once('"').unwrap();
        let value = rest.rsplit(' ').next().unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    each.collect()
}

#[test]
fn two_files_with_one_name_for_one_host_are_both_probed() {
    let pki = Pki::new();
    let (served, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &served);
    let place = format!("addresses: 127.0.0.1, port: {}", server.port());
    let entries = ["two", "one"].map(|folder| format!("pem: {folder}/site.pem, {place}"));
    let config = inventory(&pki, SHORT_INTERVAL, "", &entries);
    let exporter = Exporter::start(&config, &[], |folder| {
        write_chains(
            &pki,
            folder,
            "site.pem",
            &[("one", &other), ("two", &served)],
        );
    });
    exporter.wait_until_ready();
    // The first in the configuration keeps the name.
    let folder = exporter.folder.path().canonicalize().unwrap();
    let apart = correct(&exporter);
    let (second, value) = &apart[1];
    assert_eq!(apart[0], ("site".to_owned(), 1.0), "{apart:?}");
    assert!(
        second.starts_with("site (") && second.ends_with("one/site.pem)"),
        "{apart:?}"
    );
    assert_eq!((apart.len(), *value), (2, 0.0), "{apart:?}");
    let warned = exporter
        .log()
        .matches("two entries call their certificates `site`")
        .count();
    assert_eq!(warned, 1, "{}", exporter.log());

    // Both are reachable by their names.
    for (name, is_right) in [("site", true), (second, false)] {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = exporter.get(&format!("/api/v2/certs/{encoded}/test"));
        assert_eq!(
            answer.json()["result"][0]["correct"],
            is_right,
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["result"][0]["certificate"], *name);
        assert_eq!(
            exporter.get(&format!("/certificates/{encoded}")).status,
            200
        );
    }

    // `check` uses the same names.
    let file = folder.join("certvigil.yml");
    let run = certvigil([
        "check",
        "--config",
        file.to_str().unwrap(),
        "--format",
        "json",
    ]);
    let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let names: Vec<&str> = told["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["certificate"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"site"), "{names:?}");
    assert!(
        names.iter().any(|name| name.ends_with("one/site.pem)")),
        "{names:?}"
    );
}

#[test]
fn files_of_one_pattern_are_not_instances_of_each_other() {
    let pki = Pki::new();
    let (served, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &served);
    let defaults = format!("interval: 1s, timeout: 2s, port: {}", server.port());
    let dns = Responder::start(|kind| match kind {
        A => Ok(vec![[127, 0, 0, 1].into()]),
        _ => Ok(Vec::new()),
    });
    // Files are read again each second.
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
