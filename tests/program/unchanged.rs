//! The results for the testbed remain the same word for word after optimisations.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use certvigil::judge::TrustStore;
use certvigil::model::Timestamp;
use certvigil::probe::Prober;
use certvigil::report;
use certvigil::resolve::{Families, Resolver};
use certvigil::revocation::Revocations;
use certvigil::scan::{Permits, ProbeOptions, Scanner, prepare};
use certvigil::source::{Requests, Sources};
use certvigil::testbed::{Scenario, environment};

use crate::support::REWRITE;

const FILE: &str = "tests/program/testdata/lab.jsonl";
const NOW: Timestamp = Timestamp(1_800_000_000);
/// Timeouts of a probe, in seconds. One server uses the whole timeout, so the first is short; a
/// busy machine gets longer ones.
const TIMEOUTS: [u64; 3] = [3, 12, 48];

/// All probes of the testbed as JSON Lines, judged as of one moment. Also returns the hosts that
/// are missing because the machine lacks their addresses, such as IPv6.
async fn looks(timeout: Duration) -> (String, Vec<String>) {
    let lab = certvigil::testbed::start(Scenario::demo().unwrap(), NOW)
        .await
        .unwrap();
    let left_out = lab.left_out().iter().map(|host| host.name.to_string());
    let left_out = left_out.collect();
    let inventory = certvigil::testbed::inventory(&lab);
    let sources = Sources::new(&inventory, &environment(), Requests::default()).unwrap();
    let sources = Arc::new(sources);
    let wanted = inventory.vantages.iter().map(|v| v.name.clone()).collect();
    let remotes = certvigil::remote::remotes(&sources, &inventory.vantages, &wanted).unwrap();
    let mut trust = TrustStore::default();
    trust.add(lab.root()).unwrap();
    let options = ProbeOptions {
        timeout,
        trust: Arc::new(trust),
        own_trust: Arc::default(),
        reaches: Arc::default(),
    };
    let resolver = Resolver::new(Families::Both, lab.overrides(), Vec::new());
    let resolver = Arc::new(resolver);
    let entries: Vec<_> = inventory.certificates.iter().collect();
    let jobs = prepare(&sources, &resolver, &entries, &options, 10 * timeout).await;
    let scanner = Scanner {
        revocations: Arc::new(Revocations::new(sources.http_for_others())),
        sources,
        resolver,
        prober: Arc::new(Prober::new().unwrap()),
        local: true,
        remotes: remotes.into(),
        permits: Arc::new(Permits::new(64, inventory.defaults.per_address)),
    };
    let scan = scanner.scan(jobs, NOW, std::future::pending(), |_| {});
    (report::jsonl(&scan.await.results), left_out)
}

/// Removes durations, and replaces values that are new in each testbed: hashes, serial numbers, the
/// port. The replacement is the number of the first occurrence, so that equal values remain equal.
fn stable(told: &str) -> String {
    let mut known = HashMap::new();
    let mut out = String::new();
    for line in told.lines() {
        let (line, timings) = line.split_once("\"timings_ms\":").unwrap();
        let (_, port) = line.split_once("\"port\":").unwrap();
        let (port, _) = port.split_once(',').unwrap();
        let line = without_hashes(line, &mut known).replace(port, "PORT");
        out.push_str(&without_numbers(&line, "within "));
        out.push_str("\"timings_ms\":");
        out.push_str(&without_numbers(timings, ":"));
        out.push('\n');
    }
    out
}

/// Minimum number of hexadecimal digits of a hash or a serial number.
const SHORTEST_HASH: usize = 32;

fn without_hashes(line: &str, known: &mut HashMap<String, usize>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit());
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        if word.len() < SHORTEST_HASH {
            out.push_str(word);
        } else {
            let number = known.len();
            let number = known.entry(word.to_owned()).or_insert(number);
            out.push_str(&format!("HASH{number}"));
        }
        let next = after.chars().next();
        out.extend(next);
        rest = &after[next.map_or(0, char::len_utf8)..];
    }
    out
}

/// The text with every number after `before` replaced by N.
fn without_numbers(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(before);
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        if rest.len() < part.len() {
            out.push('N');
        }
        out.push_str(rest);
    }
    out
}

/// The stable text without these hosts, with all numbers as if the hosts had never existed.
fn of_any_number(stable: &str, without: &[String]) -> String {
    let is_there = |line: &&str| !without.iter().any(|host| line.contains(host));
    let lines = stable.lines().filter(is_there);
    let mut known = HashMap::new();
    let mut out = String::new();
    for line in lines {
        let mut parts = line.split("HASH");
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let (number, _) = part.split_at(part.len() - rest.len());
            let next = known.len();
            let number = known.entry(number.to_owned()).or_insert(next);
            out.push_str(&format!("HASH{number}{rest}"));
        }
        out.push('\n');
    }
    // The ID of each certificate of the account is the number of its host.
    without_numbers(&out, "\"id\":")
}

#[test]
fn json_of_the_testbed_is_unchanged() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let told = |seconds| {
        let (told, left_out) = runtime.block_on(looks(Duration::from_secs(seconds)));
        (stable(&told), left_out)
    };
    if std::env::var_os(REWRITE).is_some() {
        let (now, left_out) = told(TIMEOUTS[2]);
        assert_eq!(
            left_out, [""; 0],
            "this machine lacks addresses of the testbed"
        );
        fs::write(&file, now).unwrap();
    }
    let whole = fs::read_to_string(&file).unwrap();
    let mut tries = TIMEOUTS.into_iter().map(|seconds| {
        let (now, left_out) = told(seconds);
        if left_out.is_empty() {
            return (now, whole.clone());
        }
        // Not a macro: its output appears only if a test fails.
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "without IPv6, nothing is compared of {left_out:?}");
        (of_any_number(&now, &[]), of_any_number(&whole, &left_out))
    });
    let mut last = tries.next().unwrap();
    while last.0 != last.1
        && let Some(next) = tries.next()
    {
        last = next;
    }
    let (now, before) = last;
    assert!(before.lines().count() > 20, "{before}");
    for (now, before) in now.lines().zip(before.lines()) {
        assert_eq!(
            now, before,
            "run this test with {REWRITE}=1 where that is meant"
        );
    }
    assert_eq!(now.lines().count(), before.lines().count());
}
