//! The measurements. Each function starts the processes that it needs, and can be run alone.

mod check;
mod config;
mod dns;
mod growth;
mod memory;
mod page;
mod probe;
mod serve;
mod start;

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use crate::common::address;
use crate::peers::{Client, certvigil};
use crate::table::Row;
use crate::testbed::{Testbed, name};

/// Default number of endpoints of a figure.
pub(crate) const ENDPOINTS: usize = 10_000;
/// Number of probes in one run.
const PROBES: usize = 2_000;
/// Number of concurrent clients that request probes.
const PROBERS: usize = 8;

/// A measurement with a number of rounds.
type Measure = fn(&Testbed, usize) -> Vec<Row>;

/// Every measurement with its name in `BENCH`.
pub(crate) const ALL: [(&str, Measure); 9] = [
    ("check", check::rows),
    ("config", config::rows),
    ("probe", probe::rows),
    ("memory", memory::rows),
    ("serve", serve::rows),
    ("dns", dns::rows),
    ("start", start::rows),
    ("growth", growth::rows),
    ("page", page::rows),
];

/// A `check` of `count` endpoints at a port for the testbed's certificate. Each endpoint has its
/// own name and address. The results go to the file `result`.
fn check_of(testbed: &Testbed, port: u16, count: usize, more: &[&str]) -> Command {
    let mut command = certvigil(testbed);
    command.args(["check", "--cert", "chain.pem", "--ca-file", "root.pem"]);
    command.args(["--format", "jsonl", "--output", RESULT]);
    command.args(more);
    for number in 0..count {
        let (name, ip) = (name(number), address(number));
        command.args(["--resolve", &format!("{name}:{port}:{ip}")]);
        command.arg(format!("{name}:{port}"));
    }
    command
}

const RESULT: &str = "result";

/// Asserts that a measured run was successful: every endpoint is correct and trusted.
fn assert_all_ok(testbed: &Testbed, count: usize) {
    let text = std::fs::read_to_string(testbed.path(RESULT)).unwrap();
    let is_ok = |line: &&str| {
        line.contains("\"correct\":true,\"chained\":true") && line.contains("\"trusted\":true")
    };
    let wrong = text.lines().find(|line| !is_ok(line));
    assert_eq!(wrong, None);
    assert_eq!(text.lines().count(), count);
}

/// Requests probes over a few persistent connections, and asserts that each is successful.
fn ask_for_probes(server: SocketAddr, path: impl Fn(usize) -> String + Sync) {
    thread::scope(|scope| {
        for first in 0..PROBERS {
            let path = &path;
            scope.spawn(move || {
                let mut client = Client::new(server);
                for number in (first..PROBES).step_by(PROBERS) {
                    let answer = client.get(&path(number));
                    let text = String::from_utf8_lossy(&answer);
                    assert!(text.contains("\nprobe_success 1\n"), "{text}");
                }
            });
        }
    });
}
