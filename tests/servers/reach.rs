//! Special cases of reaching real servers: key types, the PROXY protocol, ALPN and SNI.

use crate::common::nginx::{nginx, pair, server};
use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::Process;
use std::fs;
use std::process::Command;

/// Starts nginx with a certificate of each of these leaves.
fn with_each(pki: &Pki, leaves: &[&Leaf], more: &str) -> Process {
    let pairs: String = leaves
        .iter()
        .map(|leaf| pair(&pki.full_chain(leaf), &leaf.key))
        .collect();
    nginx(
        &["127.0.0.1"],
        &[format!(
            "server {{ listen 127.0.0.1:PORT ssl; {pairs} {more} }}\n"
        )],
    )
}

#[test]
#[ignore = "needs nginx and openssl"]
fn each_key_type_is_compared_with_its_own_instance() {
    let pki = Pki::new();
    let (ecdsa, rsa) = (pki.leaf(&[HOST]), pki.openssl("rsa:2048", ""));
    for versions in ["TLSv1.2", "TLSv1.3"] {
        let nginx = with_each(&pki, &[&ecdsa, &rsa], &format!("ssl_protocols {versions};"));
        let check = || {
            Check::new(&pki)
                .expect(&pki.full_chain(&ecdsa))
                .expect(&pki.full_chain(&rsa))
                .at(HOST, &["127.0.0.1"], nginx.port)
        };
        let rows = check().args(&["--key-type", "all"]).rows();
        let kinds: Vec<_> = rows.iter().map(|r| r.text("/key_type")).collect();
        assert_eq!(kinds, ["rsa", "ecdsa"]);
        for (row, leaf) in rows.iter().zip([&rsa, &ecdsa]) {
            row.assert_right(&[]);
            let sha256 = leaf.certificate.sha256().to_string();
            assert_eq!(row.text("/served/leaf/sha256_fingerprint"), sha256);
            assert_eq!(row.text("/expected/sha256_fingerprint"), sha256);
        }
        let row = check().args(&["--key-type", "rsa"]).row();
        assert!(row.text("/served/leaf/key").starts_with("RSA"), "{row:?}");
        let row = check().args(&["--key-type", "ecdsa"]).row();
        assert!(row.text("/served/leaf/key").starts_with("EC"), "{row:?}");
    }
}

#[test]
#[ignore = "needs nginx and openssl"]
fn missing_key_type_is_critical_only_if_expected() {
    let pki = Pki::new();
    let (ecdsa, rsa) = (pki.leaf(&[HOST]), pki.openssl("rsa:2048", ""));
    let nginx = with_each(&pki, &[&ecdsa], "");
    let check = || {
        Check::new(&pki)
            .expect(&pki.full_chain(&ecdsa))
            .at(HOST, &["127.0.0.1"], nginx.port)
            .args(&["--key-type", "all"])
    };
    let rows = check().rows();
    assert_eq!(rows[0].outcome(), "tls_alert");
    assert_eq!(rows[0].codes(), ["key_type_missing"]);
    assert_eq!(rows[0].text("/severity"), "info");
    rows[1].assert_right(&[]);
    // `Check::rows` compares the exit code with the rows; asserted here again.
    assert_eq!(check().run().code, 0);
    // `--wait` does not wait for an optional key type that is missing.
    let waited = check().args(&["--wait", "10m"]).run();
    assert_eq!((waited.code, waited.stderr.as_str()), (0, ""));

    let rows = check().expect(&pki.full_chain(&rsa)).rows();
    assert_eq!(rows[0].codes(), ["handshake_failed"]);
    rows[1].assert_right(&[]);
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy_accepts_the_proxy_protocol_header() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let combined = fs::read_to_string(pki.full_chain(&leaf)).unwrap()
        + &fs::read_to_string(&leaf.key).unwrap();
    let combined = pki.file(combined);
    let haproxy = Process::start(&["127.0.0.1", "::1"], |folder, port| {
        let config = format!(
            "defaults\n mode http\n timeout client 10s\n timeout connect 1s\n timeout server 1s\n\
             frontend front\n bind 127.0.0.1:{port} accept-proxy ssl crt {crt}\n \
             bind [::1]:{port} accept-proxy ssl crt {crt}\n http-request return status 200\n",
            crt = combined.display()
        );
        let file = folder.join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file);
        command
    });
    let check = || Check::of(&pki, &leaf, &["127.0.0.1", "::1"], haproxy.port);
    for version in ["v1", "v2"] {
        for row in check().args(&["--proxy-protocol", version]).rows() {
            row.assert_right(&[]);
        }
    }
    for row in check().rows() {
        assert_eq!(row.text("/status"), "handshake_error");
    }
}

/// Returns the hint of the only finding of a check that fails.
fn hint(check: Check) -> String {
    let row = check.row();
    assert_eq!(row.codes(), ["handshake_failed"], "{row:?}");
    row.text("/findings/0/hint").to_owned()
}

#[test]
#[ignore = "needs nginx and haproxy"]
fn hint_names_a_proxy_header_that_does_not_fit_the_server() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let combined = fs::read_to_string(pki.full_chain(&leaf)).unwrap()
        + &fs::read_to_string(&leaf.key).unwrap();
    let combined = pki.file(combined);
    for accepts in [true, false] {
        let listen = if accepts {
            "ssl proxy_protocol;"
        } else {
            "ssl;"
        };
        let block = server("127.0.0.1", &pki.full_chain(&leaf), &leaf.key, "");
        let nginx = nginx(&["127.0.0.1"], &[block.replace("ssl;", listen)]);
        let haproxy = Process::start(&["127.0.0.1"], |folder, port| {
            let config = format!(
                "defaults\n mode http\n timeout client 10s\n timeout connect 1s\n timeout server 1s\n\
                 frontend front\n bind 127.0.0.1:{port} ssl crt {crt}{accept}\n http-request return status 200\n",
                crt = combined.display(),
                accept = if accepts { " accept-proxy" } else { "" },
            );
            let file = folder.join("haproxy.cfg");
            fs::write(&file, config).unwrap();
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(file);
            command
        });
        for port in [nginx.port, haproxy.port] {
            let check = || Check::of(&pki, &leaf, &["127.0.0.1"], port);
            let with = |version| check().args(&["--proxy-protocol", version]);
            if accepts {
                assert!(hint(check()).contains("expects a PROXY protocol header"));
                with("v1").row().assert_right(&[]);
                continue;
            }
            for version in ["v1", "v2"] {
                let hint = hint(with(version));
                assert!(hint.contains("remove --proxy-protocol"), "{hint}");
            }
        }
    }
}

#[test]
#[ignore = "needs caddy"]
fn hint_of_an_alert_names_the_server_name_that_was_sent() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["other.example.com"]);
    let caddy = Process::start(&["127.0.0.1"], |folder, port| {
        let config = format!(
            "{{\n admin off\n auto_https disable_redirects\n storage file_system {base}\n default_bind 127.0.0.1\n}}\n\
             other.example.com:{port} {{\n tls {chain} {key}\n}}\n",
            base = folder.display(),
            chain = pki.full_chain(&leaf).display(),
            key = leaf.key.display(),
        );
        let file = folder.join("Caddyfile");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]);
        command.arg(file).env("HOME", folder);
        command
    });
    let check = || Check::of(&pki, &leaf, &["127.0.0.1"], caddy.port);
    let row = check().args(&["--sni", "none"]).row();
    assert_eq!(row.outcome(), "tls_alert");
    assert!(row.text("/error").contains("internal_error"), "{row:?}");
    let hint = row.text("/findings/0/hint");
    assert!(hint.contains("no server name"), "{hint}");
}

#[test]
#[ignore = "needs nginx"]
fn probe_sends_the_given_alpn_and_sni() {
    let pki = Pki::new();
    let (first, second) = (pki.leaf(&["first.example.com"]), pki.leaf(&[HOST]));
    let named = |leaf: &Leaf, name: &str| {
        let more = format!("server_name {name}; http2 on;");
        let more = more.replace("http2 on;", "");
        server("127.0.0.1", &pki.full_chain(leaf), &leaf.key, &more).replace("ssl;", "ssl http2;")
    };
    let nginx = nginx(
        &["127.0.0.1"],
        &[named(&first, "first.example.com"), named(&second, HOST)],
    );
    let check = || Check::of(&pki, &second, &["127.0.0.1"], nginx.port);
    let row = check().row();
    row.assert_right(&[]);
    assert!(row.0["served"]["alpn"].is_null(), "{row:?}");
    let row = check().args(&["--alpn", "h2,http/1.1"]).row();
    assert_eq!(row.text("/served/alpn"), "h2");
    // With no SNI and with another name, the first block responds. The name to match remains that
    // of the target.
    for sni in ["none", "first.example.com"] {
        let row = check().args(&["--sni", sni]).row();
        assert_eq!(row.flag("correct"), Some(false), "{row:?}");
        assert_eq!(row.flag("hostname_match"), Some(false), "{row:?}");
    }
}
