//! Probes and tests on demand while the monitor runs.

use super::*;
use crate::fixture::dns::{A, DnsResponse, NameServer};
use crate::fixture::tls::stay_silent;

/// Maximum addresses of a name that are probed on demand.
const MAX_ADDRESSES: u8 = 100;

/// An entry that expects this leaf at `count` addresses of one port.
fn at_addresses(pki: &Pki, leaf: &Leaf, hostname: &str, count: u8, port: u16) -> String {
    let addresses: Vec<String> = (1..=count).map(|n| format!("127.0.9.{n}")).collect();
    let place = format!(
        "hostnames: {hostname}, addresses: [{}], port: {port}",
        addresses.join(", ")
    );
    expecting(pki, hostname, leaf, &place)
}

#[test]
fn the_addresses_beyond_a_hundred_are_reported_as_not_probed() {
    let pki = Pki::new();
    let (all, many) = ("all.example.com", "many.example.com");
    let leaf = pki.leaf(&[all, many]);
    let server = Server::tls("0.0.0.0", config(&pki, &leaf));
    let port = server.port();
    let entries = [
        at_addresses(&pki, &leaf, all, MAX_ADDRESSES, port),
        at_addresses(&pki, &leaf, many, MAX_ADDRESSES + 7, port),
    ];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    let conclusive = |host: &str| {
        let answer = exporter.probe(&format!("/probe?target={host}:{port}"));
        let labels = [r#"status="conclusive""#];
        let series = answer.samples("certvigil_endpoint_status", &labels);
        let count = series.iter().filter(|line| line.ends_with(" 1")).count();
        (count, answer)
    };

    let (count, answer) = conclusive(all);
    assert_eq!(count, usize::from(MAX_ADDRESSES));
    assert_eq!(answer.sample("probe_success", &[]), Some(1.0));

    let (count, answer) = conclusive(many);
    assert_eq!(count, usize::from(MAX_ADDRESSES));
    assert_eq!(answer.sample("probe_success", &[]), Some(0.0));
    let error = [r#"ip="""#, r#"error_kind="internal""#];
    assert_eq!(answer.sample("certvigil_endpoint_error", &error), Some(1.0));
    let debug = exporter.probe(&format!("/probe?target={many}:{port}&debug=true"));
    let text = debug.text();
    assert!(
        text.contains("7 of the 107 addresses of many.example.com were not probed"),
        "{text}"
    );

    let test = |host: &str| {
        let answer = exporter.get(&format!("/api/v2/certs/{host}/test?port={port}"));
        answer.json()["result"].as_array().unwrap().clone()
    };
    assert_eq!(test(all).len(), usize::from(MAX_ADDRESSES));
    let rows = test(many);
    assert_eq!(rows.len(), usize::from(MAX_ADDRESSES) + 1);
    let unprobed: Vec<_> = rows
        .iter()
        .filter(|row| row["ip_address"].is_null())
        .collect();
    assert_eq!(unprobed.len(), 1, "{unprobed:?}");
    assert_eq!(unprobed[0]["status"], "internal_error");

    // The monitor itself probes all of them.
    let labels = [label("hostname", many), r#"status="conclusive""#.into()];
    let labels = [labels[0].as_str(), labels[1].as_str()];
    let metrics = exporter.get("/metrics");
    let all = metrics.samples("certvigil_endpoint_status", &labels).len();
    assert_eq!(all, usize::from(MAX_ADDRESSES) + 7);
}

/// Requests use every connection slot of on-demand probes.
#[test]
fn a_probe_of_many_silent_addresses_leaves_the_monitor_its_slots() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let good = server(&pki, &leaf);
    let silent = Server::start("0.0.0.0", stay_silent);
    let name_server = NameServer::start(|asked| {
        let all = (1..=20_u8).filter(|_| asked.kind == A);
        let records = all.map(|n| (asked.name.clone(), A, vec![127, 0, 9, n]));
        Some(DnsResponse {
            records: records.collect(),
            ..DnsResponse::default()
        })
    });
    let settings = format!(
        "dns: ['{}']\nprobe: {{allow: ['*.example', 127.0.9.0/24], modules: {{slow: {{timeout: 1h}}}}}}",
        name_server.address
    );
    let entry = entry(&pki, "web", &leaf, good.port());
    let config = inventory(&pki, SHORT_INTERVAL, &settings, &[entry]);
    let exporter = Exporter::start(&config, &["--concurrency", "8"], |_| {});
    exporter.wait_until_ready();
    let path = format!("/probe?target=crowd.example:{}&module=slow", silent.port());
    let ask = || exporter.ask("GET", &path, &[], "");
    let _unanswered = [ask(), ask(), ask()];
    // The share of the slots for on-demand probes.
    wait_until("on-demand probes have all of their slots", || {
        (silent.connections() >= 2).then_some(())
    });
    let before = good.connections();
    wait_until("the monitor probes on", || {
        (good.connections() > before + 3).then_some(())
    });
    assert_eq!(silent.connections(), 2);
}
