//! `srv:` targets: the hosts of a service, found by its SRV records.

use crate::common::resolution::{places, srv};
use crate::fixture::check::{Check, rows};
use crate::fixture::dns::{
    A, DnsQuery, DnsResponse, MX, NXDOMAIN, NameServer, SERVFAIL, wire_name,
};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::Pki;
use crate::fixture::process::free_port;
use crate::fixture::tls::{self, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SRV: u16 = 33;

/// The data of an MX record.
fn mx(preference: u16, exchange: &str) -> Vec<u8> {
    [&preference.to_be_bytes()[..], &wire_name(exchange)].concat()
}

/// A name server for a service of example.com with two hosts, and one that is not offered.
fn name_server(port: u16) -> NameServer {
    NameServer::start(move |asked: &DnsQuery| {
        let said = |kind, all: Vec<Vec<u8>>| DnsResponse {
            records: all
                .into_iter()
                .map(|data| (asked.name.clone(), kind, data))
                .collect(),
            ..DnsResponse::default()
        };
        Some(match (asked.name.as_str(), asked.kind) {
            (name, SRV) if name.ends_with("_tcp.example.com") => said(
                SRV,
                vec![
                    srv(20, port, "two.example.net"),
                    srv(10, port, "one.example.net"),
                ],
            ),
            (name, SRV) if name.ends_with("_tcp.none.example") => said(SRV, vec![srv(0, 0, "")]),
            (name, SRV) if name.ends_with("_tcp.broken.example") => DnsResponse {
                code: SERVFAIL,
                ..DnsResponse::default()
            },
            ("mail.example", MX) => said(MX, vec![mx(10, "127.0.0.2"), mx(20, "one.example.net")]),
            ("one.example.net", A) => said(A, vec![vec![127, 0, 0, 2]]),
            ("two.example.net", A) => said(A, vec![vec![127, 0, 0, 3]]),
            ("one.example.net" | "two.example.net", _) => DnsResponse::default(),
            _ => DnsResponse {
                code: NXDOMAIN,
                ..DnsResponse::default()
            },
        })
    })
}

struct Bench {
    pki: Pki,
    server: Server,
    dns: NameServer,
}

impl Bench {
    /// Servers at every loopback address whose certificate has these names.
    fn new(names: &[&str]) -> Self {
        let pki = Pki::new();
        let server = Server::tls("0.0.0.0", tls::config(&pki, &pki.leaf(names)));
        let dns = name_server(server.port());
        Self { pki, server, dns }
    }

    fn check(&self, target: &str) -> Check {
        let dns = self.dns.address.to_string();
        Check::new(&self.pki)
            .args(&["--dns", &dns, "--timeout", "5s"])
            .arg(target)
    }
}

#[test]
fn every_target_of_a_service_is_probed_at_its_port() {
    let bench = Bench::new(&["one.example.net", "two.example.net"]);
    let rows = bench.check("srv:_imaps._tcp.example.com").rows();
    assert_eq!(
        places(&rows),
        [
            ("one.example.net", "127.0.0.2"),
            ("two.example.net", "127.0.0.3")
        ]
        .map(|(host, ip)| (host.to_owned(), ip.to_owned()))
    );
    for row in &rows {
        row.assert_right(&[]);
        assert_eq!(row.text("/protocol"), "imaps");
        assert_eq!(row.text("/certificate"), "_imaps._tcp.example.com");
        assert_eq!(
            row.0.pointer("/port").unwrap(),
            &serde_json::json!(bench.server.port())
        );
    }
}

/// Mail servers cannot use such a record (RFC 5321, section 5.1).
#[test]
fn an_mx_record_with_an_address_is_logged() {
    let bench = Bench::new(&["one.example.net"]);
    let target = format!("mx:mail.example:{}", free_port());
    let run = bench.check(&target).run();
    let found = places(&rows(&run));
    assert_eq!(found, [("one.example.net".into(), "127.0.0.2".into())]);
    assert!(
        run.stderr
            .contains("names no host: domain=mail.example exchange=127.0.0.2"),
        "{}",
        run.stderr
    );
}

#[test]
fn clients_of_xmpp_match_the_domain() {
    let bench = Bench::new(&["example.com"]);
    for row in bench.check("srv:_xmpps-client._tcp.example.com").rows() {
        row.assert_right(&[]);
    }
    let bench = Bench::new(&["one.example.net", "two.example.net"]);
    for row in bench.check("srv:_xmpps-client._tcp.example.com").rows() {
        assert_eq!(
            row.0.pointer("/hostname_match").unwrap(),
            &serde_json::json!(false),
            "{row:?}"
        );
        let message = row.text("/findings/0/message");
        assert!(message.contains("not valid for example.com"), "{message}");
    }
}

#[test]
fn a_service_without_targets_is_unknown_with_the_reason() {
    let bench = Bench::new(&["one.example.net"]);
    for (domain, kind, words) in [
        ("none.example", "dns_no_address", "is not offered"),
        ("nothing.example", "dns_nxdomain", "does not exist"),
        ("broken.example", "dns_servfail", "SERVFAIL"),
    ] {
        let target = format!("srv:_imaps._tcp.{domain}");
        let row = bench.check(&target).row();
        assert_eq!(row.outcome(), kind, "{row:?}");
        assert_eq!(row.text("/hostname"), format!("_imaps._tcp.{domain}"));
        assert_eq!(row.text("/severity"), "unknown");
        assert!(row.text("/error").contains(words), "{row:?}");
    }
    let run = bench.check("srv:_imap.example.com").run();
    assert_eq!(run.code, 3);
    assert!(
        run.stderr.contains("write _service._tcp.DOMAIN"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_inventory_may_name_a_service() {
    let bench = Bench::new(&["one.example.net", "two.example.net"]);
    let inventory = format!(
        "defaults: {{interval: 1s, timeout: 5s}}\ndns: \"{}\"\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         certificates:\n- {{trust: true, name: post, srv: _imaps._tcp.example.com}}\n",
        bench.dns.address,
        bench.pki.path("root.pem").display(),
    );
    let file = bench.pki.file(&inventory);
    let run = Check::new(&bench.pki).arg("--config").arg(file).run();
    let rows = rows(&run);
    assert_eq!(rows.len(), 2, "{rows:?}");
    rows.iter().for_each(|row| row.assert_right(&[]));
    let exporter = Exporter::start(&inventory, &[], |_| {});
    let port = format!("port=\"{}\"", bench.server.port());
    exporter.wait_for_metrics("both hosts are probed", |metrics| {
        let is_right = |ip: &str| {
            let labels = [r#"certificate="post""#, &format!("ip=\"{ip}\""), &port];
            metrics.sample("certvigil_endpoint_correct", &labels) == Some(1.0)
        };
        is_right("127.0.0.2") && is_right("127.0.0.3")
    });
}

/// Both services of an XMPP domain have hosts of their own. A failure of DNS must not remove those
/// of one.
#[test]
fn dns_failure_keeps_the_hosts_of_both_services_of_an_xmpp_target() {
    let pki = Pki::new();
    let server = Server::tls("0.0.0.0", tls::config(&pki, &pki.leaf(&["chat.example"])));
    let port = server.port();
    let is_failing = Arc::new(AtomicBool::new(false));
    let state = is_failing.clone();
    let dns = NameServer::start(move |asked: &DnsQuery| {
        let said = |kind, data: Vec<u8>| DnsResponse {
            records: vec![(asked.name.clone(), kind, data)],
            ..DnsResponse::default()
        };
        Some(match (asked.name.as_str(), asked.kind) {
            (_, SRV) if state.load(Ordering::SeqCst) => DnsResponse {
                code: SERVFAIL,
                ..DnsResponse::default()
            },
            ("_xmpp-client._tcp.chat.example", SRV) => said(SRV, srv(1, port, "one.example.net")),
            ("_xmpps-client._tcp.chat.example", SRV) => said(SRV, srv(1, port, "two.example.net")),
            ("one.example.net", A) => said(A, vec![127, 0, 0, 2]),
            ("two.example.net", A) => said(A, vec![127, 0, 0, 3]),
            _ => DnsResponse::default(),
        })
    });
    let inventory = format!(
        "defaults: {{interval: 1s, timeout: 5s}}\ndns: \"{}\"\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         certificates:\n- {{trust: true, hostnames: [127.0.0.1], port: {port}}}\n",
        dns.address,
        pki.path("root.pem").display(),
    );
    let exporter = Exporter::start(&inventory, &["xmpp:chat.example"], |_| {});
    for (fails, row_of_domain) in [(false, 0), (true, 1), (false, 0)] {
        is_failing.store(fails, Ordering::SeqCst);
        assert_eq!(exporter.post("/-/reload", "").status, 200);
        exporter.wait_for_metrics("both hosts, and the failure", |metrics| {
            let count = |host: &str, more: &str| {
                let labels = [r#"certificate="chat.example""#, host, more];
                metrics.samples("certvigil_endpoint_status", &labels).len() / STATUSES
            };
            count(r#"hostname="one.example.net""#, r#"ip="127.0.0.2""#) == 1
                && count(r#"hostname="two.example.net""#, r#"ip="127.0.0.3""#) == 1
                && count(r#"hostname="chat.example""#, "") == row_of_domain
        });
    }
}

/// Each endpoint has a sample for each status.
const STATUSES: usize = 4;
