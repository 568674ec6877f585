//! `certvigil inspect`: the served chain is shown unchanged, from the leaf to the root.

use std::process::Command;

use certvigil::certificate::parse_certificates;
use serde_json::Value;

use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::free_port;
use crate::fixture::tls::{Server, config, send_bytes};
use crate::support::{Refusing, Run, command};

fn inspect(pki: &Pki, addresses: &[&str], port: u16) -> Command {
    let mut command = command();
    command
        .args(["inspect", "--no-system-roots", "--ca-file"])
        .arg(pki.path("root.pem"))
        .arg(format!("{HOST}:{port}"))
        .args(["--resolve"])
        .arg(format!("{HOST}:{port}:{}", addresses.join(",")));
    command
}

fn run(command: &mut Command) -> Run {
    command.output().unwrap().into()
}

/// A server with this leaf at a loopback address, at a port that other servers share.
fn at(pki: &Pki, leaf: &Leaf, address: &str, port: u16) -> Server {
    let listener = std::net::TcpListener::bind((address, port)).unwrap();
    Server::tls_at(listener, config(pki, leaf))
}

/// Addresses of the servers of [`one_of_three_differs`], and an address where nothing listens.
const ADDRESSES: [&str; 4] = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"];

/// Three servers at one port, of which the first has another leaf than the other two.
fn one_of_three_differs(pki: &Pki, most: &Leaf) -> (u16, [Server; 3]) {
    let port = free_port();
    let other = pki.leaf(&[HOST]);
    let [first, second, third, _] = ADDRESSES;
    let servers = [
        at(pki, &other, first, port),
        at(pki, most, second, port),
        at(pki, most, third, port),
    ];
    (port, servers)
}

#[test]
fn brief_shows_one_line_per_certificate_and_the_reasons_of_a_problem() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("127.0.0.1", config(&pki, &leaf));
    let run_brief = |more: &[&str]| {
        let mut command = inspect(&pki, &["127.0.0.1"], server.port());
        run(command.arg("--brief").args(more).env("COLUMNS", "120"))
    };
    let right = run_brief(&[]);
    assert_eq!((right.code, right.stderr.as_str()), (0, ""), "{right:?}");
    assert!(
        right.stdout.contains("┌─ CN=www.example.com  until "),
        "{right:?}"
    );
    assert!(
        right
            .stdout
            .ends_with("\nA client that holds these roots accepts it\n"),
        "{right:?}"
    );
    for absent in ["SHA-256", "the leaf", "TLS 1.3", "handshake"] {
        assert!(!right.stdout.contains(absent), "{absent}: {right:?}");
    }
    let expired = run_brief(&["--at", "+100d"]);
    for part in [
        "┌─ CN=www.example.com  expired on ",
        "\nA client that holds these roots refuses it:\n",
        "  time       it has expired\n",
        "CRITICAL expired: ",
        "  fix: ",
    ] {
        assert!(expired.stdout.contains(part), "{part}: {expired:?}");
    }
}

#[test]
fn inspect_shows_the_chain_up_to_the_unsent_root() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST, "example.com"]);
    let server = Server::tls("127.0.0.1", config(&pki, &leaf));
    let run = run(inspect(&pki, &["127.0.0.1"], server.port()).env("COLUMNS", "120"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let mut rest = run.stdout.as_str();
    let root = pki.root.certificate.sha256().to_string();
    for part in [
        "www.example.com port ",
        " serves this:\n",
        "┌─ ",
        "the leaf\n",
        "│  issuer     ",
        "Test Intermediate",
        " days left\n",
        "│  names      www.example.com, example.com\n",
        "│  key        EC P-256\n",
        &leaf.certificate.sha256().to_string(),
        "├─ ",
        "intermediate, sent as number 2\n",
        "└─ ",
        "Test Root",
        "root of the trust store, not sent\n",
        &root,
        "A client that holds these roots accepts it:\n",
        "it is for www.example.com\n",
        "it is valid now\n",
        "it leads to a trusted root\n",
        ": TLS 1.3, TLS_",
        "no ALPN, the key is proved, no OCSP response stapled\n  connect ",
        " ms, handshake ",
    ] {
        let unwrapped = rest.find(part);
        let at = unwrapped.unwrap_or_else(|| panic!("{part:?} is not in\n{rest}\nof {run:?}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn inspect_shows_a_faulty_certificate_with_finding_and_fix() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["other.example.com"]);
    let server = Server::tls("127.0.0.1", config(&pki, &leaf));
    let show = || inspect(&pki, &["127.0.0.1"], server.port());
    let says = |run: &Run, parts: &[&str]| {
        assert_eq!(run.code, 0, "it could be shown: {run:?}");
        for part in parts {
            assert!(run.stdout.contains(part), "{part}: {run:?}");
        }
    };
    says(
        &run(&mut show()),
        &[
            "refuses it",
            "it is not for www.example.com",
            "CRITICAL hostname_mismatch: ",
            "\n  fix: ",
        ],
    );
    says(
        &run(show().args(["--at", "2060-01-01T00:00:00Z"])),
        &[
            "CRITICAL expired: ",
            "it has expired",
            "expired 1",
            " ago\n",
        ],
    );
    says(
        &run(show().args(["--sni", "none", "--alpn", "h2", "--key-type", "ecdsa"])),
        &[" ecdsa serves this", "no ALPN"],
    );
    // Without the root in the trust store, the chain has a missing link.
    let mut strange = command();
    strange.args(["inspect", "--no-system-roots", &server.address.to_string()]);
    says(
        &run(&mut strange),
        &["missing: neither sent nor a trusted root", "untrusted_root"],
    );
}

#[test]
fn inspect_groups_addresses_with_the_same_certificate() {
    let pki = Pki::new();
    let most = pki.leaf(&[HOST]);
    let (port, _servers) = one_of_three_differs(&pki, &most);
    let run = run(&mut inspect(&pki, &ADDRESSES, port));
    assert_eq!(run.code, 0, "{run:?}");
    for part in [
        format!("\n127.0.0.2:{port}, 127.0.0.3:{port} serve this:\n"),
        format!("\n127.0.0.1:{port} serves another:\n"),
        format!("\n127.0.0.4:{port} served no certificate: the connection was refused"),
        "WARNING addresses_disagree: ".into(),
        // The intermediate is the same, and is shown once.
        "│  as above\n".into(),
    ] {
        assert!(run.stdout.contains(&part), "{part}: {run:?}");
    }
}

#[test]
fn inspect_pem_output_is_the_served_chain() {
    let pki = Pki::new();
    let most = pki.leaf(&[HOST]);
    let (port, _servers) = one_of_three_differs(&pki, &most);
    let run = run(inspect(&pki, &ADDRESSES, port).arg("--pem"));
    assert_eq!(run.code, 0, "{run:?}");
    let served = parse_certificates(run.stdout.as_bytes()).unwrap();
    let intermediate = pki.intermediate.certificate;
    assert_eq!(served, [most.certificate, intermediate]);
    let comments: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with('#'))
        .collect();
    assert_eq!(comments.len(), 2, "{run:?}");
    assert!(comments[1].contains("Test Intermediate"), "{run:?}");
    let other = format!("127.0.0.1:{port} serves a different chain, which is not printed");
    let failed = format!("127.0.0.4:{port} served no certificate");
    assert!(
        run.stderr.contains(&other) && run.stderr.contains(&failed),
        "{run:?}"
    );
}

#[test]
fn inspect_json_has_the_schema_of_check() {
    let pki = Pki::new();
    let server = Server::tls("127.0.0.1", config(&pki, &pki.leaf(&[HOST])));
    let run = run(inspect(&pki, &["127.0.0.1"], server.port()).args(["--format", "json"]));
    let json = run.json();
    crate::schema::assert_valid(&json);
    assert_eq!(json["result"][0]["expected"]["source"], "trust", "{json}");
    assert_eq!(json["summary"]["endpoints"], Value::from(1));
}

#[test]
fn inspect_without_a_certificate_exits_with_3() {
    let refusing = Refusing::new();
    for format in [&[][..], &["--format", "json"], &["--pem"]] {
        let run = run(command().args(["inspect", &refusing.place()]).args(format));
        assert_eq!(run.code, 3, "{run:?}");
        assert_eq!(run.stdout.is_empty(), format == ["--pem"], "{run:?}");
        let told = run.stdout.clone() + &run.stderr;
        assert!(told.contains("refused"), "{run:?}");
    }
    // A server that does not speak TLS.
    let server = Server::start("127.0.0.1", |stream| {
        send_bytes(stream, b"220 mail.example ESMTP\r\n")
    });
    let run = run(command().args(["inspect", &server.address.to_string()]));
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stdout.contains("fix: "), "{run:?}");
    for wrong in ["smtp//a.example", "a.example:imap", "mx:192.0.2.1"] {
        let run = run_words(&["inspect", wrong]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
}

fn run_words(words: &[&str]) -> Run {
    run(command().args(words))
}

#[test]
fn inspect_fits_a_narrow_terminal() {
    let pki = Pki::new();
    let names: Vec<String> = (0..30)
        .map(|i| format!("a-rather-long-name-{i}.department-of-names.example.com"))
        .chain([HOST.into()])
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = Server::tls("127.0.0.1", config(&pki, &pki.leaf(&names)));
    for width in [40, 60, 100] {
        let mut command = inspect(&pki, &["127.0.0.1", "127.0.0.9"], server.port());
        let run = run(command.env("COLUMNS", width.to_string()));
        assert_eq!(run.code, 0, "{run:?}");
        for line in run.stdout.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}
