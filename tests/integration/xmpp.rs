//! The servers of an XMPP domain, which is not their host: found by SRV records (RFC 6120, section
//! 3.2.1, and XEP-0368), or named with the domain.

use std::fs;
use std::process::Command;

use crate::dns::{knot, knot_with};
use crate::fixture::check::{Check, rows};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::{Process, free_port};

/// The address of `v4only.example` in the zone.
const HERE: &str = "127.0.0.4";
const HOST: &str = "v4only.example";
const DOMAIN: &str = "chat.example";

/// Prosody for a domain, with a certificate for the domain only.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    prosody: Process,
    s2s: u16,
    c2s_tls: u16,
    s2s_tls: u16,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[DOMAIN]);
        let [s2s, c2s_tls, s2s_tls] = [free_port(), free_port(), free_port()];
        let prosody = Process::start(&[HERE], |folder, port| {
            let chain = pki.full_chain(&leaf);
            let (chain, key, base) = (chain.display(), leaf.key.display(), folder.display());
            let config = format!(
                "run_as_root = true\ndaemonize = false\npidfile = '{base}/pid'\ndata_path = '{base}'\n\
                 interfaces = {{ '{HERE}' }}\nc2s_ports = {{ {port} }}\ns2s_ports = {{ {s2s} }}\n\
                 c2s_direct_tls_ports = {{ {c2s_tls} }}\ns2s_direct_tls_ports = {{ {s2s_tls} }}\n\
                 http_ports = {{}}\nhttps_ports = {{}}\n\
                 modules_enabled = {{ 'tls', 'saslauth', 'dialback', 's2s', 'c2s' }}\n\
                 ssl = {{ key = '{key}', certificate = '{chain}' }}\nVirtualHost '{DOMAIN}'\n"
            );
            let file = folder.join("prosody.cfg.lua");
            fs::write(&file, config).unwrap();
            let mut command = Command::new("prosody");
            command.arg("-F").arg("--config").arg(file);
            command
        });
        Self {
            pki,
            leaf,
            prosody,
            s2s,
            c2s_tls,
            s2s_tls,
        }
    }

    fn records(&self) -> String {
        format!(
            "_xmpp-client._tcp.chat SRV 5 0 {} v4only\n_xmpps-client._tcp.chat SRV 5 0 {} v4only\n\
             _xmpp-server._tcp.chat SRV 5 0 {} v4only\n_xmpps-server._tcp.chat SRV 5 0 {} v4only\n\
             _xmpp-client._tcp.refused SRV 0 0 0 .\n",
            self.prosody.port, self.c2s_tls, self.s2s, self.s2s_tls
        )
    }

    fn check(&self, knot: &Process) -> Check {
        let dns = format!("127.0.0.1:{}", knot.port);
        let check = Check::new(&self.pki).expect(&self.pki.full_chain(&self.leaf));
        check.args(&["--timeout", "5s", "--dns", &dns])
    }
}

#[test]
#[ignore = "needs prosody and knot"]
fn hosts_of_an_xmpp_domain_are_found_by_srv_records() {
    let bench = Bench::new();
    let knot = knot_with(&bench.records());
    for (target, expected) in [
        (
            "xmpp:chat.example",
            [("xmpp", bench.prosody.port), ("xmpps", bench.c2s_tls)],
        ),
        (
            "xmpp://chat.example",
            [("xmpp", bench.prosody.port), ("xmpps", bench.c2s_tls)],
        ),
        (
            "xmpp-server:chat.example",
            [("xmpp-server", bench.s2s), ("xmpps-server", bench.s2s_tls)],
        ),
    ] {
        let rows = bench.check(&knot).arg(target).rows();
        let mut found: Vec<(&str, u64)> = Vec::new();
        for row in &rows {
            row.assert_right(&[]);
            assert_eq!(row.text("/hostname"), HOST);
            found.push((row.text("/protocol"), row.0["port"].as_u64().unwrap()));
        }
        found.sort_unstable();
        assert_eq!(found, expected.map(|(name, port)| (name, port.into())));
    }
    let refused = bench.check(&knot).arg("xmpp:refused.example").rows();
    assert_eq!(refused[0].outcome(), "dns_no_address");
    let error = refused[0].text("/error");
    assert!(error.contains("does not offer XMPP"), "{error}");
}

#[test]
#[ignore = "needs prosody and knot"]
fn domain_without_srv_records_is_its_own_host() {
    let bench = Bench::new();
    let rows = bench.check(&knot()).arg(format!("xmpp:{HOST}")).rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].text("/hostname"), HOST);
    assert_eq!(rows[0].0["port"], 5222);
}

#[test]
#[ignore = "needs prosody and knot"]
fn domain_of_a_host_is_named_and_matched() {
    let bench = Bench::new();
    let knot = knot_with(&bench.records());
    let target = format!("xmpp://{HOST}:{}", bench.prosody.port);
    let row = bench.check(&knot).arg(&target).row();
    assert_eq!(row.outcome(), "starttls_refused", "{row:?}");
    let check = || bench.check(&knot).arg(&target);
    check()
        .args(&["--xmpp-domain", DOMAIN])
        .row()
        .assert_right(&[]);
    // The certificate is for the domain, and not for another one.
    let target = format!("xmpps://{HOST}:{}", bench.c2s_tls);
    let check = |domain| {
        bench
            .check(&knot)
            .arg(&target)
            .args(&["--xmpp-domain", domain])
    };
    check(DOMAIN).row().assert_right(&[]);
    let row = check("other.example").args(&["--sni", DOMAIN]).row();
    assert_eq!(row.flag("hostname_match"), Some(false), "{row:?}");
    assert!(row.codes().contains(&"hostname_mismatch"), "{row:?}");
}

#[test]
#[ignore = "needs prosody and knot"]
fn monitor_matches_the_domain_of_a_host() {
    let bench = Bench::new();
    let knot = knot_with(&bench.records());
    let inventory = format!(
        "defaults: {{interval: 1s, timeout: 5s}}\ndns: 127.0.0.1:{}\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         certificates:\n- {{pem: {}, name: chat, hostnames: {HOST}, protocol: xmpp, port: {}, xmpp_domain: {DOMAIN}}}\n",
        knot.port,
        bench.pki.path("root.pem").display(),
        bench.pki.full_chain(&bench.leaf).display(),
        bench.prosody.port,
    );
    let exporter = Exporter::start(&inventory, &[], |_| {});
    exporter.wait_for_metrics("the name matches", |metrics| {
        let labels = [r#"certificate="chat""#];
        let is = |metric: &str| metrics.sample(metric, &labels) == Some(1.0);
        is("certvigil_endpoint_hostname_match") && is("certvigil_endpoint_trusted")
    });
    let file = bench.pki.file(inventory);
    let run = crate::support::command()
        .args(["check", "--format", "json", "--config"])
        .arg(file)
        .output()
        .unwrap();
    for row in rows(&run.into()) {
        row.assert_right(&[]);
    }
}
