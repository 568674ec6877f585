//! Three replicas that probe when Prometheus scrapes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::common::total;
use crate::measure::{cpu, resident};
use crate::peers::{Peer, free_port};
use crate::table::short;
use crate::testbed::Testbed;

use super::{Figure, MIB, configuration, cost, fetch, plan, shipped, wait_long};

/// The number in the shipped configuration.
const REPLICAS: u8 = 3;
/// Divisor of the whole time: the replicas' own work is measured for this part of it.
const IDLE_DIVISOR: u32 = 8;
/// Path of a Prometheus query.
const QUERY: &str = "/api/v1/query?query=";

/// Parameters of the measurement.
pub(super) struct Watch {
    pub(super) count: usize,
    /// Seconds between two probes of a target.
    pub(super) interval: u64,
    pub(super) seconds: Duration,
}

pub(super) fn figures(testbed: &Testbed, port: u16, watch: &Watch) -> Vec<Figure> {
    let replicas = start(testbed, port, watch.count);
    let all = |of: fn(&std::process::Child) -> f64| -> f64 {
        replicas.iter().map(|replica| of(&replica.child)).sum()
    };
    let listed = fetch(replicas[0].address, "/sd").len() as f64;
    // The replicas' own first round continues at a fixed rate, so its cost is subtracted.
    let (before, begun) = (all(cpu), Instant::now());
    thread::sleep(watch.seconds / IDLE_DIVISOR);
    let idle = (all(cpu) - before) / begun.elapsed().as_secs_f64();

    let sd = cost(&replicas[0], idle / f64::from(REPLICAS), || {
        fetch(replicas[0].address, "/sd");
    });

    let config = sharded(&replicas, watch.interval, "");
    fs::write(testbed.path("prometheus.yml"), config).unwrap();
    fs::write(testbed.path("rules.yml"), shipped("rules.yml", &[])).unwrap();
    let prometheus = Peer::prometheus(testbed, 2 * watch.interval);
    wait_long("all targets in Prometheus", || {
        let metrics = fetch(prometheus.address, "/metrics");
        let pool = "prometheus_target_scrape_pool_targets";
        // The replicas themselves are targets too.
        (total(&metrics, pool) == watch.count as f64 + f64::from(REPLICAS)).then_some(())
    });
    let discovered = cpu(&prometheus.child);
    let empty = resident(&prometheus.child);
    let head = || {
        total(
            &fetch(prometheus.address, "/metrics"),
            "prometheus_tsdb_head_series",
        )
    };
    let answered = || value(&prometheus, "sum(count_over_time(probe_success[1d]))");

    let (series, probes, begun) = (head(), answered(), Instant::now());
    let (looked, asked) = (all(cpu), cpu(&prometheus.child));
    thread::sleep(watch.seconds);
    let took = begun.elapsed().as_secs_f64();
    let (looked, asked) = (all(cpu) - looked, cpu(&prometheus.child) - asked);
    let held = resident(&prometheus.child);
    let (series, probes) = (head() - series, answered() - probes);
    let whole = head();
    let failed = value(
        &prometheus,
        "sum(count_over_time(probe_success[1d])) - sum(sum_over_time(probe_success[1d]))",
    ) + value(&prometheus, r#"count(up{job="certvigil-probe"} == 0)"#);
    let samples = value(
        &prometheus,
        r#"max(scrape_samples_scraped{job="certvigil-probe"})"#,
    ) + 5.0;
    let memory = all(resident) / f64::from(REPLICAS) / MIB;
    let rules = rules(testbed, &prometheus, &replicas, watch.interval);
    let shares = shares(&prometheus, watch.count);

    let own = short(idle / f64::from(REPLICAS) * 100.0);
    vec![
        Figure::new(
            "replicas",
            f64::from(REPLICAS),
            "",
            "with the same inventory, behind one Prometheus",
        ),
        Figure::new(
            "targets that belong to one replica",
            watch.count as f64,
            "",
            format!("all of them, each once; the replicas have {shares}"),
        ),
        Figure::new(
            "probes a second",
            probes / took,
            "",
            format!(
                "each target every {} s, watched for {took:.0} s",
                watch.interval
            ),
        ),
        Figure::new("probes that failed", failed, "", format!("of {probes}")),
        Figure::new(
            plan::PROBE,
            (looked - idle * took) / probes * 1e6,
            "µs",
            format!(
                "all replicas; their own first round took {own} % of a core each and is not in it"
            ),
        ),
        Figure::new(
            "memory of a replica",
            memory,
            "MiB",
            "before its own round is over, on average",
        ),
        Figure::new(
            plan::SD,
            listed / MIB,
            "MiB",
            format!("{} ms of CPU each time", short(sd * 1000.0)),
        ),
        Figure::new(
            "CPU of Prometheus to discover all targets",
            discovered,
            "s",
            "all three replicas name all of them",
        ),
        Figure::new(plan::SAMPLES, samples, "", "five of them Prometheus' own"),
        Figure::new(
            plan::INGESTED,
            asked / probes * 1e6,
            "µs",
            "asks, reads and keeps",
        ),
        Figure::new(
            "memory of Prometheus",
            held / MIB,
            "MiB",
            format!(
                "{whole} series; {} MiB before the first of them",
                short(empty / MIB)
            ),
        ),
        Figure::new(
            plan::SERIES_MEMORY,
            (held - empty).max(0.0) / series / 1024.0,
            "KiB",
            format!("{series} more series"),
        ),
        Figure::new(
            "time of evaluating all shipped rules once",
            rules,
            "s",
            "with the series that there were then",
        ),
    ]
}

/// Starts the replicas and waits until every source is read. In the shipped configuration, the
/// names of the replicas end in their numbers and share one port, as these addresses do.
fn start(testbed: &Testbed, port: u16, count: usize) -> Vec<Peer> {
    fs::write(
        testbed.path("certvigil.yml"),
        configuration(testbed, port, count, "12h"),
    )
    .unwrap();
    let port = free_port();
    let replicas = (0..REPLICAS).map(|number| {
        let listen = SocketAddr::from((Ipv4Addr::new(127, 0, 7, 10 + number), port));
        Peer::replica(testbed, listen)
    });
    let replicas: Vec<Peer> = replicas.collect();
    for replica in &replicas {
        wait_long("a replica that knows every target", || {
            let listed = fetch(replica.address, "/sd");
            (listed.matches("\"targets\"").count() == count).then_some(())
        });
    }
    replicas
}

/// The shipped configuration for three replicas, with these addresses, other intervals and other
/// rules.
fn sharded(replicas: &[Peer], interval: u64, rules: &str) -> String {
    let listed: Vec<String> = replicas.iter().map(|r| r.address.to_string()).collect();
    let place = format!("127.0.7.1$1:{}", replicas[0].address.port());
    let interval = format!("scrape_interval: {interval}s");
    shipped(
        "prometheus-sharded.yml",
        &[
            ("certvigil-$1:10843", &place),
            ("certvigil-0:10843", &listed[0]),
            ("certvigil-1:10843", &listed[1]),
            ("certvigil-2:10843", &listed[2]),
            ("scrape_interval: 2m", &interval),
            // One refresh is measured separately.
            ("refresh_interval: 1m", "refresh_interval: 1h"),
            ("rule_files:\n  - rules.yml\n", rules),
        ],
    )
}

/// Duration of one evaluation of the shipped rules in seconds.
fn rules(testbed: &Testbed, prometheus: &Peer, replicas: &[Peer], interval: u64) -> f64 {
    let config = sharded(replicas, interval, "rule_files: [rules.yml]\n");
    fs::write(testbed.path("prometheus.yml"), config).unwrap();
    let pid = prometheus.child.id().to_string();
    let status = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    assert!(status.success());
    wait_long("an evaluation of the rules", || {
        let metrics = fetch(prometheus.address, "/metrics");
        let last = "prometheus_rule_group_last_evaluation_timestamp_seconds";
        let groups: Vec<&str> = metrics.lines().filter(|l| l.starts_with(last)).collect();
        let are_done = groups.iter().all(|line| {
            let value = line
                .rsplit_once(' ')
                .and_then(|(_, v)| v.parse::<f64>().ok());
            value.is_some_and(|value| value > 0.0)
        });
        let seconds = total(&metrics, "prometheus_rule_group_last_duration_seconds");
        (!groups.is_empty() && are_done).then_some(seconds)
    })
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    value: (f64, String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<Active>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    labels: BTreeMap<String, String>,
    scrape_url: String,
}

/// The value of an expression with one series; zero if there is none.
fn value(prometheus: &Peer, expression: &str) -> f64 {
    let encoded: String = byte_serialize(expression.as_bytes()).collect();
    let answer = fetch(prometheus.address, &format!("{QUERY}{encoded}"));
    let answer: Answer<Vector> = serde_json::from_str(&answer).unwrap();
    let first = answer.data.result.first();
    first.map_or(0.0, |sample| sample.value.1.parse().unwrap())
}

/// Number of targets of each replica. Asserts that each target occurs once.
fn shares(prometheus: &Peer, count: usize) -> String {
    let answer = fetch(prometheus.address, "/api/v1/targets?state=active");
    let answer: Answer<Targets> = serde_json::from_str(&answer).unwrap();
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for target in answer.data.active_targets {
        if target
            .labels
            .get("job")
            .is_some_and(|job| job == "certvigil-probe")
        {
            let url: Url = target.scrape_url.parse().unwrap();
            *shares
                .entry(url.host_str().unwrap().to_owned())
                .or_default() += 1;
            let instance = target.labels.get("instance").unwrap().clone();
            assert!(known.insert(instance), "a target is there twice");
        }
    }
    assert_eq!(known.len(), count, "targets");
    assert_eq!(shares.len(), usize::from(REPLICAS), "{shares:?}");
    let shares: Vec<String> = shares.values().map(usize::to_string).collect();
    shares.join(", ")
}
