//! Start and shutdown of a monitor.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use super::*;
use crate::fixture::tls::{complete_handshake, stay_silent};
use crate::support::{Run, certvigil};

#[test]
fn serve_is_ready_after_every_endpoint_was_probed() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (release, wait) = mpsc::channel::<()>();
    let (wait, config) = (Mutex::new(wait), config(&pki, &leaf));
    let slow = Server::start("127.0.0.1", move |stream| {
        // Continues when the test drops the sender.
        let _ = wait.lock().unwrap().recv();
        complete_handshake(stream, &config);
    });
    let quick = server(&pki, &leaf);
    let entries = [
        entry(&pki, "slow", &leaf, slow.port()),
        entry(&pki, "quick", &leaf, quick.port()),
    ];
    let exporter = Exporter::start(&inventory(&pki, LONG_TIMEOUT, "", &entries), &[], |_| {});
    let labels = [r#"certificate="quick""#];
    exporter.wait_for_metrics("one of them is looked at", |metrics| {
        metrics
            .sample("certvigil_endpoint_correct", &labels)
            .is_some()
    });
    wait_for_probes(&slow);
    let early = exporter.get("/-/ready");
    assert_eq!(early.status, 503);
    assert!(
        early.text().contains("not everything has been probed yet"),
        "{}",
        early.text()
    );
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert_eq!(
        exporter
            .get("/metrics")
            .sample("certvigil_probes_in_flight", &[]),
        Some(1.0)
    );

    drop(release);
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    let labels = [r#"certificate="slow""#];
    assert_eq!(
        metrics.sample("certvigil_endpoint_correct", &labels),
        Some(1.0)
    );
    assert!(
        metrics
            .sample("certvigil_cycle_duration_seconds", &[])
            .is_some()
    );
}

#[test]
fn sigterm_exits_with_0_despite_stuck_probes() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let silent = Server::start("127.0.0.1", stay_silent);
    let entries = [entry(&pki, "web", &leaf, silent.port())];
    // A probe may take an hour: only the shutdown grace period ends these.
    let config = inventory(&pki, LONG_TIMEOUT, "", &entries);
    let mut exporter = Exporter::start(&config, &["--state-dir", "state"], |_| {});
    wait_for_probes(&silent);
    let path = format!("/probe?target={HOST}:{}", silent.port());
    let mut probe = exporter.ask("GET", &path, &[], "");
    wait_until("the probe's look", || {
        (silent.connections() > 1).then_some(())
    });
    let idle = TcpStream::connect(exporter.address).unwrap();
    let mut half = TcpStream::connect(exporter.address).unwrap();
    half.write_all(b"GET /metrics HT").unwrap();

    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
    assert!(
        exporter
            .log()
            .contains("shutting down: running probes and requests have 5 s"),
        "{}",
        exporter.log()
    );
    let mut rest = Vec::new();
    let _ = probe.read_to_end(&mut rest);
    drop((idle, half));
}

#[test]
fn request_in_flight_at_shutdown_is_answered() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (release, wait) = mpsc::channel::<()>();
    let (wait, served) = (Arc::new(Mutex::new(wait)), config(&pki, &leaf));
    let first = Mutex::new(true);
    let slow = Server::start("127.0.0.1", move |stream| {
        // The monitor's own probe passes; the on-demand probe must wait.
        if !std::mem::take(&mut *first.lock().unwrap()) {
            let _ = wait.lock().unwrap().recv();
        }
        complete_handshake(stream, &served);
    });
    let entries = [entry(&pki, "web", &leaf, slow.port())];
    let mut exporter = Exporter::start(&inventory(&pki, LONG_TIMEOUT, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    let path = format!("/probe?target={HOST}:{}", slow.port());
    let mut probe = exporter.ask("GET", &path, &[], "");
    wait_until("the probe's look", || {
        (slow.connections() > 1).then_some(())
    });
    exporter.signal("TERM");
    wait_until("no more connections are taken", || {
        TcpStream::connect(exporter.address).err()
    });
    drop(release);
    let mut answer = String::new();
    probe.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\nprobe_success 1\n"), "{answer}");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}

#[test]
fn sigint_exits_with_0() {
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let mut exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    exporter.signal("INT");
    assert_eq!(exporter.ended().code(), Some(0));
}

#[test]
fn serve_listens_on_every_given_address() {
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let more = [
        "--web.listen-address=127.0.0.1:0",
        "--web.listen-address=localhost:0",
    ];
    let mut exporter = Exporter::start(&config, &more, |_| {});
    let addresses: Vec<SocketAddr> = wait_until("it listens at all of them", || {
        let log = exporter.log();
        let told = log
            .lines()
            .filter_map(|line| line.split_once("listening: address="));
        let told: Vec<SocketAddr> = told.map(|(_, address)| address.parse().unwrap()).collect();
        (told.len() == 3).then_some(told)
    });
    for address in addresses {
        exporter.address = address;
        assert_eq!(exporter.get("/-/healthy").status, 200, "{address}");
    }
}

fn assert_refused(run: &Run, words: &str) {
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(run.stdout, "");
    assert!(
        run.stderr.starts_with("error: ") && run.stderr.contains(words),
        "{run:?}"
    );
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "{run:?}");
}

#[test]
fn port_in_use_error_names_the_listen_flag() {
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    let (file, address) = (exporter.path("certvigil.yml"), exporter.address.to_string());
    for command in [
        &["serve", "--config", file.to_str().unwrap()] as &[&str],
        &["demo", "--serve"],
    ] {
        let listen = ["--web.listen-address", address.as_str()];
        let run = certvigil(command.iter().chain(&listen));
        let words = format!("cannot listen on {address}: ");
        assert_refused(&run, &words);
        assert!(run.stderr.contains("--web.listen-address"), "{run:?}");
    }
}

#[test]
fn invalid_configuration_stops_serve_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.yml");
    std::fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing.yml");
    let nowhere = folder.path().join("no-certificates.yml");
    std::fs::write(&nowhere, "certificates: []\n").unwrap();
    for (file, words) in [
        (missing.as_path(), "; check the path, or create the file"),
        (&empty, "certificates"),
        (folder.path(), "; give the path of the file in it"),
        (&nowhere, "certificates"),
    ] {
        let run = certvigil([
            "serve",
            "--web.listen-address=127.0.0.1:0",
            "--config",
            file.to_str().unwrap(),
        ]);
        assert_refused(&run, words);
        assert!(run.stderr.contains(file.to_str().unwrap()), "{run:?}");
    }
    let run = certvigil(["serve"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("--config"), "{run:?}");
}
