//! `/sd`: the inventory for Prometheus' service discovery.

use std::collections::BTreeSet;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::canned::{self, Canned};

/// The inventory is not known as long as a source has not answered. Prometheus would drop the targets
/// that are missing in a list, and the host would be judged by trust alone.
#[test]
fn hosts_of_a_source_that_has_not_answered_are_neither_dropped_nor_judged_by_trust() {
    let pki = Pki::new();
    let (served, expected) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &served);
    let is_up = Arc::new(AtomicBool::new(false));
    let (answers, pem) = (
        is_up.clone(),
        std::fs::read_to_string(pki.full_chain(&expected)).unwrap(),
    );
    let source = Canned::start_many(move |_, _| match answers.load(Ordering::SeqCst) {
        true => canned::response(200, "application/x-pem-file", &pem),
        false => canned::response(503, "text/plain", "later"),
    });
    let entries = [
        trusting("127.0.0.1"),
        format!(
            "name: slow, download: \"http://{}/x.pem\", addresses: 127.0.0.1, port: {}",
            source.address,
            server.port()
        ),
    ];
    let settings = "probe: {allow: [127.0.0.0/8]}";
    let text = inventory(&pki, SHORT_INTERVAL, settings, &entries);
    let exporter = Exporter::start(&text, &["--state-dir", "state"], |_| {});
    let path = format!("/probe?target=127.0.0.1:{}&hostname={HOST}", server.port());
    wait_until("the source has failed", || {
        let metrics = exporter.get("/metrics");
        let source = [r#"source="download: slow""#];
        (metrics.sample("certvigil_source_up", &source) == Some(0.0)).then_some(())
    });
    for path in ["/sd", &path] {
        let answer = exporter.get(path);
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        let text = answer.text();
        assert!(
            text.contains("the source `download: slow`"),
            "{path}: {text}"
        );
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
    is_up.store(true, Ordering::SeqCst);
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    let answer = wait_until("the source has answered", || {
        let answer = exporter.get("/sd");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
    let answer = exporter.probe(&path);
    assert_eq!(answer.sample("probe_success", &[]), Some(0.0));

    // A source that fails later, or after a restart, keeps its last targets.
    is_up.store(false, Ordering::SeqCst);
    let exporter = Exporter::start_in(exporter.kill(), &text, &["--state-dir", "state"]);
    let answer = wait_until("the stored list", || {
        let answer = exporter.get("/sd");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
    assert_eq!(
        exporter.probe(&path).sample("probe_success", &[]),
        Some(0.0)
    );
}

#[test]
fn http_sd_lists_each_host_and_port_once_with_valid_labels() {
    let pki = Pki::new();
    let (one, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let entries = [
        expecting(
            &pki,
            "web",
            &one,
            "hostnames: [a.example, b.example], addresses: 127.0.0.1, ports: [1, 2]",
        ),
        // The same address and port with another certificate, as for servers that alternate.
        expecting(
            &pki,
            "next",
            &other,
            "hostnames: a.example, addresses: 127.0.0.1, port: 1",
        ),
        "name: local, trust: true, hostnames: 127.0.0.1, port: 3".into(),
        "name: v6, trust: true, hostnames: \"::1\", port: 4".into(),
    ];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    let answer = exporter.get("/sd");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let groups = answer.json();
    let groups = groups.as_array().unwrap();
    let targets: Vec<&Value> = groups.iter().map(|group| &group["targets"]).collect();
    let unique: BTreeSet<String> = targets.iter().map(ToString::to_string).collect();
    assert_eq!(unique.len(), targets.len());
    let wanted = [
        "[::1]:4",
        "a.example:1",
        "a.example:2",
        "b.example:1",
        "b.example:2",
        "127.0.0.1:3",
    ];
    assert_eq!(
        unique,
        BTreeSet::from(wanted.map(|target| json!([target]).to_string()))
    );
    for group in groups {
        for (name, value) in group["labels"].as_object().unwrap() {
            let is_fitting = name == "__param_module" || name.starts_with("__meta_certvigil_");
            assert!(is_fitting && value.is_string(), "{name}: {value}");
        }
    }
    let labels = |target: &str| {
        let of = |group: &&Value| group["targets"][0] == target;
        &groups.iter().find(of).unwrap()["labels"]
    };
    assert_eq!(
        labels("a.example:1")["__meta_certvigil_certificate"],
        "next,web"
    );
    assert_eq!(labels("a.example:2")["__meta_certvigil_certificate"], "web");
    assert_eq!(
        labels("a.example:2")["__meta_certvigil_hostname"],
        "a.example"
    );
    assert_eq!(labels("a.example:2")["__meta_certvigil_port"], "2");
    assert_eq!(labels("a.example:2")["__meta_certvigil_source"], "pem");
    assert_eq!(labels("127.0.0.1:3")["__param_module"], "https");
    assert_eq!(labels("[::1]:4")["__param_module"], "https");
    assert_eq!(labels("[::1]:4")["__meta_certvigil_source"], "trust");

    // `/probe` accepts each of them.
    for group in groups {
        let (target, module) = (
            group["targets"][0].as_str().unwrap(),
            &group["labels"]["__param_module"],
        );
        let path = format!("/probe?target={target}&module={}", module.as_str().unwrap());
        assert_eq!(exporter.probe(&path).status, 200, "{path}");
    }
}
