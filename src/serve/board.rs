//! What the monitor knows, for all who ask: written by the monitor alone, read by every page.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::judge::Judged;
use crate::model::{Hostname, Target, Timestamp};
use crate::observation::Outcome;
use crate::report::prometheus::{Exposition, Lines};
use crate::scan::Job;
use crate::source::Requests;

use super::counters::Counters;
use super::dns_failures::dns_answer;
use super::engine::Engine;
use super::expectations::{Kept, Watch};
use super::keeper::StateHealth;

/// What the monitor knows.
pub(super) struct Board {
    engine: Mutex<Arc<Engine>>,
    plan: Mutex<Arc<Plan>>,
    looks: Mutex<BTreeMap<Target, Arc<Looked>>>,
    cycle: Mutex<Cycle>,
    reload: Mutex<Reload>,
    /// The state folder's; not set without one.
    state_health: OnceLock<Arc<StateHealth>>,
    ready: AtomicBool,
    pub(super) counters: Counters,
    pub(super) requests: Requests,
    pub(super) clock: fn() -> Timestamp,
    pub(super) started: Instant,
}

/// What is to be looked at, and what is expected there.
#[derive(Default)]
pub(super) struct Plan {
    /// The entries of the inventory by their keys.
    pub(super) watches: BTreeMap<Arc<str>, Watch>,
    /// Each target with the key of its entry.
    pub(super) targets: BTreeMap<Target, Planned>,
    /// The targets by host and port: a probe asks for one of them, and there may be very many.
    by_place: Vec<Target>,
    /// What a scrape tells of the plan, from the first scrape on: plans change seldom, but at the start often.
    exposed: OnceLock<Exposed>,
}

/// What a scrape tells of a plan: the metrics of certificates, and those of sources.
pub(super) struct Exposed {
    pub(super) certificates: Arc<Exposition>,
    pub(super) sources: Arc<Exposition>,
}

/// What is expected at a target.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) key: Arc<str>,
    pub(super) expectation: Result<Kept, String>,
}

impl Plan {
    pub(super) fn new(
        watches: BTreeMap<Arc<str>, Watch>,
        targets: BTreeMap<Target, Planned>,
    ) -> Self {
        let mut by_place: Vec<Target> = targets.keys().cloned().collect();
        by_place.sort_by(|a, b| (&a.hostname, a.port).cmp(&(&b.hostname, b.port)));
        Self {
            watches,
            targets,
            by_place,
            exposed: OnceLock::new(),
        }
    }

    /// The targets at a host and port, in the order of their certificates.
    pub(super) fn at(&self, hostname: &Hostname, port: u16) -> impl Iterator<Item = &Target> {
        let place = (hostname, port);
        let first = self
            .by_place
            .partition_point(|t| (&t.hostname, t.port) < place);
        let rest = self.by_place.iter().skip(first);
        rest.take_while(move |t| (&t.hostname, t.port) == place)
    }

    /// The addresses that the inventory fixes for a host and port; `None` where the two are not in it.
    pub(super) fn known(&self, hostname: &Hostname, port: u16) -> Option<BTreeSet<IpAddr>> {
        let mut known = self
            .at(hostname, port)
            .map(|target| self.watches.get(&self.targets.get(target)?.key))
            .peekable();
        known.peek()?;
        let addresses = known.flatten().flat_map(|watch| &watch.entry.addresses);
        Some(addresses.copied().collect())
    }

    /// Whether every source has been asked, so that what is not here is not in the inventory.
    pub(super) fn is_whole(&self) -> bool {
        self.watches.values().all(|watch| watch.up.is_some())
    }

    /// What a scrape tells of it, written by `expose` unless it has been.
    pub(super) fn exposed(&self, expose: impl FnOnce(&Self) -> Exposed) -> &Exposed {
        self.exposed.get_or_init(|| expose(self))
    }

    /// The look at a target, as the monitor itself takes it.
    pub(super) fn job(&self, target: &Target, engine: &Engine, now: Timestamp) -> Option<Job> {
        let planned = self.targets.get(target)?;
        let watch = self.watches.get(&planned.key)?;
        let job = watch.job(
            target,
            &planned.expectation,
            &engine.times,
            &engine.manner,
            now,
        );
        Some(job)
    }
}

/// The last looks at a target.
pub(super) struct Looked {
    pub(super) results: Vec<Judged>,
    /// What a scrape tells of each of them.
    pub(super) lines: Vec<Lines>,
    /// When they ended.
    pub(super) at: Timestamp,
    /// Since when each of them has seen the same.
    pub(super) since: Vec<Since>,
    /// When the next ones are due.
    pub(super) next: Option<Timestamp>,
    /// The addresses of the last successful DNS lookup, where the results have none and no name server said so: the
    /// host was not looked up.
    not_looked_up: Box<[IpAddr]>,
}

/// Since when looks at an endpoint have seen the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since {
    /// The first look that saw it.
    pub(super) at: Timestamp,
    /// Whether the look before that saw something else; if not, it may have been so for longer.
    pub(super) is_change: bool,
}

impl Looked {
    /// The looks that ended then, after those before.
    pub(super) fn new(
        results: Vec<Judged>,
        at: Timestamp,
        next: Option<Timestamp>,
        before: Option<&Looked>,
    ) -> Self {
        let since = results.iter().map(|judged| {
            let old = before.and_then(|before| {
                let mut old = before.results.iter().zip(&before.since);
                old.find(|(old, _)| is_same_endpoint(old, judged))
            });
            match old {
                Some((old, since)) if saw_the_same(old, judged) => *since,
                Some(_) => Since {
                    at,
                    is_change: true,
                },
                None => Since {
                    at,
                    is_change: false,
                },
            }
        });
        let lines = results.iter().map(|judged| Lines::new(judged, at));
        let is_answered = local_addresses(&results).next().is_some();
        let not_looked_up = match before {
            Some(before) if !is_answered && dns_answer(&results).is_none() => before.known().into(),
            _ => Box::default(),
        };
        Self {
            not_looked_up,
            since: since.collect(),
            lines: lines.collect(),
            results,
            at,
            next,
        }
    }
}

impl Looked {
    /// The addresses of the last successful DNS lookup of the target's host, each once.
    pub(super) fn known(&self) -> Vec<IpAddr> {
        let mut known: Vec<IpAddr> = local_addresses(&self.results).collect();
        known.extend(&self.not_looked_up);
        known.sort();
        known.dedup();
        known
    }
}

/// The addresses that were probed from here.
fn local_addresses(results: &[Judged]) -> impl Iterator<Item = IpAddr> {
    let local = results
        .iter()
        .filter(|judged| judged.observation.vantage.is_local());
    local.filter_map(|judged| judged.observation.ip)
}

/// Whether two looks at one target were at the same address, from the same place and for the same kind of key.
pub(super) fn is_same_endpoint(a: &Judged, b: &Judged) -> bool {
    let (a, b) = (&a.observation, &b.observation);
    a.ip == b.ip && a.vantage == b.vantage && a.key_type == b.key_type
}

/// Whether the same leaf was served, the same told, or the same kind of error seen.
fn saw_the_same(a: &Judged, b: &Judged) -> bool {
    match (&a.observation.outcome, &b.observation.outcome) {
        (Outcome::Served(a), Outcome::Served(b)) => a.leaf == b.leaf,
        (Outcome::Told(a), Outcome::Told(b)) => a == b,
        (Outcome::Failed(a), Outcome::Failed(b)) => a.kind == b.kind,
        _ => false,
    }
}

/// How the cycles go: in each every target is looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cycle {
    /// How long the last whole one took.
    pub(super) duration: Option<Duration>,
    /// The due time of the look that has waited the longest, since the start.
    pub(super) oldest_due: Option<Duration>,
}

/// How the last try to take a configuration into force went.
#[derive(Clone, Debug)]
pub(super) struct Reload {
    /// What was wrong with it, if it was refused.
    pub(super) error: Option<String>,
    /// When one was last taken into force.
    pub(super) succeeded: Timestamp,
}

impl Board {
    pub(super) fn new(engine: Engine, requests: Requests, clock: fn() -> Timestamp) -> Self {
        Self {
            engine: Mutex::new(Arc::new(engine)),
            plan: Mutex::default(),
            looks: Mutex::default(),
            cycle: Mutex::default(),
            reload: Mutex::new(Reload {
                error: None,
                succeeded: clock(),
            }),
            state_health: OnceLock::new(),
            ready: AtomicBool::new(false),
            counters: Counters::default(),
            requests,
            clock,
            started: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn engine(&self) -> Arc<Engine> {
        lock(&self.engine).clone()
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        lock(&self.plan).clone()
    }

    /// The last looks, in the order of their targets.
    pub(super) fn looks(&self) -> Vec<Arc<Looked>> {
        lock(&self.looks).values().cloned().collect()
    }

    /// The last looks at the targets of one certificate.
    pub(super) fn looks_of(&self, certificate: &str) -> Vec<Arc<Looked>> {
        let looks = lock(&self.looks);
        let of_it = looks
            .iter()
            .filter(|(target, _)| target.certificate == certificate);
        of_it.map(|(_, looked)| looked.clone()).collect()
    }

    /// The last looks at one target.
    pub(super) fn looked(&self, target: &Target) -> Option<Arc<Looked>> {
        lock(&self.looks).get(target).cloned()
    }

    pub(super) fn cycle(&self) -> Cycle {
        *lock(&self.cycle)
    }

    pub(super) fn reload(&self) -> Reload {
        lock(&self.reload).clone()
    }

    /// Whether every source has been asked and every target been looked at once.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Returns whether the state folder can be written; `None` without one.
    pub(super) fn is_state_up(&self) -> Option<bool> {
        let health = self.state_health.get()?;
        Some(health.is_up(tokio::time::Instant::now()))
    }

    // What follows is for the monitor.

    pub(super) fn set_state_health(&self, health: Arc<StateHealth>) {
        // There is one state folder for the life of the process.
        let _ = self.state_health.set(health);
    }

    pub(super) fn set_engine(&self, engine: Arc<Engine>) {
        *lock(&self.engine) = engine;
    }

    /// Puts up a new plan; looks at what is no longer in it are taken down.
    pub(super) fn set_plan(&self, plan: Arc<Plan>) {
        lock(&self.looks).retain(|target, _| plan.targets.contains_key(target));
        *lock(&self.plan) = plan;
    }

    /// Puts up the looks at a target.
    pub(super) fn set_looked(&self, target: Target, looked: Arc<Looked>) {
        lock(&self.looks).insert(target, looked);
    }

    pub(super) fn set_cycle(&self, change: impl FnOnce(&mut Cycle)) {
        change(&mut lock(&self.cycle));
    }

    pub(super) fn set_reload(&self, change: impl FnOnce(&mut Reload)) {
        change(&mut lock(&self.reload));
    }

    pub(super) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Protocol;

    fn target() -> impl Strategy<Value = Target> {
        let protocols = [Protocol::Https, Protocol::H3];
        ("[ab]", "[ab]{1,2}", 1..4_u16, 0..2_usize).prop_map(
            move |(certificate, host, port, at)| Target {
                certificate,
                hostname: format!("{host}.example.com").parse().unwrap(),
                port,
                protocol: protocols[at],
            },
        )
    }

    proptest! {
        /// Each place has what a walk over everything finds there, in the same order.
        #[test]
        fn a_place_has_its_targets(targets in btree_set(target(), 0..40), asked in target()) {
            let planned = targets.iter().map(|target| {
                let expectation = Err("not asked yet".to_owned());
                (target.clone(), Planned { key: "one".into(), expectation })
            });
            let plan = Plan::new(BTreeMap::new(), planned.collect());
            let (hostname, port) = (&asked.hostname, asked.port);
            let walked: Vec<&Target> = targets
                .iter()
                .filter(|t| t.hostname == *hostname && t.port == port)
                .collect();
            prop_assert_eq!(plan.at(hostname, port).collect::<Vec<_>>(), walked.clone());
            prop_assert_eq!(plan.known(hostname, port).is_some(), !walked.is_empty());
        }
    }
}
