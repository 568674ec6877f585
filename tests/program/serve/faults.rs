//! Faults of the machine and of its operation while a monitor runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::fixture::exporter::Answer;
use crate::fixture::process::{run, signal};
use crate::fixture::tls::complete_handshake;
use crate::support::command;

/// Blocks all threads until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let closed = self.0.lock().unwrap();
        drop(self.1.wait_while(closed, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

/// A server at every IPv4 address that completes no handshake before the gate is open.
fn gated(pki: &Pki, leaf: &Leaf) -> (Server, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let (waits, config) = (gate.clone(), config(pki, leaf));
    let server = Server::start("0.0.0.0", move |stream| {
        waits.pass();
        complete_handshake(stream, &config);
    });
    (server, gate)
}

/// An entry for one host with `count` addresses.
fn at_many(pki: &Pki, leaf: &Leaf, count: u8, port: u16) -> String {
    let addresses: Vec<String> = (1..=count).map(|n| format!("127.0.9.{n}")).collect();
    let addresses = addresses.join(", ");
    let place = format!("hostnames: {HOST}, addresses: [{addresses}], port: {port}");
    expecting(pki, "web", leaf, &place)
}

/// `count` targets with one address each, at one port.
fn targets(pki: &Pki, leaf: &Leaf, count: usize, port: u16) -> Vec<String> {
    let places = (1..=count).map(|n| {
        let place = format!("hostnames: h{n}.example.com, addresses: 127.0.9.{n}, port: {port}");
        expecting(pki, &format!("web{n}"), leaf, &place)
    });
    places.collect()
}

#[test]
fn serve_limits_probes_to_few_descriptors_and_answers_clients() {
    const TARGETS: usize = 100;
    let pki = Pki::new();
    let leaf = pki.leaf(&["*.example.com"]);
    let (server, gate) = gated(&pki, &leaf);
    let config = inventory(
        &pki,
        LONG_TIMEOUT,
        "",
        &targets(&pki, &leaf, TARGETS, server.port()),
    );
    let args = ["--state-dir", "state"];
    let mut exporter = Exporter::start_limited(&config, "ulimit -n 64", &args);
    let most = exporter.log();
    let (_, most) = most
        .split_once("file descriptors: limit=")
        .expect("it is logged");
    let most: usize = most.split(' ').next().unwrap().parse().unwrap();
    // The other probes are for on-demand requests.
    let of_monitor = most - (most / 4).max(1);
    wait_until("as many looks as there may be are under way", || {
        (server.connections() >= of_monitor).then_some(())
    });
    // All probes are stuck, and all connection slots except one are in use.
    let idle: Vec<_> = (1..most)
        .map(|_| std::net::TcpStream::connect(exporter.address).unwrap())
        .collect();
    let metrics = exporter.get("/metrics");
    assert_eq!(metrics.sample("process_max_fds", &[]), Some(64.0));
    assert!(metrics.sample("process_open_fds", &[]) < Some(64.0));
    let under_way = metrics.sample("certvigil_probes_in_flight", &[]);
    assert_eq!(under_way, Some(of_monitor as f64));
    drop(idle);
    gate.open();
    let metrics = exporter.wait_for_metrics("every look is right", |metrics| {
        let correct = metrics.samples("certvigil_endpoint_correct", &[]);
        correct.len() == TARGETS && correct.iter().all(|s| s.ends_with(" 1"))
    });
    let failed = metrics.sample("certvigil_probes_total", &[r#"status="internal_error""#]);
    assert!(failed.unwrap_or_default() == 0.0, "{failed:?}");
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
    let log = exporter.log();
    assert!(
        !log.contains("cannot be") && !log.contains("panicked"),
        "{log}"
    );
}

#[test]
fn probe_flood_takes_at_most_half_of_the_connection_slots() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (server, _gate) = gated(&pki, &leaf);
    let config = inventory(
        &pki,
        LONG_TIMEOUT,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start_limited(&config, "ulimit -n 64", &[]);
    let log = exporter.log();
    let (_, seats) = log
        .split_once("file descriptors: limit=")
        .expect("it is logged");
    let seats: usize = seats.split(' ').next().unwrap().parse().unwrap();
    wait_for_probes(&server);
    let path = format!("/probe?target={HOST}:{}", server.port());
    let ask = || exporter.ask("GET", &path, &[], "");
    let mut stuck: Vec<_> = (0..seats / 2).map(|_| ask()).collect();
    // One of them has the connection slot of on-demand probes, and the other waits for it.
    assert_eq!(stuck.len(), 2);
    let brief = [("X-Prometheus-Scrape-Timeout-Seconds", "0.1")];
    wait_until("they are under way", || {
        let answer = exporter.request("GET", &path, &brief, "");
        if answer.status != 503 {
            // Another request may have evicted this one.
            stuck.push(ask());
            return None;
        }
        Some(())
    });
    let _more: Vec<_> = (0..seats).map(|_| ask()).collect();
    let busy = exporter.probe(&path);
    assert_eq!(busy.status, 503, "{}", busy.text());
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert_eq!(exporter.get("/metrics").status, 200);
}

#[test]
fn soft_descriptor_limit_is_raised_to_the_hard_limit() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let limits = "ulimit -Sn 64 && ulimit -Hn 3000";
    let exporter = Exporter::start_limited(&config, limits, &[]);
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert_eq!(metrics.sample("process_max_fds", &[]), Some(3000.0));
    assert!(!exporter.log().contains("at a time"), "{}", exporter.log());
}

/// Sets the soft limit of descriptors of a running process; the hard limit remains.
fn limit_descriptors(exporter: &Exporter, most: u32) {
    let pid = exporter.pid().to_string();
    run(Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={most}:")]));
}

#[test]
fn probes_fail_as_internal_without_descriptors_and_recover() {
    const TARGETS: usize = 100;
    let pki = Pki::new();
    let leaf = pki.leaf(&["*.example.com"]);
    let server = Server::tls("0.0.0.0", config(&pki, &leaf));
    let config = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &targets(&pki, &leaf, TARGETS, server.port()),
    );
    let mut exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    // As if other processes had used up the descriptors of the machine.
    limit_descriptors(&exporter, 3);
    wait_until("descriptors run out", || {
        let log = exporter.log();
        assert!(!log.contains("panicked"), "{log}");
        log.contains("error_kind=internal").then_some(())
    });
    limit_descriptors(&exporter, 1000);
    let metrics = exporter.wait_for_metrics("every look is right", |metrics| {
        let correct = metrics.samples("certvigil_endpoint_correct", &[]);
        correct.len() == TARGETS && correct.iter().all(|s| s.ends_with(" 1"))
    });
    let failed = metrics.sample("certvigil_probes_total", &[r#"status="internal_error""#]);
    assert!(failed > Some(0.0), "{failed:?}");
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}

#[test]
fn serve_monitors_500_endpoints_with_little_memory() {
    const TARGETS: usize = 500;
    let pki = Pki::new();
    let leaf = pki.leaf(&["*.example.com"]);
    let server = Server::tls("0.0.0.0", config(&pki, &leaf));
    let entries: Vec<String> = (1..=TARGETS)
        .map(|n| {
            let place = format!(
                "hostnames: h{n}.example.com, addresses: 127.0.{}.{}, port: {}",
                10 + n / 250,
                1 + n % 250,
                server.port()
            );
            expecting(&pki, &format!("web{n}"), &leaf, &place)
        })
        .collect();
    let config = inventory(&pki, "interval: 5s, timeout: 2s", "", &entries);
    let args = ["--state-dir", "state"];
    let mut exporter = Exporter::start_limited(&config, crate::support::LIMITED_MEMORY, &args);
    exporter.wait_for_metrics("every look is right", |metrics| {
        let correct = metrics.samples("certvigil_endpoint_correct", &[]);
        correct.len() == TARGETS && correct.iter().all(|s| s.ends_with(" 1"))
    });
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    assert_eq!(exporter.get("/").status, 200);
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}

#[test]
fn crash_writes_no_core_dump() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    // The monitor lowers the limit that the shell allows.
    let mut exporter =
        Exporter::start_limited(&config, "ulimit -c unlimited || ulimit -c hard", &[]);
    exporter.wait_until_ready();
    let of_process =
        |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", exporter.pid())).unwrap();
    let limits = of_process("limits");
    let limit = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = limit.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"]);
    exporter.signal("ABRT");
    use std::os::unix::process::ExitStatusExt as _;
    let status = exporter.ended();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

#[test]
fn full_disk_is_logged_and_probing_continues() {
    const ADDRESSES: u8 = 200;
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("0.0.0.0", config(&pki, &leaf));
    let entry = at_many(&pki, &leaf, ADDRESSES, server.port());
    let config = inventory(&pki, SHORT_INTERVAL, "", &[entry]);
    // The file size is limited, as on a full disk: enough to start, but not to continue.
    let limits = "trap '' XFSZ && ulimit -Sf 160";
    let mut exporter = Exporter::start_limited(&config, limits, &["--state-dir", "state"]);
    wait_until("it is told", || {
        let log = exporter.log();
        log.contains("the state cannot be kept: ").then_some(())
    });
    exporter.wait_until_ready();
    exporter.wait_for_metrics("it is a metric", |metrics| {
        metrics.sample("certvigil_state_up", &[]) == Some(0.0)
    });
    let when = || {
        let labels = [r#"ip="127.0.9.1""#];
        let metrics = exporter.get("/metrics");
        metrics.sample("certvigil_endpoint_last_check_timestamp_seconds", &labels)
    };
    let before = when();
    wait_until("it is looked at again", || (when() > before).then_some(()));
    // Once there is space, the pending records are written.
    let pid = exporter.pid().to_string();
    run(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]));
    wait_until("there is nothing that is not kept", || {
        let history: crate::support::Run = command()
            .args(["history", "--state-dir", "state", "--format", "json"])
            .current_dir(exporter.folder.path())
            .output()
            .unwrap()
            .into();
        let is_known = |n| history.stdout.contains(&format!("\"127.0.9.{n}\""));
        (1..=ADDRESSES).all(is_known).then_some(())
    });
    assert!(exporter.log().contains("the state is kept again"));
    exporter.wait_for_metrics("the metric is well again", |metrics| {
        metrics.sample("certvigil_state_up", &[]) == Some(1.0)
    });
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}

#[test]
fn sighup_during_a_cycle_loses_no_probe_and_sigint_stops_serve() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (server, gate) = gated(&pki, &leaf);
    let entries = [entry(&pki, "web", &leaf, server.port())];
    let config = inventory(&pki, LONG_TIMEOUT, "", &entries);
    let mut exporter = Exporter::start(&config, &["--state-dir", "state"], |_| {});
    wait_for_probes(&server);
    exporter.signal("HUP");
    wait_until("it has reloaded", || {
        exporter
            .log()
            .contains("configuration reloaded")
            .then_some(())
    });
    gate.open();
    exporter.wait_until_ready();
    let correct = exporter
        .get("/metrics")
        .sample("certvigil_endpoint_correct", &[]);
    assert_eq!(correct, Some(1.0));
    assert_eq!(server.connections(), 1);

    let (server, _gate) = gated(&pki, &leaf);
    exporter.write_config(&inventory(
        &pki,
        LONG_TIMEOUT,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    ));
    exporter.signal("HUP");
    wait_for_probes(&server);
    exporter.signal("INT");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}

#[test]
fn serve_continues_if_its_log_is_not_read() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certvigil.yml");
    let text = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    std::fs::write(&file, text).unwrap();
    let mut child = command()
        .args(["serve", "-vv", "--web.listen-address", "127.0.0.1:0"])
        .arg("--config")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    log.find(|line| line.as_ref().unwrap().contains("listening: address="));
    drop(log);
    // Each probe and the reload would be logged.
    signal(&child, "HUP");
    let before = server.connections();
    wait_until("more looks", || {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        (server.connections() > before + 1).then_some(())
    });
    signal(&child, "TERM");
    let status = wait_until("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

/// The file size is limited, as on a full disk, from the start.
#[test]
#[cfg(target_os = "linux")]
fn full_disk_at_the_start_is_logged_and_the_state_is_kept_once_there_is_space() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entries = [entry(&pki, "web", &leaf, server.port())];
    let config = inventory(&pki, SHORT_INTERVAL, "", &entries);
    // Enough for the log, but not for a database.
    let limits = "trap '' XFSZ && ulimit -Sf 16";
    let mut exporter = Exporter::start_limited(&config, limits, &["--state-dir", "state"]);
    exporter.wait_until_ready();
    assert!(exporter.log().contains("the state cannot be kept: "));
    let state_up = |metrics: &Answer| metrics.sample("certvigil_state_up", &[]);
    let metrics = exporter.get("/metrics");
    assert_eq!(state_up(&metrics), Some(0.0));
    let correct = [r#"vantage="local""#];
    assert_eq!(
        metrics.sample("certvigil_endpoint_correct", &correct),
        Some(1.0)
    );
    let pid = exporter.pid().to_string();
    run(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]));
    exporter.wait_for_metrics("the state is kept", |metrics| {
        state_up(metrics) == Some(1.0)
    });
    assert!(exporter.log().contains("the state is kept again"));
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}

/// Sets the write version in the header of a database that no process has open. SQLite does not write
/// into one of version 3 (<https://www.sqlite.org/fileformat2.html>, section 1.3.3), even as root.
fn set_write_version(exporter: &Exporter, version: u8) {
    const AT: usize = 18;
    let file = exporter.folder.path().join("state/certvigil.db");
    let mut content = std::fs::read(&file).unwrap();
    content[AT] = version;
    std::fs::write(file, content).unwrap();
}

/// The database is read-only from the start. Nothing is probed again once it can be written: the
/// results are those from before.
#[test]
fn read_only_database_is_logged_and_results_are_kept_once_it_can_be_written() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let state = ["--state-dir", "state"];
    let without = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let mut exporter = Exporter::start(&without, &state, |_| {});
    exporter.wait_until_ready();
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
    set_write_version(&exporter, 3);

    let entries = [entry(&pki, "web", &leaf, server.port())];
    let config = inventory(&pki, LONG_INTERVAL, "", &entries);
    let mut exporter = Exporter::start_in(exporter.kill(), &config, &state);
    exporter.wait_until_ready();
    let metrics = exporter.wait_for_metrics("the state cannot be kept", |metrics| {
        metrics.sample("certvigil_state_up", &[]) == Some(0.0)
    });
    let log = exporter.log();
    assert!(log.contains("the state cannot be kept: "), "{log}");
    assert!(log.contains("certvigil.db"), "{log}");
    let web = [r#"certificate="web""#];
    let correct = metrics.sample("certvigil_endpoint_correct", &web);
    assert_eq!(correct, Some(1.0));
    set_write_version(&exporter, 2);
    exporter.wait_for_metrics("the state is kept", |metrics| {
        metrics.sample("certvigil_state_up", &[]) == Some(1.0)
    });
    assert_eq!(server.connections(), 1, "{}", exporter.log());
    let history: crate::support::Run = command()
        .args(["history", "--state-dir", "state", "--format", "json"])
        .current_dir(exporter.folder.path())
        .output()
        .unwrap()
        .into();
    let sha256 = leaf.certificate.sha256().to_string();
    assert!(history.stdout.contains(&sha256), "{}", history.stdout);
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
}

/// Endpoints that have had no result since the start, because others hold the permits of their
/// address, are overdue. Their probes have started.
#[test]
fn endpoints_that_wait_since_the_start_count_in_the_lag() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (server, gate) = gated(&pki, &leaf);
    let entries: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| entry(&pki, name, &leaf, server.port()))
        .collect();
    let defaults = format!("{LONG_TIMEOUT}, per_address: 1");
    let exporter = Exporter::start(&inventory(&pki, &defaults, "", &entries), &[], |_| {});
    wait_for_probes(&server);
    let lag = |metrics: &Answer| metrics.sample("certvigil_cycle_lag_seconds", &[]);
    exporter.wait_for_metrics("the others are overdue", |metrics| {
        lag(metrics).is_some_and(|lag| lag > 1.0)
    });
    gate.open();
    exporter.wait_until_ready();
    exporter.wait_for_metrics("no probe waits", |metrics| lag(metrics) == Some(0.0));
}
