//! Certificate files that are monitored beside servers.

use super::*;

/// Fetches sources every second, so that new files of a pattern are found during the test. Nothing
/// in it requests the account.
const QUICKLY: &str =
    "sslmate: {refresh_interval: 1s, api_key_file: key, endpoint: \"http://127.0.0.1:9\"}";

fn exporter(pki: &Pki, entries: &[String], prepare: impl FnOnce(&std::path::Path)) -> Exporter {
    let config = inventory(pki, SHORT_INTERVAL, QUICKLY, entries);
    Exporter::start(&config, &["--state-dir", "state"], |folder| {
        std::fs::write(folder.join("key"), "k").unwrap();
        std::fs::create_dir(folder.join("certs")).unwrap();
        prepare(folder);
    })
}

#[test]
fn files_of_a_pattern_are_monitored_as_they_come_and_change() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&["other.example"]));
    let chain = std::fs::read(pki.full_chain(&leaf)).unwrap();
    let wrong = std::fs::read(pki.full_chain(&other)).unwrap();
    let server = server(&pki, &leaf);
    let entries = [
        format!("name: mounted, trust: true, files: certs/*.pem, hostnames: {HOST}"),
        "name: nothing, trust: true, files: none/*.pem".to_owned(),
        entry(&pki, "web", &leaf, server.port()),
    ];
    let exporter = exporter(&pki, &entries, |folder| {
        std::fs::write(folder.join("certs/a b.pem"), &chain).unwrap();
    });
    exporter.wait_until_ready();
    let of = |file: &str| [label("hostname", file), label("ip", ""), label("port", "")];
    let value = |metrics: &crate::fixture::exporter::Answer, name: &str, file: &str| {
        let labels = of(file);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        metrics.sample(name, &labels)
    };
    let metrics = exporter.get("/metrics");
    assert_eq!(
        value(&metrics, "certvigil_endpoint_correct", "certs/a b.pem"),
        Some(1.0)
    );
    assert_eq!(
        metrics.sample(
            "certvigil_endpoint_error",
            &[r#"hostname="none/*.pem""#, r#"error_kind="internal""#]
        ),
        Some(1.0)
    );
    let addresses = metrics.samples(
        "certvigil_hostname_addresses",
        &[r#"certificate="mounted""#],
    );
    assert_eq!(addresses, [""; 0]);

    // A new match appears without a reload, and a changed file is read at the next probe.
    std::fs::write(exporter.path("certs/new.pem"), &chain).unwrap();
    std::fs::write(exporter.path("certs/a b.pem"), &wrong).unwrap();
    exporter.wait_for_metrics("both files are probed", |metrics| {
        value(metrics, "certvigil_endpoint_correct", "certs/new.pem") == Some(1.0)
            && value(
                metrics,
                "certvigil_endpoint_hostname_match",
                "certs/a b.pem",
            ) == Some(0.0)
    });
    // A file that is removed leaves the exposition.
    std::fs::remove_file(exporter.path("certs/new.pem")).unwrap();
    let removed = label("hostname", "certs/new.pem");
    exporter.wait_for_metrics("the removed file is gone", |metrics| {
        metrics
            .samples("certvigil_endpoint_status", &[&removed])
            .is_empty()
    });

    let sd = exporter.get("/sd").text();
    assert!(!sd.contains(".pem") && sd.contains(HOST), "{sd}");
    let page = exporter.get("/").text();
    assert!(
        page.contains("certs/a b.pem") && page.contains("hostname_mismatch"),
        "{page}"
    );
    assert!(!page.contains("port 0"), "{page}");
    let path = "/certificates/mounted/file/certs%2Fa%20b.pem/0/-/any";
    let page = exporter.get(path);
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("other.example"), "{}", page.text());

    let history = crate::support::command()
        .args(["history", "--state-dir"])
        .arg(exporter.path("state"))
        .arg("mounted")
        .output()
        .unwrap();
    let history = String::from_utf8(history.stdout).unwrap();
    assert!(history.contains("certs/a b.pem  file"), "{history}");

    // A stranger's request never reads a file.
    for target in ["file:///etc/passwd", "certs/a%20b.pem", "/etc/ssl/x.pem"] {
        let status = exporter.probe(&format!("/probe?target={target}")).status;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
}

#[test]
fn an_expected_certificate_applies_to_files_too() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let entries = [
        expecting(&pki, "right", &leaf, "files: certs/a.pem"),
        expecting(&pki, "wrong", &other, "files: [certs/a.pem]"),
        format!(
            "name: pin, sha256: {}, files: certs/a.pem",
            leaf.certificate.sha256()
        ),
    ];
    let exporter = exporter(&pki, &entries, |folder| {
        std::fs::copy(pki.full_chain(&leaf), folder.join("certs/a.pem")).unwrap();
    });
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    for (name, correct) in [("right", 1.0), ("wrong", 0.0), ("pin", 1.0)] {
        let labels = [label("certificate", name), label("hostname", "certs/a.pem")];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        assert_eq!(
            metrics
                .samples("certvigil_endpoint_correct", &labels[..1])
                .len(),
            1,
            "{name}"
        );
        assert_eq!(
            metrics.sample("certvigil_endpoint_correct", &labels),
            Some(correct),
            "{name}"
        );
    }
}
