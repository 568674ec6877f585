//! What a hundred thousand endpoints take, in two shapes: one monitor that looks at all of them by its own schedule, and
//! three replicas that look when a real Prometheus asks, which shares the targets out among them as the shipped
//! configuration has it. From the figures it computes what a hundred times as many take, and writes both into
//! `docs/scale.md`.
//!
//! `SCALE_ENDPOINTS` (100000) says how many there are, `SCALE_SECONDS` (240) how long Prometheus is watched,
//! `SCALE_INTERVAL` (a hundred probes a second, and 30 at least) how often it asks for each, in seconds. What was run with other numbers of
//! endpoints is printed only.

mod plan;
mod sharded;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{ask, is_good, total, wait_within};
use crate::lab::{Lab, inventory};
use crate::machine;
use crate::measure::{cpu, resident};
use crate::peers::Peer;
use crate::table::short;

use plan::Measured;

/// The document that has the tables, and what stands before and after them there.
const DOCUMENT: &str = "docs/scale.md";
const BEGIN: &str = "<!-- written by `make bench-scale` -->\n";
const END: &str = "<!-- end of what `make bench-scale` writes -->\n";

/// The endpoints that the document tells of.
const ENDPOINTS: u64 = 100_000;
/// Probes that Prometheus asks for in a second, unless `SCALE_INTERVAL` says something else.
const PROBES_A_SECOND: u64 = 100;
/// The shipped `scrape_timeout` in seconds: Prometheus takes no interval that is shorter.
const LEAST_INTERVAL: u64 = 30;
/// Looks of the monitor's own schedule in a second.
const LOOKS_A_SECOND: usize = 500;
/// How long the monitor is watched that looks by itself.
const WATCHED: Duration = Duration::from_secs(30);
/// Requests of which the cost is the middle one's.
const REQUESTS: usize = 5;
const POLL: Duration = Duration::from_millis(250);
/// How long a first look at everything may take.
const FIRST_ROUND: Duration = Duration::from_secs(1_200);
const MIB: f64 = (1 << 20) as f64;

/// A figure as the table has it: its name, its value with the unit, and how it came about.
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

/// Measures both shapes, and tells.
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

    let lab = Lab::new();
    let server = lab.serve();
    let how =
        format!("each a name, an address of 127.0.0.0/8 and an entry of the inventory ({count})");
    let mut figures = vec![Figure::new(plan::MEASURED_ENDPOINTS, count as f64, "", how)];
    eprintln!("measuring: one monitor");
    figures.extend(alone(&lab, server.port, count));
    eprintln!("measuring: replicas behind Prometheus");
    let watch = sharded::Watch {
        count,
        interval,
        seconds,
    };
    figures.extend(sharded::figures(&lab, server.port, &watch));

    let mut table = String::from("| figure | measured | how |\n| --- | --- | --- |\n");
    for Figure(name, value, how) in figures {
        writeln!(table, "| {name} | {value} | {how} |").unwrap();
    }
    // From what is written, so that who reads it comes to the same.
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

/// The monitor that looks at all endpoints by itself.
fn alone(lab: &Lab, port: u16, count: usize) -> Vec<Figure> {
    let interval = (count / LOOKS_A_SECOND).max(5);
    let start = Instant::now();
    let monitor = Peer::monitor(
        lab,
        &configuration(lab, port, count, &format!("{interval}s")),
    );
    patiently("a look at every endpoint", || {
        let (head, _) = ask(monitor.address, "GET", "/-/ready");
        is_good(&head).then_some(())
    });
    let ready = start.elapsed().as_secs_f64();

    let looks = || {
        let metrics = fetch(monitor.address, "/metrics");
        (total(&metrics, "certvigil_probes_total"), Instant::now())
    };
    let (seen, since) = looks();
    let (before, start) = (cpu(&monitor.child), Instant::now());
    thread::sleep(WATCHED);
    let busy = (cpu(&monitor.child) - before) / start.elapsed().as_secs_f64();
    let (until_now, now) = looks();
    let rate = (until_now - seen) / now.duration_since(since).as_secs_f64();
    let metrics = fetch(monitor.address, "/metrics");
    let scrape = cost(&monitor, "/metrics", busy);
    assert_eq!(total(&metrics, "certvigil_endpoint_correct"), count as f64);
    let series = series(&metrics, "certvigil_endpoint_") / count as f64;

    vec![
        Figure::new(
            plan::LOOK,
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

/// A monitor's configuration of so many endpoints.
fn configuration(lab: &Lab, port: u16, count: usize, interval: &str) -> String {
    let defaults = format!("port: {port}, interval: {interval}, timeout: 30s");
    inventory("", &defaults, &format!("sha256: {}", lab.leaf), count)
}

/// Seconds of CPU that a request costs, of a process that is busy with other things for so much of a core.
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

/// The series of an exposition whose names begin so.
fn series(exposition: &str, prefix: &str) -> f64 {
    exposition.lines().filter(|l| l.starts_with(prefix)).count() as f64
}

/// Waits longer than most of this benchmark does.
fn patiently<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_within(FIRST_ROUND, POLL, what, ask)
}

/// A file that is shipped, with some of its text replaced, which has to be there: what is measured is what is shipped.
fn shipped(file: &str, replacements: &[(&str, &str)]) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/prometheus");
    let mut text = fs::read_to_string(folder.join(file)).unwrap();
    for (from, to) in replacements {
        assert!(text.contains(from), "{file} has no `{from}`");
        text = text.replace(from, to);
    }
    text
}
