//! Remote vantages that do not respond or are down.

use super::*;
use crate::fixture::tls::stay_silent;
use crate::support::Refusing;

/// The setting of one vantage at this address and port.
fn vantage(place: &str) -> String {
    format!("vantages: [{{name: east, type: certvigil, url: 'http://{place}/api/v2'}}]")
}

/// The vantage's test takes hours, and each endpoint has one.
#[test]
fn hanging_vantage_delays_no_local_result() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let hanging = Server::start("127.0.0.1", stay_silent);
    let settings = vantage(&format!("127.0.0.1:{}", hanging.port()));
    let entry = entry(&pki, "web", &leaf, server.port());
    let defaults = "interval: 1s, timeout: 1h";
    let exporter = Exporter::start(&inventory(&pki, defaults, &settings, &[entry]), &[], |_| {});
    let labels = [r#"certificate="web""#, r#"vantage="local""#];
    exporter.wait_for_metrics("the local result is there", |metrics| {
        metrics.sample("certvigil_endpoint_correct", &labels) == Some(1.0)
    });
    wait_for_probes(&hanging);
    server.serve(config(&pki, &pki.leaf(&[HOST])));
    let metrics = exporter.wait_for_metrics("the fault is reported", |metrics| {
        metrics.sample("certvigil_endpoint_correct", &labels) == Some(0.0)
    });
    let elsewhere = [r#"vantage="east""#];
    assert_eq!(
        metrics.samples("certvigil_endpoint_status", &elsewhere),
        [""; 0]
    );
}

/// Each probe from the vantage takes hours, and all of its slots are busy. An alert about old local
/// results is silent while `certvigil_cycle_lag_seconds` is high.
#[test]
fn the_backlog_of_a_vantage_is_not_the_lag_of_local_probes() {
    const MORE_THAN_SLOTS: usize = 20;
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let hanging = Server::start("127.0.0.1", stay_silent);
    let settings = vantage(&format!("127.0.0.1:{}", hanging.port()));
    let entries: Vec<String> = (0..MORE_THAN_SLOTS)
        .map(|number| entry(&pki, &format!("web{number}"), &leaf, server.port()))
        .collect();
    let defaults = "interval: 1s, timeout: 1h";
    let exporter = Exporter::start(&inventory(&pki, defaults, &settings, &entries), &[], |_| {});
    let elsewhere = [r#"vantage="east""#];
    exporter.wait_for_metrics("a backlog without a local lag", |metrics| {
        let local = metrics.sample("certvigil_cycle_lag_seconds", &[]);
        let backlog = metrics.sample("certvigil_vantage_lag_seconds", &elsewhere);
        backlog.is_some_and(|backlog| backlog > 3.0) && local.is_some_and(|local| local < 1.0)
    });
}

#[test]
fn unavailable_vantage_is_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let refusing = Refusing::new();
    let entry = entry(&pki, "web", &leaf, server.port());
    let settings = vantage(&refusing.place());
    let exporter = Exporter::start(
        &inventory(&pki, SHORT_INTERVAL, &settings, &[entry]),
        &[],
        |_| {},
    );
    let up = [r#"vantage="east""#];
    exporter.wait_for_metrics("the vantage is down", |metrics| {
        metrics.sample("certvigil_vantage_up", &up) == Some(0.0)
    });
    let page = exporter.get("/");
    assert!(page.text().contains("The vantage east is down"));
    // The last probe may not have been conclusive.
    let metrics = exporter.get("/metrics");
    let last = "certvigil_endpoint_last_conclusive_timestamp_seconds";
    assert_eq!(metrics.samples(last, &up), [""; 0]);
    assert_eq!(metrics.samples(last, &[r#"vantage="local""#]).len(), 1);
}
