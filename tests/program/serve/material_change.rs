//! `material_change`: a trust-only host serves another certificate that is not a renewal.

use certvigil::testbed::authority::{Authority, Validity};

use super::*;
use crate::fixture::exporter::Answer;
use crate::fixture::pki::now;
use crate::support::command;

/// Returns true if `/metrics` has the finding.
fn is_reported(metrics: &Answer) -> bool {
    let code = label("code", "material_change");
    let labels = [code.as_str(), "severity=\"warning\""];
    let found = metrics.sample("certvigil_endpoint_finding", &labels);
    found == Some(1.0)
}

/// Returns the fingerprint of the leaf in `/metrics`.
fn serves(metrics: &Answer, leaf: &Leaf) -> bool {
    let sha256 = label("sha256", &leaf.certificate.sha256().to_string());
    metrics
        .sample("certvigil_endpoint_info", &[&sha256])
        .is_some()
}

#[test]
fn material_change_is_reported_until_it_is_undone_and_survives_a_restart() {
    let pki = Pki::new();
    let usual = pki.leaf(&[HOST, "www.example.org"]);
    let renewed = pki.leaf(&[HOST, "www.example.org"]);
    let validity = Validity::around(now(), 10, 80);
    let other = pki.root.intermediate("Proxy", validity).unwrap();
    let other_leaf = pki.leaf_below(&other, &[HOST]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("served.pem");
    let serve = |leaf: &Leaf, issuer: &Authority| {
        let text = format!(
            "{}{}",
            leaf.certificate.to_pem(),
            issuer.certificate.to_pem()
        );
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    serve(&usual, &pki.intermediate);
    let entry = format!(
        "name: web, trust: true, files: {}, hostnames: {HOST}, labels: {{team: web}}",
        file.display()
    );
    // A probe that times out on a busy machine would be a change in the history.
    let config = inventory(&pki, "interval: 1s, timeout: 20s", "", &[entry]);
    let args = ["--state-dir", "state"];
    let exporter = Exporter::start(&config, &args, |_| {});
    exporter.wait_until_ready();

    serve(&renewed, &pki.intermediate);
    let metrics = exporter.wait_for_metrics("the renewal", |metrics| serves(metrics, &renewed));
    assert!(!is_reported(&metrics));

    serve(&other_leaf, &other);
    let metrics = exporter.wait_for_metrics("the change", |metrics| serves(metrics, &other_leaf));
    assert!(is_reported(&metrics), "{}", metrics.text());
    let history = || {
        let history: crate::support::Run = command()
            .args(["history", "--state-dir", "state", "--format", "json"])
            .current_dir(exporter.folder.path())
            .output()
            .unwrap()
            .into();
        let history: serde_json::Value = serde_json::from_str(&history.stdout).unwrap();
        let rows = history["history"].as_array().unwrap().clone();
        (rows.len() == 3).then_some(rows)
    };
    let rows = wait_until("the history", history);
    assert!(rows[0]["change"].is_null());
    assert_eq!(
        rows[1]["change"],
        serde_json::json!({"kind": "renewal", "reasons": []})
    );
    assert_eq!(
        rows[2]["change"],
        serde_json::json!({"kind": "material_change", "reasons": [
            {"kind": "issuer", "before": "Test Intermediate", "after": "Proxy"},
            {"kind": "lost_names", "names": ["www.example.org"], "name_count": 1},
        ]})
    );
    assert_eq!(rows[2]["labels"], serde_json::json!({"team": "web"}));

    let exporter = Exporter::start_in(exporter.kill(), &config, &args);
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert!(serves(&metrics, &other_leaf) && is_reported(&metrics));
    let page = exporter.get("/").text();
    assert!(page.contains("material_change"), "{page}");

    serve(&renewed, &pki.intermediate);
    let metrics = exporter.wait_for_metrics("the end", |metrics| serves(metrics, &renewed));
    assert!(!is_reported(&metrics));
}
