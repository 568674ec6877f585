//! nginx, the most common server.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::common::nginx::{nginx, one, pair, server};
use certvigil::testbed::authority::Validity;

use crate::canned::{self, Canned};
use crate::fixture::check::{Check, Row, rows};
use crate::fixture::pki::{HOST, Leaf, Pki, now};
use crate::fixture::process::{Process, run, wait_until};
use crate::support::command;

fn look(pki: &Pki, leaf: &Leaf, nginx: &Process) -> Row {
    Check::of(pki, leaf, &["127.0.0.1"], nginx.port).row()
}

#[test]
#[ignore = "needs nginx and openssl"]
fn nginx_version_and_client_auth_settings_do_not_hide_the_certificate() {
    let pki = Pki::new();
    let ecdsa = pki.leaf(&[HOST]);
    let rsa = pki.openssl("rsa:2048", "");
    let demand = format!(
        "ssl_verify_client on; ssl_client_certificate {};",
        pki.path("root.pem").display()
    );
    let only = |version| format!("ssl_protocols TLSv{version};");
    let both = "ssl_protocols TLSv1.2 TLSv1.3;";
    for (leaf, more, version) in [
        (&ecdsa, both.to_owned(), "1.3"),
        (&rsa, both.to_owned(), "1.3"),
        (&ecdsa, only("1.2"), "1.2"),
        (&rsa, only("1.2"), "1.2"),
        (&rsa, only("1.3"), "1.3"),
        (&ecdsa, only("1.2") + &demand, "1.2"),
        (&ecdsa, only("1.3") + &demand, "1.3"),
        (&rsa, only("1.2") + &demand, "1.2"),
    ] {
        let row = look(&pki, leaf, &one(&pki, leaf, &more));
        row.assert_right(&[]);
        assert_eq!(row.flag("trusted"), Some(true), "{more}");
        assert_eq!(row.text("/served/tls_version"), version, "{more}");
        assert_eq!(row.text("/served/key_proof"), "handshake", "{more}");
    }
}

#[test]
#[ignore = "needs nginx and openssl"]
fn a_server_with_a_certificate_of_each_key_type_serves_one_of_them() {
    let pki = Pki::new();
    let (ecdsa, rsa) = (pki.leaf(&[HOST]), pki.openssl("rsa:2048", ""));
    let nginx = one(&pki, &ecdsa, &pair(&pki.full_chain(&rsa), &rsa.key));
    let mut check = Check::new(&pki).at(HOST, &["127.0.0.1"], nginx.port);
    for leaf in [&ecdsa, &rsa] {
        check = check.args(&["--fingerprint", &leaf.certificate.sha256().to_string()]);
    }
    let row = check.row();
    row.assert_right(&[]);
    assert_eq!(row.flag("trusted"), Some(true));
}

#[test]
#[ignore = "needs nginx"]
fn each_address_is_judged_separately() {
    let pki = Pki::new();
    let (right, wrong) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let addresses = ["127.0.0.2", "127.0.0.3", "::1"];
    let blocks = [
        server("127.0.0.2", &pki.full_chain(&right), &right.key, ""),
        server("127.0.0.3", &pki.full_chain(&wrong), &wrong.key, ""),
        server("[::1]", &pki.full_chain(&right), &right.key, ""),
    ];
    let nginx = nginx(&addresses, &blocks);
    let rows = Check::of(&pki, &right, &addresses, nginx.port).rows();
    let found: Vec<_> = rows.iter().map(|r| (r.ip(), r.flag("correct"))).collect();
    let expected = [
        ("127.0.0.2", Some(true)),
        ("127.0.0.3", Some(false)),
        ("::1", Some(true)),
    ];
    assert_eq!(found, expected);
    for row in &rows {
        // The expectation shows which address is wrong, so no disagreement is reported.
        assert!(!row.codes().contains(&"addresses_disagree"), "{row:?}");
        let wrong = row.codes().contains(&"wrong_certificate");
        assert_eq!(wrong, row.ip() == "127.0.0.3", "{row:?}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn different_certificate_on_ipv6_is_found() {
    let pki = Pki::new();
    let (right, wrong) = (pki.leaf(&[HOST]), pki.leaf(&["old.example.com"]));
    let blocks = [
        server("127.0.0.1", &pki.full_chain(&right), &right.key, ""),
        server("[::1]", &pki.full_chain(&wrong), &wrong.key, ""),
    ];
    let nginx = nginx(&["127.0.0.1", "::1"], &blocks);
    let check = || Check::of(&pki, &right, &["127.0.0.1", "::1"], nginx.port);
    let rows = check().rows();
    assert_eq!(rows[0].codes(), [""; 0]);
    let codes: BTreeSet<_> = rows[1].codes().into_iter().collect();
    let expected = ["hostname_mismatch", "wrong_certificate"];
    assert_eq!(codes, expected.into());
    // One family alone is ok.
    check().arg("-4").row().assert_right(&[]);
    assert_eq!(check().arg("-6").row().flag("correct"), Some(false));
}

#[test]
#[ignore = "needs nginx"]
fn chain_faults_of_nginx_are_reported() {
    let pki = Pki::new();
    let validity = Validity::around(now(), 100, 100);
    let lower = pki.intermediate.intermediate("Lower CA", validity).unwrap();
    let leaf = pki.leaf_below(&lower, &[HOST]);
    let [end, low, high, root] = [
        &leaf.certificate,
        &lower.certificate,
        &pki.intermediate.certificate,
        &pki.root.certificate,
    ];
    let expected = pki.chain(&[end, low, high]);
    for (chain, chained, code) in [
        (vec![end, low, high], true, None),
        (vec![end, low], false, Some("missing_intermediate")),
        (vec![end, high], false, Some("missing_intermediate")),
        (vec![end], false, Some("missing_intermediate")),
        (vec![end, high, low], true, Some("chain_out_of_order")),
        (vec![end, low, high, root], true, Some("root_included")),
        (
            vec![end, low, high, low],
            true,
            Some("duplicate_certificate"),
        ),
    ] {
        let chain = pki.chain(&chain);
        let nginx = nginx(
            &["127.0.0.1"],
            &[server("127.0.0.1", &chain, &leaf.key, "")],
        );
        let check = Check::new(&pki).expect(&expected);
        let row = check.at(HOST, &["127.0.0.1"], nginx.port).row();
        assert_eq!(row.flag("correct"), Some(true), "{code:?}");
        assert_eq!(row.flag("chained"), Some(chained), "{code:?}");
        assert_eq!(row.codes(), Vec::from_iter(code), "{row:?}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_missing_intermediate_is_reported_with_a_fix() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let alone = pki.chain(&[&leaf.certificate]);
    let nginx = nginx(
        &["127.0.0.1"],
        &[server("127.0.0.1", &alone, &leaf.key, "")],
    );
    let row = look(&pki, &leaf, &nginx);
    let finding = row.finding("missing_intermediate");
    assert!(
        finding["message"]
            .as_str()
            .unwrap()
            .contains("Test Intermediate"),
        "{finding}"
    );
    assert!(
        finding["hint"]
            .as_str()
            .unwrap()
            .contains("install the file with the expected certificate"),
        "{finding}"
    );
    assert_eq!(row.text("/severity"), "critical");
}

#[test]
#[ignore = "needs nginx and openssl"]
fn chain_command_output_completes_the_chain_of_nginx() {
    let pki = Pki::new();
    let der = pki.intermediate.certificate.der().to_vec();
    let authority = Canned::start(move |_, _| canned::bytes(200, "application/pkix-cert", &der));
    let url = format!("http://{}/intermediate.der", authority.address);
    let aia = format!("-addext authorityInfoAccess=caIssuers;URI:{url}");
    let leaf = pki.openssl("rsa:2048", &aia);
    let alone = pki.chain(&[&leaf.certificate]);
    let nginx = nginx(
        &["127.0.0.1"],
        &[server("127.0.0.1", &alone, &leaf.key, "")],
    );
    let check = || {
        let check = Check::new(&pki).expect(&alone);
        check.at(HOST, &["127.0.0.1"], nginx.port).row()
    };
    let row = check();
    assert_eq!(row.codes(), ["missing_intermediate"]);
    let hint = row.finding("missing_intermediate")["hint"]
        .as_str()
        .unwrap();
    assert!(hint.contains(&url), "{hint}");
    assert!(hint.contains("`certvigil chain --cert FILE`"), "{hint}");

    // The command from the hint, with the server's own file.
    let mut chain = command();
    chain.args(["chain", "--no-system-roots", "--ca-file"]);
    chain.arg(pki.path("root.pem")).arg("--cert").arg(&alone);
    run(chain.arg("--output").arg(&alone));
    nginx.signal("HUP");
    let served = wait_until("nginx serves the new file", || {
        let row = check();
        (row.flag("chained") == Some(true)).then_some(row)
    });
    served.assert_right(&[]);
    assert_eq!(served.flag("trusted"), Some(true));
}

#[test]
#[ignore = "needs nginx"]
fn sni_selects_the_certificate_and_an_address_sends_no_sni() {
    let pki = Pki::new();
    let (by_name, by_address) = (pki.leaf(&[HOST]), pki.leaf(&["127.0.0.1"]));
    let default = server(
        "127.0.0.1",
        &pki.full_chain(&by_address),
        &by_address.key,
        "",
    );
    let name = format!("server_name {HOST};");
    let named = server("127.0.0.1", &pki.full_chain(&by_name), &by_name.key, &name);
    let nginx = nginx(&["127.0.0.1"], &[default, named]);
    look(&pki, &by_name, &nginx).assert_right(&[]);
    let check = Check::new(&pki).expect(&pki.full_chain(&by_address));
    let row = check.arg(format!("127.0.0.1:{}", nginx.port)).row();
    row.assert_right(&[]);
    assert_eq!(row.flag("hostname_match"), Some(true));
    assert_eq!(row.text("/hostname"), "127.0.0.1");
}

#[test]
#[ignore = "needs nginx"]
fn nginx_without_a_certificate_is_reported_with_the_reason() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (block, kind, words) in [
        (
            "server { listen 127.0.0.1:PORT ssl; ssl_reject_handshake on; }",
            "tls_alert",
            "unrecognized_name",
        ),
        (
            "server { listen 127.0.0.1:PORT; }",
            "tls_protocol",
            "HTTP/1.1 400",
        ),
    ] {
        let nginx = nginx(&["127.0.0.1"], &[block.to_owned()]);
        let row = look(&pki, &leaf, &nginx);
        assert_eq!(row.outcome(), kind, "{row:?}");
        assert_eq!(row.text("/status"), "handshake_error");
        assert_eq!(row.codes(), ["handshake_failed"]);
        assert!(row.text("/error").contains(words), "{row:?}");
    }
}

#[test]
#[ignore = "needs nginx and openssl"]
fn nginx_stapled_ocsp_response_is_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let response = pki.file("");
    let (index, ca) = (pki.file(""), pki.path("intermediate.pem"));
    run(Command::new("openssl")
        .arg("ocsp")
        .arg("-index")
        .arg(index)
        .arg("-CA")
        .arg(&ca)
        .arg("-rsigner")
        .arg(&ca)
        .arg("-rkey")
        .arg(pki.path("intermediate.key"))
        .arg("-issuer")
        .arg(&ca)
        .arg("-cert")
        .arg(pki.chain(&[&leaf.certificate]))
        .arg("-respout")
        .arg(&response));
    let staple = format!("ssl_stapling on; ssl_stapling_file {};", response.display());
    for (more, stapled) in [(staple.as_str(), true), ("", false)] {
        let row = look(&pki, &leaf, &one(&pki, &leaf, more));
        assert_eq!(row.0["served"]["ocsp_stapled"], stapled, "{row:?}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn probe_leaves_no_error_in_the_nginx_log() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let nginx = one(&pki, &leaf, &format!("ssl_protocols {version};"));
        // nginx logs a client that only connects, such as the fixture while it waited for the
        // server.
        let before = wait_until("the fixture's own trace", || {
            let log = nginx.read("error.log");
            log.contains("while SSL handshaking").then_some(log)
        });
        look(&pki, &leaf, &nginx).assert_right(&[]);
        let log = nginx.read("error.log");
        let ours = &log[before.len()..];
        // A probe sends no request, so nginx logs that; the level is only info.
        let complaints: Vec<&str> = ours
            .lines()
            .filter(|l| !l.contains("[info]") || !l.contains("closed connection while waiting"))
            // The workers start while the fixture waits for the server.
            .filter(|l| !l.contains("[notice]"))
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        assert!(ours.contains("while waiting for request"), "nothing: {log}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn wait_ends_when_the_reloaded_server_is_correct() {
    let pki = Pki::new();
    let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (chain, key) = (pki.full_chain(&old), pki.file(fs::read(&old.key).unwrap()));
    let nginx = nginx(&["127.0.0.1"], &[server("127.0.0.1", &chain, &key, "")]);
    let check = Check::of(&pki, &new, &["127.0.0.1"], nginx.port);
    let mut check = check
        .args(&["-v", "--wait", "60s", "--every", "1s"])
        .start();
    check.wait_for("addresses serve it");
    fs::copy(pki.full_chain(&new), &chain).unwrap();
    fs::copy(&new.key, &key).unwrap();
    nginx.signal("HUP");
    let run = check.end();
    assert_eq!(run.code, 0, "{run:?}");
    rows(&run)[0].assert_right(&[]);
}

#[test]
#[ignore = "needs nginx"]
fn exit_code_follows_fail_on() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let nginx = one(&pki, &leaf, "");
    let expiring = ["--warn", "70d"].as_slice();
    let expired = ["--at", "2100-01-01T00:00:00Z"].as_slice();
    for (judging, fail_on, code) in [
        ([].as_slice(), "warning", 0),
        (expiring, "warning", 1),
        (expiring, "critical", 0),
        (expiring, "never", 0),
        (expired, "critical", 2),
        (expired, "never", 0),
    ] {
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], nginx.port);
        let run = check.args(judging).args(&["--fail-on", fail_on]).run();
        assert_eq!(run.code, code, "{judging:?} {fail_on}: {run:?}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn at_flag_shows_expiry_and_not_yet_valid() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let nginx = one(&pki, &leaf, "");
    for (at, flag, other) in [
        ("2100-01-01T00:00:00Z", "expired", "not_yet_valid"),
        ("2000-01-01T00:00:00Z", "not_yet_valid", "expired"),
    ] {
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], nginx.port);
        let row = check.args(&["--at", at]).row();
        assert_eq!(row.outcome(), "conclusive");
        assert!(row.codes().contains(&flag), "{row:?}");
        assert_eq!((row.flag(flag), row.flag(other)), (Some(true), Some(false)));
        assert_eq!(
            row.flag("correct"),
            Some(true),
            "it is the expected one all the same"
        );
        assert_eq!(row.flag("trusted"), Some(false));
    }
}
