//! `certvigil demo --serve`: the planted faults, as Prometheus sees them.

use std::collections::BTreeSet;

use certvigil::testbed::Scenario;

use super::metrics::assert_well_formed;
use super::*;

#[test]
fn demo_metrics_have_the_planted_faults_and_sigterm_stops_it() {
    let mut exporter = Exporter::demo(&[]);
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert_well_formed(&metrics);
    let there = |host: &str| metrics.text().contains(&label("hostname", host));
    let mut planted = 0;
    for host in Scenario::demo().unwrap().hosts {
        let name = host.name.to_string();
        // Without IPv6 some hosts are missing.
        if !there(&name) {
            assert!(
                host.servers.iter().any(|s| s.at.is_ipv6()),
                "{name} is not told of"
            );
            continue;
        }
        for server in &host.servers {
            let place = [
                label("hostname", &name),
                label("ip", &server.at.to_string()),
                label("vantage", "local"),
            ];
            let place = place.each_ref().map(String::as_str);
            let lines = metrics.samples("certvigil_endpoint_finding", &place);
            let codes = lines.iter().map(|line| {
                let (_, rest) = line.split_once("code=\"").unwrap();
                rest.split('"').next().unwrap().to_owned()
            });
            let wanted = server.findings.iter().map(ToString::to_string);
            assert_eq!(
                codes.collect::<BTreeSet<_>>(),
                wanted.collect(),
                "{place:?}"
            );
            planted += server.findings.len();
        }
    }
    assert!(planted > 5, "{planted}");
    assert_eq!(
        metrics.sample("certvigil_source_up", &[r#"source="sslmate""#]),
        Some(1.0)
    );
    assert!(exporter.get("/").text().contains("demo.example"));
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}
