//! Real old servers: openssl, gnutls and nginx with old protocol versions.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;

use certvigil::certificate::Certificate;

use crate::common::cleartext::{assert_read, look};
use crate::fixture::check::Check;
use crate::fixture::pki::HOST;
use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::{Process, wait_until};
use crate::fixture::tls::Server;
use crate::openssl;

fn s_server(pki: &Pki, leaf: &Leaf, options: &[&str]) -> Process {
    openssl::s_server(pki, leaf, &pki.path("intermediate.pem"), &options.join(" "))
}

#[test]
#[ignore = "needs openssl"]
fn legacy_openssl_versions_suites_and_keys_are_read() {
    const OLD: &[&str] = &["legacy_protocol"];
    let pki = Pki::new();
    let rsa = pki.openssl("rsa:2048", "");
    let short = pki.openssl("rsa:1024", "");
    let sha1 = pki.openssl("rsa:2048", "-sha1");
    let p256 = pki.leaf(&[HOST]);
    let p384 = pki.openssl("ec", "-pkeyopt ec_paramgen_curve:P-384");
    let p521 = pki.openssl("ec", "-pkeyopt ec_paramgen_curve:P-521");
    // OpenSSL refuses the Diffie-Hellman prime and the key of the certificate.
    let weak_key: &[&str] = &[
        "refused_by_clients",
        "refused_by_clients",
        "weak_key",
        "legacy_protocol",
    ];
    let weak_signature: &[&str] = &["refused_by_clients", "weak_signature", "legacy_protocol"];
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
            // Chromium offers no signature scheme for P-521.
            &p521,
            &["legacy_protocol", "refused_by_clients"],
            "1.1",
            "ECDHE-ECDSA-AES256-SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            "bare_key",
        ),
        (
            &rsa,
            &["refused_by_clients"],
            "1.2",
            "AES128-GCM-SHA256",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "handshake",
        ),
        (
            &rsa,
            &["refused_by_clients"],
            "1.2",
            "AES128-SHA",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "handshake",
        ),
        (
            &rsa,
            &["refused_by_clients"],
            "1.2",
            "AES256-SHA256",
            "TLS_RSA_WITH_AES_256_CBC_SHA256",
            "handshake",
        ),
        (
            &rsa,
            &["refused_by_clients"],
            "1.2",
            "AES256-GCM-SHA384",
            "TLS_RSA_WITH_AES_256_GCM_SHA384",
            "handshake",
        ),
        (
            // The library does not encrypt for so short a key.
            &short,
            &["refused_by_clients", "refused_by_clients", "weak_key"],
            "1.2",
            "AES128-SHA",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "bare_key",
        ),
        (
            &rsa,
            &["refused_by_clients"],
            "1.2",
            "DHE-RSA-AES128-GCM-SHA256",
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            "handshake",
        ),
        (
            &rsa,
            &["refused_by_clients"],
            "1.2",
            "ECDHE-RSA-AES128-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
            "handshake",
        ),
        (
            &rsa,
            &["refused_by_clients"],
            "1.2",
            "ECDHE-RSA-CAMELLIA128-SHA256",
            "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256",
            "handshake",
        ),
        (
            &p256,
            &["refused_by_clients"],
            "1.2",
            "ECDHE-ECDSA-AES128-SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            "handshake",
        ),
        (
            &p256,
            &["refused_by_clients"],
            "1.2",
            "ECDHE-ECDSA-AES128-CCM8",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
            "handshake",
        ),
        (
            &short,
            // Go and Chromium do not offer such a suite, either.
            &[
                "refused_by_clients",
                "refused_by_clients",
                "refused_by_clients",
                "weak_key",
            ],
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
        // OpenSSL logs an unexpected EOF for the readiness probe. It may also log the first
        // ClientHello, and the third to fifth if there are some. The second handshake is closed with an alert.
        let log = server.read("log");
        assert!(log.matches("unexpected eof").count() <= 1, "{log}");
        assert!(log.matches(":error:").count() <= 5, "{log}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn legacy_handshake_requests_key_type_and_server_name() {
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
fn unrecognized_name_alert_prevents_the_legacy_handshake() {
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
    assert!(row.text("/error").contains("unrecognized_name"), "{row:?}");
}

#[test]
#[ignore = "needs nginx and openssl"]
fn legacy_nginx_is_read_without_logged_errors() {
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
            // nginx logs only the first ClientHello, of TLS 1.3 and 1.2, at `info`.
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
fn legacy_gnutls_versions_and_suites_are_read() {
    let pki = Pki::new();
    let (rsa, ecdsa) = (pki.openssl("rsa:2048", ""), pki.leaf(&[HOST]));
    let old: &[&str] = &["legacy_protocol"];
    for (leaf, priority, codes, version, suite, proof) in [
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.0:-KX-ALL:+RSA:-CIPHER-ALL:+3DES-CBC",
            &["legacy_cipher", "legacy_protocol"][..],
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
            &["refused_by_clients"],
            "1.2",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "handshake",
        ),
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA:-CIPHER-ALL:+AES-256-CBC:%NO_SESSION_HASH",
            &["refused_by_clients"],
            "1.2",
            "TLS_RSA_WITH_AES_256_CBC_SHA",
            "handshake",
        ),
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA:-CIPHER-ALL:+AES-256-GCM",
            &["refused_by_clients"],
            "1.2",
            "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
            "handshake",
        ),
        (
            &ecdsa,
            "-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CCM",
            &["refused_by_clients"],
            "1.2",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
            "handshake",
        ),
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:-CIPHER-ALL:+ARCFOUR-128",
            &["legacy_cipher"],
            "1.2",
            "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
            "handshake",
        ),
        (
            &rsa,
            "-VERS-ALL:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION",
            &["refused_by_clients"],
            "1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "handshake",
        ),
        (
            &ecdsa,
            "-VERS-ALL:+VERS-TLS1.0:-CIPHER-ALL:+AES-128-CBC:%DISABLE_SAFE_RENEGOTIATION",
            &["refused_by_clients", "legacy_protocol"],
            "1.0",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            "bare_key",
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

/// Returns the records of a server up to its ServerHelloDone or an alert, with `chain` in place of
/// its certificates.
fn first_flight(server: &mut TcpStream, chain: &[&Certificate]) -> Vec<u8> {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const CERTIFICATE: u8 = 11;
    const DONE: [u8; 4] = [14, 0, 0, 0];
    let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let mut messages = Vec::new();
    while !messages.ends_with(&DONE) {
        let mut header = [0; 5];
        server.read_exact(&mut header).unwrap();
        let mut content = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        server.read_exact(&mut content).unwrap();
        match header[0] {
            ALERT => return [&header[..], &content].concat(),
            HANDSHAKE => messages.extend(content),
            other => panic!("a record of type {other}"),
        }
    }
    let mut replaced = Vec::new();
    let mut rest = &messages[..];
    while let [kind, high, middle, low, body @ ..] = rest {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        let (body, after) = body.split_at(length);
        let list = chain.iter().map(|c| [u24(c.der().len()), c.der().to_vec()]);
        let list = list.flatten().flatten().collect::<Vec<_>>();
        let body = match *kind {
            CERTIFICATE => [u24(list.len()), list].concat(),
            _ => body.to_vec(),
        };
        replaced.extend([vec![*kind], u24(body.len()), body].concat());
        rest = after;
    }
    let length = u16::try_from(replaced.len()).unwrap().to_be_bytes();
    [&[HANDSHAKE, 3, 3][..], &length, &replaced].concat()
}

#[test]
#[ignore = "needs openssl"]
fn copied_certificate_is_refused_without_a_signature() {
    let pki = Pki::new();
    let own = pki.openssl("rsa:2048", "");
    // A secret for the larger key is larger than the modulus of the server's.
    let [copied, larger] = ["rsa:2048", "rsa:3072"].map(|key| pki.openssl(key, ""));
    for (copied, cipher) in [
        (&copied, "AES128-SHA"),
        (&copied, "AES256-SHA256"),
        (&copied, "AES128-GCM-SHA256"),
        (&larger, "AES128-SHA"),
        (&larger, "AES256-SHA256"),
        (&larger, "AES128-GCM-SHA256"),
    ] {
        let server = s_server(&pki, &own, &["-tls1_2 -cipher", cipher]);
        let port = server.port;
        let chain = [
            copied.certificate.clone(),
            pki.intermediate.certificate.clone(),
        ];
        let proxy = Server::start("127.0.0.1", move |client| {
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut hello = [0; 4096];
            let length = client.read(&mut hello).unwrap_or_default();
            server.write_all(&hello[..length]).unwrap();
            let flight = first_flight(&mut server, &chain.each_ref());
            client.write_all(&flight).unwrap();
            std::thread::scope(|scope| {
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                scope.spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let _ = std::io::copy(&mut server, client);
                let _ = client.shutdown(Shutdown::Both);
            });
        });
        let row = look(&pki, copied, proxy.port());
        assert_eq!(row.outcome(), "tls_signature", "{cipher}: {row:?}");
        assert_eq!(row.codes(), ["handshake_failed"], "{cipher}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn missing_client_certificate_is_no_failure_of_a_legacy_handshake() {
    let pki = Pki::new();
    let leaf = pki.openssl("rsa:2048", "");
    for (cipher, proof) in [
        // The server refuses before it proves its key.
        ("AES128-SHA", "none"),
        ("ECDHE-RSA-AES128-SHA", "handshake"),
        ("DHE-RSA-AES128-SHA", "handshake"),
    ] {
        let server = s_server(&pki, &leaf, &["-tls1_2 -Verify 1 -cipher", cipher]);
        let row = look(&pki, &leaf, server.port);
        row.assert_right(&["refused_by_clients"]);
        assert_eq!(row.text("/served/key_proof"), proof, "{cipher}: {row:?}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn legacy_handshake_negotiates_alpn() {
    let pki = Pki::new();
    let leaf = pki.openssl("rsa:2048", "");
    let options = ["-tls1_2 -cipher AES128-SHA -alpn http/1.1"];
    let server = s_server(&pki, &leaf, &options);
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port);
    let row = check.args(&["--alpn", "h2,http/1.1"]).row();
    row.assert_right(&["refused_by_clients"]);
    assert_eq!(row.text("/served/alpn"), "http/1.1");
}

#[test]
#[ignore = "needs openssl"]
fn keys_and_groups_unsupported_by_rustls_are_read() {
    let pki = Pki::new();
    let rsa = pki.openssl("rsa:2048", "");
    let pss = pki.openssl("rsa-pss", "-pkeyopt rsa_keygen_bits:2048");
    let ed448 = pki.openssl("ed448", "");
    let brainpool = pki.openssl("ec", "-pkeyopt ec_paramgen_curve:brainpoolP256r1");
    for (leaf, options, version, proof, code) in [
        (&pss, "-tls1_2", "1.2", "handshake", None),
        (&pss, "-tls1_3", "1.3", "handshake", None),
        (&ed448, "-tls1_2", "1.2", "none", None),
        (&ed448, "-tls1_3", "1.3", "none", None),
        (
            &brainpool,
            "-tls1_2 -groups brainpoolP256r1:P-256",
            "1.2",
            "none",
            None,
        ),
        (
            &rsa,
            "-groups X448 -cipher ECDHE",
            "1.2",
            "handshake",
            Some("refused_by_clients"),
        ),
        (
            &rsa,
            "-tls1_2 -cipher NULL-SHA256:@SECLEVEL=0",
            "1.2",
            "none",
            Some("legacy_cipher"),
        ),
    ] {
        let server = s_server(&pki, leaf, &[options]);
        let row = look(&pki, leaf, server.port);
        assert_eq!(row.outcome(), "conclusive", "{options}: {row:?}");
        assert_eq!(row.flag("correct"), Some(true), "{options}: {row:?}");
        assert_eq!(row.text("/served/tls_version"), version, "{options}");
        assert_eq!(row.text("/served/key_proof"), proof, "{options}: {row:?}");
        for of_handshake in ["refused_by_clients", "legacy_cipher", "handshake_failed"] {
            let is_expected = code == Some(of_handshake);
            // Findings about clients have severity info.
            let findings = row.0["findings"].as_array().unwrap();
            let mut findings = findings.iter().filter(|f| f["severity"] != "info");
            assert_eq!(
                findings.any(|f| f["code"] == of_handshake),
                is_expected,
                "{options}: {row:?}"
            );
        }
    }
    for (groups, codes) in [("P-521", &["refused_by_clients"][..]), ("P-521:P-256", &[])] {
        let server = s_server(&pki, &rsa, &["-groups", groups]);
        look(&pki, &rsa, server.port).assert_right(codes);
    }
    let server = s_server(&pki, &rsa, &["-tls1_3 -groups ffdhe2048"]);
    let row = look(&pki, &rsa, server.port);
    assert_eq!(row.outcome(), "internal", "{row:?}");
    assert_eq!(row.text("/severity"), "unknown");
    assert!(row.text("/error").contains("ffdhe2048"), "{row:?}");
}

#[test]
#[ignore = "needs openssl"]
fn only_server_refusing_go_and_chromium_offers_is_reported() {
    let pki = Pki::new();
    let rsa = pki.openssl("rsa:2048", "");
    const DHE: &str = "-cipher DHE-RSA-AES128-GCM-SHA256";
    for (options, codes) in [
        (format!("-tls1_2 {DHE}"), &["refused_by_clients"][..]),
        // Only rustls lacks both suites.
        (
            format!("-tls1_2 {DHE}:AES128-GCM-SHA256"),
            &["refused_by_clients"],
        ),
        // Both have TLS 1.3, but no common group.
        (
            format!("-groups ffdhe2048 {DHE}:AES128-GCM-SHA256"),
            &["refused_by_clients"],
        ),
    ] {
        let server = s_server(&pki, &rsa, &[&options]);
        let row = look(&pki, &rsa, server.port);
        row.assert_right(codes);
        let suite = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256";
        assert_eq!(row.text("/served/cipher_suite"), suite);
    }
}

/// GnuTLS has CBC with SHA-1 only, which the server may have too.
#[test]
#[ignore = "needs openssl"]
fn only_server_refusing_the_offer_of_gnutls_is_refused_by_it() {
    let pki = Pki::new();
    let rsa = pki.openssl("rsa:2048", "");
    for (ciphers, is_accepted, severity) in [
        ("ECDHE-RSA-AES256-SHA384", false, "critical"),
        ("DHE-RSA-AES128-SHA256", false, "critical"),
        ("DHE-RSA-AES128-SHA256:DHE-RSA-AES128-SHA", true, "warning"),
        ("DHE-RSA-AES128-CCM", true, "critical"),
        ("DHE-RSA-AES128-CCM8", false, "critical"),
    ] {
        let options = format!("-tls1_2 -serverpref -cipher {ciphers}");
        let server = s_server(&pki, &rsa, &[&options]);
        let row = look(&pki, &rsa, server.port);
        row.assert_right(&["refused_by_clients"]);
        let accepts = &row.0["clients"]["gnutls"]["accepts"];
        assert_eq!(accepts.as_bool(), Some(is_accepted), "{ciphers}");
        let found = row.finding("refused_by_clients");
        assert_eq!(found["severity"], severity, "{ciphers}: {found}");
    }
}
