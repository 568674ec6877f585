//! Cost of the status page at two numbers of endpoints, of which the same number fails.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::wait_within;
use crate::measure::{Values, cpu};
use crate::peers::{Client, Peer};
use crate::table::{Row, Target, short};
use crate::testbed::{Server, Testbed, inventory};

const SIZES: [usize; 2] = [10_000, 100_000];
/// Endpoints that serve another certificate than the expected one.
const FAILING: usize = 500;
/// Probes per second. They continue during the measurement, and their cost is subtracted.
const PROBES_A_SECOND: usize = 500;
/// Timeout of the first probe of all endpoints.
const FIRST_ROUND: Duration = Duration::from_secs(1_200);
const POLL: Duration = Duration::from_millis(250);
/// Duration in which the cost of the probes is measured.
const WATCHED: Duration = Duration::from_secs(10);
/// Pages in one run: many, because the monitor starts its probes in batches, four a second.
const PAGES: usize = 500;
/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 64;

/// Measured page: its path, and its name in the table.
const MEASURED: [(&str, &str); 2] = [
    ("/", "first page of the status page"),
    ("/?severity=problems", "page of all problems"),
];

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let server = testbed.serve();
    let monitors = SIZES.map(|count| monitor(testbed, &server, count));
    let rows = MEASURED.map(|(path, name)| page(&monitors, path, name, rounds));
    rows.into_iter().flatten().collect()
}

/// Starts a monitor, and waits until it has probed all endpoints.
fn monitor(testbed: &Testbed, server: &Server, count: usize) -> Peer {
    let interval = count / PROBES_A_SECOND;
    let defaults = format!("port: {}, interval: {interval}s", server.port);
    let leaf = testbed.leaf.to_string();
    let text = inventory("", &defaults, &format!("sha256: {leaf}"), count);
    let text = text.replacen(&leaf, &"0".repeat(DIGITS), FAILING);
    let monitor = Peer::monitor(testbed, &text);
    wait_within(FIRST_ROUND, POLL, "a probe of every endpoint", || {
        let (status, _) = Client::new(monitor.address).ask("GET", "/-/ready");
        status.contains(" 200 ").then_some(())
    });
    let page = Client::new(monitor.address).get("/");
    let wanted = format!(">{FAILING} of {count} addresses are critical<");
    assert!(String::from_utf8_lossy(&page).contains(&wanted), "{wanted}");
    monitor
}

fn page(monitors: &[Peer; 2], path: &str, name: &str, rounds: usize) -> [Row; 2] {
    let [small, large] = SIZES;
    let [mut ratio, mut few, mut many, mut latency] = [const { Values::new() }; 4];
    for _ in 0..rounds {
        let [(few_cpu, _), (many_cpu, took)] = [0, 1].map(|at| cost(&monitors[at], path));
        ratio.push(many_cpu / few_cpu);
        few.push(few_cpu);
        many.push(many_cpu);
        latency.push(took);
    }
    let detail = format!(
        "CPU; the response takes {} ms, while probes continue",
        short(latency.median())
    );
    [
        Row {
            figure: format!("{name} at {large} endpoints, {FAILING} failing"),
            unit: " ms",
            target: Target::AtMost(50.0),
            detail,
            values: many.clone(),
        },
        Row {
            figure: format!("the same over that at {small} endpoints, {FAILING} failing"),
            unit: "",
            target: Target::AtMost(1.2),
            values: ratio,
            detail: format!("{} ms; {} ms", short(many.median()), short(few.median())),
        },
    ]
}

/// Milliseconds of CPU time of a page, and until its response.
fn cost(monitor: &Peer, path: &str) -> (f64, f64) {
    let (before, start) = (cpu(&monitor.child), Instant::now());
    thread::sleep(WATCHED);
    let busy = (cpu(&monitor.child) - before) / start.elapsed().as_secs_f64();
    let mut client = Client::new(monitor.address);
    let (before, start) = (cpu(&monitor.child), Instant::now());
    for _ in 0..PAGES {
        client.get(path);
    }
    let took = start.elapsed().as_secs_f64();
    let used = cpu(&monitor.child) - before - busy * took;
    let each = |seconds: f64| seconds.max(0.0) / PAGES as f64 * 1000.0;
    (each(used), each(took))
}
