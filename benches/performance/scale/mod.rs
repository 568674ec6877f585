//! Cost of a hundred thousand endpoints in two shapes. The first is one monitor that probes all of
//! them by its own schedule. The second is three replicas that probe when a real Prometheus scrapes
//! them, which distributes the targets as in the shipped configuration. The benchmark extrapolates
//! the figures to a hundred times as many endpoints, and writes both into `docs/scale.md`.
//!
//! Variables, with their defaults:
//!
//! - `SCALE_ENDPOINTS` (100000): number of endpoints. A run with another number is printed only, except
//!   for one with 1000000, which measures one monitor only.
//! - `SCALE_RATE` (500): probes per second by the monitor's own schedule.
//! - `SCALE_SECONDS` (240): duration of the measurement with Prometheus.
//! - `SCALE_INTERVAL`: scrape interval of each target in seconds. The default is that for a hundred
//!   probes a second, and at least 30.

mod plan;
mod sharded;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{ask, is_good, total, wait_within};
use crate::machine;
use crate::measure::{cpu, resident};
use crate::peers::Peer;
use crate::table::short;
use crate::testbed::{Testbed, entries, head};

use plan::Measured;

/// The document with the tables, and the markers before and after them.
const DOCUMENT: &str = "docs/scale.md";
const BEGIN: &str = "<!-- written by `make bench-scale` -->\n";
const END: &str = "<!-- end of what `make bench-scale` writes -->\n";

/// Markers before and after the table of a million endpoints.
const BEGIN_MILLION: &str = "<!-- written by `SCALE_ENDPOINTS=1000000 make bench-scale` -->\n";
const END_MILLION: &str = "<!-- end of a million endpoints -->\n";

/// Number of endpoints in the document.
const ENDPOINTS: u64 = 100_000;
/// Number of endpoints of a run with one monitor only.
const MILLION: u64 = 1_000_000;
/// Entries in one file: a configuration file has at most 16 MiB.
const ENTRIES_IN_A_FILE: usize = 50_000;
/// Probes that Prometheus requests per second, unless `SCALE_INTERVAL` is set.
const PROBES_A_SECOND: u64 = 100;
/// The shipped `scrape_timeout` in seconds: Prometheus accepts no shorter interval.
const LEAST_INTERVAL: u64 = 30;
/// Probes per second by the monitor's own schedule, unless `SCALE_RATE` is set.
const SCHEDULED_PROBES_A_SECOND: u64 = 500;
/// Duration of the measurement of the monitor with its own schedule.
const WATCHED: Duration = Duration::from_secs(30);
/// Number of requests, of which the median cost counts.
const REQUESTS: usize = 5;
const POLL: Duration = Duration::from_millis(250);
/// Timeout of the first probe of all endpoints, in addition to twice its duration.
const FIRST_ROUND: Duration = Duration::from_secs(1_200);
/// Timeout of each read of a scrape.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(300);
const MIB: f64 = (1 << 20) as f64;
const KIB: f64 = 1024.0;

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
    let rate = number("SCALE_RATE", SCHEDULED_PROBES_A_SECOND);
    let own_interval = Duration::from_secs((endpoints / rate).max(5));
    figures.extend(alone(&testbed, server.port, count, own_interval));
    if endpoints >= MILLION {
        let text = format!("{}\n{}", machine::describe(&[]), markdown(figures));
        println!("{text}");
        return match endpoints == MILLION && crate::is_this_build() {
            true => crate::write_into(DOCUMENT, BEGIN_MILLION, END_MILLION, &text),
            false => println!("{}{DOCUMENT}", crate::NOT_WRITTEN),
        };
    }
    eprintln!("measuring: replicas behind Prometheus");
    let watch = sharded::Watch {
        count,
        interval,
        seconds,
    };
    figures.extend(sharded::figures(&testbed, server.port, &watch));

    let table = markdown(figures);
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

fn markdown(figures: Vec<Figure>) -> String {
    let mut table = String::from("| figure | measured | how |\n| --- | --- | --- |\n");
    for Figure(name, value, how) in figures {
        writeln!(table, "| {name} | {value} | {how} |").unwrap();
    }
    table
}

/// Figures of one monitor that probes all endpoints by its own schedule.
fn alone(testbed: &Testbed, port: u16, count: usize, interval: Duration) -> Vec<Figure> {
    let start = Instant::now();
    let text = configuration(testbed, port, count, &format!("{}s", interval.as_secs()));
    let monitor = Peer::monitor(testbed, &text);
    wait_long("a server that answers", || {
        let (head, _) = ask(monitor.address, "GET", "/-/healthy");
        is_good(&head).then_some(())
    });
    let (answered, started) = (start.elapsed().as_secs_f64(), cpu(&monitor.child));
    wait_within(FIRST_ROUND + 2 * interval, POLL, "a probe of all", || {
        let (head, _) = ask(monitor.address, "GET", "/-/ready");
        is_good(&head).then_some(())
    });
    let ready = start.elapsed().as_secs_f64();

    let (first, since) = (Scrape::of(monitor.address), Instant::now());
    let (before, start) = (cpu(&monitor.child), Instant::now());
    thread::sleep(WATCHED);
    let busy = (cpu(&monitor.child) - before) / start.elapsed().as_secs_f64();
    let (scrape, now) = (Scrape::of(monitor.address), Instant::now());
    let rate = (scrape.probes - first.probes) / now.duration_since(since).as_secs_f64();
    let written = cost(&monitor, busy, || {
        Scrape::of(monitor.address);
    });
    let took = (0..REQUESTS).map(|_| Scrape::of(monitor.address).took);
    let took = took.collect::<crate::measure::Values>().median();
    assert_eq!(scrape.correct, count as f64);
    let memory = resident(&monitor.child);
    let page = cost(&monitor, busy, || {
        fetch(monitor.address, "/");
    });

    vec![
        Figure::new(
            plan::SCHEDULED_PROBE,
            busy / rate * 1e6,
            "µs",
            format!(
                "{} probes a second, each endpoint every {} s; the first probe of all of them was complete after {} s",
                short(rate),
                interval.as_secs(),
                short(ready)
            ),
        ),
        Figure::new(
            plan::MEMORY,
            memory / MIB,
            "MiB",
            "resident, after every endpoint was probed, and all scrapes",
        ),
        Figure::new(
            "memory of an endpoint",
            memory / count as f64 / KIB,
            "KiB",
            "that of `serve` divided by the endpoints",
        ),
        Figure::new(
            "CPU of a start",
            started,
            "s",
            format!(
                "until the server answers, after {} s: the configuration is read",
                short(answered)
            ),
        ),
        Figure::new(
            "lag",
            scrape.lag,
            "s",
            "`certvigil_cycle_lag_seconds`, after the first round",
        ),
        Figure::new(
            plan::METRICS,
            scrape.bytes as f64 / MIB,
            "MiB",
            "not compressed",
        ),
        Figure::new(
            plan::SCRAPE,
            written * 1000.0,
            "ms",
            format!("the middle of {REQUESTS} scrapes, while it continues to probe"),
        ),
        Figure::new(
            "time of a scrape",
            took,
            "s",
            "the middle, to a client that reads each line",
        ),
        Figure::new(
            plan::SERIES,
            scrape.series as f64 / count as f64,
            "",
            "`certvigil_endpoint_*`",
        ),
        Figure::new(
            "CPU of the first page",
            page * 1000.0,
            "ms",
            format!("the middle of {REQUESTS} requests"),
        ),
    ]
}

/// What a scrape has. Its text is not kept, because that of a million endpoints is some GiB.
#[derive(Debug, Default)]
struct Scrape {
    bytes: usize,
    /// Number of samples of endpoints.
    series: usize,
    /// Number of endpoints with the expected certificate.
    correct: f64,
    probes: f64,
    lag: f64,
    /// Seconds from the request to the last byte.
    took: f64,
}

impl Scrape {
    fn of(server: SocketAddr) -> Self {
        let start = Instant::now();
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(SCRAPE_TIMEOUT)).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: bench\r\n\r\n").unwrap();
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        let mut line = Vec::new();
        let mut next = |line: &mut Vec<u8>| {
            line.clear();
            reader.read_until(b'\n', line).unwrap()
        };
        next(&mut line);
        assert!(is_good(&String::from_utf8_lossy(&line)), "{line:?}");
        while next(&mut line) > 2 {}
        let mut scrape = Self::default();
        loop {
            let length = next(&mut line);
            if length == 0 {
                break;
            }
            scrape.bytes += length;
            scrape.series += usize::from(line.starts_with(b"certvigil_endpoint_"));
            for (name, sum) in [
                ("certvigil_endpoint_correct", &mut scrape.correct),
                ("certvigil_probes_total", &mut scrape.probes),
                ("certvigil_cycle_lag_seconds", &mut scrape.lag),
            ] {
                if line.starts_with(name.as_bytes()) {
                    *sum += total(&String::from_utf8_lossy(&line), name);
                }
            }
        }
        scrape.took = start.elapsed().as_secs_f64();
        scrape
    }
}

/// Configuration of a monitor with `count` endpoints. Their entries are in files of their own.
fn configuration(testbed: &Testbed, port: u16, count: usize, interval: &str) -> String {
    let expected = format!("sha256: {}", testbed.leaf);
    for from in (0..count).step_by(ENTRIES_IN_A_FILE) {
        let to = count.min(from + ENTRIES_IN_A_FILE);
        let text = format!("certificates:\n{}", entries(&expected, from..to));
        fs::write(testbed.path(&format!("entries-{from:08}.yml")), text).unwrap();
    }
    let defaults = format!("port: {port}, interval: {interval}, timeout: 30s");
    format!("{}include: 'entries-*.yml'\n", head("", &defaults))
}

/// CPU time of a request in seconds, of a process that otherwise uses the share `busy` of a core.
fn cost(peer: &Peer, busy: f64, request: impl Fn()) -> f64 {
    let costs = (0..REQUESTS).map(|_| {
        let (before, start) = (cpu(&peer.child), Instant::now());
        request();
        cpu(&peer.child) - before - busy * start.elapsed().as_secs_f64()
    });
    costs.collect::<crate::measure::Values>().median().max(0.0)
}

fn fetch(server: SocketAddr, path: &str) -> String {
    let (head, body) = ask(server, "GET", path);
    assert!(is_good(&head), "{path}: {head}");
    body
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
