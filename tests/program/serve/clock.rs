//! A clock that jumps, with real probes: the monitor's clock is an argument.

use std::sync::atomic::{AtomicI64, Ordering};

use certvigil::model::Timestamp;
use certvigil::serve::{Server as Monitor, Setup};
use certvigil::web::Web;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::fixture::pki::now;

const DAY: i64 = 86_400;

/// Offset of the clock in seconds.
static OFF: AtomicI64 = AtomicI64::new(0);

fn clock() -> Timestamp {
    Timestamp(now().0 + OFF.load(Ordering::SeqCst))
}

fn environment() -> certvigil::source::Environment<'static> {
    certvigil::testbed::environment()
}

async fn metrics(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    line.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

/// Starts a monitor with a clock. It stops once the sender is dropped.
async fn start(
    text: String,
    clock: fn() -> Timestamp,
) -> (std::net::SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let monitor = Monitor::new(Setup {
        load: Box::new(move || {
            certvigil::config::parse(&text, std::path::Path::new("c.yml"))
                .map_err(|e| e.to_string().into())
        }),
        environment,
        overrides: Vec::new(),
        concurrency: 4,
        clock,
        state: None,
        web: std::sync::Arc::new(Web::open(None).unwrap()),
        routes: Default::default(),
    });
    let monitor = monitor.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_reloads, hangups) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        monitor
            .run(vec![listener], hangups, shutdown)
            .await
            .unwrap();
    });
    (address, stop, running)
}

#[tokio::test]
async fn clock_jump_changes_the_verdict_and_stops_no_probe() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let text = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let (address, stop, running) = start(text, clock).await;
    let when = "certvigil_endpoint_last_check_timestamp_seconds";
    // The leaf has been valid for 30 days, and expires in 60.
    for (off, is_trusted) in [
        (0, 1.0),
        (61 * DAY, 0.0),
        (0, 1.0),
        (-31 * DAY, 0.0),
        (0, 1.0),
    ] {
        OFF.store(off, Ordering::SeqCst);
        let begun = clock().0 as f64;
        let start = std::time::Instant::now();
        loop {
            let metrics = metrics(address).await;
            let looked = value(&metrics, when);
            let is_near = looked.is_some_and(|at| (begun..begun + DAY as f64).contains(&at));
            if is_near && value(&metrics, "certvigil_endpoint_trusted") == Some(is_trusted) {
                assert_eq!(value(&metrics, "certvigil_endpoint_correct"), Some(1.0));
                break;
            }
            assert!(
                start.elapsed() < crate::fixture::process::PATIENCE,
                "{off}: {metrics}"
            );
            tokio::task::yield_now().await;
        }
    }
    drop(stop);
    running.await.unwrap();
}

/// A leaf that expires between two regular probes is critical seconds later, in every output.
#[test]
fn certificate_that_expires_between_two_probes_is_critical_within_seconds() {
    // A long validity only if the machine is too busy for a probe within a short one.
    let has_expired = [6, 30].into_iter().any(expires_between_two_probes);
    assert!(has_expired, "the first probe is never before the expiry");
}

/// Returns false if the first probe is not before the expiry.
fn expires_between_two_probes(seconds: i64) -> bool {
    let pki = Pki::new();
    let leaf = pki.leaf_for_seconds(&[HOST], seconds);
    let server = server(&pki, &leaf);
    let place = format!(
        "hostnames: {HOST}, addresses: 127.0.0.1, port: {}",
        server.port()
    );
    let text = inventory(
        &pki,
        &format!("{LONG_INTERVAL}, warn: 1s, crit: 1s"),
        "",
        &[format!("name: web, trust: true, {place}")],
    );
    let exporter = Exporter::start(&text, &[], |_| {});
    exporter.wait_until_ready();
    let of_local = [r#"vantage="local""#];
    // Otherwise the first probe, and not the one of the expiry, may report it.
    let trusted = exporter
        .get("/metrics")
        .sample("certvigil_endpoint_trusted", &of_local);
    if trusted != Some(1.0) {
        return false;
    }
    exporter.wait_for_metrics("the expiry is reported", |metrics| {
        let expired = [r#"code="expired""#, r#"severity="critical""#];
        metrics.sample("certvigil_endpoint_finding", &expired) == Some(1.0)
            && metrics.sample("certvigil_endpoint_trusted", &of_local) == Some(0.0)
    });
    true
}

/// Offset of the clock of a machine that was suspended, in seconds.
static SUSPENDED: AtomicI64 = AtomicI64::new(0);

/// No probe is due for an hour when the machine resumes. The certificate has expired meanwhile.
#[tokio::test]
async fn certificate_that_expires_during_a_suspension_is_critical_within_seconds() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entries = [entry(&pki, "web", &leaf, server.port())];
    let text = inventory(&pki, LONG_INTERVAL, "", &entries);
    let clock = || Timestamp(now().0 + SUSPENDED.load(Ordering::SeqCst));
    let (address, stop, running) = start(text, clock).await;
    // The leaf expires in 60 days.
    for (suspended, is_expired) in [(0, false), (61 * DAY, true)] {
        SUSPENDED.store(suspended, Ordering::SeqCst);
        let begun = clock().0 as f64;
        let start = std::time::Instant::now();
        loop {
            let metrics = metrics(address).await;
            let is_reported = metrics.contains("code=\"expired\"");
            let at = value(&metrics, "certvigil_endpoint_last_check_timestamp_seconds");
            if at >= Some(begun) && is_reported == is_expired {
                break;
            }
            assert!(
                start.elapsed() < crate::fixture::process::PATIENCE,
                "{suspended}: {metrics}"
            );
            tokio::task::yield_now().await;
        }
    }
    drop(stop);
    running.await.unwrap();
}
