//! Content of the pages, from one snapshot.

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
use crate::source::{FetchError, TargetFiles};

use super::super::expectations::{Kept, Watch};
use super::super::plan::{Named, Plan, Source, first_sources};
use super::super::snapshot::{
    Current, EndpointResult, Reload, ResultMap, SeverityCounts, Since, TargetResults, VantageStatus,
};
use super::html::Address;
use super::target_of;

/// Parts of a snapshot that a page needs.
pub(super) struct View {
    pub(super) now: Timestamp,
    pub(super) plan: Arc<Plan>,
    /// Results, in the order of their targets.
    pub(super) results: ResultMap,
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
    /// Returns the parts of the current snapshot that a page needs.
    pub(super) fn of(current: &Current, state: Option<PathBuf>, base: Arc<str>) -> Self {
        let snapshot = current.snapshot();
        let (runtime, uptime) = (&snapshot.runtime, current.started.elapsed());
        Self {
            now: current.now(),
            plan: snapshot.plan.clone(),
            results: snapshot.results.clone(),
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
        self.endpoints_of(self.results.iter()).collect()
    }

    fn endpoints_of<'a>(
        &'a self,
        results: impl Iterator<Item = &'a Arc<TargetResults>>,
    ) -> impl Iterator<Item = Rc<Endpoint<'a>>> {
        results.flat_map(|probed| {
            let places = probed.places();
            places.filter_map(|place| self.endpoint_of(probed, place).map(Rc::new))
        })
    }

    /// Returns the endpoints of the targets in the path of an endpoint's page, which are all those of
    /// the same certificate, protocol, host and port.
    pub(super) fn endpoints_at(&self, segments: &[String]) -> Vec<Rc<Endpoint<'_>>> {
        let Some(named) = target_of(segments) else {
            return Vec::new();
        };
        let at = self.plan.at(&named.hostname, named.port);
        let is_named =
            |t: &&Arc<Target>| t.certificate == named.certificate && t.protocol == named.protocol;
        let results = at.filter(is_named).filter_map(|t| self.results.get(t));
        self.endpoints_of(results).collect()
    }

    /// Returns the endpoints of at least this severity, in the order of the targets.
    pub(super) fn at_least(&self, least: Severity) -> impl Iterator<Item = Rc<Endpoint<'_>>> {
        let results = self
            .results
            .at_least(least, self.now, self.monitor.interval);
        let endpoints = self.endpoints_of(results);
        endpoints.filter(move |endpoint| endpoint.severity >= least)
    }

    /// Returns the endpoints of this severity, which is below unknown, in the order of the targets.
    pub(super) fn with(&self, severity: Severity) -> impl Iterator<Item = Rc<Endpoint<'_>>> {
        let endpoints = self.endpoints_of(self.results.with(severity));
        endpoints.filter(move |endpoint| endpoint.severity == severity)
    }

    /// Returns the number of endpoints by severity, and that of those with a stale result.
    pub(super) fn counts(&self) -> (SeverityCounts, usize) {
        self.results.counts(self.now, self.monitor.interval)
    }

    /// Returns the number of targets that have not been probed yet. All results are of targets in
    /// the plan.
    pub(super) fn waiting(&self) -> usize {
        let probed = self.results.probed_count();
        self.plan.targets.len().saturating_sub(probed)
    }

    /// Returns the certificates without a result.
    pub(super) fn unprobed(&self, at_most: usize) -> Unprobed<'_> {
        let mut unprobed = Unprobed {
            count: self.plan.index.without_targets_count(),
            first: self.plan.without_targets().take(at_most).collect(),
        };
        if self.waiting() > 0 {
            self.add_unprobed(&mut unprobed, at_most);
        }
        unprobed.first.sort_unstable();
        unprobed.first.truncate(at_most);
        unprobed
    }

    /// Adds the certificates with targets of which none has been probed. Targets wait only shortly,
    /// so that no index of them is kept.
    fn add_unprobed<'a>(&'a self, unprobed: &mut Unprobed<'a>, at_most: usize) {
        let mut probed = self.results.probed().peekable();
        let mut targets = self.plan.targets.keys().peekable();
        let mut added = 0;
        while let Some(first) = targets.next() {
            let name = &*first.certificate;
            while targets.next_if(|t| *t.certificate == *name).is_some() {}
            while probed.next_if(|t| *t.certificate < *name).is_some() {}
            if probed.peek().is_some_and(|t| *t.certificate == *name) {
                continue;
            }
            unprobed.count += 1;
            if added < at_most {
                added += 1;
                unprobed.first.push(name);
            }
        }
    }

    /// Returns the number of entries whose source has never returned a result, and which have no
    /// target.
    pub(super) fn unknown_entries(&self) -> usize {
        self.plan.index.unknown_entries
    }

    /// Returns the certificate with a name.
    pub(super) fn certificate(&self, name: &str) -> Option<Certificate<'_>> {
        let mut certificate = Certificate::new(self.plan.certificate(name)?);
        let results = self.results.of_certificate(certificate.name);
        certificate.endpoints = self.endpoints_of(results).collect();
        Some(certificate)
    }

    /// Returns every certificate of the inventory, in the order of their names, with its endpoints
    /// of these, which are in the order of their targets.
    pub(super) fn certificates<'a>(
        &'a self,
        endpoints: &[Rc<Endpoint<'a>>],
    ) -> Vec<Certificate<'a>> {
        let all = self.plan.certificates().map(Certificate::new);
        let mut all: Vec<Certificate<'a>> = all.collect();
        let mut endpoints = endpoints.iter().peekable();
        for certificate in &mut all {
            let name = certificate.name;
            while (endpoints.next_if(|e| *e.target.certificate < *name)).is_some() {}
            let own = std::iter::from_fn(|| endpoints.next_if(|e| *e.target.certificate == *name));
            certificate.endpoints.extend(own.cloned());
        }
        all
    }

    /// Returns the first sources, failing ones first, and the number of all.
    pub(super) fn sources(&self) -> (Vec<Source>, usize) {
        let files = self.target_files.states().map(|(path, file)| Source {
            name: TargetFiles::source(path),
            was_asked: true,
            failure: file.failure.clone(),
            last_success: file.last_success,
            certificates: file.targets(),
        });
        let index = &self.plan.index;
        let mut sources: Vec<Source> = files.collect();
        let count = index.source_count + sources.len();
        sources.extend(index.sources.iter().cloned());
        (first_sources(sources), count)
    }
}

/// Certificates without a result.
pub(super) struct Unprobed<'a> {
    /// Number of all.
    pub(super) count: usize,
    /// Names of the first, in their order.
    pub(super) first: Vec<&'a str>,
}

/// A certificate of the inventory.
#[derive(Clone)]
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
    fn new(named: Named<'a>) -> Self {
        Self {
            name: named.name,
            watch: named.watch,
            kept: named.kept,
            endpoints: Vec::new(),
            targets: named.targets,
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

impl View {
    /// Returns an endpoint of a target with these results.
    fn endpoint_of<'a>(
        &self,
        probed: &'a TargetResults,
        results: &'a [Arc<EndpointResult>],
    ) -> Option<Endpoint<'a>> {
        let (now, interval) = (self.now, self.monitor.interval);
        let first = results.first()?.observation();
        let mut endpoint = Endpoint {
            target: &first.target,
            ip: first.ip,
            key_type: first.key_type,
            results: Vec::with_capacity(results.len()),
            severity: Severity::Ok,
            stale: None,
        };
        for result in results {
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
        Some(endpoint)
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
