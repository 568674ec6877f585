//! The system's root store, as the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::run as run_tool;
use crate::support::{Run, assert_one_line, command};

/// Runs the program with this variable.
fn with(variable: &str, value: &Path, args: &[&str]) -> Run {
    let mut command = command();
    command
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR");
    command.env(variable, value).args(args);
    command.output().unwrap().into()
}

#[test]
fn folder_of_roots_has_only_names_of_hashes() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = pki.full_chain(&leaf);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    // A root that has nothing to do with it: a folder without any is an error.
    let other = Pki::new();
    fs::copy(other.path("root.pem"), file("00000000.0")).unwrap();
    let verify = || {
        let args = ["verify", chain.to_str().unwrap()];
        with("SSL_CERT_DIR", folder.path(), &args).code
    };
    assert_eq!(verify(), 2);
    // The root, and the certificates of the server, in files that OpenSSL does not read.
    fs::copy(pki.path("root.pem"), file("root.pem")).unwrap();
    fs::copy(&chain, file("site.pem")).unwrap();
    assert_eq!(verify(), 2);
    symlink("root.pem", file("12345678.0")).unwrap();
    assert_eq!(verify(), 0);
    let bundle = pki.path("root.pem");
    let args = ["verify", chain.to_str().unwrap()];
    assert_eq!(with("SSL_CERT_FILE", &bundle, &args).code, 0);
}

#[test]
fn unusable_root_store_is_an_error_and_not_replaced() {
    let pki = Pki::new();
    let chain = pki.full_chain(&pki.leaf(&[HOST]));
    let chain = chain.to_str().unwrap();
    let config = pki.file(format!(
        "certificates: [{{name: a, trust: true, hostnames: {HOST}, addresses: 127.0.0.99}}]\n"
    ));
    let config = config.to_str().unwrap();
    let root = fs::read_to_string(pki.path("root.pem")).unwrap();
    let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let empty = pki.path("empty");
    fs::create_dir(&empty).unwrap();
    for (variable, store, reason) in [
        ("SSL_CERT_FILE", pki.path("absent.pem"), "No such file"),
        ("SSL_CERT_FILE", pki.file(damaged), "line 1"),
        ("SSL_CERT_FILE", pki.file(root + damaged), "line "),
        ("SSL_CERT_FILE", pki.file(""), "empty"),
        ("SSL_CERT_FILE", "/dev/zero".into(), "larger than"),
        ("SSL_CERT_DIR", pki.path("absent"), "No such file"),
        ("SSL_CERT_DIR", empty, "the name of a hash"),
    ] {
        let path = store.to_str().unwrap();
        for args in [
            &["verify", chain][..],
            &["check", "127.0.0.99:1"],
            &["check", "--config", config],
            &["chain", "--cert", chain],
            &["serve", "--config", config],
        ] {
            let run = with(variable, &store, args);
            assert_one_line(&run, &[path, reason, variable, "unset the variable"], &args);
            assert_eq!(run.code, 3, "{args:?}: {run:?}");
        }
        // Without the system's roots, the store is not read.
        let root = pki.path("root.pem");
        let own = ["--no-system-roots", "--ca-file", root.to_str().unwrap()];
        let args = [&["verify", chain][..], &own].concat();
        assert_eq!(with(variable, &store, &args).code, 0);
    }
}

#[test]
fn root_store_that_is_a_silent_pipe_is_an_error() {
    /// More than the wait for a pipe.
    const MOST: Duration = Duration::from_secs(30);
    let pki = Pki::new();
    let pipe = pki.path("pipe");
    run_tool(std::process::Command::new("mkfifo").arg(&pipe));
    let start = Instant::now();
    let args = ["check", "127.0.0.99:1"];
    let run = with("SSL_CERT_FILE", &pipe, &args);
    let path = pipe.to_str().unwrap();
    assert_one_line(&run, &[path, "did not end within"], &args);
    assert_eq!(run.code, 3);
    assert!(start.elapsed() < MOST);
}
