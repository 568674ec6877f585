//! The plan: every target to probe, with its expectation. Pure.

mod build;
mod index;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::config::SourceSettings;
use crate::model::{Hostname, Target, Timestamp};
use crate::report::prometheus::Exposition;
use crate::scan::Job;
use crate::source::FetchError;

use super::expectations::{Kept, Watch};
use super::runtime::Runtime;

pub(super) use build::{Planning, plan_all};
pub(super) use index::{Index, MAX_SOURCES, Named, Source, first_sources};

/// Targets to probe, and their expectations.
#[derive(Default)]
pub(super) struct Plan {
    /// Entries of the inventory by key.
    pub(super) watches: BTreeMap<Arc<str>, Arc<Watch>>,
    /// Each target with the key of its entry.
    pub(super) targets: BTreeMap<Arc<Target>, Planned>,
    /// Targets in the order of host and port, for the lookup of one of very many.
    by_place: Arc<[Arc<Target>]>,
    /// Entries that may have hosts which are not among the targets.
    unanswered: Vec<Arc<Watch>>,
    /// Certificates and sources in the order of the status page.
    pub(super) index: Index,
    /// Metrics of the plan, written at the first scrape. Plans rarely change, except during the
    /// start.
    exposed: OnceLock<Exposed>,
}

/// Metrics of a plan: those of certificates, and those of sources.
pub(super) struct Exposed {
    pub(super) certificates: Arc<Exposition>,
    pub(super) sources: Arc<Exposition>,
}

/// Expectation at a target.
#[derive(Clone)]
pub(super) struct Planned {
    /// Key of its entry.
    pub(super) key: Arc<str>,
    /// Expected certificate, or the reason why it is unknown.
    pub(super) expectation: Result<Kept, Arc<FetchError>>,
}

impl Plan {
    /// Returns a plan of these entries and targets. It shares with the plan `before` what is the same.
    pub(super) fn new(
        watches: BTreeMap<Arc<str>, Arc<Watch>>,
        targets: BTreeMap<Arc<Target>, Planned>,
        before: &Self,
    ) -> Self {
        let mut pairs = std::iter::zip(targets.keys(), before.targets.keys());
        let is_same = targets.len() == before.targets.len()
            && pairs.all(|(now, before)| Arc::ptr_eq(now, before));
        let by_place = match is_same {
            true => before.by_place.clone(),
            false => {
                let mut by_place: Vec<Arc<Target>> = targets.keys().cloned().collect();
                by_place.sort_by(|a, b| (&a.hostname, a.port).cmp(&(&b.hostname, b.port)));
                by_place.into()
            }
        };
        Self {
            index: Index::new(&watches, &targets),
            unanswered: watches
                .values()
                .filter(|watch| watch.has_unknown_hosts())
                .cloned()
                .collect(),
            watches,
            targets,
            by_place,
            exposed: OnceLock::new(),
        }
    }

    /// Returns the targets at a host and port, in the order of their certificates.
    pub(super) fn at(&self, hostname: &Hostname, port: u16) -> impl Iterator<Item = &Arc<Target>> {
        let place = (hostname, port);
        let first = self
            .by_place
            .partition_point(|t| (&t.hostname, t.port) < place);
        let rest = self.by_place.iter().skip(first);
        rest.take_while(move |t| (&t.hostname, t.port) == place)
    }

    /// Returns the targets of a host, by port.
    pub(super) fn of_host(&self, hostname: &Hostname) -> impl Iterator<Item = &Arc<Target>> {
        let first = self.by_place.partition_point(|t| t.hostname < *hostname);
        let rest = self.by_place.iter().skip(first);
        rest.take_while(move |t| t.hostname == *hostname)
    }

    /// Returns the addresses that the inventory sets for a host and port; `None` if the inventory
    /// does not contain them.
    pub(super) fn known(&self, hostname: &Hostname, port: u16) -> Option<BTreeSet<IpAddr>> {
        let mut known = self
            .at(hostname, port)
            .map(|target| self.watches.get(&self.targets.get(&**target)?.key))
            .peekable();
        known.peek()?;
        let addresses = known.flatten().flat_map(|watch| &watch.entry.addresses);
        Some(addresses.copied().collect())
    }

    /// Returns true if every source was fetched, so that a target that is not in the plan is not in
    /// the inventory.
    pub(super) fn is_whole(&self) -> bool {
        self.watches.values().all(|watch| watch.up.is_some())
    }

    /// Returns the entries whose sources have not answered since the start, so that they may have
    /// hosts which are not among the targets.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = &Watch> {
        self.unanswered.iter().map(|watch| &**watch)
    }

    /// Returns an entry that may set the expected certificate of a host, but whose source has not
    /// answered since the start. It is one that names the host, or any one if the targets do not
    /// include the host.
    pub(super) fn awaited_for(&self, hostname: &Hostname, is_known: bool) -> Option<&Watch> {
        let mut awaited = self.unanswered().filter(|watch| {
            let entry = &watch.entry;
            // Without an entry, the same is judged: trust.
            !matches!(entry.source, SourceSettings::TrustOnly)
                && (!is_known || entry.hostnames.contains(hostname))
        });
        awaited.next()
    }

    /// Returns the metrics of the plan. The first call writes them with `expose`.
    pub(super) fn exposed(&self, expose: impl FnOnce(&Self) -> Exposed) -> &Exposed {
        self.exposed.get_or_init(|| expose(self))
    }

    /// Returns the certificates, in the order of their names. Each name occurs once.
    pub(super) fn certificates(&self) -> impl Iterator<Item = Named<'_>> {
        self.index.iter(&self.watches)
    }

    /// Returns the certificate with a name.
    pub(super) fn certificate(&self, name: &str) -> Option<Named<'_>> {
        self.index.get(name, &self.watches)
    }

    /// Returns the names of the certificates without a host, in their order.
    pub(super) fn without_targets(&self) -> impl Iterator<Item = &str> {
        self.index.without_targets(&self.watches)
    }

    /// Returns the monitor's own probe of a target.
    pub(super) fn job(
        &self,
        target: &Arc<Target>,
        runtime: &Runtime,
        now: Timestamp,
    ) -> Option<Job> {
        self.job_of(vec![target.clone()], runtime, now)
    }

    /// Returns the monitor's own probe of targets of one certificate.
    pub(super) fn job_of(
        &self,
        targets: Vec<Arc<Target>>,
        runtime: &Runtime,
        now: Timestamp,
    ) -> Option<Job> {
        let planned = self.targets.get(&**targets.first()?)?;
        let watch = self.watches.get(&planned.key)?;
        let job = watch.job(
            targets,
            &planned.expectation,
            &runtime.times,
            &runtime.options,
            now,
        );
        Some(Job {
            shared_by: watch.entry.finds_hosts().then(|| planned.key.clone()),
            ..job
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Protocol;
    use crate::source::SourceError;

    fn target() -> impl Strategy<Value = Target> {
        let protocols = [Protocol::Https, Protocol::H3];
        ("[ab]", "[ab]{1,2}", 1..4_u16, 0..2_usize).prop_map(
            move |(certificate, host, port, at)| Target {
                certificate,
                hostname: format!("{host}.example.com").parse().unwrap(),
                port,
                protocol: protocols[at],
                names: Box::default(),
            },
        )
    }

    proptest! {
        /// The lookup of a host and port returns the same targets as a linear search, in the same
        /// order.
        #[test]
        fn host_and_port_lookup_returns_its_targets(targets in btree_set(target(), 0..40), asked in target()) {
            let planned = targets.iter().map(|target| {
                let expectation = Err(Arc::new(FetchError::File(SourceError::Timeout)));
                (Arc::new(target.clone()), Planned { key: "one".into(), expectation })
            });
            let plan = Plan::new(BTreeMap::new(), planned.collect(), &Plan::default());
            let (hostname, port) = (&asked.hostname, asked.port);
            let walked: Vec<&Target> = targets
                .iter()
                .filter(|t| t.hostname == *hostname && t.port == port)
                .collect();
            let found: Vec<&Target> = plan.at(hostname, port).map(|target| &**target).collect();
            prop_assert_eq!(found, walked.clone());
            prop_assert_eq!(plan.known(hostname, port).is_some(), !walked.is_empty());
        }
    }
}
