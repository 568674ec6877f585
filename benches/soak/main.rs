//! Runs the monitor for an hour with two thousand endpoints that fail in every way, and compares
//! every verdict with the truth.
//!
//! Each host changes its behaviour at times:
//!
//! - correct and wrong certificates;
//! - chains with missing or superfluous certificates;
//! - servers that break off, stall, send invalid data or do not listen;
//! - names that do not resolve.
//!
//! The API fails at times too. All of it is pseudo-random with a seed. Meanwhile, the monitor is
//! scraped, probed and reloaded. Every other reload removes entries, and the next one restores
//! them. The monitor is also attacked (`hostile`): by floods of `/probe`, by chains that are
//! expensive to judge, and by a malicious vantage.
//!
//! A result counts if its host had one behaviour from before the probe started until `last_check`.
//! Its status, error kind, flags and findings must match those of the testbed. The soak test fails
//! if
//!
//! - a result is wrong,
//! - an old result has a new time,
//! - a host is probed too rarely,
//! - `/-/healthy` is slow, or
//! - the memory or the descriptors of the monitor grow.
//!
//! Variables, with their defaults:
//!
//! - `SOAK_SECONDS` (3600): duration.
//! - `SOAK_ENDPOINTS` (2000): number of endpoints.
//! - `SOAK_INTERVAL` (30): probe interval in seconds.
//! - `SOAK_TIMEOUT` (10): probe timeout in seconds.
//! - `SOAK_HOLD` (150): average duration of one behaviour of a host in seconds.
//! - `SOAK_SEED` (1): seed of the pseudo-random numbers.
//! - `SOAK_PROGRAM`: path of another certvigil build to run.
//!
//! The timeout must be longer than a busy machine may delay a handshake, since that delay is not a
//! fault of the testbed. A run of one minute shows that the test works. Initial allocations have
//! not settled by then, so growth is judged from ten minutes on. `ulimit -n` must exceed the number
//! of endpoints by some thousands.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock, prints, and may panic"
)]

mod clock;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod front;
mod hostile;
mod monitor;
mod names;
mod place;
mod testbed;
mod truth;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clock::{Chance, now};
use common::{total, wait_until};
use compare::{Comparison, max_age, read};
use monitor::Monitor;
use testbed::{Plan, Testbed};

/// Refresh interval of the account.
const REFRESH: Duration = Duration::from_secs(15);
const SCRAPE_EVERY: Duration = Duration::from_secs(2);
/// Number of scrapes between two reloads. Every other reload restores the entries that the previous
/// one removed.
const RELOAD_EVERY: u64 = 15;
/// Percentage of the entries that a reload removes.
const REMOVED: usize = 5;
/// Concurrent on-demand probes of one attacker.
const FLOOD: usize = 4;
/// The pause between two floods.
const FLOOD_EVERY: Duration = Duration::from_secs(5);
/// Interval of the requests to /-/healthy.
const HEALTH_EVERY: Duration = Duration::from_millis(50);
/// Maximum duration of a response of /-/healthy.
const MAX_HEALTHY: Duration = Duration::from_millis(50);
/// Maximum share of the responses of /-/healthy that may take longer: the testbed itself keeps this
/// machine busy.
const MAX_SLOW_SHARE: f64 = 0.01;
/// Number of rows that are printed, but at most one each minute in a long run.
const ROWS: u64 = 6;
const PRINT_EVERY: Duration = Duration::from_secs(60);
/// Maximum ratio of the memory in the last third to that in the middle third.
const MAX_GROWTH: f64 = 1.02;
/// Maximum growth of the minimum number of descriptors from the middle to the last third: the
/// probes in flight differ slightly.
const MAX_MORE_FDS: f64 = 8.0;
/// Maximum hosts that are named if they were not probed.
const MAX_PRINTED: usize = 20;
/// Minimum duration in seconds to judge growth. In a shorter run, some hosts may never have one
/// behaviour during a whole probe.
const SETTLED: u64 = 600;

fn main() -> ExitCode {
    let seconds: u64 = setting("SOAK_SECONDS", 3600);
    let plan = Plan {
        endpoints: setting("SOAK_ENDPOINTS", 2000),
        interval: setting("SOAK_INTERVAL", 30),
        seed: setting("SOAK_SEED", 1),
        hold: setting("SOAK_HOLD", 150.0),
        timeout: setting("SOAK_TIMEOUT", 10),
    };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let testbed = runtime.block_on(Testbed::start(plan, folder.path()));
    write(&testbed, folder.path(), &BTreeSet::new());

    let monitor = Arc::new(Monitor::start(folder.path()));
    let began = Instant::now();
    wait_until("a look at everything", || monitor.get("/-/ready"));
    println!(
        "{} endpoints every {} s, seed {}; all were looked at once after {:.1} s",
        plan.endpoints,
        plan.interval,
        plan.seed,
        began.elapsed().as_secs_f64()
    );
    let mut comparison = Comparison::default();
    let attack = Attack::begin(&monitor, &testbed.hostile.targets);
    let place = folder.path();
    let samples = watch(
        &monitor,
        &testbed,
        place,
        seconds,
        plan.seed,
        &mut comparison,
    );
    let is_answered = attack.end();
    let is_steady = report(&samples, &folder.path().join("state"), seconds);
    let is_right = verdicts(&comparison, &testbed);
    let is_whole = print_coverage(&comparison, &testbed, seconds);
    if is_steady && is_right && is_whole && is_answered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints how many verdicts were correct.
fn verdicts(comparison: &Comparison, testbed: &Testbed) -> bool {
    for (label, count) in &comparison.by_label {
        println!("{count:>8}  {label}");
    }
    println!(
        "{} verdicts compared and {} more as told by the account's test, at {} of {} hosts, through {} outages of the API; \
         looks passed over: {} while their host changed, {} while this machine stood still",
        comparison.compared,
        comparison.remote,
        comparison.hosts.len(),
        testbed.hosts.len(),
        testbed.front.outages().len(),
        comparison.passed_over,
        comparison.late
    );
    if comparison.compared == 0 {
        println!("FAILED: nothing could be compared; a greater SOAK_SECONDS or SOAK_HOLD helps");
        return false;
    }
    if comparison.wrong > 0 {
        println!(
            "FAILED: {} verdicts were wrong; {} of them were old results with a new time",
            comparison.wrong, comparison.stale
        );
        return false;
    }
    println!("0 verdicts were wrong, 0 old results had a new time");
    true
}

/// Prints whether every host was probed regularly.
fn print_coverage(comparison: &Comparison, testbed: &Testbed, seconds: u64) -> bool {
    let bound = max_age(testbed);
    for (host, age) in comparison.overdue.iter().take(MAX_PRINTED) {
        println!("OVERDUE: {host} was last looked at {age:.0} s before");
    }
    let missing: Vec<&str> = testbed
        .hosts
        .iter()
        .map(|(host, _)| host.as_str())
        .filter(|host| !comparison.hosts.contains(*host))
        .collect();
    let mut is_whole = true;
    if !comparison.overdue.is_empty() {
        let count = comparison.overdue.len();
        println!(
            "FAILED: {count} hosts were not looked at for more than {bound:.0} s; where they are too many for \
             this machine, a greater SOAK_INTERVAL helps"
        );
        is_whole = false;
    }
    if !missing.is_empty() && seconds < SETTLED {
        println!(
            "{} hosts were never compared in so short a time",
            missing.len()
        );
    } else if !missing.is_empty() {
        let some = missing
            .get(..MAX_PRINTED.min(missing.len()))
            .unwrap_or_default();
        println!(
            "FAILED: {} hosts were never compared: {}",
            missing.len(),
            some.join(", ")
        );
        is_whole = false;
    }
    if is_whole {
        println!("no look was older than {bound:.0} s");
    }
    is_whole
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// The columns of a sample.
const COLUMNS: [&str; 14] = [
    "seconds",
    "MiB",
    "fds",
    "threads",
    "looks/s",
    "CPU s",
    "scrape ms",
    "series",
    "lag s",
    "probe ms",
    "oldest s",
    "looks",
    "compared",
    "wrong",
];
const MEMORY: usize = 1;
const FDS: usize = 2;

type Sample = [f64; COLUMNS.len()];

/// Scrapes, probes and reloads, and prints the state of the monitor.
fn watch(
    monitor: &Monitor,
    testbed: &Testbed,
    folder: &Path,
    seconds: u64,
    seed: u64,
    comparison: &mut Comparison,
) -> Vec<Sample> {
    let mut removed = BTreeSet::new();
    let mut chance = Chance(seed ^ 2);
    let began = Instant::now();
    let mut samples = Vec::new();
    let mut before: Option<(Instant, f64)> = None;
    println!("{}", COLUMNS.map(|name| format!("{name:>10}")).concat());
    let (mut round, mut printed) = (0, Duration::ZERO);
    let mut due = began;
    while began.elapsed() < Duration::from_secs(seconds) {
        // If a response took longer, the next round starts at once.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due = Instant::now().max(due) + SCRAPE_EVERY;
        round += 1;
        if round % RELOAD_EVERY == 0 {
            let back = std::mem::take(&mut removed);
            if back.is_empty() {
                let drawn = (0..testbed.hosts.len()).filter(|_| chance.percent(REMOVED));
                removed = drawn.collect();
            }
            let host = |number: &usize| testbed.hosts.get(*number).unwrap().0.as_str();
            removed
                .iter()
                .for_each(|number| comparison.remove(host(number)));
            write(testbed, folder, &removed);
            monitor.reload();
            back.iter()
                .for_each(|number| comparison.add(testbed, host(number)));
        }
        let asked = Instant::now();
        let text = monitor.get("/metrics").expect("a scrape");
        let scraped = asked.elapsed();
        comparison.scraped(testbed, &text, now());
        let asked = Instant::now();
        let present = |number: &usize| !removed.contains(number);
        let number = (0..)
            .map(|_| chance.below(testbed.hosts.len()))
            .find(present);
        let (host, kind) = testbed.hosts.get(number.unwrap()).unwrap();
        let from = now();
        let probe = monitor.get(&format!("/probe?target={host}:{}", testbed.port));
        let probed = asked.elapsed();
        let rows = read(&probe.expect("a probe")).remove(host);
        let rows = rows.unwrap_or_default();
        comparison.probed(testbed, host, *kind, &rows, from, now());
        monitor.get("/").expect("the page");
        monitor.get("/sd").expect("the targets");

        let sum = |name: &str| total(&text, name);
        let probes = sum("certvigil_probes_total");
        let rate = before.map_or(0.0, |(at, count)| {
            (probes - count) / asked.duration_since(at).as_secs_f64()
        });
        before = Some((asked, probes));
        let series = text.lines().filter(|l| !l.starts_with('#')).count();
        let sample = [
            began.elapsed().as_secs_f64(),
            sum("process_resident_memory_bytes") / f64::from(1 << 20),
            sum("process_open_fds"),
            sum("process_threads"),
            rate,
            sum("process_cpu_seconds_total"),
            scraped.as_secs_f64() * 1000.0,
            series as f64,
            sum("certvigil_cycle_lag_seconds"),
            probed.as_secs_f64() * 1000.0,
            comparison.oldest,
            probes,
            comparison.compared as f64,
            comparison.wrong as f64,
        ];
        let pause = PRINT_EVERY.min(Duration::from_secs(seconds / ROWS));
        if round == 1 || began.elapsed() >= printed + pause {
            printed = began.elapsed();
            println!("{}", row(&sample));
        }
        samples.push(sample);
    }
    samples
}

/// Writes the configuration without the entries of these hosts.
fn write(testbed: &Testbed, folder: &Path, without: &BTreeSet<usize>) {
    let text = testbed.configuration(without);
    fs::write(folder.join("certvigil.yml"), text).unwrap();
}

/// Floods of on-demand probes, and the response times of /-/healthy meanwhile.
struct Attack {
    is_over: Arc<AtomicBool>,
    floods: JoinHandle<usize>,
    health: JoinHandle<Vec<Duration>>,
}

impl Attack {
    fn begin(monitor: &Arc<Monitor>, targets: &[String]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, of_flood) = (is_over.clone(), monitor.clone());
        let targets = targets.to_vec();
        let floods = thread::spawn(move || {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                let probes: Vec<_> = targets
                    .iter()
                    .flat_map(|target| std::iter::repeat_n(target.clone(), FLOOD))
                    .map(|target| {
                        let monitor = of_flood.clone();
                        thread::spawn(move || monitor.get(&format!("/probe?target={target}")))
                    })
                    .collect();
                for probe in probes {
                    if let Some(text) = probe.join().unwrap() {
                        answered += 1;
                        assert_eq!(total(&text, "probe_success"), 0.0, "{text}");
                    }
                }
                thread::sleep(FLOOD_EVERY);
            }
            answered
        });
        let (over, monitor) = (is_over.clone(), monitor.clone());
        let health = thread::spawn(move || {
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                monitor.get("/-/healthy").expect("health");
                took.push(asked.elapsed());
                thread::sleep(HEALTH_EVERY);
            }
            took
        });
        Self {
            is_over,
            floods,
            health,
        }
    }

    /// Prints whether /-/healthy responded all the time.
    fn end(self) -> bool {
        self.is_over.store(true, Ordering::Relaxed);
        let mut took = self.health.join().unwrap();
        took.sort();
        let answered = self.floods.join().unwrap();
        let at = |share: f64| {
            let position = (took.len() as f64 * share) as usize;
            let took = took.get(position.min(took.len() - 1)).expect("an answer");
            took.as_secs_f64() * 1000.0
        };
        let slow = took.iter().filter(|took| **took > MAX_HEALTHY).count();
        let share = slow as f64 / took.len() as f64;
        println!(
            "{answered} probes of attackers were answered; /-/healthy took {:.1} ms in the middle, {:.1} ms at 99 %, {:.1} ms at most; \
             {slow} of {} answers took more than {} ms",
            at(0.5),
            at(0.99),
            at(1.0),
            took.len(),
            MAX_HEALTHY.as_millis()
        );
        if share > MAX_SLOW_SHARE {
            println!("FAILED: /-/healthy was slow");
            return false;
        }
        true
    }
}

fn row(sample: &Sample) -> String {
    sample.map(|value| format!("{value:>10.1}")).concat()
}

/// Prints the resources at the start and at the end, and whether they grew.
fn report(samples: &[Sample], state: &Path, seconds: u64) -> bool {
    let fold = |with: fn(f64, f64) -> f64| {
        let all = samples.iter().copied();
        all.reduce(|a, b| std::array::from_fn(|at| with(column(&a, at), column(&b, at))))
    };
    let rows = [
        ("first", samples.first().copied()),
        ("last", samples.last().copied()),
        ("min", fold(f64::min)),
        ("max", fold(f64::max)),
    ];
    for (name, sample) in rows {
        println!("{}  {name}", row(&sample.expect("a sample")));
    }
    let stored: u64 = fs::read_dir(state)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!("the state folder has {} KiB", stored >> 10);

    let third = samples.len() / 3;
    let mut parts = samples.rchunks(third.max(1));
    let (last, middle) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    let mean = |part: &[Sample]| {
        let sum: f64 = part.iter().map(|s| column(s, MEMORY)).sum();
        sum / part.len() as f64
    };
    // Descriptors of probes come and go; a leak raises the minimum.
    let fds = |part: &[Sample]| part.iter().map(|s| column(s, FDS)).fold(f64::MAX, f64::min);
    let growth = mean(last) / mean(middle);
    println!(
        "memory of the last third: {:.1} MiB, {:+.1} % of the middle third; file descriptors at least: {}, before {}",
        mean(last),
        (growth - 1.0) * 100.0,
        fds(last),
        fds(middle)
    );
    if seconds < SETTLED || middle.is_empty() {
        println!("too short to tell whether it grows: SOAK_SECONDS has to be {SETTLED} at least");
        return true;
    }
    let is_steady = growth <= MAX_GROWTH && fds(last) <= fds(middle) + MAX_MORE_FDS;
    if !is_steady {
        println!("FAILED: it grows");
    }
    is_steady
}

fn column(sample: &Sample, at: usize) -> f64 {
    sample.get(at).copied().unwrap_or_default()
}
