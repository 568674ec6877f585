//! Servers that are silent, send invalid data or close early; many such servers at once; and users
//! who interrupt.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use crate::fixture::check::{Check, rows};
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::signal;
use crate::fixture::tls::{self, Server, complete_handshake, read_some, send_bytes, stay_silent};
use crate::support::for_each_concurrently;

/// The header of a TLS record of 16 KiB with a handshake message (RFC 8446, section 5.1).
const RECORD: [u8; 5] = [0x16, 3, 3, 0x40, 0];

#[test]
fn every_broken_handshake_has_its_error_kind() {
    type Serve = fn(&mut TcpStream);
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let silent: Serve = stay_silent;
    let closes: Serve = |_| {};
    let closes_after_hello: Serve = read_some;
    // Closing with unread data resets the connection.
    let resets: Serve = |stream| {
        let _ = stream.peek(&mut [0]);
    };
    let garbage: Serve = |stream| send_bytes(stream, &[0xff; 64]);
    let banner: Serve = |stream| {
        send_bytes(stream, b"220 mail.example.com ESMTP\r\n");
        stay_silent(stream);
    };
    let alert: Serve = |stream| {
        read_some(stream);
        send_bytes(stream, &[0x15, 3, 3, 0, 2, 2, 40]);
        stay_silent(stream);
    };
    let half: Serve = |stream| {
        read_some(stream);
        send_bytes(stream, &RECORD);
    };
    let drips: Serve = |stream| {
        read_some(stream);
        send_bytes(stream, &RECORD);
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        loop {
            match std::io::Read::read(stream, &mut [0]) {
                Ok(_) => return,
                Err(_) => send_bytes(stream, &[2]),
            }
        }
    };
    let empty_record: Serve = |stream| {
        read_some(stream);
        send_bytes(stream, &[0x16, 3, 3, 0, 0]);
        stay_silent(stream);
    };
    // Maximum length of any record: 2^14 + 2048 (RFC 5246, section 6.2.3).
    let long_record: Serve = |stream| {
        read_some(stream);
        send_bytes(stream, &[0x16, 3, 3, 0x48, 1]);
        stay_silent(stream);
    };
    // Closing with unread data after some data was sent.
    let resets_amid: Serve = |stream| {
        let _ = stream.peek(&mut [0]);
        send_bytes(stream, &RECORD);
    };
    let http: Serve = |stream| {
        read_some(stream);
        send_bytes(
            stream,
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        );
        stay_silent(stream);
    };
    // A handshake message with a length of 16 MiB, sent without end.
    let endless: Serve = |stream| {
        read_some(stream);
        let mut record = RECORD.to_vec();
        record.extend([11, 0xff, 0xff, 0xff]);
        record.resize(RECORD.len() + 0x4000, 0);
        while std::io::Write::write_all(stream, &record).is_ok() {}
    };
    let cases = [
        ("silent", silent, "tls_timeout"),
        ("drips", drips, "tls_timeout"),
        ("closes", closes, "tls_closed"),
        ("closes after the hello", closes_after_hello, "tls_closed"),
        ("resets", resets, "tls_closed"),
        ("half a record", half, "tls_closed"),
        ("garbage", garbage, "tls_protocol"),
        ("banner", banner, "tls_protocol"),
        ("plain HTTP", http, "tls_protocol"),
        ("an empty record", empty_record, "tls_protocol"),
        ("a long record", long_record, "tls_protocol"),
        ("resets amid a record", resets_amid, "tls_closed"),
        ("alert", alert, "tls_alert"),
        ("endless", endless, "too_large"),
    ];
    for_each_concurrently(cases, |(what, serve, kind)| {
        let server = Server::start("127.0.0.1", serve);
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        // Long enough for a busy machine, and short where the probe must end at its deadline. A server
        // that sends nothing for half of the time is probed again with a smaller ClientHello.
        let timeout = match what {
            "silent" | "drips" => "6s",
            _ => "30s",
        };
        let row = check.args(&["--timeout", timeout]).row();
        assert_eq!(row.outcome(), kind, "{what}: {row:?}");
        assert_eq!(row.text("/status"), "handshake_error", "{what}");
        assert_eq!(row.codes(), ["handshake_failed"], "{what}");
        // A server that refuses or closes at the ClientHello may speak older versions and cipher
        // suites, so there are two more connections. One that closes or is silent may be unable to
        // read a large ClientHello, so there is one more.
        let connections = match what {
            "closes" | "closes after the hello" | "resets" => 4,
            "alert" => 3,
            "silent" => 2,
            _ => 1,
        };
        assert_eq!(server.connections(), connections, "{what}");
    });
}

#[test]
fn handshake_with_one_byte_per_segment_succeeds() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for version in [&TLS12, &TLS13] {
        let config = tls::config_with_key(&pki, &leaf, &leaf, &[version]);
        let server = Server::start("127.0.0.1", move |stream| {
            stream.set_nodelay(true).unwrap();
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            loop {
                let mut flight = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut flight).unwrap();
                }
                flight.iter().for_each(|byte| send_bytes(stream, &[*byte]));
                let read = tls.read_tls(stream);
                if !read.is_ok_and(|count| count > 0) || tls.process_new_packets().is_err() {
                    return;
                }
            }
        });
        let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port()).row();
        row.assert_right(&[]);
    }
}

/// OpenSSL, GnuTLS and Java refuse both, and Go the first.
#[test]
fn alert_before_the_server_hello_is_reported() {
    const CLOSE_NOTIFY: [u8; 7] = [21, 3, 3, 0, 2, 1, 0];
    const NO_RENEGOTIATION: [u8; 7] = [21, 3, 3, 0, 2, 1, 100];
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for version in [&TLS12, &TLS13] {
        let config = tls::config_with_key(&pki, &leaf, &leaf, &[version]);
        for (alert, codes) in [
            (CLOSE_NOTIFY, "handshake_failed"),
            (NO_RENEGOTIATION, "refused_by_clients"),
        ] {
            let config = config.clone();
            let server = Server::start("127.0.0.1", move |stream| {
                send_bytes(stream, &alert);
                complete_handshake(stream, &config);
            });
            let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port()).row();
            assert_eq!(row.codes(), [codes], "{row:?}");
        }
    }
}

/// Completes a handshake. Sends what `edit` makes of each record and its number.
fn handshake_with_records(
    stream: &mut TcpStream,
    config: &Arc<rustls::ServerConfig>,
    edit: impl Fn(usize, &[u8]) -> Vec<u8>,
) {
    let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
    let mut number = 0;
    loop {
        let mut flight = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut flight).unwrap();
        }
        let mut out = Vec::new();
        let mut rest = &flight[..];
        while let [_, _, _, high, low, ..] = *rest {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (record, after) = rest.split_at(5 + length);
            out.extend(edit(number, record));
            rest = after;
            number += 1;
        }
        send_bytes(stream, &out);
        let read = tls.read_tls(stream);
        if !read.is_ok_and(|count| count > 0) || tls.process_new_packets().is_err() {
            return;
        }
    }
}

/// Completes a handshake. Sends the alert, as a warning, before the record of this number.
fn handshake_with_warning(
    stream: &mut TcpStream,
    config: &Arc<rustls::ServerConfig>,
    at: usize,
    alert: u8,
) {
    handshake_with_records(stream, config, |number, record| {
        let warning = [21, 3, 3, 0, 2, 1, alert];
        match number == at {
            true => [&warning, record].concat(),
            false => record.to_vec(),
        }
    });
}

/// OpenSSL, GnuTLS, Go and Java refuse a close_notify in TLS 1.2 and any alert in cleartext after a
/// ServerHello of TLS 1.3; Java refuses most warnings, and some refuse no_renegotiation.
#[test]
fn warning_during_the_handshake_is_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (version, at, alert, code, kind) in [
        // After the ServerHelloDone, and before the Finished.
        (&TLS12, 1, 0, "handshake_failed", ""),
        (
            &TLS12,
            1,
            100,
            "refused_by_clients",
            "no_renegotiation_alert",
        ),
        (&TLS12, 1, 112, "refused_by_clients", "unrecognized_name"),
        (&TLS12, 1, 41, "refused_by_clients", "warning_alert"),
        (&TLS12, 1, 90, "", ""),
        (&TLS12, 0, 42, "refused_by_clients", "warning_alert"),
        (&TLS13, 0, 112, "refused_by_clients", "unrecognized_name"),
        (&TLS13, 0, 111, "refused_by_clients", "warning_alert"),
        (&TLS13, 0, 90, "", ""),
        (&TLS13, 1, 90, "handshake_failed", ""),
    ] {
        let config = tls::config_with_key(&pki, &leaf, &leaf, &[version]);
        let server = Server::start("127.0.0.1", move |stream| {
            handshake_with_warning(stream, &config, at, alert);
        });
        let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port()).row();
        let what = format!("{version:?}, {alert} at {at}: {row:?}");
        let expected: Vec<&str> = [code].into_iter().filter(|code| !code.is_empty()).collect();
        assert_eq!(row.codes(), expected, "{what}");
        assert_eq!(row.flag("correct"), Some(true), "{what}");
        match code {
            "handshake_failed" => {
                assert_eq!(row.finding(code)["detail"]["is_key_proved"], true, "{what}");
            }
            "refused_by_clients" => {
                assert_eq!(row.finding(code)["detail"]["kind"], kind, "{what}");
            }
            _ => row.assert_right(&[]),
        }
    }
}

/// OpenSSL and GnuTLS refuse records with these versions, and Go those of TLS 1.3. rustls ignores
/// the version.
#[test]
fn record_with_a_wrong_version_is_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (protocol, records, version, is_failed) in [
        (&TLS12, 0..1, [3, 1], false),
        (&TLS12, 0..1, [0, 2], true),
        (&TLS13, 0..1, [0, 2], true),
        (&TLS13, 0..1, [3, 1], false),
        (&TLS13, 0..20, [3, 4], true),
        (&TLS13, 0..20, [3, 1], true),
        (&TLS13, 0..20, [3, 3], false),
    ] {
        let config = tls::config_with_key(&pki, &leaf, &leaf, &[protocol]);
        let what = format!("{protocol:?}, {version:?} at {records:?}");
        let server = Server::start("127.0.0.1", move |stream| {
            handshake_with_records(stream, &config, |number, record| {
                let mut record = record.to_vec();
                if records.contains(&number) {
                    record[1..3].copy_from_slice(&version);
                }
                record
            });
        });
        let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port()).row();
        let expected = if is_failed {
            &["handshake_failed"][..]
        } else {
            &[]
        };
        assert_eq!(row.codes(), expected, "{what}: {row:?}");
    }
}

#[test]
fn repeated_hello_retry_request_is_a_protocol_error() {
    /// A ServerHello whose random marks it as a HelloRetryRequest (RFC 8446, section 4.1.3), for
    /// secp384r1.
    const RANDOM: &str = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
    let random: Vec<u8> = (0..RANDOM.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&RANDOM[at..at + 2], 16).unwrap())
        .collect();
    let server = Server::start("127.0.0.1", move |stream| {
        let mut hello = [0; 4096];
        loop {
            let Ok(count @ 76..) = std::io::Read::read(stream, &mut hello) else {
                return;
            };
            // The session ID follows the headers of record and message, the version and the random.
            // A change_cipher_spec before a second ClientHello (RFC 8446, appendix D.4) is skipped.
            let at = if hello[0] == 0x14 { 6 } else { 0 };
            let id = &hello[at + 44..at + 76];
            assert!(count >= at + 76);
            let mut body = vec![3, 3];
            body.extend(&random);
            body.push(32);
            body.extend(id);
            body.extend([0x13, 0x01, 0, 0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 24]);
            let length = u8::try_from(body.len()).unwrap();
            let mut record = vec![0x16, 3, 3, 0, length + 4, 2, 0, 0, length];
            record.extend(body);
            send_bytes(stream, &record);
        }
    });
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port()).row();
    assert_eq!(row.outcome(), "tls_protocol", "{row:?}");
    // The client followed the first one.
    let error = row.text("/error");
    assert!(
        error.contains("a HelloRetryRequest out of order"),
        "{row:?}"
    );
}

#[test]
fn copied_certificate_without_its_key_is_refused() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    for version in [&TLS12, &TLS13] {
        for (key, outcome) in [(&leaf, "conclusive"), (&other, "tls_signature")] {
            let config = tls::config_with_key(&pki, &leaf, key, &[version]);
            let server = Server::tls("127.0.0.1", config);
            let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port()).row();
            assert_eq!(row.outcome(), outcome, "{version:?}: {row:?}");
        }
    }
}

#[test]
fn dead_address_of_a_responding_host_is_critical_and_dead_host_unknown() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("127.0.0.2", tls::config(&pki, &leaf));
    let look = |addresses| Check::of(&pki, &leaf, addresses, server.port()).rows();
    let rows = look(&["127.0.0.2", "127.0.0.3"]);
    rows[0].assert_right(&[]);
    assert_eq!(rows[1].outcome(), "connect_refused");
    assert_eq!(rows[1].codes(), ["unreachable"]);
    let rows = look(&["127.0.0.3", "127.0.0.4"]);
    for row in &rows {
        assert_eq!(row.outcome(), "connect_refused");
        assert_eq!(row.text("/severity"), "unknown");
        assert!(row.codes().is_empty(), "{row:?}");
    }
}

/// A listener whose backlog is full: new connections get no response.
fn full() -> (TcpListener, Vec<TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let _entered = runtime.as_ref().unwrap().enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        waiting.push(stream);
    }
    (listener, waiting)
}

#[test]
fn unresponsive_address_times_out_at_the_deadline() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (listener, _waiting) = full();
    let port = listener.local_addr().unwrap().port();
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], port);
    let row = check.args(&["--timeout", "1s"]).row();
    assert_eq!(row.outcome(), "connect_timeout", "{row:?}");
    // The kernel gives up too, after two minutes.
    let of_deadline = "no answer to the connection within";
    assert!(row.text("/error").contains(of_deadline), "{row:?}");
    assert_eq!(row.text("/severity"), "unknown");
}

#[test]
fn sni_contains_a_host_name_and_never_an_address() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST, "127.0.0.1"]);
    for host in [HOST, "127.0.0.1"] {
        let (sender, hellos) = mpsc::channel();
        let server = Server::start("127.0.0.1", move |stream| {
            let mut hello = [0; 4096];
            let count = std::io::Read::read(stream, &mut hello).unwrap();
            sender.send(hello[..count].to_vec()).unwrap();
        });
        let check = Check::new(&pki).expect(&pki.full_chain(&leaf));
        check.at(host, &["127.0.0.1"], server.port()).row();
        let hello = hellos.recv().unwrap();
        let sends = hello
            .windows(host.len())
            .any(|part| part == host.as_bytes());
        assert_eq!(sends, host == HOST);
    }
}

/// A TLS server that delays each client for a moment, so that others may connect, and the maximum
/// of concurrent clients. A delayed client cannot have moved on to the next connection.
fn counting_server(
    pki: &Pki,
    leaf: &crate::fixture::pki::Leaf,
    address: &str,
) -> (Server, Arc<AtomicUsize>) {
    let config = tls::config(pki, leaf);
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, waiting) = (most.clone(), AtomicUsize::new(0));
    let server = Server::start(address, move |stream| {
        let now = waiting.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(now, Ordering::SeqCst);
        std::thread::park_timeout(Duration::from_millis(20));
        waiting.fetch_sub(1, Ordering::SeqCst);
        complete_handshake(stream, &config);
    });
    (server, most)
}

#[test]
fn each_of_500_addresses_is_probed_once_within_the_concurrency_limit() {
    const ADDRESSES: u16 = 500;
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (server, most) = counting_server(&pki, &leaf, "0.0.0.0");
    let ips = (0..ADDRESSES).map(|n| {
        let [high, low] = n.to_be_bytes();
        IpAddr::from([127, 0, 2 + high, low])
    });
    let once: BTreeMap<IpAddr, usize> = ips.map(|ip| (ip, 1)).collect();
    let addresses: Vec<String> = once.keys().map(ToString::to_string).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let check = Check::of(&pki, &leaf, &addresses, server.port());
    let rows = check.args(&["--concurrency", "16"]).rows();
    assert_eq!(rows.len(), once.len());
    rows.iter().for_each(|row| row.assert_right(&[]));
    assert_eq!(server.counts(), once);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most} at a time");
}

#[test]
fn check_limits_concurrent_probes_to_few_descriptors() {
    const ADDRESSES: u8 = 200;
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (server, most) = counting_server(&pki, &leaf, "0.0.0.0");
    let addresses: Vec<String> = (1..=ADDRESSES).map(|n| format!("127.0.8.{n}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let check = Check::of(&pki, &leaf, &addresses, server.port());
    let rows = check.limited("ulimit -n 64").rows();
    assert_eq!(rows.len(), addresses.len());
    rows.iter().for_each(|row| row.assert_right(&[]));
    assert!(most.load(Ordering::SeqCst) < 64);
}

#[test]
fn check_of_500_addresses_works_with_little_memory() {
    const ADDRESSES: u16 = 500;
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("0.0.0.0", tls::config(&pki, &leaf));
    let ips = (0..ADDRESSES).map(|n| {
        let [high, low] = n.to_be_bytes();
        IpAddr::from([127, 0, 4 + high, low]).to_string()
    });
    let addresses: Vec<String> = ips.collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let check = Check::of(&pki, &leaf, &addresses, server.port());
    let rows = check.limited(crate::support::LIMITED_MEMORY).rows();
    assert_eq!(rows.len(), addresses.len());
    rows.iter().for_each(|row| row.assert_right(&[]));
}

#[test]
fn per_address_limit_bounds_concurrent_connections() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (limit, bounds) in [("1", 1..=1), ("3", 2..=3)] {
        let (server, most) = counting_server(&pki, &leaf, "127.0.0.1");
        let resolve = format!("*:{}:127.0.0.1", server.port());
        let mut check = Check::new(&pki).expect(&pki.full_chain(&leaf));
        for n in 0..12 {
            check = check.arg(format!("host{n}.example:{}", server.port()));
        }
        let rows = check
            .args(&["--resolve", &resolve, "--per-address", limit])
            .rows();
        assert_eq!(rows.len(), 12);
        assert_eq!(server.connections(), 12);
        let most = most.load(Ordering::SeqCst);
        assert!(bounds.contains(&most), "{most} at a time, of {limit}");
    }
}

#[test]
fn interrupted_check_prints_the_results_so_far() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (sender, came) = mpsc::channel();
    let config = tls::config(&pki, &leaf);
    let server = Server::start("0.0.0.0", move |stream| {
        if stream.local_addr().unwrap().ip() == IpAddr::from([127, 0, 0, 2]) {
            return complete_handshake(stream, &config);
        }
        sender.send(()).unwrap();
        stay_silent(stream);
    });
    let check = Check::of(&pki, &leaf, &["127.0.0.2", "127.0.0.3"], server.port());
    let mut check = check.args(&["-vv", "--timeout", "1h"]).start();
    check.wait_for("at 127.0.0.2: ok");
    came.recv().unwrap();
    signal(&check.child, "INT");
    let run = check.end();
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("the result is incomplete"), "{run:?}");
    let json = run.json();
    assert_eq!(json["result"].as_array().unwrap().len(), 1);
    assert_eq!(json["result"][0]["ip_address"], "127.0.0.2");
}

#[test]
fn interrupted_wait_prints_the_last_results() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = Server::tls("127.0.0.1", tls::config(&pki, &other));
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let mut check = check.args(&["-v", "--wait", "2h", "--every", "1h"]).start();
    check.wait_for("addresses serve it");
    signal(&check.child, "INT");
    let run = check.end();
    assert_eq!(run.code, 2, "{run:?}");
    assert_eq!(rows(&run)[0].codes(), ["wrong_certificate"]);
}
