//! Content of the pages, from one snapshot.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Facts;
use crate::finding::{Finding, Severity};
use crate::instance::Instance;
use crate::judge::{Judged, agree};
use crate::model::{KeyType, Protocol, Target, Timestamp};
use crate::observation::{Outcome, ProbeError, Served};
use crate::scan::targets_of_failed;
use crate::source::{FetchError, SourceFailure, TargetFiles};

use super::super::expectations::{Kept, Watch};
use super::super::plan::Plan;
use super::super::snapshot::{
    Current, EndpointResult, Reload, Since, TargetResults, VantageStatus,
};
use super::html::Address;
use super::{Location, target_of};

/// Parts of a snapshot that a page needs.
pub(super) struct View {
    pub(super) now: Timestamp,
    pub(super) plan: Arc<Plan>,
    /// Results that the page shows, in the order of their targets.
    pub(super) results: Vec<Arc<TargetResults>>,
    pub(super) monitor: Monitor,
    /// Files of targets.
    pub(super) target_files: Arc<TargetFiles>,
    /// State folder, if there is one.
    pub(super) state: Option<PathBuf>,
    /// Path under which a proxy serves the pages.
    pub(super) base: Arc<str>,
}

/// State of the monitor itself.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    pub(super) is_ready: bool,
    pub(super) reload: Reload,
    /// Duration of the last cycle.
    pub(super) cycle: Option<Duration>,
    /// Time for which the longest-waiting probe has been due.
    pub(super) lag: Duration,
    pub(super) under_way: usize,
    pub(super) uptime: Duration,
    pub(super) interval: Duration,
    /// Time for which a served previous instance is only a warning.
    pub(super) grace: Duration,
    /// Remote vantages.
    pub(super) vantages: Arc<[VantageStatus]>,
}

impl View {
    /// Returns the parts of the current snapshot that a page needs, because there may be very many
    /// results.
    pub(super) fn of(
        current: &Current,
        state: Option<PathBuf>,
        base: Arc<str>,
        place: &Location,
    ) -> Self {
        let snapshot = current.snapshot();
        let results = snapshot.results.iter();
        let results = match place {
            Location::Overview => results.cloned().collect(),
            Location::Certificate(name) | Location::Badge(name) => {
                let of_it = results.filter(|results| results.target.certificate == *name);
                of_it.cloned().collect()
            }
            Location::Endpoint(segments) => {
                let named: Vec<&Target> = match target_of(segments) {
                    None => Vec::new(),
                    Some(named) => {
                        let at = snapshot.plan.at(&named.hostname, named.port);
                        let is_named = |t: &&Target| {
                            t.certificate == named.certificate && t.protocol == named.protocol
                        };
                        at.filter(is_named).collect()
                    }
                };
                let results = named.into_iter().map(|target| snapshot.results_of(target));
                results.flatten().cloned().collect()
            }
            Location::Docs(_) | Location::Unknown => Vec::new(),
        };
        let (runtime, uptime) = (&snapshot.runtime, current.started.elapsed());
        Self {
            now: current.now(),
            plan: snapshot.plan.clone(),
            results,
            monitor: Monitor {
                is_ready: snapshot.is_ready,
                reload: snapshot.reload.clone(),
                cycle: snapshot.cycle.duration,
                lag: snapshot.lag(uptime),
                under_way: runtime.probes_in_flight(),
                uptime,
                interval: runtime.inventory.defaults.interval,
                grace: runtime.times.grace,
                vantages: snapshot.vantages.clone(),
            },
            target_files: runtime.target_files.clone(),
            state,
            base,
        }
    }

    /// Returns every endpoint that has been probed, in the order of the targets.
    pub(super) fn endpoints(&self) -> Vec<Rc<Endpoint<'_>>> {
        let mut all = Vec::with_capacity(self.results.len());
        for probed in &self.results {
            endpoints(probed, self.now, self.monitor.interval, &mut all);
        }
        all
    }

    /// Returns the number of targets that have not been probed yet.
    pub(super) fn waiting(&self) -> usize {
        let probed = self.results.iter().filter(|l| !l.endpoints.is_empty());
        let mut probed = probed.map(|l| &*l.target).peekable();
        let is_waiting = |target: &&Target| {
            while probed.next_if(|one| one < target).is_some() {}
            probed.next_if(|one| one == target).is_none()
        };
        self.plan.targets.keys().filter(is_waiting).count()
    }

    /// Returns the number of entries whose source has never returned a result, and which have no
    /// target.
    pub(super) fn unknown_entries(&self) -> usize {
        let is_unsaid = |watch: &&Watch| {
            let mut failures = watch.failures.iter();
            failures.any(|failed| targets_of_failed(&watch.entry, failed).is_empty())
        };
        self.plan.watches.values().filter(is_unsaid).count()
    }

    /// Returns every certificate of the inventory, in the order of their names, with its endpoints
    /// of these, which are in the order of their targets.
    pub(super) fn certificates<'a>(
        &'a self,
        endpoints: &[Rc<Endpoint<'a>>],
    ) -> Vec<Certificate<'a>> {
        let mut all: Vec<Certificate<'a>> = Vec::new();
        for watch in self.plan.watches.values() {
            let kept = watch.kept.iter();
            all.extend(kept.map(|kept| Certificate::new(&kept.loaded.name, watch, Ok(kept))));
            let failures = watch.failures.iter();
            all.extend(failures.map(|f| Certificate::new(&f.name, watch, Err(&f.error))));
        }
        // Both sorts are stable, and targets are sorted by certificate first.
        all.sort_by_key(|certificate| certificate.name);
        all.dedup_by_key(|certificate| certificate.name);
        let mut targets = self.plan.targets.keys().peekable();
        let mut endpoints = endpoints.iter().peekable();
        for certificate in &mut all {
            let name = certificate.name;
            while targets.next_if(|t| *t.certificate < *name).is_some() {}
            while targets.next_if(|t| *t.certificate == *name).is_some() {
                certificate.targets += 1;
            }
            while (endpoints.next_if(|e| *e.target.certificate < *name)).is_some() {}
            let own = std::iter::from_fn(|| endpoints.next_if(|e| *e.target.certificate == *name));
            certificate.endpoints.extend(own.cloned());
        }
        all
    }

    /// Returns the sources, failing ones first.
    pub(super) fn sources(&self) -> Vec<Source<'_>> {
        let mut all: BTreeMap<String, Source<'_>> = BTreeMap::new();
        for watch in self.plan.watches.values() {
            let Some(name) = watch.source() else {
                continue;
            };
            let source = all.entry(name.clone()).or_insert_with(|| Source {
                name,
                was_asked: false,
                failure: None,
                last_success: None,
                certificates: 0,
            });
            source.was_asked |= watch.up.is_some();
            source.certificates += watch.kept.len();
            source.last_success = match (source.last_success, watch.last_success()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (one, other) => one.or(other),
            };
            source.failure = match (source.failure, &watch.failure) {
                (Some(a), Some(b)) if b.since < a.since => Some(b),
                (Some(a), _) => Some(a),
                (None, b) => b.as_ref(),
            };
        }
        for (path, file) in self.target_files.states() {
            let name = TargetFiles::source(path);
            let source = Source {
                name: name.clone(),
                was_asked: true,
                failure: file.failure.as_ref(),
                last_success: file.last_success,
                certificates: file.targets(),
            };
            all.insert(name, source);
        }
        let mut all: Vec<Source<'_>> = all.into_values().collect();
        all.sort_by_key(|source| Reverse(source.failure.is_some()));
        all
    }
}

/// Source of expected certificates. A source of several entries fails if it fails for one of them.
pub(super) struct Source<'a> {
    pub(super) name: String,
    pub(super) was_asked: bool,
    pub(super) failure: Option<&'a SourceFailure>,
    /// Time of its oldest result in use.
    pub(super) last_success: Option<Timestamp>,
    /// Number of certificates that it has returned; of targets in a file of targets.
    pub(super) certificates: usize,
}

/// A certificate of the inventory.
pub(super) struct Certificate<'a> {
    pub(super) name: &'a str,
    pub(super) watch: &'a Watch,
    /// Expected certificate, or the reason why it is unknown.
    pub(super) kept: Result<&'a Kept, &'a FetchError>,
    /// Endpoints that have been probed.
    pub(super) endpoints: Vec<Rc<Endpoint<'a>>>,
    /// Number of hosts and ports to probe.
    pub(super) targets: usize,
}

impl<'a> Certificate<'a> {
    fn new(name: &'a str, watch: &'a Watch, kept: Result<&'a Kept, &'a FetchError>) -> Self {
        Self {
            name,
            watch,
            kept,
            endpoints: Vec::new(),
            targets: 0,
        }
    }

    pub(super) fn severity(&self) -> Severity {
        let floor = match self.kept {
            Ok(_) if !self.endpoints.is_empty() => Severity::Ok,
            _ => Severity::Unknown,
        };
        let severities = self.endpoints.iter().map(|e| e.severity);
        match self.endpoints.is_empty() {
            true => floor,
            false => severities.fold(Severity::Ok, Severity::max),
        }
    }

    /// Returns the number of endpoints without a fault.
    pub(super) fn ok_count(&self) -> usize {
        let is_ok = |e: &&Rc<Endpoint<'_>>| e.severity < Severity::Warning;
        self.endpoints.iter().filter(is_ok).count()
    }

    /// Returns the served leaf that expires first.
    pub(super) fn first_to_expire(&self) -> Option<&'a Facts> {
        let facts = self.endpoints.iter().flat_map(|e| e.served_facts());
        facts.min_by_key(|facts| facts.not_after)
    }

    /// Returns the expiry that the overview shows: the first of the served leaves, or else that of
    /// the expected instance.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        let expected = || self.instance()?.leaf.facts().ok();
        let facts = self.first_to_expire().or_else(expected)?;
        Some(facts.not_after)
    }

    /// Returns the expected instance, if the source returns whole certificates.
    pub(super) fn instance(&self) -> Option<&'a Instance> {
        let instances = self.kept.ok()?.loaded.expected.instances()?;
        Some(&instances.expected)
    }

    pub(super) fn address(&self) -> Address {
        certificate_address(self.name)
    }
}

/// Returns the address of the page of a certificate.
pub(super) fn certificate_address(name: &str) -> Address {
    Address::path(["certificates", name])
}

/// Address of a host and port, with the result of each vantage; the local one is first.
pub(super) struct Endpoint<'a> {
    pub(super) target: &'a Target,
    pub(super) ip: Option<IpAddr>,
    pub(super) key_type: KeyType,
    pub(super) results: Vec<VantageResult<'a>>,
    /// Highest severity of the results; at least unknown if a result is stale.
    pub(super) severity: Severity,
    /// Time of the oldest result, if it is stale.
    pub(super) stale: Option<Timestamp>,
}

impl<'a> Endpoint<'a> {
    /// Returns the fields of the leaves that the vantages saw, if they have dates.
    pub(super) fn served_facts(&self) -> impl Iterator<Item = &'a Facts> {
        let served = self.results.iter().filter_map(VantageResult::served);
        let facts = served.filter_map(|served| served.leaf.facts().ok());
        facts.filter(|facts| facts.has_validity)
    }

    /// Returns the first expiry of the leaves that are served.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.served_facts().map(|facts| facts.not_after).min()
    }

    /// Returns the distinct results, each with all vantages that have it.
    pub(super) fn distinct_results(&self) -> Vec<(VantageResult<'a>, Vec<&'a str>)> {
        let mut distinct_results: Vec<(VantageResult<'a>, Vec<&'a str>)> = Vec::new();
        for result in &self.results {
            let same = distinct_results
                .iter_mut()
                .find(|(other, _)| agree(other.judged, result.judged));
            match same {
                Some((_, vantages)) => vantages.push(result.vantage()),
                None => distinct_results.push((*result, vec![result.vantage()])),
            }
        }
        distinct_results
    }
}

/// Result of one probe.
#[derive(Clone, Copy)]
pub(super) struct VantageResult<'a> {
    pub(super) judged: &'a Judged,
    /// The same, as the snapshot has it.
    pub(super) last: &'a EndpointResult,
    pub(super) since: Since,
    pub(super) at: Timestamp,
    pub(super) next: Option<Timestamp>,
}

/// Adds the endpoints of a target. Its results are sorted by address and key type.
fn endpoints<'a>(
    probed: &'a TargetResults,
    now: Timestamp,
    interval: Duration,
    all: &mut Vec<Rc<Endpoint<'a>>>,
) {
    let place = |result: &EndpointResult| {
        let observation = &result.judged.observation;
        (observation.ip, observation.key_type)
    };
    for same_place in probed.endpoints.chunk_by(|a, b| place(a) == place(b)) {
        let Some(first) = same_place.first() else {
            continue;
        };
        let (ip, key_type) = place(first);
        let mut endpoint = Endpoint {
            target: &first.judged.observation.target,
            ip,
            key_type,
            results: Vec::with_capacity(same_place.len()),
            severity: Severity::Ok,
            stale: None,
        };
        for result in same_place {
            let judged = &*result.judged;
            endpoint.severity = endpoint.severity.max(judged.severity());
            if result.is_stale(now, interval) {
                let oldest = endpoint.stale.map_or(result.at, |at| at.min(result.at));
                endpoint.stale = Some(oldest);
                // The state may have changed since a stale result.
                endpoint.severity = endpoint.severity.max(Severity::Unknown);
            }
            endpoint.results.push(VantageResult {
                judged,
                last: result,
                since: result.since,
                at: result.at,
                next: probed.next(&judged.observation.vantage),
            });
        }
        let is_remote = |result: &VantageResult<'_>| !result.judged.observation.vantage.is_local();
        endpoint.results.sort_by_key(is_remote);
        all.push(Rc::new(endpoint));
    }
}

impl Endpoint<'_> {
    /// Returns the port, with the key type if one was requested.
    pub(super) fn port(&self) -> String {
        match self.key_type {
            KeyType::Any => self.target.port_label(),
            kind => format!("{} {kind}", self.target.port_label()),
        }
    }

    /// Returns the address and port as one text.
    pub(super) fn place(&self) -> String {
        match self.ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{}", self.port()),
            Some(IpAddr::V4(ip)) => format!("{ip}:{}", self.port()),
            None if self.target.is_file() => Protocol::File.name().into(),
            None => format!("port {}", self.port()),
        }
    }

    /// Returns the address of its page.
    pub(super) fn address(&self) -> Address {
        Address::path(self.segments().iter().map(String::as_str))
    }

    /// Returns the segments of the path of its page.
    pub(super) fn segments(&self) -> [String; 7] {
        [
            "certificates".into(),
            self.target.certificate.clone(),
            self.target.protocol.name().into(),
            self.target.hostname.to_string(),
            self.target.port.to_string(),
            self.ip.map_or_else(|| "-".into(), |ip| ip.to_string()),
            self.key_type.name().into(),
        ]
    }
}

impl<'a> VantageResult<'a> {
    pub(super) fn vantage(&self) -> &'a str {
        self.judged.observation.vantage.as_str()
    }

    pub(super) fn served(&self) -> Option<&'a Served> {
        match &self.judged.observation.outcome {
            Outcome::Served(served) => Some(served),
            Outcome::Reported(_) | Outcome::Failed(_) => None,
        }
    }

    pub(super) fn findings(&self) -> &'a [Finding] {
        &self.judged.findings
    }

    /// Returns the reason why nothing could be judged, unless a finding reports it.
    pub(super) fn unreported_error(&self) -> Option<&'a ProbeError> {
        self.judged.unreported_error()
    }
}
