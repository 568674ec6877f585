//! The command line of `check`, with servers that rustls cannot imitate, and with interfaces of the
//! kernel.

use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::{free_port, run};
use crate::fixture::terminal::Terminal;
use crate::fixture::tls::{Server, config};
use crate::openssl::s_server;
use crate::support::{Refusing, Run, certvigil};
use std::path::Path;
use std::process::Command;

/// rustls cannot send such a name, and no server of its own takes one.
/// A second name of the server.
const OTHER_HOST: &str = "other.example.com";

#[test]
#[ignore = "needs openssl"]
fn labels_with_a_hyphen_at_an_end_are_probed_in_tls_1_2() {
    let pki = Pki::new();
    let names = ["foo-.example.com", "xn--.example.com"];
    let leaf = pki.leaf(&names);
    let intermediate = pki.path("intermediate.pem");
    let server = s_server(&pki, &leaf, &intermediate, "");
    for name in names {
        for keys in ["any", "ecdsa"] {
            let check = Check::new(&pki).at(name, &["127.0.0.1"], server.port);
            let row = check.args(&["--key-type", keys]).row();
            assert_eq!(row.flag("trusted"), Some(true), "{row:?}");
            assert_eq!(row.text("/served/tls_version"), "1.2", "{row:?}");
        }
    }
    let newest = s_server(&pki, &leaf, &intermediate, "-tls1_3");
    let check = Check::new(&pki).at(names[0], &["127.0.0.1"], newest.port);
    let row = check.row();
    assert_eq!(row.outcome(), "internal", "{row:?}");
    let refusing = Refusing::new();
    let port = refusing
        .place()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let row = Check::new(&pki).at(names[0], &["127.0.0.1"], port).row();
    assert_eq!(row.outcome(), "connect_refused");
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn a_terminal_has_one_line_for_all_ok_rows() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST, OTHER_HOST, "c.example.com"]);
    let server = Server::tls("127.0.0.1", config(&pki, &leaf));
    let port = server.port();
    let root = pki.path("root.pem");
    let words = format!(
        "check --no-system-roots --ca-file {} --resolve *:{port}:127.0.0.1 {HOST}:{port} {OTHER_HOST}:{port} c.example.com:{port} wrong.example.org:{port}",
        root.display()
    );
    let quoted = words.replace('*', "\\*");
    let shown = |more: &str| {
        Terminal::start(&format!("{quoted} {more}"), 120, &[("NO_COLOR", "1")])
            .end()
            .1
    };
    let folded = shown("");
    assert!(
        folded.contains("ok        3 ok, all at least until"),
        "{folded:?}"
    );
    assert!(!folded.contains(&format!("ok        {HOST}")), "{folded:?}");
    assert!(folded.contains("wrong.example.org"), "{folded:?}");
    assert!(shown("--output -").contains("ok        3 ok"));
    let all = shown("--all");
    assert!(
        all.contains(&format!("ok        {HOST}")) && !all.contains("3 ok, all"),
        "{all:?}"
    );
    // Piped output has every row.
    let words: Vec<&str> = words.split(' ').collect();
    let run = certvigil(words);
    assert!(run.stdout.contains(&format!("ok        {HOST}")), "{run:?}");
}

#[test]
#[ignore = "needs openssl"]
fn a_client_certificate_is_of_version_1_or_in_pkcs12() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let intermediate = pki.path("intermediate.pem");
    let options = format!("-Verify 1 -CAfile {}", pki.path("root.pem").display());
    let server = s_server(&pki, &leaf, &intermediate, &options);
    let client = pki.version_1("rsa:2048");
    let certificate = pki.chain(&[&client.certificate]);
    let password = pki.file("geheim\n");
    let p12 = pki.path("client.p12");
    let openssl = |args: &[&str], files: &[(&str, &Path)]| {
        let mut openssl = Command::new("openssl");
        openssl.args(args);
        for (flag, file) in files {
            openssl.arg(flag).arg(file);
        }
        run(&mut openssl);
    };
    openssl(
        &["pkcs12", "-export", "-passout", "pass:geheim"],
        &[
            ("-in", &certificate),
            ("-inkey", &client.key),
            ("-certfile", &intermediate),
            ("-out", &p12),
        ],
    );
    let check = |file: &Path| {
        Check::of(&pki, &leaf, &["127.0.0.1"], server.port)
            .arg("--client-cert")
            .arg(file)
            .arg("--client-key")
            .arg(&client.key)
    };
    check(&certificate).row().assert_right(&[]);
    let with_password = check(&p12)
        .arg("--client-cert-password-file")
        .arg(&password);
    with_password.row().assert_right(&[]);
    let without = check(&p12).run();
    assert!(
        without.stderr.contains("--client-cert-password-file"),
        "{without:?}"
    );
    let encrypted = pki.path("encrypted.key");
    openssl(
        &["pkey", "-aes256", "-passout", "pass:geheim"],
        &[("-in", &client.key), ("-out", &encrypted)],
    );
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port);
    let check = check
        .arg("--client-cert")
        .arg(&certificate)
        .arg("--client-key")
        .arg(&encrypted);
    let refused = check.run();
    assert!(
        refused
            .stderr
            .contains("`openssl pkey -in FILE -out FILE.key`"),
        "{refused:?}"
    );
}

/// A link-local address on the loopback interface of a network namespace.
#[test]
#[ignore = "needs iproute2 and root"]
fn a_link_local_address_is_probed_in_its_zone() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["fe80::7"]);
    let chain = pki.chain(&[&leaf.certificate]);
    let port = free_port();
    let script = format!(
        "ip link set lo up && ip addr add fe80::7/64 dev lo nodad && \
         {{ openssl s_server -accept [fe80::7%lo]:{port} -cert {chain} -cert_chain {intermediate} -key {key} -quiet -www & }} && \
         for try in 1 2 3 4 5 6 7 8 9; do \"$@\" '[fe80::7%lo]:{port}' && \"$@\" 'https://[fe80::7%251]:{port}/' && break; sleep 0.3; done; \
         kill $!",
        chain = chain.display(),
        intermediate = pki.path("intermediate.pem").display(),
        key = leaf.key.display(),
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "sh", "-c", &script, "sh"]);
    unshare
        .arg(env!("CARGO_BIN_EXE_certvigil"))
        .args(["check", "--no-system-roots", "--ca-file"]);
    let run: Run = unshare.arg(pki.path("root.pem")).output().unwrap().into();
    let shown = run.stdout.matches("ok        fe80::7  [fe80::7]:").count();
    assert_eq!(shown, 2, "{run:?}");
    assert!(run.stderr.contains("zone `lo`"), "{run:?}");
}

/// OpenSSL and GnuTLS do not read such files: `update-ca-certificates` makes the bundle and links
/// whose names are hashes.
#[test]
#[ignore = "needs util-linux"]
fn file_beside_the_bundle_of_the_system_is_no_root() {
    const MOUNT: &str =
        "cp \"$1\" certs/ca-certificates.crt; [ -z \"$2\" ] || cp \"$2\" certs/office.pem
        mount --bind certs /etc/ssl/certs
        exec \"$3\" verify \"$4\"";
    let (pki, other) = (Pki::new(), Pki::new());
    let leaf = pki.leaf(&[HOST]);
    let chain = pki.full_chain(&leaf);
    let (root, other) = (pki.path("root.pem"), other.path("root.pem"));
    for (bundle, file, code) in [
        (&root, None, 0),
        (&other, None, 2),
        (&other, Some(&root), 2),
        (&other, Some(&chain), 2),
        (&root, Some(&chain), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("certs")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-ec", MOUNT, "sh"]);
        command.arg(bundle);
        match file {
            Some(file) => command.arg(file),
            None => command.arg(""),
        };
        command.arg(env!("CARGO_BIN_EXE_certvigil")).arg(&chain);
        command.current_dir(folder.path());
        command
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR");
        let run: Run = command.output().unwrap().into();
        assert_eq!(run.code, code, "{bundle:?} {file:?}: {run:?}");
    }
}
