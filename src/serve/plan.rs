//! The plan: every target to probe, with its expectation. Pure.

mod draw;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::model::{Hostname, Target, Timestamp};
use crate::report::prometheus::Exposition;
use crate::scan::Job;

use super::expectations::{Kept, Watch};
use super::runtime::Runtime;

pub(super) use draw::{Planning, plan_all};

/// The targets to probe, and their expectations.
#[derive(Default)]
pub(super) struct Plan {
    /// The entries of the inventory by their keys.
    pub(super) watches: BTreeMap<Arc<str>, Watch>,
    /// Each target with the key of its entry.
    pub(super) targets: BTreeMap<Target, Planned>,
    /// The targets by host and port: a probe asks for one of them, and there may be very many.
    by_place: Vec<Target>,
    /// The metrics of the plan, from the first scrape on: plans change seldom, but often during the start.
    exposed: OnceLock<Exposed>,
}

/// The metrics of a plan: those of certificates, and those of sources.
pub(super) struct Exposed {
    pub(super) certificates: Arc<Exposition>,
    pub(super) sources: Arc<Exposition>,
}

/// The expectation at a target.
#[derive(Clone)]
pub(super) struct Planned {
    /// The key of its entry.
    pub(super) key: Arc<str>,
    /// The expected certificate, or why it is not known.
    pub(super) expectation: Result<Kept, String>,
}

impl Plan {
    /// A plan of these entries and targets.
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

    /// Returns the targets at a host and port, in the order of their certificates.
    pub(super) fn at(&self, hostname: &Hostname, port: u16) -> impl Iterator<Item = &Target> {
        let place = (hostname, port);
        let first = self
            .by_place
            .partition_point(|t| (&t.hostname, t.port) < place);
        let rest = self.by_place.iter().skip(first);
        rest.take_while(move |t| (&t.hostname, t.port) == place)
    }

    /// Returns the addresses that the inventory fixes for a host and port; `None` if the two are not in it.
    pub(super) fn known(&self, hostname: &Hostname, port: u16) -> Option<BTreeSet<IpAddr>> {
        let mut known = self
            .at(hostname, port)
            .map(|target| self.watches.get(&self.targets.get(target)?.key))
            .peekable();
        known.peek()?;
        let addresses = known.flatten().flat_map(|watch| &watch.entry.addresses);
        Some(addresses.copied().collect())
    }

    /// Returns true if every source was asked, so that a target that is not in the plan is not in the inventory.
    pub(super) fn is_whole(&self) -> bool {
        self.watches.values().all(|watch| watch.up.is_some())
    }

    /// Returns the metrics of the plan, written by `expose` if they were not yet.
    pub(super) fn exposed(&self, expose: impl FnOnce(&Self) -> Exposed) -> &Exposed {
        self.exposed.get_or_init(|| expose(self))
    }

    /// Returns the monitor's own probe of a target.
    pub(super) fn job(&self, target: &Target, runtime: &Runtime, now: Timestamp) -> Option<Job> {
        let planned = self.targets.get(target)?;
        let watch = self.watches.get(&planned.key)?;
        let job = watch.job(
            target,
            &planned.expectation,
            &runtime.times,
            &runtime.manner,
            now,
        );
        Some(job)
    }
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
