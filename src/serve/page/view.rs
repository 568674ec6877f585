//! The contents of the pages: one snapshot, in the order in which people ask.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::finding::{Finding, Severity};
use crate::instance::Instance;
use crate::judge::{Judged, agree};
use crate::model::{KeyType, Target, Timestamp};
use crate::observation::{LookError, Outcome, Served};
use crate::scan::targets_of_failed;

use super::super::expectations::{Kept, Trouble, Watch};
use super::super::plan::Plan;
use super::super::snapshot::{Current, Reload, Since, TargetResults, VantageStatus};
use super::html::Address;
use super::{Place, target_of};

/// A snapshot as a page needs it.
pub(super) struct View {
    pub(super) now: Timestamp,
    pub(super) plan: Arc<Plan>,
    /// What has been seen, as far as the page tells of it.
    pub(super) looks: Vec<Arc<TargetResults>>,
    pub(super) monitor: Monitor,
    /// Where the history is kept, if it is.
    pub(super) state: Option<PathBuf>,
}

/// How the monitor itself is.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    pub(super) is_ready: bool,
    pub(super) reload: Reload,
    /// How long the last cycle took.
    pub(super) cycle: Option<Duration>,
    /// How long the look that has waited the longest has been due.
    pub(super) lag: Duration,
    pub(super) under_way: usize,
    pub(super) uptime: Duration,
    pub(super) interval: Duration,
    /// How long the instance before is only a warning.
    pub(super) grace: Duration,
    /// The remote vantages.
    pub(super) vantages: Arc<[VantageStatus]>,
}

impl View {
    /// The current snapshot as the page at a place needs it: there may be very many results.
    pub(super) fn of(current: &Current, state: Option<PathBuf>, place: &Place) -> Self {
        let snapshot = current.snapshot();
        let results = snapshot.results.iter();
        let looks = match place {
            Place::Overview => results.cloned().collect(),
            Place::Certificate(name) => {
                let of_it = results.filter(|results| results.target.certificate == *name);
                of_it.cloned().collect()
            }
            Place::Endpoint(segments) => {
                let target = target_of(segments);
                let results = target.and_then(|target| snapshot.results_of(&target).cloned());
                results.into_iter().collect()
            }
            Place::Docs(_) => Vec::new(),
        };
        let (runtime, uptime) = (&snapshot.runtime, current.started.elapsed());
        Self {
            now: current.now(),
            plan: snapshot.plan.clone(),
            looks,
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
            state,
        }
    }

    /// Every endpoint that has been looked at, the worst first.
    pub(super) fn endpoints(&self) -> Vec<Endpoint<'_>> {
        let of_target = |l| endpoints(l, self.now, self.monitor.interval);
        let looks = self.looks.iter().map(|looked| &**looked);
        let mut all: Vec<Endpoint<'_>> = looks.flat_map(of_target).collect();
        all.sort_by_key(|endpoint| Reverse(endpoint.severity));
        all
    }

    /// Targets that have not been looked at yet.
    pub(super) fn waiting(&self) -> usize {
        let looked = self.looks.iter().filter(|l| !l.endpoints.is_empty());
        let looked: BTreeSet<&Target> = looked.map(|l| &*l.target).collect();
        let all = self.plan.targets.keys();
        all.filter(|target| !looked.contains(target)).count()
    }

    /// The entries whose source has never said what is expected, and for which no target stands.
    pub(super) fn unsaid(&self) -> usize {
        let is_unsaid = |watch: &&Watch| {
            let mut failures = watch.failures.iter();
            failures.any(|failed| targets_of_failed(&watch.entry, failed).is_empty())
        };
        self.plan.watches.values().filter(is_unsaid).count()
    }

    /// Every certificate of the inventory, the worst first.
    pub(super) fn certificates<'a>(&'a self, endpoints: &[Endpoint<'a>]) -> Vec<Certificate<'a>> {
        let mut all: BTreeMap<&str, Certificate<'a>> = BTreeMap::new();
        for watch in self.plan.watches.values() {
            for kept in &watch.kept {
                let name = &*kept.loaded.name;
                let certificate = Certificate::new(name, watch, Ok(kept));
                all.entry(name).or_insert(certificate);
            }
            for failed in &watch.failures {
                let certificate = Certificate::new(&failed.name, watch, Err(&failed.error));
                all.entry(&failed.name).or_insert(certificate);
            }
        }
        for target in self.plan.targets.keys() {
            if let Some(certificate) = all.get_mut(&*target.certificate) {
                certificate.targets += 1;
            }
        }
        for endpoint in endpoints {
            if let Some(certificate) = all.get_mut(&*endpoint.target.certificate) {
                certificate.endpoints.push(endpoint.clone());
            }
        }
        let mut all: Vec<Certificate<'a>> = all.into_values().collect();
        all.sort_by_key(|certificate| Reverse(certificate.severity()));
        all
    }

    /// The sources that are asked, those in trouble first.
    pub(super) fn sources(&self) -> Vec<Source<'_>> {
        let mut all: BTreeMap<String, Source<'_>> = BTreeMap::new();
        for watch in self.plan.watches.values() {
            let Some(name) = watch.source() else {
                continue;
            };
            let source = all.entry(name.clone()).or_insert_with(|| Source {
                name,
                was_asked: false,
                trouble: None,
                last_success: None,
                certificates: 0,
            });
            source.was_asked |= watch.up.is_some();
            source.certificates += watch.kept.len();
            source.last_success = match (source.last_success, watch.last_success()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (one, other) => one.or(other),
            };
            source.trouble = match (source.trouble, &watch.trouble) {
                (Some(a), Some(b)) if b.since < a.since => Some(b),
                (Some(a), _) => Some(a),
                (None, b) => b.as_ref(),
            };
        }
        let mut all: Vec<Source<'_>> = all.into_values().collect();
        all.sort_by_key(|source| Reverse(source.trouble.is_some()));
        all
    }
}

/// Where expectations come from. One of several entries is in trouble where one of them is.
pub(super) struct Source<'a> {
    pub(super) name: String,
    pub(super) was_asked: bool,
    pub(super) trouble: Option<&'a Trouble>,
    /// When the oldest of what is held was last said.
    pub(super) last_success: Option<Timestamp>,
    /// Certificates that it has told of.
    pub(super) certificates: usize,
}

/// A certificate of the inventory.
#[derive(Clone)]
pub(super) struct Certificate<'a> {
    pub(super) name: &'a str,
    pub(super) watch: &'a Watch,
    /// What is expected, or why that is not known.
    pub(super) kept: Result<&'a Kept, &'a str>,
    /// What has been seen of it.
    pub(super) endpoints: Vec<Endpoint<'a>>,
    /// Hosts and ports to look at.
    pub(super) targets: usize,
}

impl<'a> Certificate<'a> {
    fn new(name: &'a str, watch: &'a Watch, kept: Result<&'a Kept, &'a str>) -> Self {
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

    /// Endpoints where nothing has to be mended.
    pub(super) fn well(&self) -> usize {
        let well = |e: &&Endpoint<'_>| e.severity < Severity::Warning;
        self.endpoints.iter().filter(well).count()
    }

    /// The instance that ought to be served, where the source knows whole certificates.
    pub(super) fn instance(&self) -> Option<&'a Instance> {
        let instances = self.kept.ok()?.loaded.expected.instances()?;
        Some(&instances.expected)
    }

    pub(super) fn address(&self) -> Address {
        certificate_address(self.name)
    }

    /// How far a new instance has come, where there was one before.
    pub(super) fn rollout(&self) -> Option<Rollout<'_, 'a>> {
        let kept = self.kept.ok()?;
        let changed = kept.changed?;
        let instances = kept.loaded.expected.instances()?;
        if instances.previous.is_empty() {
            return None;
        }
        let mut rollout = Rollout {
            changed,
            new: Vec::new(),
            old: Vec::new(),
            other: Vec::new(),
        };
        for endpoint in &self.endpoints {
            let place = endpoint
                .looks
                .first()
                .map(|look| &look.judged.observation.outcome);
            let side = match place {
                Some(Outcome::Served(served)) => {
                    let is = |instance: &Instance| instance.leaf == served.leaf;
                    if instances.accepted().any(is) {
                        &mut rollout.new
                    } else if instances.previous.iter().any(is) {
                        &mut rollout.old
                    } else {
                        &mut rollout.other
                    }
                }
                Some(Outcome::Told(told)) if told.correct => &mut rollout.new,
                _ => &mut rollout.other,
            };
            side.push(endpoint);
        }
        Some(rollout)
    }
}

/// The page of a certificate.
pub(super) fn certificate_address(name: &str) -> Address {
    Address::path(["certificates", name])
}

/// How far a new instance has come.
pub(super) struct Rollout<'e, 'a> {
    /// When it came to be expected.
    pub(super) changed: Timestamp,
    /// Where it is served.
    pub(super) new: Vec<&'e Endpoint<'a>>,
    /// Where one before it still is.
    pub(super) old: Vec<&'e Endpoint<'a>>,
    /// Where neither is, or nothing could be seen.
    pub(super) other: Vec<&'e Endpoint<'a>>,
}

impl Rollout<'_, '_> {
    pub(super) fn total(&self) -> usize {
        self.new.len() + self.old.len() + self.other.len()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.old.is_empty() && self.other.is_empty()
    }
}

/// An address of a host at a port, and what was seen of it from each vantage, from here first.
#[derive(Clone)]
pub(super) struct Endpoint<'a> {
    pub(super) target: &'a Target,
    pub(super) ip: Option<IpAddr>,
    pub(super) key_type: KeyType,
    pub(super) looks: Vec<Look<'a>>,
    /// The worst that was seen; at least unknown if a result is stale.
    pub(super) severity: Severity,
    /// The time of the oldest result, if it is stale.
    pub(super) stale: Option<Timestamp>,
}

impl<'a> Endpoint<'a> {
    /// The looks that saw something of their own: one from elsewhere that saw the same as ours has nothing to add
    /// but where it was taken from. Each comes with all the vantages that it stands for.
    pub(super) fn sights(&self) -> Vec<(Look<'a>, Vec<&'a str>)> {
        let mut sights: Vec<(Look<'a>, Vec<&'a str>)> = Vec::new();
        for look in &self.looks {
            let same = sights
                .iter_mut()
                .find(|(other, _)| agree(other.judged, look.judged));
            match same {
                Some((_, vantages)) => vantages.push(look.vantage()),
                None => sights.push((*look, vec![look.vantage()])),
            }
        }
        sights
    }
}

/// One look.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) judged: &'a Judged,
    pub(super) since: Since,
    pub(super) at: Timestamp,
    pub(super) next: Option<Timestamp>,
}

fn endpoints(looked: &TargetResults, now: Timestamp, interval: Duration) -> Vec<Endpoint<'_>> {
    let mut all: BTreeMap<(Option<IpAddr>, KeyType), Endpoint<'_>> = BTreeMap::new();
    for result in &looked.endpoints {
        let judged = &*result.judged;
        let observation = &judged.observation;
        let place = (observation.ip, observation.key_type);
        let endpoint = all.entry(place).or_insert_with(|| Endpoint {
            target: &observation.target,
            ip: observation.ip,
            key_type: observation.key_type,
            looks: Vec::new(),
            severity: Severity::Ok,
            stale: None,
        });
        endpoint.severity = endpoint.severity.max(judged.severity());
        if result.is_stale(now, interval) {
            let oldest = endpoint.stale.map_or(result.at, |at| at.min(result.at));
            endpoint.stale = Some(oldest);
            // What was ok then may be anything by now.
            endpoint.severity = endpoint.severity.max(Severity::Unknown);
        }
        endpoint.looks.push(Look {
            judged,
            since: result.since,
            at: result.at,
            next: looked.next(&observation.vantage),
        });
    }
    let mut all: Vec<Endpoint<'_>> = all.into_values().collect();
    for endpoint in &mut all {
        let is_remote = |look: &Look<'_>| !look.judged.observation.vantage.is_local();
        endpoint.looks.sort_by_key(is_remote);
    }
    all
}

impl Endpoint<'_> {
    /// The port, with the kind of key where one was asked for.
    pub(super) fn port(&self) -> String {
        match self.key_type {
            KeyType::Any => self.target.port_label(),
            kind => format!("{} {kind}", self.target.port_label()),
        }
    }

    /// Address and port as they are written together.
    pub(super) fn place(&self) -> String {
        match self.ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{}", self.port()),
            Some(IpAddr::V4(ip)) => format!("{ip}:{}", self.port()),
            None => format!("port {}", self.port()),
        }
    }

    /// Its page.
    pub(super) fn address(&self) -> Address {
        Address::path(self.segments().iter().map(String::as_str))
    }

    /// The segments of the path of its page.
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

impl<'a> Look<'a> {
    pub(super) fn vantage(&self) -> &'a str {
        self.judged.observation.vantage.as_str()
    }

    pub(super) fn served(&self) -> Option<&'a Served> {
        match &self.judged.observation.outcome {
            Outcome::Served(served) => Some(served),
            Outcome::Told(_) | Outcome::Failed(_) => None,
        }
    }

    pub(super) fn findings(&self) -> &'a [Finding] {
        &self.judged.findings
    }

    /// Why nothing could be judged, unless a finding says so already.
    pub(super) fn untold_error(&self) -> Option<&'a LookError> {
        self.judged.unreported_error()
    }
}
