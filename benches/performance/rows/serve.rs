//! Memory and CPU of the monitor between probes, and the cost of a complete scrape.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, address, total, wait_until};
use crate::measure::{Values, cpu, resident, run, spawn};
use crate::peers::{Client, Peer};
use crate::roles::Role;
use crate::table::{Row, Target, short};
use crate::testbed::{DOMAIN, Server, Testbed, inventory};

use super::{ENDPOINTS, assert_all_ok, check_of};

/// An interval with many probes, in which all endpoints are soon probed once.
const BUSY: Duration = Duration::from_secs(30);
/// An interval with hardly any probes.
const IDLE: &str = "6h";
const WATCHED: usize = 20;
/// Duration in which the cost of a probe is measured. In it, the monitor reads every PEM file again
/// once.
const MEASURED: Duration = Duration::from_secs(60);
const SCRAPES: usize = 40;
const ON_DEMAND_PROBES: usize = 100;
const MIB: f64 = (1 << 20) as f64;

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let server = testbed.serve();
    let busy = configuration(server.port, &format!("{}s", BUSY.as_secs()));
    let monitor = Peer::monitor(testbed, &busy);
    let mut client = Client::new(monitor.address);
    wait_until("a monitor that has looked at everything", || {
        client
            .ask("GET", "/-/ready")
            .0
            .contains(" 200 ")
            .then_some(())
    });
    let mut rows = steady(testbed, &server, &monitor, rounds);

    fs::write(
        testbed.path("certvigil.yml"),
        configuration(server.port, IDLE),
    )
    .unwrap();
    // A new connection: the monitor closes one that was idle for this long.
    let mut client = Client::new(monitor.address);
    let (status, _) = client.ask("POST", "/-/reload");
    assert!(status.contains(" 200 "), "{status}");
    // Scheduled probes keep their time from the old interval.
    thread::sleep(BUSY + Duration::from_secs(2));
    rows.push(idle(&monitor));

    let body = client.get("/metrics");
    fs::write(testbed.path("metrics"), &body).unwrap();
    let bytes = Bytes::start(testbed);
    rows.push(scrape(&monitor, &bytes, body.len(), rounds));
    rows.push(delay(&monitor, &bytes, &server, rounds));
    rows
}

fn configuration(port: u16, interval: &str) -> String {
    let settings = "probe: {allow: [127.0.0.0/8]}\n";
    let defaults = format!("port: {port}, interval: {interval}");
    inventory(settings, &defaults, "pem: chain.pem", ENDPOINTS)
}

fn steady(testbed: &Testbed, server: &Server, monitor: &Peer, rounds: usize) -> Vec<Row> {
    let mut held = Values::new();
    for _ in 0..WATCHED {
        thread::sleep(Duration::from_secs(1));
        held.push(resident(&monitor.child) / MIB);
    }
    // Measured last, since a scrape uses memory that probes do not.
    let [mut ratio, mut own, mut other] = [const { Values::new() }; 3];
    // Each round has many probes.
    for _ in 0..rounds.div_ceil(2) {
        let checked = run(&mut check_of(testbed, server.port, ENDPOINTS, &[]));
        assert_all_ok(testbed, ENDPOINTS);
        let checked = checked.cpu / ENDPOINTS as f64;
        let probed = cost_of_a_probe(monitor);
        ratio.push(probed / checked);
        own.push(probed * 1e6);
        other.push(checked * 1e6);
    }
    let seconds = BUSY.as_secs();
    vec![
        Row {
            figure: format!("memory of `serve` with {ENDPOINTS} endpoints, steady"),
            unit: " MiB",
            target: Target::AtMost(120.0),
            values: held,
            detail: format!("each is probed every {seconds} s"),
        },
        Row {
            figure: format!("CPU of a probe by `serve` of {ENDPOINTS} endpoints over `check`'s"),
            unit: "",
            target: Target::AtMost(1.2),
            values: ratio,
            detail: format!(
                "{} µs at an interval of {seconds} s, reading the PEM files again included; `check` {} µs",
                short(own.median()),
                short(other.median())
            ),
        },
    ]
}

/// CPU time of a probe in seconds. The number of probes is the monitor's own count.
fn cost_of_a_probe(monitor: &Peer) -> f64 {
    // A connection is closed if its first request does not arrive in time.
    let mut client = Client::new(monitor.address);
    let mut probes = || {
        let metrics = client.get("/metrics");
        let count = total(&String::from_utf8_lossy(&metrics), "certvigil_probes_total");
        (count, Instant::now())
    };
    let (before, since) = probes();
    // Excludes the scrapes, which are expensive compared with probes.
    let (taken, start) = (cpu(&monitor.child), Instant::now());
    thread::sleep(MEASURED);
    let busy = (cpu(&monitor.child) - taken) / start.elapsed().as_secs_f64();
    let (after, until) = probes();
    assert!(after > before, "no probe in {MEASURED:?}");
    let rate = (after - before) / until.duration_since(since).as_secs_f64();
    busy / rate
}

fn idle(monitor: &Peer) -> Row {
    let share = |_| {
        let before = cpu(&monitor.child);
        let start = Instant::now();
        thread::sleep(Duration::from_secs(5));
        (cpu(&monitor.child) - before) / start.elapsed().as_secs_f64() * 100.0
    };
    Row {
        figure: "CPU of it between probes".into(),
        unit: " %",
        target: Target::AtMost(1.0),
        values: (0..3).map(share).collect(),
        detail: format!("of one core, at an interval of {IDLE}, a probe every two seconds"),
    }
}

/// A process that serves a file from memory.
struct Bytes {
    child: Child,
    address: SocketAddr,
}

impl Bytes {
    fn start(testbed: &Testbed) -> Self {
        let file = testbed.path("metrics").display().to_string();
        let mut command = Role::Bytes.command(&[&file]);
        let mut child = spawn(command.stdout(Stdio::piped()));
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        Self {
            child,
            address: line.trim().parse().unwrap(),
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scrape(monitor: &Peer, bytes: &Bytes, size: usize, rounds: usize) -> Row {
    let of = |child: &Child, address: SocketAddr| {
        let mut client = Client::new(address);
        let before = cpu(child);
        for _ in 0..SCRAPES {
            client.get("/metrics");
        }
        (cpu(child) - before) / SCRAPES as f64 * 1000.0
    };
    let [mut ratio, mut own, mut bare] = [const { Values::new() }; 3];
    for _ in 0..rounds {
        let written = of(&bytes.child, bytes.address);
        let scraped = of(&monitor.child, monitor.address);
        ratio.push(scraped / written);
        own.push(scraped);
        bare.push(written);
    }
    Row {
        figure: format!(
            "CPU of a scrape of {ENDPOINTS} endpoints over writing the same bytes from memory"
        ),
        unit: "",
        target: Target::AtMost(3.0),
        values: ratio,
        detail: format!(
            "{} ms; writing {} ms; {} MiB",
            short(own.median()),
            short(bare.median()),
            short(size as f64 / MIB)
        ),
    }
}

/// Delay of probes that are requested during a scrape: the 99th percentile minus a baseline. The
/// baseline is the median while another process serves the same bytes, which keeps the processors
/// just as busy.
fn delay(monitor: &Peer, bytes: &Bytes, server: &Server, rounds: usize) -> Row {
    let [mut late, mut slowest, mut usual] = [const { Values::new() }; 3];
    for _ in 0..rounds {
        let undisturbed = probe_delays_during_scrapes(monitor, server, bytes.address);
        let probes = probe_delays_during_scrapes(monitor, server, monitor.address);
        late.push((probes.at(0.99) - undisturbed.median()).max(0.0));
        slowest.push(probes.at(0.99));
        usual.push(undisturbed.median());
    }
    let (slowest, usual) = (short(slowest.median()), short(usual.median()));
    Row {
        figure: "delay of probes on demand during a scrape".into(),
        unit: " ms",
        target: Target::AtMost(10.0),
        values: late,
        detail: format!(
            "99 of 100 start within {slowest} ms; without a scrape the middle one does within {usual} ms"
        ),
    }
}

/// Milliseconds from a `/probe` request to the connection at the server, during continuous scrapes.
fn probe_delays_during_scrapes(monitor: &Peer, server: &Server, scraped: SocketAddr) -> Values {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::new(scraped);
            while !over.load(Ordering::Relaxed) {
                client.get("/metrics");
            }
        });
        let mut client = Client::new(monitor.address);
        let probe = |number| {
            let ip = address(2 * ENDPOINTS + number);
            let path = format!("/probe?hostname=h.{DOMAIN}&target={ip}:{}", server.port);
            while server.accepted.try_recv().is_ok() {}
            let start = Instant::now();
            client.get(&path);
            loop {
                let (to, at) = server.accepted.recv_timeout(PATIENCE).unwrap();
                if to.ip() == ip {
                    break at.duration_since(start).as_secs_f64() * 1000.0;
                }
            }
        };
        let probes = (0..ON_DEMAND_PROBES).map(probe).collect();
        over.store(true, Ordering::Relaxed);
        probes
    })
}
