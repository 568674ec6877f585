//! The servers of an XMPP domain, which is not their host: found by SRV records (RFC 6120, section
//! 3.2.1, and XEP-0368), or named with the domain.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use crate::common::resolution::{knot, knot_with};
use crate::fixture::check::{Check, rows};
use crate::fixture::exporter::{Answer, Exporter};
use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::{Process, Slot, free_port, wait_until};
use crate::starttls::ejabberd;

/// The address of `v4only.example` in the zone.
const HERE: &str = "127.0.0.4";
const HOST: &str = "v4only.example";
const DOMAIN: &str = "chat.example";

/// A server for a domain, with a certificate for the domain only.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    server: Process,
    s2s: u16,
    c2s_tls: u16,
    s2s_tls: u16,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[DOMAIN]);
        let [s2s, c2s_tls, s2s_tls] = [free_port(), free_port(), free_port()];
        let server = Process::start(&[HERE], |folder, port| {
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
            server,
            s2s,
            c2s_tls,
            s2s_tls,
        }
    }

    fn with_ejabberd() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[DOMAIN]);
        let [s2s, c2s_tls, s2s_tls] = [free_port(), free_port(), free_port()];
        let server = Process::start(&[HERE], |folder, port| {
            let (chain, key) = (pki.full_chain(&leaf), &leaf.key);
            let files = (chain.to_str().unwrap(), key.to_str().unwrap());
            ejabberd(folder, HERE, [port, s2s, c2s_tls, s2s_tls], DOMAIN, files)
        });
        for port in [s2s, c2s_tls, s2s_tls] {
            wait_until("a listener", || TcpStream::connect((HERE, port)).ok());
        }
        Self {
            pki,
            leaf,
            server,
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
            self.server.port, self.c2s_tls, self.s2s, self.s2s_tls
        )
    }

    fn check(&self, knot: &Process) -> Check {
        let dns = format!("127.0.0.1:{}", knot.port);
        let check = Check::new(&self.pki).expect(&self.pki.full_chain(&self.leaf));
        check.args(&["--timeout", "120s", "--dns", &dns])
    }
}

#[test]
#[ignore = "needs prosody and knot"]
fn hosts_of_an_xmpp_domain_are_found_by_srv_records() {
    let bench = Bench::new();
    let knot = knot_with(&bench.records());
    assert_found(&bench, &knot);
    let refused = bench.check(&knot).arg("xmpp:refused.example").rows();
    assert_eq!(refused[0].outcome(), "dns_no_address");
    let error = refused[0].text("/error");
    assert!(error.contains("does not offer XMPP"), "{error}");
}

#[test]
#[ignore = "needs ejabberd and knot"]
fn ejabberd_of_a_domain_is_found_by_srv_records() {
    let _slot = Slot::take();
    let bench = Bench::with_ejabberd();
    let knot = knot_with(&bench.records());
    assert_found(&bench, &knot);
    // The host is not the domain: without it, ejabberd does not know the stream's `to`.
    let target = format!("xmpp://{HOST}:{}", bench.server.port);
    let row = bench.check(&knot).arg(&target).row();
    assert!(!row.flag("hostname_match").unwrap_or_default(), "{row:?}");
    let check = bench.check(&knot).arg(&target);
    check
        .args(&["--xmpp-domain", DOMAIN])
        .row()
        .assert_right(&[]);
}

/// Checks the domain as a client and as a server, and asserts that each place is ok.
fn assert_found(bench: &Bench, knot: &Process) {
    for (target, expected) in [
        (
            "xmpp:chat.example",
            [("xmpp", bench.server.port), ("xmpps", bench.c2s_tls)],
        ),
        (
            "xmpp://chat.example",
            [("xmpp", bench.server.port), ("xmpps", bench.c2s_tls)],
        ),
        (
            "xmpp-server:chat.example",
            [("xmpp-server", bench.s2s), ("xmpps-server", bench.s2s_tls)],
        ),
    ] {
        let rows = bench.check(knot).arg(target).rows();
        let mut found: Vec<(&str, u64)> = Vec::new();
        for row in &rows {
            row.assert_right(&[]);
            assert_eq!(row.text("/hostname"), HOST);
            found.push((row.text("/protocol"), row.0["port"].as_u64().unwrap()));
        }
        found.sort_unstable();
        assert_eq!(found, expected.map(|(name, port)| (name, port.into())));
    }
}

/// TARGETs of the command line, beside a configuration that names the name server.
#[test]
#[ignore = "needs prosody and knot"]
fn monitor_finds_hosts_of_targets_by_srv_records() {
    let bench = Bench::new();
    let knot = knot_with(&format!(
        "{}_jabber._tcp SRV 1 0 {} v4only\n",
        bench.records(),
        bench.c2s_tls
    ));
    let inventory = format!(
        "defaults: {{interval: 1s, timeout: 5s}}\ndns: 127.0.0.1:{}\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         certificates:\n- {{trust: true, name: other, srv: _imaps._tcp.example}}\n",
        knot.port,
        bench.pki.path("root.pem").display(),
    );
    let targets = ["xmpp:chat.example", "srv:_xmpps-client._tcp.chat.example"];
    let exporter = Exporter::start(&inventory, &targets, |_| {});
    let trusted = |certificate: &str, port: u16| {
        let labels = [
            format!("certificate=\"{certificate}\""),
            format!("hostname=\"{HOST}\""),
            format!("ip=\"{HERE}\""),
            format!("port=\"{port}\""),
        ];
        exporter.wait_for_metrics(&format!("{certificate} at {port}"), |metrics| {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let is = |metric: &str| metrics.sample(metric, &labels) == Some(1.0);
            is("certvigil_endpoint_hostname_match") && is("certvigil_endpoint_trusted")
        })
    };
    trusted(DOMAIN, bench.server.port);
    trusted(DOMAIN, bench.c2s_tls);
    trusted("_xmpps-client._tcp.chat.example", bench.c2s_tls);
    // A service that its domain does not offer is unknown.
    exporter.wait_for_metrics("the service that is not offered", |metrics| {
        metrics.sample("certvigil_endpoint_error", &[r#"certificate="other""#]) == Some(1.0)
    });
    // Without the name server, the hosts stay in the inventory and are probed.
    let before = exporter.get("/metrics");
    drop(knot);
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    exporter.wait_for_metrics("failed lookups", |metrics| {
        let labels = [
            r#"certificate="chat.example""#,
            r#"hostname="chat.example""#,
        ];
        !metrics
            .samples("certvigil_endpoint_error", &labels)
            .is_empty()
    });
    let last = |metrics: &Answer, port: u16| {
        let labels = [
            r#"certificate="chat.example""#,
            &format!("ip=\"{HERE}\""),
            &format!("port=\"{port}\""),
        ];
        metrics.sample(
            "certvigil_endpoint_last_conclusive_timestamp_seconds",
            &labels,
        )
    };
    for port in [bench.server.port, bench.c2s_tls] {
        exporter.wait_for_metrics(&format!("{port} is probed again"), |metrics| {
            last(metrics, port).is_some_and(|time| time > last(&before, port).unwrap() + 2.0)
        });
    }
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
    let target = format!("xmpp://{HOST}:{}", bench.server.port);
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
        bench.server.port,
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
