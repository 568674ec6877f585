//! The mail servers of a domain: found by its MX records and probed with SMTP.

use crate::common::dialogue::{SMTP, run_dialogue};
use crate::common::resolution::knot;
use crate::fixture::check::{Check, rows};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::Process;
use crate::fixture::tls::{self, Server};

/// A mail server at every IPv4 address, and a name server with records for it.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    server: Server,
    knot: Process,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&["alias.example", "mx2.example", "v4only.example"]);
        let config = tls::config(&pki, &leaf);
        let server = Server::start("0.0.0.0", move |stream| {
            if run_dialogue(stream, &SMTP) {
                tls::complete_handshake(stream, &config);
            }
        });
        Self {
            pki,
            leaf,
            server,
            knot: knot(),
        }
    }

    fn check(&self, domain: &str) -> Check {
        let dns = format!("127.0.0.1:{}", self.knot.port);
        Check::new(&self.pki)
            .args(&["--dns", &dns, "--timeout", "5s"])
            .arg(format!("mx:{domain}:{}", self.server.port()))
    }

    /// An inventory with the mail servers of a domain.
    fn inventory(&self, domain: &str) -> String {
        format!(
            "defaults: {{interval: 1s, timeout: 5s}}\ndns: 127.0.0.1:{}\n\
             trust: {{system: false, ca_files: [{}]}}\n\
             certificates:\n- {{pem: {}, name: post, mx: {domain}, port: {}}}\n",
            self.knot.port,
            self.pki.path("root.pem").display(),
            self.pki.full_chain(&self.leaf).display(),
            self.server.port()
        )
    }
}

#[test]
#[ignore = "needs knot"]
fn every_mx_host_of_a_domain_is_probed() {
    let bench = Bench::new();
    for (domain, hosts) in [
        // One of the MX hosts is an alias, which RFC 2181 forbids but which works.
        (
            "mail.example",
            vec![("alias.example", "127.0.0.6"), ("mx2.example", "127.0.0.7")],
        ),
        ("v4only.example", vec![("v4only.example", "127.0.0.4")]),
    ] {
        let chain = bench.pki.full_chain(&bench.leaf);
        let rows = bench.check(domain).expect(&chain).rows();
        let found: Vec<_> = rows.iter().map(|r| (r.text("/hostname"), r.ip())).collect();
        assert_eq!(found, hosts);
        for row in &rows {
            row.assert_right(&[]);
            assert_eq!(row.text("/protocol"), "smtp");
        }
    }
}

#[test]
#[ignore = "needs knot"]
fn domain_without_mx_hosts_is_reported_by_its_name() {
    let bench = Bench::new();
    for (domain, kind, words) in [
        ("nomail.example", "dns_no_address", "accepts no mail"),
        ("nothing.example", "dns_nxdomain", "does not exist"),
        ("mail.broken", "dns_servfail", "MX records"),
    ] {
        let row = bench.check(domain).row();
        assert_eq!(row.outcome(), kind, "{row:?}");
        assert_eq!(row.text("/hostname"), domain);
        assert_eq!(row.text("/certificate"), domain);
        assert_eq!(row.text("/severity"), "unknown");
        assert!(row.text("/error").contains(words), "{row:?}");
    }
}

#[test]
#[ignore = "needs knot"]
fn inventory_entry_may_name_a_mail_domain() {
    let bench = Bench::new();
    let file = bench.pki.file(bench.inventory("mail.example"));
    let run = Check::new(&bench.pki).arg("--config").arg(file).run();
    let rows = rows(&run);
    assert_eq!(rows.len(), 2, "{rows:?}");
    rows.iter().for_each(|row| row.assert_right(&[]));

    let exporter = Exporter::start(&bench.inventory("mail.example"), &[], |_| {});
    exporter.wait_for_metrics("both hosts are probed", |metrics| {
        let is_right = |ip: &str| {
            let labels = [r#"certificate="post""#, &format!("ip=\"{ip}\"")];
            metrics.sample("certvigil_endpoint_correct", &labels) == Some(1.0)
        };
        is_right("127.0.0.6") && is_right("127.0.0.7")
    });
    let exporter = Exporter::start(&bench.inventory("nomail.example"), &[], |_| {});
    exporter.wait_for_metrics("it is told that there is no mail", |metrics| {
        let labels = [r#"hostname="nomail.example""#, r#"error_kind="internal""#];
        metrics.sample("certvigil_endpoint_error", &labels) == Some(1.0)
    });
}
