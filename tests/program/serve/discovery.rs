//! `/sd`: the inventory for Prometheus' service discovery.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

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
        assert_eq!(exporter.get(&path).status, 200, "{path}");
    }
}
