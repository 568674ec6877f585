//! Probes of Caddy over QUIC.

use crate::common::h3::check;
use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::{Process, wait_until};
use crate::fixture::quic::QuicServer;
use crate::fixture::tls::config;
use serde_json::json;
use std::fs;
use std::net::UdpSocket;
use std::process::Command;

/// Caddy at 127.0.0.1 with one certificate and these protocols.
fn caddy(pki: &Pki, leaf: &Leaf, protocols: &[&str]) -> Process {
    let caddy = Process::start(&["127.0.0.1"], |folder, port| {
        let config = json!({
            "admin": {"disabled": true},
            "apps": {
                "http": {"servers": {"one": {
                    "listen": [format!("127.0.0.1:{port}")],
                    "protocols": protocols,
                    "automatic_https": {"disable": true},
                    "tls_connection_policies": [{}],
                }}},
                "tls": {"certificates": {"load_files": [
                    {"certificate": pki.full_chain(leaf), "key": leaf.key},
                ]}},
            },
        });
        let file = folder.join("caddy.json");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new("caddy");
        command
            .env("XDG_DATA_HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .args(["run", "--config"])
            .arg(file);
        command
    });
    wait_until("Caddy serves", || {
        let log = caddy.read("log");
        log.contains("serving initial configuration").then_some(())
    });
    caddy
}

#[test]
#[ignore = "needs caddy"]
fn caddy_http_3_listener_is_probed() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let caddy = caddy(&pki, &leaf, &["h1", "h2", "h3"]);
    let row = check(&pki, &leaf, &["127.0.0.1"], caddy.port).row();
    row.assert_right(&[]);
    assert_eq!(row.text("/served/alpn"), "h3");
    let row = check(&pki, &other, &["127.0.0.1"], caddy.port).row();
    assert_eq!(row.codes(), ["wrong_certificate"]);
    Check::of(&pki, &leaf, &["127.0.0.1"], caddy.port)
        .row()
        .assert_right(&[]);
}

#[test]
#[ignore = "needs caddy"]
fn foreign_quic_listener_on_caddys_port_is_found_outdated() {
    let pki = Pki::new();
    let (new, old) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let caddy = caddy(&pki, &new, &["h1", "h2"]);
    let udp = UdpSocket::bind(("127.0.0.1", caddy.port)).unwrap();
    let _stale = QuicServer::on(udp, &config(&pki, &old), &[b"h3"], false);
    let rows = check(&pki, &new, &["127.0.0.1"], caddy.port)
        .arg(format!("https://{HOST}:{}", caddy.port))
        .rows();
    rows[0].assert_right(&[]);
    assert_eq!(rows[1].codes(), ["wrong_certificate"]);
}
