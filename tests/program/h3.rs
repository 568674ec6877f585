//! Probes over QUIC: against quinn servers, and against UDP services that imitate QUIC.

use crate::common::client_auth::{Guard, config_requiring_client_certificate};
use crate::common::h3::check;
use crate::fixture::check::{Check, Row};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::wait_until;
use crate::fixture::quic::{QuicServer, RefusingUdp, udp_server, version_negotiation};
use crate::fixture::tls::{Server, config, config_with_key};
use crate::support::{Refusing, certvigil, for_each_concurrently};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn error(row: &Row) -> &str {
    row.text("/error")
}

/// A port number that is free for both TCP and UDP.
fn tcp_and_udp_port() -> (TcpListener, UdpSocket) {
    wait_until("a port that is free in both", || {
        let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
        let udp = UdpSocket::bind(tcp.local_addr().ok()?).ok()?;
        Some((tcp, udp))
    })
}

#[test]
fn quic_endpoint_is_judged_like_a_tcp_endpoint() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    for address in ["127.0.0.1", "::1"] {
        let server = QuicServer::start(address, &config(&pki, &leaf));
        let row = check(&pki, &leaf, &[address], server.port()).row();
        row.assert_right(&[]);
        assert_eq!(row.text("/protocol"), "h3");
        assert_eq!(row.text("/served/tls_version"), "1.3");
        assert_eq!(
            row.text("/served/cipher_suite"),
            "TLS_AES_128_GCM_SHA256",
            "{row:?}"
        );
        assert_eq!(row.text("/served/alpn"), "h3");
        assert_eq!(row.text("/served/key_proof"), "handshake");
        assert_eq!(row.0["served"]["ocsp_stapled"], false);
        assert_eq!(row.0["served"]["chain"].as_array().unwrap().len(), 1);
        // QUIC has no connection before the handshake.
        let timings = &row.0["timings_ms"];
        assert!(timings["connect"].is_null() && timings["handshake"].is_number());
        // The client closes with H3_NO_ERROR, so the server does not wait for its timeout.
        let left = wait_until("the server has heard that the client left", || {
            let left = server.visits(|v| v.left.clone());
            (!left.is_empty()).then_some(left)
        });
        assert_eq!(left, [0x100]);

        let row = check(&pki, &other, &[address], server.port()).row();
        assert_eq!(row.codes(), ["wrong_certificate"], "{row:?}");
    }
}

#[test]
fn outdated_quic_listener_beside_a_current_tcp_one_is_found() {
    let pki = Pki::new();
    let (new, old) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (tcp, udp) = tcp_and_udp_port();
    let fresh = Server::tls_at(tcp, config(&pki, &new));
    let _stale = QuicServer::on(udp, &config(&pki, &old), &[b"h3"], false);
    let both =
        || check(&pki, &new, &["127.0.0.1"], fresh.port()).arg(format!("{HOST}:{}", fresh.port()));
    let rows = both().rows();
    let [https, h3] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!(https.text("/protocol"), "https");
    https.assert_right(&[]);
    assert_eq!(h3.text("/protocol"), "h3");
    // They are two endpoints, not one whose addresses disagree.
    assert_eq!(h3.codes(), ["wrong_certificate"]);

    // Each series has unique labels, and each line of the table names an endpoint.
    let port = fresh.port();
    let (root, chain) = (pki.path("root.pem"), pki.full_chain(&new));
    let formatted = |format: &str| {
        let run = certvigil([
            "check",
            "--no-system-roots",
            "--ca-file",
            root.to_str().unwrap(),
            "--cert",
            chain.to_str().unwrap(),
            "--resolve",
            &format!("{HOST}:{port}:127.0.0.1"),
            "--format",
            format,
            &format!("{HOST}:{port}"),
            &format!("h3://{HOST}:{port}"),
        ]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        run.stdout
    };
    let metrics = formatted("prometheus");
    for (label, correct) in [(port.to_string(), 1), (format!("{port}/udp"), 0)] {
        let label = format!("port=\"{label}\"");
        let is_of_port =
            |l: &&str| l.starts_with("certvigil_endpoint_correct{") && l.contains(&label);
        let lines: Vec<&str> = metrics.lines().filter(is_of_port).collect();
        assert_eq!(lines.len(), 1, "{label}: {metrics}");
        assert!(lines[0].ends_with(&format!(" {correct}")), "{lines:?}");
    }
    let table = formatted("human");
    assert!(table.contains(&format!("127.0.0.1:{port}/udp")), "{table}");
}

#[test]
fn silent_quic_port_is_unknown_though_the_tcp_port_responds() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (tcp, _silent) = tcp_and_udp_port();
    let server = Server::tls_at(tcp, config(&pki, &leaf));
    let rows = check(&pki, &leaf, &["127.0.0.1"], server.port())
        .arg(format!("{HOST}:{}", server.port()))
        .args(&["--timeout", "5s"])
        .rows();
    rows[0].assert_right(&[]);
    assert_eq!(rows[1].outcome(), "connect_timeout");
    assert_eq!(rows[1].text("/severity"), "unknown");
}

#[test]
fn quic_handshake_with_a_wrong_key_fails() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let config = config_with_key(&pki, &leaf, &other, &[&rustls::version::TLS13]);
    let server = QuicServer::start("127.0.0.1", &config);
    let row = check(&pki, &leaf, &["127.0.0.1"], server.port()).row();
    assert_eq!(row.outcome(), "tls_signature", "{row:?}");
}

#[test]
fn quic_server_requiring_a_client_certificate_is_judged_either_way() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let guard = Arc::new(Guard::default());
    let server = QuicServer::start(
        "127.0.0.1",
        &config_requiring_client_certificate(&pki, &leaf, guard.clone()),
    );
    guard.assert_accepts_clients(&pki, || check(&pki, &leaf, &["127.0.0.1"], server.port()));
}

#[test]
fn quic_server_that_refuses_the_client_certificate_fails_the_handshake() {
    let pki = Pki::new();
    let (leaf, client) = (pki.leaf(&[HOST]), pki.leaf(&["client.example.com"]));
    let guard = Arc::new(Guard::refusing());
    let config = config_requiring_client_certificate(&pki, &leaf, guard);
    let server = QuicServer::start("127.0.0.1", &config);
    let check = || check(&pki, &leaf, &["127.0.0.1"], server.port());
    let given = check().arg("--client-cert").arg(pki.full_chain(&client));
    let row = given.arg("--client-key").arg(&client.key).row();
    assert_eq!(row.codes(), ["handshake_failed"], "{row:?}");
    let message = row.finding("handshake_failed")["message"].as_str();
    assert!(message.unwrap().contains("`unknown_ca`"), "{row:?}");
    // Without a certificate, it is no fault of the server's.
    check().row().assert_right(&[]);
}

#[test]
fn quic_probe_uses_the_given_alpn_key_type_and_source_address() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = QuicServer::on(socket, &config(&pki, &leaf), &[b"doq"], false);
    let check = || check(&pki, &leaf, &["127.0.0.1"], server.port());
    let row = check().row();
    assert_eq!(row.outcome(), "tls_alert", "{row:?}");
    assert!(error(&row).contains("`no_application_protocol`"), "{row:?}");
    let row = check().args(&["--alpn", "h3,doq", "--source-address", "127.0.0.9"]);
    let row = row.row();
    row.assert_right(&[]);
    assert_eq!(row.text("/served/alpn"), "doq");
    let from = server.visits(|v| v.from.last().unwrap().ip().to_string());
    assert_eq!(from, "127.0.0.9");
    let row = check().args(&["--alpn", "doq", "--key-type", "rsa"]).row();
    assert_eq!(row.outcome(), "tls_alert", "{row:?}");
    assert!(error(&row).contains("`handshake_failure`"), "{row:?}");
    let row = check().args(&["--alpn", "doq", "--source-address", "192.0.2.1"]);
    let row = row.row();
    assert_eq!(row.outcome(), "connect_unreachable");
    assert!(error(&row).contains("`--source-address`"), "{row:?}");
}

#[test]
fn quic_server_may_require_a_retry() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = QuicServer::on(socket, &config(&pki, &leaf), &[b"h3"], true);
    let row = check(&pki, &leaf, &["127.0.0.1"], server.port()).row();
    row.assert_right(&[]);
}

#[test]
fn each_kind_of_non_quic_responder_has_its_own_error() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let refusing = RefusingUdp::new();
    let silent = udp_server(|_| None);
    let another = udp_server(|_| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let empty = udp_server(|_| Some(Vec::new()));
    let newer = udp_server(version_negotiation);
    // The server returns each packet to its client.
    let mirror = udp_server(|packet| Some(packet.to_vec()));
    let cases = [
        (
            refusing.port(),
            "60s",
            "connect_refused",
            "at this UDP port",
        ),
        (silent, "5s", "connect_timeout", "no answer"),
        (another, "5s", "tls_protocol", "it sent `HTTP/1.1 400 Bad`"),
        (empty, "5s", "tls_protocol", "does not speak QUIC"),
        (newer, "60s", "tls_protocol", "not its version 1"),
        (mirror, "5s", "tls_protocol", "does not speak QUIC"),
    ];
    for_each_concurrently(cases, |(port, timeout, kind, words)| {
        let row = check(&pki, &leaf, &["127.0.0.1"], port).args(&["--timeout", timeout]);
        let row = row.row();
        assert_eq!(row.outcome(), kind, "{row:?}");
        assert!(error(&row).contains(words), "{row:?}");
        if kind == "tls_protocol" {
            let hint = row.finding("handshake_failed")["hint"].as_str();
            assert!(hint.unwrap().contains("UDP port"), "{row:?}");
        }
    });
}

#[test]
fn quic_server_silent_after_one_datagram_is_a_handshake_timeout() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = QuicServer::start("127.0.0.1", &config(&pki, &leaf));
    let behind = UdpSocket::bind("127.0.0.1:0").unwrap();
    behind.connect(("127.0.0.1", server.port())).unwrap();
    // One datagram in each direction is not a handshake.
    let once = AtomicBool::new(false);
    let port = udp_server(move |packet| {
        if once.swap(true, Ordering::SeqCst) {
            return None;
        }
        let mut answer = vec![0; 2048];
        behind.send(packet).unwrap();
        let count = behind.recv(&mut answer).unwrap();
        answer.truncate(count);
        Some(answer)
    });
    let row = check(&pki, &leaf, &["127.0.0.1"], port).args(&["--timeout", "5s"]);
    let row = row.row();
    assert_eq!(row.outcome(), "tls_timeout", "{row:?}");
    assert_eq!(row.codes(), ["handshake_failed"]);
}

#[test]
fn quic_stapled_ocsp_response_is_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let stapling = ServerConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert_with_ocsp(
            vec![CertificateDer::from(leaf.certificate.der().to_vec())],
            PrivateKeyDer::from_pem_file(&leaf.key).unwrap(),
            b"what nobody can read".to_vec(),
        )
        .unwrap();
    let server = QuicServer::start("127.0.0.1", &stapling);
    let row = check(&pki, &leaf, &["127.0.0.1"], server.port()).row();
    assert_eq!(row.0["served"]["ocsp_stapled"], true, "{row:?}");
    assert_eq!(row.flag("correct"), Some(true));
}

#[test]
fn remote_vantages_do_not_test_quic_endpoints() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (tcp, udp) = tcp_and_udp_port();
    let fresh = Server::tls_at(tcp, config(&pki, &leaf));
    let _quic = QuicServer::on(udp, &config(&pki, &leaf), &[b"h3"], false);
    let entry = |protocol| {
        format!(
            "- {{name: {protocol}, pem: {}, hostnames: {HOST}, addresses: 127.0.0.1, port: {}, protocol: {protocol}}}\n",
            pki.full_chain(&leaf).display(),
            fresh.port()
        )
    };
    // Nothing responds there, so each selected target has a row with that error.
    let remote = Refusing::new();
    let inventory = format!(
        "vantages: [{{name: far, type: certvigil, url: \"http://{}/api/v2\"}}]\ncertificates:\n{}{}",
        remote.place(),
        entry("https"),
        entry("h3")
    );
    let inventory = pki.file(inventory);
    let rows = Check::new(&pki)
        .arg("--config")
        .arg(&inventory)
        .args(&["--vantage", "local,far", "--timeout", "2s"])
        .rows();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.text("/protocol"), row.text("/vantage")))
        .collect();
    assert_eq!(
        told,
        [("h3", "local"), ("https", "far"), ("https", "local")]
    );

    // An `h3://` URL selects the QUIC target of the inventory; a host selects all of its targets.
    for (place, picked) in [
        (format!("h3://{HOST}:{}", fresh.port()), vec!["h3"]),
        (HOST.to_owned(), vec!["h3", "https"]),
    ] {
        let check = Check::new(&pki).arg("--config").arg(&inventory);
        let rows = check.arg(place).args(&["--vantage", "local"]).rows();
        let told: Vec<_> = rows.iter().map(|row| row.text("/protocol")).collect();
        assert_eq!(told, picked);
    }
}

#[test]
fn quic_datagram_flood_is_cut_off() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let flood = std::thread::spawn(move || {
        let (_, from) = socket.recv_from(&mut [0; 2048]).unwrap();
        socket.connect(from).unwrap();
        // Until the client has closed its socket.
        while socket.send(&[0x40; 1200]).is_ok() {}
    });
    let row = check(&pki, &leaf, &["127.0.0.1"], port).args(&["--timeout", "30s"]);
    assert_eq!(row.row().outcome(), "too_large");
    flood.join().unwrap();
}

/// A server that sends `more` certificates after the leaf.
fn config_with_chain(pki: &Pki, leaf: &Leaf, more: usize) -> ServerConfig {
    let more = std::iter::repeat_n(&pki.intermediate.certificate, more);
    let chain = std::iter::once(&leaf.certificate).chain(more);
    let chain = chain.map(|c| CertificateDer::from(c.der().to_vec()));
    ServerConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            chain.collect(),
            PrivateKeyDer::from_pem_file(&leaf.key).unwrap(),
        )
        .unwrap()
}

#[test]
fn quic_chain_over_its_limit_is_refused() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (more, outcome) in [
        (99, "conclusive"),
        (100, "too_large"),
        // More than rustls reads in one message.
        (300, "too_large"),
    ] {
        let server = QuicServer::start("127.0.0.1", &config_with_chain(&pki, &leaf, more));
        let row = check(&pki, &leaf, &["127.0.0.1"], server.port()).row();
        assert_eq!(row.outcome(), outcome, "{more}: {row:?}");
    }
}

#[test]
fn proxy_protocol_with_quic_is_an_error() {
    let run = certvigil(["check", "--proxy-protocol", "v1", "h3://www.example.com"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("PROXY protocol"), "{}", run.stderr);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.yml");
    fs::write(
        &file,
        "certificates:\n- {trust: true, hostnames: a.example}\n- {trust: true, hostnames: a.example, protocol: h3, proxy_protocol: v2}\n",
    )
    .unwrap();
    let run = certvigil(["config", "check", file.to_str().unwrap()]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("f.yml:3:"), "{}", run.stderr);
    assert!(run.stderr.contains("PROXY protocol"), "{}", run.stderr);
}

#[test]
fn serve_has_two_endpoints_for_tcp_and_quic_on_one_port() {
    let pki = Pki::new();
    let (new, old) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (tcp, udp) = tcp_and_udp_port();
    let fresh = Server::tls_at(tcp, config(&pki, &new));
    let _stale = QuicServer::on(udp, &config(&pki, &old), &[b"h3"], false);
    let port = fresh.port();
    let entry = |protocol| {
        format!(
            "- {{name: {protocol}, pem: {}, hostnames: {HOST}, addresses: 127.0.0.1, port: {port}, protocol: {protocol}}}\n",
            pki.full_chain(&new).display()
        )
    };
    let inventory = format!(
        "defaults: {{interval: 1h}}\ntrust: {{system: false, ca_files: [{}]}}\ncertificates:\n{}{}",
        pki.path("root.pem").display(),
        entry("https"),
        entry("h3")
    );
    let exporter = Exporter::start(&inventory, &[], |_| {});
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    let correct = |port: &str| {
        let port = format!("port=\"{port}\"");
        metrics.sample("certvigil_endpoint_correct", &[&port])
    };
    assert_eq!(correct(&port.to_string()), Some(1.0));
    assert_eq!(correct(&format!("{port}/udp")), Some(0.0));

    let groups = exporter.get("/sd").json();
    let told: Vec<_> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|g| json!([g["targets"][0], g["labels"]["__param_module"]]))
        .collect();
    let plain = format!("{HOST}:{port}");
    assert_eq!(
        told,
        [
            json!([plain, "https"]),
            json!([format!("h3://{plain}"), "h3"])
        ]
    );
    // Each target of a module is probed separately and compared with the expectation of the
    // inventory.
    for (query, correct) in [
        (format!("target={plain}&module=https"), 1.0),
        (format!("target=h3://{plain}&module=h3"), 0.0),
        (format!("target=h3://{plain}"), 0.0),
        (format!("target={plain}&module=h3"), 0.0),
    ] {
        let answer = exporter.probe(&format!("/probe?{query}"));
        let sample = answer.sample("certvigil_endpoint_correct", &[]);
        assert_eq!(sample, Some(correct), "{query}: {}", answer.text());
    }
}
