//! Cost of a hundred thousand endpoints in two shapes. The first is one monitor that probes all of
//! them by its own schedule. The second is three replicas that probe when a real Prometheus scrapes
//! them, which distributes the targets as in the shipped configuration. The benchmark extrapolates
//! the figures to a hundred times as many endpoints, and writes both into `docs/scale.md`.
//!
//! Variables, with their defaults:
//!
//! - `SCALE_ENDPOINTS` (100000): number of endpoints. A run with another number is printed only.
//! - `SCALE_SECONDS` (240): duration of the measurement with Prometheus.
//! - `SCALE_INTERVAL`: scrape interval of each target in seconds. The default is that for a hundred
//!   probes a second, and at least 30.

mod plan;
mod sharded;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{ask, is_good, total, wait_within};
use crate::machine;
use crate::measure::{cpu, resident};
use crate::peers::Peer;
use crate::table::short;
use crate::testbed::{Testbed, inventory};

use plan::Measured;

/// The document with the tables, and the markers before and after them.
const DOCUMENT: &str = "docs/scale.md";
const BEGIN: &str = "<!-- written by `make bench-scale` -->\n";
const END: &str = "<!-- end of what `make bench-scale` writes -->\n";

/// Number of endpoints in the document.
const ENDPOINTS: u64 = 100_000;
/// Probes that Prometheus requests per second, unless `SCALE_INTERVAL` is set.
const PROBES_A_SECOND: u64 = 100;
/// The shipped `scrape_timeout` in seconds: Prometheus accepts no shorter interval.
const LEAST_INTERVAL: u64 = 30;
/// Probes per second by the monitor's own schedule.
const SCHEDULED_PROBES_A_SECOND: usize = 500;
/// Duration of the measurement of the monitor with its own schedule.
const WATCHED: Duration = Duration::from_secs(30);
/// Number of requests, of which the median cost counts.
const REQUESTS: usize = 5;
const POLL: Duration = Duration::from_millis(250);
/// Timeout of the first probe of all endpoints.
const FIRST_ROUND: Duration = Duration::from_secs(1_200);
const MIB: f64 = (1 << 20) as f64;

/// A row of the table: its name, its value with the unit, and its explanation.
struct Figure(&'static str, String, String);

impl Figure {
    fn new(name: &'static str, value: f64, unit: &str, how: impl Into<String>) -> Self {
        Self(
            name,
            format!("{} {unit}", short(value)).trim().to_owned(),
            how.into(),
        )
    }
}

/// Measures both shapes and reports the figures.
pub(crate) fn run() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect(name))
    };
    let endpoints = number("SCALE_ENDPOINTS", ENDPOINTS);
    let seconds = Duration::from_secs(number("SCALE_SECONDS", 240));
    let interval = number(
        "SCALE_INTERVAL",
        (endpoints / PROBES_A_SECOND).max(LEAST_INTERVAL),
    );
    let count = usize::try_from(endpoints).unwrap();

    let testbed = Testbed::new();
    let server = testbed.serve();
    let how =
        format!("each a name, an address of 127.0.0.0/8 and an entry of the inventory ({count})");
    let mut figures = vec![Figure::new(plan::MEASURED_ENDPOINTS, count as f64, "", how)];
    eprintln!("measuring: one monitor");
    figures.extend(alone(&testbed, server.port, count));
    eprintln!("measuring: replicas behind Prometheus");
    let watch = sharded::Watch {
        count,
        interval,
        seconds,
    };
    figures.extend(sharded::figures(&testbed, server.port, &watch));

    let mut table = String::from("| figure | measured | how |\n| --- | --- | --- |\n");
    for Figure(name, value, how) in figures {
        writeln!(table, "| {name} | {value} | {how} |").unwrap();
    }
    // Computed from the written values, so that a reader gets the same result.
    let planned = Measured::read(&table).plan();
    let machine = machine::describe(&["prometheus"]);
    let text = format!("{machine}\n{table}\n## The plan for ten million\n\n{planned}");
    println!("{text}");
    if endpoints == ENDPOINTS && crate::is_this_build() {
        crate::write_into(DOCUMENT, BEGIN, END, &text);
    } else {
        println!("{}{DOCUMENT}", crate::NOT_WRITTEN);
    }
}

/// Figures of one monitor that probes all endpoints by its own schedule.
fn alone(testbed: &Testbed, port: u16, count: usize) -> Vec<Figure> {
    let interval = (count / SCHEDULED_PROBES_A_SECOND).max(5);
    let start = Instant::now();
    let monitor = Peer::monitor(
        testbed,
        &configuration(testbed, port, count, &format!("{interval}s")),
    );
    wait_long("a look at every endpoint", || {
        let (head, _) = ask(monitor.address, "GET", "/-/ready");
        is_good(&head).then_some(())
    });
    let ready = start.elapsed().as_secs_f64();

    let probes = || {
        let metrics = fetch(monitor.address, "/metrics");
        (total(&metrics, "certvigil_probes_total"), Instant::now())
    };
    let (seen, since) = probes();
    let (before, start) = (cpu(&monitor.child), Instant::now());
    thread::sleep(WATCHED);
    let busy = (cpu(&monitor.child) - before) / start.elapsed().as_secs_f64();
    let (until_now, now) = probes();
    let rate = (until_now - seen) / now.duration_since(since).as_secs_f64();
    let metrics = fetch(monitor.address, "/metrics");
    let scrape = cost(&monitor, "/metrics", busy);
    assert_eq!(total(&metrics, "certvigil_endpoint_correct"), count as f64);
    let series = series(&metrics, "certvigil_endpoint_") / count as f64;

    vec![
        Figure::new(
            plan::SCHEDULED_PROBE,
            busy / rate * 1e6,
            "µs",
            format!(
                "{} probes a second, each endpoint every {interval} s; the first probe of all of them was complete after {} s",
                short(rate),
                short(ready)
            ),
        ),
        Figure::new(
            plan::MEMORY,
            resident(&monitor.child) / MIB,
            "MiB",
            "resident, after every endpoint was probed, and eight scrapes of all of them",
        ),
        Figure::new(
            plan::METRICS,
            metrics.len() as f64 / MIB,
            "MiB",
            "not compressed",
        ),
        Figure::new(
            plan::SCRAPE,
            scrape * 1000.0,
            "ms",
            format!("the middle of {REQUESTS} scrapes, while it continues to probe"),
        ),
        Figure::new(plan::SERIES, series, "", "`certvigil_endpoint_*`"),
    ]
}

/// Configuration of a monitor with `count` endpoints.
fn configuration(testbed: &Testbed, port: u16, count: usize, interval: &str) -> String {
    let defaults = format!("port: {port}, interval: {interval}, timeout: 30s");
    inventory("", &defaults, &format!("sha256: {}", testbed.leaf), count)
}

/// CPU time of a request in seconds, for a process that otherwise uses the share `busy` of a core.
fn cost(peer: &Peer, path: &str, busy: f64) -> f64 {
    let costs = (0..REQUESTS).map(|_| {
        let (before, start) = (cpu(&peer.child), Instant::now());
        fetch(peer.address, path);
        cpu(&peer.child) - before - busy * start.elapsed().as_secs_f64()
    });
    costs.collect::<crate::measure::Values>().median().max(0.0)
}

fn fetch(server: SocketAddr, path: &str) -> String {
    let (head, body) = ask(server, "GET", path);
    assert!(is_good(&head), "{path}: {head}");
    body
}

/// Number of series whose names have this prefix.
fn series(exposition: &str, prefix: &str) -> f64 {
    exposition.lines().filter(|l| l.starts_with(prefix)).count() as f64
}

/// Waits with a longer timeout than most of this benchmark.
fn wait_long<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_within(FIRST_ROUND, POLL, what, ask)
}

/// A shipped file with these replacements. Each replaced text must be there, so that the
/// measurement uses what is shipped.
fn shipped(file: &str, replacements: &[(&str, &str)]) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/prometheus");
    let mut text = fs::read_to_string(folder.join(file)).unwrap();
    for (from, to) in replacements {
        assert!(text.contains(from), "{file} has no `{from}`");
        text = text.replace(from, to);
    }
    text
}
