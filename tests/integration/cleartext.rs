//! Servers that rustls cannot speak with: real old ones, and those that use the clear to lie.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::fixture::check::{Check, Row};
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::{Process, wait_until};
use crate::fixture::tls::{Server, read_some, say, stay_silent};

fn s_server(pki: &Pki, leaf: &Leaf, options: &[&str]) -> Process {
    let certificate = pki.chain(&[&leaf.certificate]);
    let options: Vec<String> = options
        .iter()
        .flat_map(|o| o.split(' '))
        .filter(|o| !o.is_empty())
        .map(str::to_owned)
        .collect();
    Process::start(&["127.0.0.1"], |_, port| {
        let mut command = Command::new("openssl");
        command
            .args(["s_server", "-quiet", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("-cert")
            .arg(&certificate)
            .arg("-key")
            .arg(&leaf.key)
            .arg("-cert_chain")
            .arg(pki.path("intermediate.pem"))
            .args(&options);
        command
    })
}

fn look(pki: &Pki, leaf: &Leaf, port: u16) -> Row {
    Check::of(pki, leaf, &["127.0.0.1"], port).row()
}

fn assert_read(row: &Row, codes: &[&str], version: &str, suite: &str, proof: &str, what: &str) {
    row.assert_right(codes);
    assert_eq!(row.text("/served/tls_version"), version, "{what}");
    assert_eq!(row.text("/served/cipher_suite"), suite, "{what}");
    assert_eq!(row.text("/served/key_proof"), proof, "{what}: {row:?}");
}

#[test]
#[ignore = "needs openssl"]
fn old_versions_suites_and_keys_of_openssl_are_read() {
    const OLD: &[&str] = &["legacy_protocol"];
    let pki = Pki::new();
    let rsa = pki.openssl("rsa:2048", "");
    let short = pki.openssl("rsa:1024", "");
    let sha1 = pki.openssl("rsa:2048", "-sha1");
    let p256 = pki.leaf(&[HOST]);
    let p384 = pki.openssl("ec", "-pkeyopt ec_paramgen_curve:P-384");
    let p521 = pki.openssl("ec", "-pkeyopt ec_paramgen_curve:P-521");
    let weak_key: &[&str] = &["weak_key", "legacy_protocol"];
    let weak_signature: &[&str] = &["weak_signature", "legacy_protocol"];
    for (leaf, codes, version, cipher, suite, proof) in [
        (
            &rsa,
            OLD,
            "1.0",
            "AES128-SHA",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "none",
        ),
        (
            &rsa,
            OLD,
            "1.1",
            "AES256-SHA",
            "TLS_RSA_WITH_AES_256_CBC_SHA",
            "none",
        ),
        (
            &rsa,
            OLD,
            "1.0",
            "ECDHE-RSA-AES128-SHA",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "bare_key",
        ),
        (
            &rsa,
            OLD,
            "1.1",
            "DHE-RSA-AES128-SHA",
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
            "bare_key",
        ),
        (
            &short,
            weak_key,
            "1.1",
            "DHE-RSA-AES256-SHA",
            "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
            "bare_key",
        ),
        (
            &sha1,
            weak_signature,
            "1.0",
            "DHE-RSA-AES256-SHA",
            "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
            "bare_key",
        ),
        (
            &p256,
            OLD,
            "1.0",
            "ECDHE-ECDSA-AES128-SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            "bare_key",
        ),
        (
            &p384,
            OLD,
            "1.1",
            "ECDHE-ECDSA-AES128-SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            "bare_key",
        ),
        (
            &p521,
            OLD,
            "1.1",
            "ECDHE-ECDSA-AES256-SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            "bare_key",
        ),
        (
            &rsa,
            &[],
            "1.2",
            "AES128-GCM-SHA256",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "none",
        ),
        (
            &rsa,
            &[],
            "1.2",
            "AES128-SHA",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "none",
        ),
        (
            &rsa,
            &[],
            "1.2",
            "DHE-RSA-AES128-GCM-SHA256",
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            "handshake",
        ),
        (
            &rsa,
            &[],
            "1.2",
            "ECDHE-RSA-AES128-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
            "handshake",
        ),
        (
            &rsa,
            &[],
            "1.2",
            "ECDHE-RSA-CAMELLIA128-SHA256",
            "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256",
            "handshake",
        ),
        (
            &p256,
            &[],
            "1.2",
            "ECDHE-ECDSA-AES128-SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            "handshake",
        ),
        (
            &p256,
            &[],
            "1.2",
            "ECDHE-ECDSA-AES128-CCM8",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
            "handshake",
        ),
        (
            &short,
            &["weak_key"],
            "1.2",
            "DHE-RSA-AES128-SHA256",
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
            "bare_key",
        ),
    ] {
        let option = match version {
            "1.0" => "-tls1",
            "1.1" => "-tls1_1",
            _ => "-tls1_2",
        };
        let server = s_server(
            &pki,
            leaf,
            &[option, "-cipher", &format!("{cipher}:@SECLEVEL=0")],
        );
        let row = look(&pki, leaf, server.port);
        assert_read(
            &row,
            codes,
            version,
            suite,
            proof,
            &format!("{option} {cipher}"),
        );
        if version != "1.2" {
            let finding = row.finding("legacy_protocol").to_string();
            assert!(
                finding.contains(&format!("newer than TLS {version}")),
                "{finding}"
            );
            assert_eq!(finding.contains("not proved"), proof == "none", "{finding}");
        }
        // OpenSSL speaks of the wait for it to be ready, which ends without a word, and of the first hello; we leave
        // the second handshake politely.
        let log = server.read("log");
        assert!(log.matches("unexpected eof").count() <= 1, "{log}");
        assert!(log.matches(":error:").count() <= 2, "{log}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn in_the_clear_too_a_kind_of_key_and_a_name_are_asked_for() {
    let pki = Pki::new();
    let (rsa, ecdsa) = (pki.openssl("rsa:2048", ""), pki.leaf(&[HOST]));
    let old = ["-tls1", "-cipher ALL:@SECLEVEL=0"];
    let second = pki.chain(&[&ecdsa.certificate]);
    let (second, key) = (
        second.display().to_string(),
        ecdsa.key.display().to_string(),
    );
    let both = s_server(
        &pki,
        &rsa,
        &[old[0], old[1], "-dcert", &second, "-dkey", &key],
    );
    for (key_type, leaf) in [("rsa", &rsa), ("ecdsa", &ecdsa)] {
        let check = Check::of(&pki, leaf, &["127.0.0.1"], both.port);
        let row = check.args(&["--key-type", key_type]).row();
        assert_eq!(row.flag("correct"), Some(true), "{key_type}: {row:?}");
        assert_eq!(row.text("/served/key_proof"), "bare_key");
    }
    let named = s_server(
        &pki,
        &rsa,
        &[
            old[0],
            old[1],
            "-servername",
            HOST,
            "-cert2",
            &second,
            "-key2",
            &key,
        ],
    );
    let row = look(&pki, &ecdsa, named.port);
    assert_eq!(row.flag("correct"), Some(true), "{row:?}");
    let check = Check::of(&pki, &ecdsa, &["127.0.0.1"], named.port);
    let row = check.args(&["--sni", "other.example.com"]).row();
    assert_eq!(row.flag("correct"), Some(false), "{row:?}");
    assert_eq!(row.codes(), ["wrong_certificate", "legacy_protocol"]);
}

#[test]
#[ignore = "needs openssl"]
fn a_server_that_knows_only_other_names_is_not_read_in_the_clear() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = s_server(
        &pki,
        &leaf,
        &[
            "-servername other.example.com -servername_fatal -cert2",
            &pki.full_chain(&leaf).display().to_string(),
            "-key2",
            &leaf.key.display().to_string(),
        ],
    );
    let row = look(&pki, &leaf, server.port);
    assert_eq!(row.outcome(), "tls_alert", "{row:?}");
    assert!(row.text("/error").contains("unrecognised_name"), "{row:?}");
}

#[test]
#[ignore = "needs nginx and openssl"]
fn an_old_nginx_is_read_and_has_nothing_to_complain_of() {
    let pki = Pki::new();
    let leaf = pki.openssl("rsa:2048", "");
    for (protocol, version) in [("TLSv1", "1.0"), ("TLSv1.1", "1.1")] {
        let (chain, key) = (pki.full_chain(&leaf), &leaf.key);
        let nginx = Process::start(&["127.0.0.1"], |folder, port| {
            let config = format!(
                "daemon off; pid nginx.pid; error_log error.log notice; events {{}}
                 http {{
                     access_log off;
                     client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                     uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                     server {{
                         listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};
                         ssl_protocols {protocol}; ssl_ciphers ALL:@SECLEVEL=0;
                     }}
                 }}",
                chain.display(),
                key.display()
            );
            nginx(folder, &config)
        });
        let row = look(&pki, &leaf, nginx.port);
        let suite = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA";
        assert_read(
            &row,
            &["legacy_protocol"],
            version,
            suite,
            "bare_key",
            protocol,
        );
        nginx.signal("QUIT");
        let log = wait_until("nginx has ended", || {
            let log = nginx.read("error.log");
            log.contains("exit").then_some(log)
        });
        for bad in ["[warn]", "[error]", "[crit]", "[alert]"] {
            // The first hello, of TLS 1.3 and 1.2, is what nginx speaks of at `info`, and no more.
            assert!(!log.contains(bad), "{log}");
        }
    }
}

fn nginx(folder: &Path, config: &str) -> Command {
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("nginx");
    command
        .args(["-e", "log", "-p"])
        .arg(folder)
        .arg("-c")
        .arg(file);
    command
}

#[test]
#[ignore = "needs gnutls-bin and openssl"]
fn old_versions_and_suites_of_gnutls_are_read() {
    let pki = Pki::new();
    let (rsa, ecdsa) = (pki.openssl("rsa:2048", ""), pki.leaf(&[HOST]));
    let old: &[&str] = &["legacy_protocol"];
    for (leaf, priority, codes, version, suite, proof) in [
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.0:-KX-ALL:+RSA:-CIPHER-ALL:+3DES-CBC",
            old,
            "1.0",
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            "none",
        ),
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.1:-KX-ALL:+DHE-RSA:-CIPHER-ALL:+AES-128-CBC",
            old,
            "1.1",
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
            "bare_key",
        ),
        (
            &ecdsa,
            "-VERS-ALL:+VERS-TLS1.0:-CIPHER-ALL:+AES-128-CBC",
            old,
            "1.0",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            "bare_key",
        ),
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA:-CIPHER-ALL:+AES-128-GCM",
            &[],
            "1.2",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "none",
        ),
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA:-CIPHER-ALL:+AES-256-GCM",
            &[],
            "1.2",
            "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
            "handshake",
        ),
        (
            &ecdsa,
            "-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CCM",
            &[],
            "1.2",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
            "handshake",
        ),
    ] {
        let chain = pki.full_chain(leaf);
        let server = Process::start(&["127.0.0.1"], |_, port| {
            let mut command = Command::new("gnutls-serv");
            command
                .args(["--disable-client-cert", "--port", &port.to_string()])
                .arg(format!("--priority=LEGACY:%COMPAT:{priority}"))
                .arg("--x509certfile")
                .arg(&chain)
                .arg("--x509keyfile")
                .arg(&leaf.key);
            command
        });
        let row = look(&pki, leaf, server.port);
        assert_read(&row, codes, version, suite, proof, priority);
    }
}

// What servers say, by hand.

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3][..], &length, content].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[kind], &length[1..], body].concat();
    let records = message.chunks(1 << 14).map(|part| record(22, part));
    records.collect::<Vec<_>>().concat()
}

fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([9; 32]);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    message(2, &body)
}

fn certificate(list: &[&[u8]]) -> Vec<u8> {
    let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let list: Vec<u8> = list
        .iter()
        .flat_map(|c| [u24(c.len()), c.to_vec()].concat())
        .collect();
    message(11, &[u24(list.len()), list].concat())
}

/// An exchange over P-256 with a signature that nobody made: `ecdsa_secp256r1_sha256`.
fn forged(has_scheme: bool) -> Vec<u8> {
    let mut body = vec![3, 0, 23, 65, 4];
    body.extend([5; 64]);
    if has_scheme {
        body.extend([4, 3]);
    }
    let signature = [0x30, 6, 2, 1, 1, 2, 1, 1];
    body.extend([0, 8]);
    body.extend(signature);
    message(12, &body)
}

const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
const DONE: [u8; 9] = [22, 3, 3, 0, 4, 14, 0, 0, 0];

/// A server that refuses the first handshake with this, and goes on with the second.
fn refusing(
    first: &'static [u8],
    second: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> Server {
    let count = AtomicUsize::new(0);
    Server::start("127.0.0.1", move |stream| {
        read_some(stream);
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            say(stream, first);
            if !first.is_empty() {
                stay_silent(stream);
            }
        } else {
            second(stream);
            stay_silent(stream);
        }
    })
}

#[test]
fn a_copied_certificate_passes_in_the_clear_only_where_no_key_is_to_be_proved() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (what, version, suite, is_signed, outcome, connections) in [
        // ECDHE-ECDSA and AES-GCM: rustls speaks it, so rustls has to hear it.
        ("a suite of ours", 0x0303, 0xc02b, true, "tls_alert", 2),
        (
            "a suite of ours for another key",
            0x0303,
            0xc02f,
            true,
            "tls_alert",
            2,
        ),
        ("a suite of TLS 1.3", 0x0303, 0x1301, true, "tls_alert", 2),
        ("no encryption", 0x0303, 0x0001, false, "tls_alert", 2),
        ("CBC", 0x0303, 0xc023, true, "tls_signature", 2),
        ("TLS 1.0", 0x0301, 0xc009, true, "tls_signature", 2),
        ("SSL 3.0", 0x0300, 0xc009, true, "tls_signature", 2),
        ("no signature", 0x0303, 0xc009, false, "tls_protocol", 2),
        ("a suite for RSA", 0x0303, 0x002f, false, "tls_protocol", 2),
        // ECDH: the key is the exchange, and nothing is signed.
        ("nothing to prove", 0x0303, 0xc004, false, "conclusive", 2),
    ] {
        let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
        let mut flight = server_hello(version, suite);
        flight.extend(certificate(&chain));
        if is_signed {
            flight.extend(forged(version == 0x0303));
        }
        flight.extend(DONE);
        let server = refusing(&HANDSHAKE_FAILURE, move |stream| say(stream, &flight));
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), outcome, "{what}: {row:?}");
        assert_eq!(server.connections(), connections, "{what}");
        if outcome == "conclusive" {
            assert_eq!(row.text("/served/key_proof"), "none");
        }
    }
}

#[test]
fn ssl_3_0_is_read_and_told_of() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0300, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    let server = refusing(&HANDSHAKE_FAILURE, move |stream| say(stream, &flight));
    let row = look(&pki, &leaf, server.port());
    assert_read(
        &row,
        &["legacy_protocol"],
        "SSL 3.0",
        "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA",
        "none",
        "",
    );
    let finding = row.finding("legacy_protocol").to_string();
    assert!(
        finding.contains("newer than SSL 3.0") && finding.contains("not proved"),
        "{finding}"
    );
}

#[test]
fn a_second_look_is_taken_only_where_nothing_is_shared() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0301, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    // A ServerHello of TLS 1.0, and one of TLS 1.2 with a suite that was not offered.
    let old: &'static [u8] = server_hello(0x0301, 0xc005).leak();
    let cbc: &'static [u8] = server_hello(0x0303, 0xc005).leak();
    for (first, outcome) in [
        (&HANDSHAKE_FAILURE[..], "conclusive"),
        (&[21, 3, 1, 0, 2, 2, 70], "conclusive"), // protocol_version
        (&[21, 3, 0, 0, 2, 2, 71], "conclusive"), // insufficient_security
        (old, "conclusive"),
        (cbc, "conclusive"),
        (&[], "conclusive"),                      // hangs up
        (&[21, 3, 3, 0, 2, 2, 112], "tls_alert"), // unrecognized_name
        (&[21, 3, 3, 0, 2, 2, 80], "tls_alert"),  // internal_error
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "tls_protocol"),
        (&[22, 3, 3, 0, 0], "tls_protocol"),
    ] {
        let flight = flight.clone();
        let server = refusing(first, move |stream| say(stream, &flight));
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), outcome, "{first:?}: {row:?}");
        let connections = if outcome == "conclusive" { 2 } else { 1 };
        assert_eq!(server.connections(), connections, "{first:?}");
    }
}

#[test]
fn whatever_comes_in_the_clear_ends_and_has_its_name() {
    type Serve = fn(&mut TcpStream);
    fn hello(stream: &mut TcpStream) {
        say(stream, &server_hello(0x0302, 0x002f));
    }
    let nothing: Serve = |_| {};
    let http: Serve = |stream| say(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let stalled: Serve = hello;
    let empty_record: Serve = |stream| {
        hello(stream);
        say(stream, &[22, 3, 3, 0, 0]);
    };
    let long_record: Serve = |stream| {
        hello(stream);
        say(stream, &[22, 3, 3, 0x40, 1]);
    };
    let empty_list: Serve = |stream| {
        hello(stream);
        say(stream, &certificate(&[]));
    };
    let no_certificate: Serve = |stream| {
        hello(stream);
        say(stream, &certificate(&[b"nothing that can be read"]));
    };
    let sixteen_mib: Serve = |stream| {
        hello(stream);
        say(stream, &record(22, &[11, 0xff, 0xff, 0xff]));
    };
    let many: Serve = |stream| {
        hello(stream);
        say(stream, &certificate(&[&[1][..]; 101]));
    };
    // Warnings that go on and on.
    let endless: Serve = |stream| {
        hello(stream);
        while stream
            .write_all(&record(21, &[1, 112]).repeat(1000))
            .is_ok()
        {}
    };
    let drips: Serve = |stream| {
        hello(stream);
        say(stream, &[22, 3, 3, 0x40, 0, 11, 0, 0x3f, 0xfc]);
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        while stream.read(&mut [0]).is_err() {
            say(stream, &[0]);
        }
    };
    let refuses: Serve = |stream| {
        hello(stream);
        say(stream, &HANDSHAKE_FAILURE);
    };
    let hangs_up: Serve = |stream| {
        hello(stream);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    };
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (what, second, outcome) in [
        ("nothing", nothing, "tls_alert"),
        ("another protocol", http, "tls_alert"),
        ("stalled", stalled, "tls_timeout"),
        ("an empty record", empty_record, "tls_protocol"),
        ("a long record", long_record, "tls_protocol"),
        ("an empty list", empty_list, "malformed_certificate"),
        ("no certificate", no_certificate, "malformed_certificate"),
        ("16 MiB", sixteen_mib, "too_large"),
        ("many", many, "too_large"),
        ("endless", endless, "too_large"),
        ("drips", drips, "tls_timeout"),
        ("refuses", refuses, "tls_alert"),
        ("hangs up", hangs_up, "tls_closed"),
    ] {
        let server = refusing(&HANDSHAKE_FAILURE, second);
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        let row = check.args(&["--timeout", "1s"]).row();
        assert_eq!(row.outcome(), outcome, "{what}: {row:?}");
        assert_eq!(row.codes(), ["handshake_failed"], "{what}");
        assert_eq!(server.connections(), 2, "{what}");
    }
}

#[test]
fn byte_by_byte_a_flight_is_read_as_well() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0302, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    let server = refusing(&HANDSHAKE_FAILURE, move |stream| {
        stream.set_nodelay(true).unwrap();
        for byte in &flight {
            say(stream, &[*byte]);
        }
    });
    look(&pki, &leaf, server.port()).assert_right(&["legacy_protocol"]);
}

#[test]
fn what_goes_before_tls_goes_before_the_second_hello_too() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0302, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    let count = AtomicUsize::new(0);
    let server = Server::start("127.0.0.1", move |stream| {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
            line.extend(byte);
        }
        read_some(stream);
        if !line.starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 ") {
            return;
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => say(stream, &HANDSHAKE_FAILURE),
            _ => say(stream, &flight),
        }
        stay_silent(stream);
    });
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let row = check.args(&["--proxy-protocol", "v1"]).row();
    row.assert_right(&["legacy_protocol"]);
    assert_eq!(server.connections(), 2);
}

#[test]
#[ignore = "needs openssl"]
fn an_application_protocol_is_agreed_on_in_the_clear() {
    let pki = Pki::new();
    let leaf = pki.openssl("rsa:2048", "");
    let options = ["-tls1_2 -cipher AES128-SHA -alpn http/1.1"];
    let server = s_server(&pki, &leaf, &options);
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port);
    let row = check.args(&["--alpn", "h2,http/1.1"]).row();
    row.assert_right(&[]);
    assert_eq!(row.text("/served/alpn"), "http/1.1");
}
