//! Comparison of the monitor's results with the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::REFRESH;
use super::clock::{Seconds, now};
use super::front::Outage;
use super::hostile::{HOSTILE_VANTAGE, MAX_ROWS_REPORTED};
use super::testbed::Testbed;
use super::truth::{Fact, Flags, Kind, ReportedResult, Truth};

/// Maximum wrong verdicts that are printed in full.
const MAX_PRINTED: usize = 300;
/// Maximum duration of a source request as a multiple of the probe timeout; a test by another
/// vantage has the same limit.
const MAX_REQUEST_TIME: f64 = 3.0;
/// Maximum duration of a probe as a multiple of its timeout, if many wait for a permit.
const MAX_PROBE_TIME: f64 = 1.5;
/// Maximum concurrent source requests.
const MAX_CONCURRENT_REQUESTS: usize = 8;
/// Additional time of any wait on a busy machine.
const SLACK: Seconds = 3.0;
/// Number of intervals within which each host is probed once, if the load permits.
const MAX_INTERVALS: Seconds = 2.0;
/// Number of refresh intervals after which a source is stale.
const STALE_INTERVALS: f64 = 2.0;

/// One endpoint of an exposition.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) told: ReportedResult,
    ended: Seconds,
}

/// The endpoints of one host, by vantage and address.
type Rows = BTreeMap<(String, String), Row>;

/// Reads the endpoints of an exposition, by host.
pub(crate) fn read(text: &str) -> HashMap<String, Rows> {
    let mut hosts: HashMap<String, Rows> = HashMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("certvigil_endpoint_") else {
            continue;
        };
        let Some((metric, rest)) = rest.split_once('{') else {
            continue;
        };
        let Some((labels, value)) = rest.rsplit_once("} ") else {
            continue;
        };
        let label = |name: &str| of_label(labels, name).unwrap_or_default();
        let is_true = value == "1";
        let rows = hosts.entry(label("hostname").to_owned()).or_default();
        let key = (label("vantage").to_owned(), label("ip").to_owned());
        let row = rows.entry(key).or_default();
        let told = &mut row.told;
        let mut flag = |set: fn(&mut Flags, bool)| {
            set(told.flags.get_or_insert_default(), is_true);
        };
        match metric {
            "correct" => flag(|f, is| f.correct = is),
            "chained" => flag(|f, is| f.chained = is),
            "dummy" => flag(|f, is| f.dummy = is),
            "trusted" => flag(|f, is| f.trusted = is),
            "hostname_match" => flag(|f, is| f.hostname_match = is),
            "status" if is_true => told.status = label("status").to_owned(),
            "error" => told.error_kind = Some(label("error_kind").to_owned()),
            "finding" => {
                let finding = (label("code").to_owned(), label("severity").to_owned());
                told.findings.insert(finding);
            }
            "last_check_timestamp_seconds" => row.ended = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    hosts
}

/// Finds a label's value. No value in the testbed has a quotation mark.
fn of_label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = labels;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if key == name {
            return Some(value);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// Findings from the comparison of several endpoints. They are added when all of them have been
/// probed.
const COMPARING: [&str; 3] = ["unreachable", "addresses_disagree", "vantages_disagree"];
/// Age in seconds, relative to the scrape, from which on results with about the same time are those
/// of a probe that has ended at all addresses. Times are in whole seconds.
const SETTLED_AFTER: Seconds = 3.0;
/// Maximum difference in seconds between results with about the same time.
const CLOSE: Seconds = 2.0;

/// Number of compared verdicts, and the results.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) compared: usize,
    pub(crate) wrong: usize,
    /// Wrong verdicts that were correct before: old results with a new time.
    pub(crate) stale: usize,
    /// Probes of hosts that changed, or during which this machine stalled.
    pub(crate) passed_over: usize,
    pub(crate) late: usize,
    pub(crate) remote: usize,
    /// Counts by the server's behaviour.
    pub(crate) by_label: BTreeMap<String, usize>,
    /// The last compared result by host, vantage and address: its time, and true if it was compared
    /// with all findings.
    seen: HashMap<(String, String, String), (Seconds, bool)>,
    pub(crate) hosts: BTreeSet<String>,
    /// Maximum age of an endpoint's last probe in seconds.
    pub(crate) oldest: Seconds,
    /// Hosts whose last probe was older than [`max_age`], with the maximum age.
    pub(crate) overdue: BTreeMap<String, Seconds>,
    /// Hosts that the configuration lacks, or lacked. The time is that from which on they must be
    /// probed again.
    absent: HashMap<String, Seconds>,
}

impl Comparison {
    /// Records that the configuration lacks a host from now on.
    pub(crate) fn remove(&mut self, host: &str) {
        self.absent.insert(host.to_owned(), Seconds::INFINITY);
    }

    /// Records that the configuration has a host again.
    pub(crate) fn add(&mut self, testbed: &Testbed, host: &str) {
        self.absent
            .insert(host.to_owned(), now() + max_age(testbed));
    }

    fn is_absent(&self, host: &str, at: Seconds) -> bool {
        self.absent.get(host).is_some_and(|until| at < *until)
    }

    /// Compares each new result in a complete exposition.
    pub(crate) fn scraped(&mut self, testbed: &Testbed, text: &str, at: Seconds) {
        let told = read(text);
        self.oldest = 0.0;
        let none = Rows::new();
        for (host, kind) in &testbed.hosts {
            let is_absent = self.is_absent(host, at);
            let rows = told.get(host).unwrap_or(&none);
            if !is_absent {
                self.present(testbed, host, rows, at);
            }
            let of_hostile = rows
                .keys()
                .filter(|(vantage, _)| vantage == HOSTILE_VANTAGE);
            let count = of_hostile.count();
            if count > MAX_ROWS_REPORTED {
                self.fail(
                    host,
                    format!("{count} rows of the hostile vantage are reported"),
                );
            }
            for (key, row) in rows {
                if key.0 != HOSTILE_VANTAGE {
                    self.row(testbed, host, *kind, key, row, rows, at);
                }
            }
        }
    }

    /// Compares the addresses that have results, and records their age.
    fn present(&mut self, testbed: &Testbed, host: &str, rows: &Rows, at: Seconds) {
        let own = |vantage: &str| vantage != HOSTILE_VANTAGE;
        let ends = rows
            .iter()
            .filter(|((vantage, _), _)| vantage == "local")
            .map(|(_, row)| row.ended);
        let last = ends.fold(at, f64::min);
        let age = at - last;
        self.oldest = self.oldest.max(age);
        if age > max_age(testbed) && !testbed.has_stalled(last, at) {
            let known = self.overdue.entry(host.to_owned()).or_default();
            *known = known.max(age);
        }
        let from = at - max_age(testbed);
        if testbed.has_stalled(from, at) {
            return;
        }
        let Some(truth) = testbed.book.during(host, from, at) else {
            return;
        };
        for ip in truth.certain() {
            if !rows.contains_key(&("local".to_owned(), ip.clone())) {
                self.fail(host, format!("`{ip}` has no result"));
            }
        }
        for (vantage, ip) in rows.keys().filter(|(vantage, _)| own(vantage)) {
            if vantage == "local" && truth.at(ip).is_none() {
                self.fail(host, format!("`{ip}` has a result, and is not there"));
            }
        }
    }

    /// Compares one result if it is new.
    #[expect(clippy::too_many_arguments, reason = "a row with its origin")]
    fn row(
        &mut self,
        testbed: &Testbed,
        host: &str,
        kind: Kind,
        key: &(String, String),
        row: &Row,
        rows: &Rows,
        at: Seconds,
    ) {
        let (vantage, ip) = key;
        let longest = match vantage.as_str() {
            "local" => MAX_PROBE_TIME,
            _ => MAX_REQUEST_TIME,
        };
        // Times are in whole seconds.
        let from = row.ended - longest * testbed.timeout - SLACK;
        let until = row.ended + 1.0;
        let seen = (host.to_owned(), vantage.clone(), ip.clone());
        let known = self.seen.get(&seen).copied();
        let is_new = known.is_none_or(|(ended, _)| ended != row.ended);
        let is_known_whole = known.is_some_and(|(ended, whole)| ended == row.ended && whole);
        if is_known_whole {
            return;
        }
        // All findings are there once the probe of the last address has ended, in the same period. A
        // new address has no result until then.
        let of_vantage = || rows.iter().filter(|((of, _), _)| of == vantage);
        let newest = of_vantage().map(|(_, row)| row.ended).fold(0.0, f64::max);
        let oldest = of_vantage().map(|(_, row)| row.ended).fold(at, f64::min);
        let first = oldest - longest * testbed.timeout - SLACK;
        let whole = testbed.book.during(host, first, at);
        // If the times differ, the older result may be of the last cycle, and the probe of its
        // address take as long as the timeout.
        let spread = newest - oldest;
        let settled_after = match spread <= CLOSE {
            true => SETTLED_AFTER,
            false => testbed.timeout + SLACK,
        };
        let is_settled = spread <= testbed.timeout + SLACK && at - newest >= settled_after;
        let has_row = |ip: &String| rows.contains_key(&(vantage.clone(), ip.clone()));
        let has_all = whole
            .as_ref()
            .is_some_and(|truth| truth.certain().all(has_row));
        let is_whole = has_all && is_settled;
        self.seen.insert(seen, (row.ended, is_whole));
        if !is_new && !is_whole {
            return;
        }
        let truth = match whole.filter(|_| is_whole) {
            Some(truth) => truth,
            None => {
                let Some(truth) = testbed.book.during(host, from, until) else {
                    self.passed_over += 1;
                    return;
                };
                truth
            }
        };
        if testbed.has_stalled(from.min(first), at) {
            self.late += 1;
            return;
        }
        if vantage != "local" {
            return self.remote(testbed, host, ip, row, &truth, (from, until));
        }
        let ips = of_vantage().map(|((_, ip), _)| ip.as_str());
        let facts = truth.of(ips);
        let Some(fact) = facts.get(ip).or_else(|| truth.at(ip)) else {
            return self.fail(host, format!("`{ip}` has a result, and is not there"));
        };
        let fact = fact.clone();
        let stale = match kind {
            Kind::Sslmate => staleness(testbed, from, until),
            _ => Staleness::Never,
        };
        self.hosts.insert(host.to_owned());
        self.local(
            testbed, host, kind, ip, row, &fact, stale, is_whole, from, rows,
        );
    }

    /// Compares the response to an on-demand probe with a timeout.
    pub(crate) fn probed(
        &mut self,
        testbed: &Testbed,
        host: &str,
        kind: Kind,
        rows: &Rows,
        from: Seconds,
        until: Seconds,
    ) {
        let Some(truth) = testbed.book.during(host, from, until) else {
            self.passed_over += 1;
            return;
        };
        if testbed.has_stalled(from, until) {
            self.late += 1;
            return;
        }
        let stale = match kind {
            Kind::Sslmate => staleness(testbed, from, until),
            _ => Staleness::Never,
        };
        let facts = truth.of(rows.keys().map(|(_, ip)| ip.as_str())).clone();
        for (ip, fact) in &facts {
            match rows.get(&("local".to_owned(), ip.clone())) {
                Some(row) => {
                    self.local(testbed, host, kind, ip, row, fact, stale, true, from, rows)
                }
                None => self.fail(host, format!("`{ip}` ({}) was not probed", fact.label)),
            }
        }
        for (_, ip) in rows.keys().filter(|(_, ip)| !facts.contains_key(ip)) {
            self.fail(host, format!("`{ip}` was probed, and is not there"));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a row with its origin")]
    fn local(
        &mut self,
        testbed: &Testbed,
        host: &str,
        kind: Kind,
        ip: &str,
        row: &Row,
        fact: &Fact,
        stale: Staleness,
        is_whole: bool,
        from: Seconds,
        rows: &Rows,
    ) {
        let Fact { told, label } = fact;
        self.compared += 1;
        *self.by_label.entry(label.clone()).or_default() += 1;
        let mut seen = row.told.clone();
        let is_stale = seen
            .findings
            .remove(&("source_stale".to_owned(), "warning".to_owned()));
        let fits = match stale {
            Staleness::Never => !is_stale,
            Staleness::Certain => is_stale,
            Staleness::Unknown => true,
        };
        if !fits {
            let which = if is_stale { "" } else { "not " };
            self.fail(host, format!("{ip} ({label}) is {which}reported as stale"));
        }
        let shown = |told: &ReportedResult| compared(told, kind, is_whole);
        let (should, is) = (shown(told), shown(&seen));
        if should != is {
            let was = |truth: &Truth| truth.at(ip).is_some_and(|fact| shown(&fact.told) == is);
            if testbed
                .book
                .before(host, from)
                .iter()
                .any(|truth| was(truth))
            {
                self.stale += 1;
            }
            let at = row.ended;
            let others = rows.iter().map(|((vantage, ip), row)| {
                format!("{vantage} {ip} {} at {}", row.told.status, row.ended)
            });
            let others = others.collect::<Vec<_>>().join(", ");
            let words = format!(
                "{ip} ({label}) at {at} should be {should:?}\n    and is {is:?}; all rows: {others}"
            );
            self.fail(host, words);
        }
    }

    /// Compares a result of the account's test, which has neither an error kind nor findings.
    fn remote(
        &mut self,
        testbed: &Testbed,
        host: &str,
        ip: &str,
        row: &Row,
        truth: &Truth,
        (from, until): (Seconds, Seconds),
    ) {
        let margin = MAX_REQUEST_TIME * testbed.timeout + SLACK;
        let outages = testbed.front.outages();
        let is_past = |o: &Outage| o.until.is_some_and(|end| end + margin < from);
        if !outages.iter().all(|o| until < o.from || is_past(o)) {
            return;
        }
        let Some(Fact { told, label }) = truth.at(ip) else {
            return self.fail(
                host,
                format!("`{ip}` has a result from sslmate, and is not there"),
            );
        };
        self.remote += 1;
        let shown = |told: &ReportedResult| {
            let three = told.flags.map(|f| (f.correct, f.chained, f.dummy));
            (told.status.clone(), three)
        };
        if shown(&row.told) != shown(told) {
            let words = format!(
                "{ip} ({label}) at {} should be {told:?}\n    and is from sslmate {:?}",
                row.ended, row.told
            );
            self.fail(host, words);
        }
    }

    fn fail(&mut self, host: &str, words: String) {
        self.wrong += 1;
        if self.wrong <= MAX_PRINTED {
            println!("WRONG at {:.1}: {host}: {words}", now());
        }
    }
}

/// The part of a result that is compared: without the findings that compare endpoints, unless all
/// of them have been probed.
fn compared(told: &ReportedResult, kind: Kind, is_whole: bool) -> ReportedResult {
    let mut told = told.clone();
    // A vantage with false results disagrees with the truth.
    told.findings
        .retain(|(code, _)| code != "vantages_disagree");
    // It depends on what the host served before.
    told.findings.retain(|(code, _)| code != "material_change");
    if !is_whole {
        told.findings
            .retain(|(code, _)| !COMPARING.contains(&code.as_str()));
        if kind == Kind::Pinned {
            // The choice between the two may depend on another address.
            told.findings
                .retain(|(code, _)| code != "previous_instance" && code != "wrong_certificate");
        }
    }
    told
}

/// Maximum age of a probe: its wait for a permit, its duration, and the rounding to whole seconds.
pub(crate) fn max_age(testbed: &Testbed) -> Seconds {
    MAX_INTERVALS * testbed.interval + MAX_REQUEST_TIME * testbed.timeout + SLACK
}

/// Expectation whether a result has the finding that its source is stale.
#[derive(Clone, Copy)]
enum Staleness {
    Never,
    Unknown,
    Certain,
}

fn staleness(testbed: &Testbed, from: Seconds, until: Seconds) -> Staleness {
    let refresh = REFRESH.as_secs_f64();
    let sources = testbed
        .hosts
        .iter()
        .filter(|(_, k)| *k == Kind::Sslmate)
        .count();
    // If the API is silent, each request waits for the previous ones.
    let rounds = (sources / MAX_CONCURRENT_REQUESTS + 2) as f64;
    let round = MAX_REQUEST_TIME * testbed.timeout * rounds + refresh + SLACK;
    // The last response may be as old as one refresh, or as one request that times out.
    let near = |o: &Outage| {
        let end = o.until.unwrap_or(Seconds::INFINITY);
        o.from + (STALE_INTERVALS - 1.0) * refresh - SLACK < until && from < end + round
    };
    let outages = testbed.front.outages();
    if !outages.iter().any(near) {
        return Staleness::Never;
    }
    let certain = |o: &Outage| {
        let end = o.until.unwrap_or(Seconds::INFINITY);
        o.from + STALE_INTERVALS * refresh + round < from && until < end
    };
    if outages.iter().any(certain) {
        Staleness::Certain
    } else {
        Staleness::Unknown
    }
}
