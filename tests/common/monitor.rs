//! Configurations of a monitor, and the servers that it probes.

use crate::fixture::dns::DnsResponse;
use crate::fixture::exporter::Answer;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::wait_until;
use crate::fixture::tls::{Server, config};
use std::net::TcpListener;

/// The path of the first link on a page with this beginning.
pub(crate) fn link(page: &Answer, beginning: &str) -> String {
    let text = page.text();
    let (_, rest) = text
        .split_once(&format!("href=\"{beginning}"))
        .unwrap_or_else(|| panic!("no link to {beginning}: {text}"));
    format!("{beginning}{}", rest.split_once('"').unwrap().0)
}

/// For changes that must happen during the test.
pub(crate) const SHORT_INTERVAL: &str = "interval: 1s, timeout: 2s";

/// For a state that must not change unless something triggers a probe.
pub(crate) const LONG_INTERVAL: &str = "interval: 1h, timeout: 20s";

/// For servers that never respond, which must not time out before the test has seen enough.
pub(crate) const LONG_TIMEOUT: &str = "interval: 1h, timeout: 1h";

/// A configuration that trusts only the tests' root.
pub(crate) fn inventory(
    pki: &Pki,
    defaults: &str,
    settings: &str,
    certificates: &[String],
) -> String {
    let root = pki.path("root.pem");
    let entries: String = certificates
        .iter()
        .map(|c| format!("- {{{c}}}\n"))
        .collect();
    format!(
        "defaults: {{{defaults}}}\ntrust: {{system: false, ca_files: [{}]}}\n{settings}\ncertificates:\n{entries}",
        root.display()
    )
}

/// An entry that expects this leaf of [`HOST`] at a port of 127.0.0.1, unless the entry says
/// otherwise.
pub(crate) fn entry(pki: &Pki, name: &str, leaf: &Leaf, port: u16) -> String {
    let place = format!("hostnames: {HOST}, addresses: 127.0.0.1, port: {port}");
    expecting(pki, name, leaf, &place)
}

/// An entry that expects this leaf with these fields for host, address and port.
pub(crate) fn expecting(pki: &Pki, name: &str, leaf: &Leaf, place: &str) -> String {
    let chain = pki.full_chain(leaf);
    format!("name: {name}, pem: {}, {place}", chain.display())
}

/// An entry that expects any trusted certificate.
pub(crate) fn trusting(hostname: &str) -> String {
    format!("name: any, trust: true, hostnames: \"{hostname}\"")
}

/// A server with this leaf at 127.0.0.1.
pub(crate) fn server(pki: &Pki, leaf: &Leaf) -> Server {
    Server::tls("127.0.0.1", config(pki, leaf))
}

/// Servers with this leaf at two addresses and one port.
pub(crate) fn two_servers(pki: &Pki, leaf: &Leaf) -> (Server, Server) {
    wait_until("a port that is free at both", || {
        let first = server(pki, leaf);
        let listener = TcpListener::bind(("127.0.0.2", first.port())).ok()?;
        Some((first, Server::tls_at(listener, config(pki, leaf))))
    })
}

/// Waits until the server is probed.
pub(crate) fn wait_for_probes(server: &Server) {
    wait_until("a look", || (server.connections() > 0).then_some(()));
}

/// A label in the exposition format.
pub(crate) fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

pub(crate) fn error(code: u8) -> DnsResponse {
    DnsResponse {
        code,
        ..DnsResponse::default()
    }
}

/// The addresses with a status in the metrics; empty for a host without an address.
pub(crate) fn probed(metrics: &Answer) -> Vec<&'static str> {
    let known = ["", "127.0.0.1", "127.0.0.2"];
    let is_probed = |ip: &&str| {
        let labels = [&label("ip", ip), r#"status="conclusive""#];
        metrics
            .sample("certvigil_endpoint_status", &labels)
            .is_some()
    };
    known.into_iter().filter(is_probed).collect()
}
