//! What the monitor tells, held against the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::REFRESH;
use super::clock::{Seconds, now};
use super::front::Outage;
use super::lab::Lab;
use super::truth::{Fact, Flags, Kind, Told, Truth};

/// Wrong verdicts that are told of in full.
const MAX_TOLD: usize = 300;
/// A source may take this many times what a look may, and so may a test at another place.
const SOURCE_PATIENCE: f64 = 3.0;
/// A look may take so many times its time, where many wait for their turn.
const MAX_LOOK: f64 = 1.5;
/// Sources that are asked at a time.
const SOURCES_AT_A_TIME: usize = 8;
/// What a busy machine may add to any wait.
const SLACK: Seconds = 3.0;
/// Each host is looked at once in so many intervals, where the looks fit into them.
const MAX_INTERVALS: Seconds = 2.0;
/// A source is stale after this many of its refresh intervals.
const STALE_INTERVALS: f64 = 2.0;

/// One endpoint of an exposition.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) told: Told,
    ended: Seconds,
}

/// The endpoints of one host: by vantage and address.
type Rows = BTreeMap<(String, String), Row>;

/// Reads what an exposition tells of endpoints, by host.
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

/// None of the lab's labels has a quotation mark in its value.
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

/// How many verdicts were compared, and how it went.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) compared: usize,
    pub(crate) wrong: usize,
    /// Looks at hosts that changed, or while this machine stood still.
    pub(crate) passed_over: usize,
    pub(crate) late: usize,
    pub(crate) remote: usize,
    /// By what the server did.
    pub(crate) by_label: BTreeMap<String, usize>,
    /// When the last look that was taken up ended, by host.
    seen: HashMap<String, Seconds>,
    pub(crate) hosts: BTreeSet<String>,
    /// The greatest age of an endpoint's last look, in seconds.
    pub(crate) oldest: Seconds,
    /// Hosts of which a look was older than [`max_age`], with the greatest age of it.
    pub(crate) overdue: BTreeMap<String, Seconds>,
}

impl Tally {
    /// Compares each look that is new in an exposition of everything.
    pub(crate) fn scraped(&mut self, lab: &Lab, text: &str, at: Seconds) {
        let told = read(text);
        self.oldest = 0.0;
        for (host, kind) in &lab.hosts {
            let Some(rows) = told.get(host) else {
                self.fail(host, "is not told of at all".into());
                continue;
            };
            let ends = || rows.values().map(|row| row.ended);
            self.age(lab, host, ends().fold(at, f64::min), at);
            let ended = ends().fold(0.0, f64::max);
            if self.seen.insert(host.clone(), ended) == Some(ended) {
                continue;
            }
            // It is told in whole seconds. A test at the account's place belongs to the look.
            let longest = match kind {
                Kind::Sslmate => SOURCE_PATIENCE,
                _ => MAX_LOOK,
            };
            let from = ended - longest * lab.timeout - SLACK;
            if self.looked(lab, host, *kind, rows, from, ended + 1.0) && *kind == Kind::Sslmate {
                self.remote(lab, host, rows, from, ended + 1.0);
            }
        }
    }

    /// Takes down how old the last look at each endpoint of a host is by now.
    fn age(&mut self, lab: &Lab, host: &str, last: Seconds, at: Seconds) {
        let age = at - last;
        self.oldest = self.oldest.max(age);
        if age > max_age(lab) && !lab.stood_still(last, at) {
            let known = self.overdue.entry(host.to_owned()).or_default();
            *known = known.max(age);
        }
    }

    /// Compares a look that was taken within a time; false where nothing is certain of its host.
    pub(crate) fn looked(
        &mut self,
        lab: &Lab,
        host: &str,
        kind: Kind,
        rows: &Rows,
        from: Seconds,
        until: Seconds,
    ) -> bool {
        let Some(truth) = lab.book.during(host, from, until) else {
            self.passed_over += 1;
            return false;
        };
        if lab.stood_still(from, until) {
            self.late += 1;
            return false;
        }
        self.hosts.insert(host.to_owned());
        let stale = match kind {
            Kind::Sslmate => staleness(lab, from, until),
            _ => Staleness::Never,
        };
        self.local(host, rows, &truth, stale);
        true
    }

    fn local(&mut self, host: &str, rows: &Rows, truth: &Truth, stale: Staleness) {
        for (ip, Fact { told, label }) in truth {
            self.compared += 1;
            *self.by_label.entry(label.clone()).or_default() += 1;
            let Some(row) = rows.get(&("local".to_owned(), ip.clone())) else {
                self.fail(host, format!("{ip} ({label}) is not told of"));
                continue;
            };
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
                self.fail(host, format!("{ip} ({label}) is {which}told to be stale"));
            }
            if seen != *told {
                let words =
                    format!("{ip} ({label}) should be {told:?}\n    and is told as {seen:?}");
                self.fail(host, words);
            }
        }
        let unknown = rows
            .keys()
            .filter(|(vantage, ip)| vantage == "local" && !truth.contains_key(ip));
        for (_, ip) in unknown {
            self.fail(host, format!("`{ip}` is told of, and is not there"));
        }
    }

    /// The account's test tells less: no kind of error, and no findings.
    fn remote(&mut self, lab: &Lab, host: &str, rows: &Rows, from: Seconds, until: Seconds) {
        let Some(truth) = lab.book.during(host, from, until) else {
            return;
        };
        let margin = SOURCE_PATIENCE * lab.timeout + SLACK;
        let outages = lab.front.outages();
        let is_past = |o: &Outage| o.until.is_some_and(|end| end + margin < from);
        if !outages.iter().all(|o| until < o.from || is_past(o)) {
            return;
        }
        for (ip, Fact { told, label }) in &*truth {
            let Some(row) = rows.get(&("sslmate".to_owned(), ip.clone())) else {
                self.fail(host, format!("{ip} ({label}) is not told of from sslmate"));
                continue;
            };
            self.remote += 1;
            let shown = |told: &Told| {
                let three = told.flags.map(|f| (f.correct, f.chained, f.dummy));
                (told.status.clone(), three)
            };
            if shown(&row.told) != shown(told) {
                let words = format!(
                    "{ip} ({label}) should be {told:?}\n    and is told from sslmate as {:?}",
                    row.told
                );
                self.fail(host, words);
            }
        }
    }

    fn fail(&mut self, host: &str, words: String) {
        self.wrong += 1;
        if self.wrong <= MAX_TOLD {
            println!("WRONG at {:.1}: {host}: {words}", now());
        }
    }
}

/// The greatest age that a look may have: that it waits for its turn, that it takes its time, and that it is told in whole
/// seconds.
pub(crate) fn max_age(lab: &Lab) -> Seconds {
    MAX_INTERVALS * lab.interval + SOURCE_PATIENCE * lab.timeout + SLACK
}

/// Whether a look has to say that its source has been silent for long.
#[derive(Clone, Copy)]
enum Staleness {
    Never,
    Unknown,
    Certain,
}

fn staleness(lab: &Lab, from: Seconds, until: Seconds) -> Staleness {
    let refresh = REFRESH.as_secs_f64();
    let sources = lab
        .hosts
        .iter()
        .filter(|(_, k)| *k == Kind::Sslmate)
        .count();
    // Where the API is silent, each waits for those before it.
    let rounds = (sources / SOURCES_AT_A_TIME + 2) as f64;
    let round = SOURCE_PATIENCE * lab.timeout * rounds + refresh + SLACK;
    // The last answer may be as old as one refresh, or one that waits in vain.
    let near = |o: &Outage| {
        let end = o.until.unwrap_or(Seconds::INFINITY);
        o.from + (STALE_INTERVALS - 1.0) * refresh - SLACK < until && from < end + round
    };
    let outages = lab.front.outages();
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
