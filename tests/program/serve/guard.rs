//! Addresses that unauthenticated clients may have probed: no internal one, by any name.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fixture::dns::{A, Responder};
use crate::fixture::tls::complete_handshake;

/// A name server that answers every query with these addresses in turn, and then always with the
/// last.
fn turning(addresses: &'static [[u8; 4]]) -> (Responder, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let responder = Responder::start(move |kind| {
        if kind != A {
            return Ok(Vec::new());
        }
        let turn = count
            .fetch_add(1, Ordering::SeqCst)
            .min(addresses.len() - 1);
        Ok(vec![IpAddr::from(Ipv4Addr::from(addresses[turn]))])
    });
    (responder, asked)
}

/// A server at every address of the machine, which counts connections by address.
fn everywhere(pki: &Pki, leaf: &Leaf) -> Server {
    let config = config(pki, leaf);
    Server::start("::", move |stream| complete_handshake(stream, &config))
}

#[test]
fn unusual_spelling_of_an_internal_address_is_refused() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = everywhere(&pki, &leaf);
    let port = server.port();
    // Every name may be probed, and every name resolves to loopback.
    let (names, _) = turning(&[[127, 0, 0, 1]]);
    let settings = format!(
        "dns: {}\nprobe: {{allow: [\"*\", 192.0.2.0/24]}}",
        names.address
    );
    let config = inventory(&pki, LONG_INTERVAL, &settings, &[trusting("any.example")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0X7F.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.01",
        "%31%32%37.0.0.1",
        "127%2E0.0.1",
        "%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1",
        "127%E3%80%820%E3%80%820%E3%80%821",
        "%E2%91%A0%E2%91%A1%E2%91%A6.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[::1%25lo]",
        "[fc00::1]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "inside.example",
        "inside.example.",
        "user@127.0.0.1",
        "127.0.0.1%23",
        "127.0.0.1%00.example.com",
        "127.0.0.1%0d%0aHost:%20x",
        "%20127.0.0.1",
    ] {
        for target in [format!("{host}:{port}"), format!("https://{host}:{port}/")] {
            let answer = exporter.probe(&format!("/probe?target={target}"));
            assert!(
                [400, 403].contains(&answer.status),
                "{target}: {}",
                answer.text()
            );
        }
        let path = format!("/probe?target=https://outside.invalid@{host}:{port}");
        assert_eq!(exporter.probe(&path).status, 400, "{path}");
        let path = format!("/api/v2/certs/any/test?hostname={host}&port={port}");
        let answer = exporter.probe(&path);
        assert!(
            [400, 403].contains(&answer.status),
            "{path}: {}",
            answer.text()
        );
        assert!(answer.json()["reason"].is_string(), "{path}");
    }
    assert_eq!(server.connections(), 0, "{:?}", server.counts());
}

#[test]
fn dns_change_after_the_access_check_does_not_redirect_the_probe() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = everywhere(&pki, &leaf);
    for path in [
        "/probe?target=turning.example:",
        "/api/v2/certs/any/test?hostname=turning.example&port=",
    ] {
        let path = format!("{path}{}", server.port());
        let (names, asked) = turning(&[[127, 0, 0, 2], [127, 0, 0, 1]]);
        let settings = format!(
            "dns: {}\nprobe: {{allow: [\"*.example\", 127.0.0.2/32]}}",
            names.address
        );
        let config = inventory(&pki, LONG_INTERVAL, &settings, &[trusting("127.0.0.1")]);
        let exporter = Exporter::start(&config, &[], |_| {});
        exporter.wait_until_ready();
        let before = server.connections();
        let answer = exporter.probe(&path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        // One query, and one probe at the address that was checked.
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{path}");
        assert_eq!(server.connections(), before + 1, "{path}");
        let answer = exporter.probe(&path);
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(
            answer.text().contains("127.0.0.1 is loopback"),
            "{}",
            answer.text()
        );
    }
    let only = IpAddr::from([127, 0, 0, 2]);
    assert_eq!(server.counts().keys().collect::<Vec<_>>(), [&only]);
}

#[test]
fn name_with_one_forbidden_address_is_refused() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = everywhere(&pki, &leaf);
    let names = Responder::start(|kind| {
        let both = [[127, 0, 0, 2], [127, 0, 0, 1]].map(|ip| IpAddr::from(Ipv4Addr::from(ip)));
        Ok(if kind == A { both.into() } else { Vec::new() })
    });
    let settings = format!(
        "dns: {}\nprobe: {{allow: [\"*.example\", 127.0.0.2/32]}}",
        names.address
    );
    let config = inventory(&pki, LONG_INTERVAL, &settings, &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    let answer = exporter.probe(&format!("/probe?target=both.example:{}", server.port()));
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(server.connections(), 0);
}

#[test]
fn allowed_and_monitored_targets_may_be_probed() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["named.example", HOST]);
    let server = everywhere(&pki, &leaf);
    let names = Responder::by_name(|name, kind| match (name, kind) {
        ("named.example", A) => Ok(vec![IpAddr::from([127, 0, 0, 3])]),
        // In the inventory, but not in an allowed network.
        (HOST, A) => Ok(vec![IpAddr::from([127, 0, 0, 9])]),
        _ => Ok(Vec::new()),
    });
    let settings = format!(
        "dns: {}\nprobe: {{allow: [named.example, 127.0.0.2/31]}}",
        names.address
    );
    let place = format!("hostnames: {HOST}, port: {}", server.port());
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        &settings,
        &[expecting(&pki, "web", &leaf, &place)],
    );
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let port = server.port();
    for (target, status) in [
        ("127.0.0.2", 200),
        ("127.0.0.3", 200),
        ("127.0.0.4", 403),
        ("[::ffff:127.0.0.2]", 200),
        ("named.example", 200),
        ("NAMED.example.", 200),
        ("x.named.example", 403),
        (HOST, 200),
    ] {
        let answer = exporter.probe(&format!("/probe?target={target}:{port}"));
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    // Another port of a monitored host is not monitored.
    assert_eq!(
        exporter.probe(&format!("/probe?target={HOST}:1")).status,
        403
    );
    let answer = exporter.probe(&format!("/probe?target=named.example:{port}"));
    assert_eq!(
        answer.sample("probe_success", &[]),
        Some(1.0),
        "{}",
        answer.text()
    );
    assert_eq!(
        answer.sample("certvigil_endpoint_trusted", &[r#"ip="127.0.0.3""#]),
        Some(1.0)
    );
}
