//! Leaves that each host has served before, and the finding of a change that is more than a renewal.
//!
//! Only entries without an expected certificate need them. A leaf is compared with all known leaves
//! of its host, at all addresses, so that a host that alternates between two certificates causes one
//! finding at most.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::{Certificate, Fingerprint, LeafRecord};
use crate::finding::{Detail, Finding};
use crate::instance::Expectation;
use crate::judge::{Judged, Verdict, material_changes};
use crate::model::Timestamp;
use crate::observation::Outcome;
use crate::store::{KnownLeaf, Place};

use super::super::snapshot::{EndpointResult, TargetResults};

/// Time after a change for which it is reported.
const REPORTED_SECONDS: i64 = 24 * 3600;
/// Maximum known leaves of a place.
const MAX_LEAVES: usize = 8;
/// Maximum places with known leaves. Names in DNS (MX, SRV) can add places.
const MAX_PLACES: usize = 400_000;
/// Maximum probes before the comparison begins while some address has not served a certificate yet.
const MAX_FIRST_PROBES: u8 = 3;

/// Known leaves of all places.
#[derive(Debug, Default)]
pub(super) struct KnownLeaves {
    places: BTreeMap<Place, Known>,
}

/// Known leaves of one place.
#[derive(Debug)]
struct Known {
    /// Leaves, the last seen first.
    leaves: Vec<KnownLeaf>,
    /// Number of probes, until new leaves are compared; `None` once they are.
    first_probes: Option<u8>,
    /// Time of the last result, since the start.
    seen: Duration,
    /// True if the leaves differ from the stored ones.
    is_changed: bool,
}

impl KnownLeaves {
    /// Returns the leaves that the state directory has.
    pub(super) fn new(stored: BTreeMap<Place, Vec<KnownLeaf>>, now: Duration) -> Self {
        let places = stored.into_iter().map(|(place, leaves)| {
            let known = Known {
                leaves,
                first_probes: None,
                seen: now,
                is_changed: false,
            };
            (place, known)
        });
        Self {
            places: places.collect(),
        }
    }

    /// Adds the leaf of a result. Returns the finding if it replaced another leaf, and this is more
    /// than a renewal.
    pub(super) fn add(
        &mut self,
        judged: &Judged,
        clock: Timestamp,
        elapsed: Duration,
    ) -> Option<Finding> {
        let (leaf, is_trusted) = leaf_to_compare(judged)?;
        let place = Place::of(&judged.observation);
        let is_full = self.places.len() >= MAX_PLACES;
        if is_full && !self.places.contains_key(&place) {
            return None;
        }
        let known = self.places.entry(place).or_insert_with(|| Known {
            leaves: Vec::new(),
            first_probes: Some(0),
            seen: elapsed,
            is_changed: false,
        });
        known.seen = elapsed;
        known.add(leaf, is_trusted, clock)?.finding(leaf, clock)
    }

    /// Applies a probe of a target that ended, with the results before and after it. Returns the
    /// places whose leaves must be stored.
    pub(super) fn end_probe(
        &mut self,
        before: Option<&TargetResults>,
        after: &TargetResults,
        run: u64,
    ) -> Vec<(Place, Vec<KnownLeaf>)> {
        let mut of_places: BTreeMap<Place, Vec<&EndpointResult>> = BTreeMap::new();
        let local = after.endpoints.iter().filter(|e| {
            let observation = e.observation();
            e.run == run && observation.vantage.is_local()
        });
        for endpoint in local {
            let place = Place::of(endpoint.observation());
            of_places.entry(place).or_default().push(endpoint);
        }
        let mut changed = Vec::new();
        for (place, endpoints) in of_places {
            if let Some(known) = self.places.get_mut(&place) {
                known.end_probe(before, &endpoints);
                if known.first_probes.is_none() && std::mem::take(&mut known.is_changed) {
                    changed.push((place, known.leaves.clone()));
                }
            }
        }
        changed
    }

    /// Removes the places without a result since `before`.
    pub(super) fn expire(&mut self, before: Duration) {
        self.places.retain(|_, known| known.seen >= before);
    }

    /// Returns the number of known leaves.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.values().map(|known| known.leaves.len()).sum()
    }
}

impl Known {
    /// Adds a leaf that was seen. Returns `None` if it cannot be read.
    fn add(
        &mut self,
        leaf: &Certificate,
        is_trusted: bool,
        clock: Timestamp,
    ) -> Option<&KnownLeaf> {
        let sha256 = leaf.sha256();
        match self
            .leaves
            .iter()
            .position(|known| known.leaf.sha256 == sha256)
        {
            Some(position) => {
                self.leaves.get_mut(..=position)?.rotate_right(1);
                let known = self.leaves.first_mut()?;
                self.is_changed |= is_trusted && !known.is_trusted;
                known.is_trusted |= is_trusted;
                // The clock may have been set back.
                known.first_seen = known.first_seen.min(clock);
                if clock >= known.reported_until() {
                    self.is_changed |= known.replaced.take().is_some();
                }
            }
            None => {
                let leaf = Arc::new(LeafRecord::of(leaf)?);
                let replaced = match self.first_probes {
                    None => self.replaced_by(&leaf, is_trusted),
                    Some(_) => None,
                };
                let known = KnownLeaf {
                    leaf,
                    replaced,
                    is_trusted,
                    first_seen: clock,
                };
                self.leaves.insert(0, known);
                self.is_changed = true;
                if self.leaves.len() > MAX_LEAVES {
                    self.drop_one();
                }
            }
        }
        self.leaves.first()
    }

    /// Returns the leaf that a new one replaced, unless the new one is a renewal of a known leaf.
    /// That is the most similar one, and of those the last seen. A trusted leaf is compared only
    /// with trusted leaves: after an untrusted one, a fault was fixed.
    fn replaced_by(&self, leaf: &LeafRecord, is_trusted: bool) -> Option<Arc<LeafRecord>> {
        let comparable = self.leaves.iter();
        let comparable = comparable.filter(|known| known.is_trusted || !is_trusted);
        let compared = comparable.map(|known| (material_changes(&known.leaf, leaf).len(), known));
        let (changes, most_similar) = compared.min_by_key(|(changes, _)| *changes)?;
        (changes > 0).then(|| most_similar.leaf.clone())
    }

    /// Drops the leaf that was seen the longest time ago, if possible one of which a renewal is
    /// known. A certificate that is served alternately stays known while another one is renewed.
    fn drop_one(&mut self) {
        let is_renewed = |position: usize, old: &KnownLeaf| {
            let newer = self.leaves.iter().take(position);
            let mut newer = newer.map(|newer| material_changes(&old.leaf, &newer.leaf));
            newer.any(|changes| changes.is_empty())
        };
        let mut all = self.leaves.iter().enumerate();
        let renewed = all.rfind(|(position, old)| is_renewed(*position, old));
        match renewed.map(|(position, _)| position) {
            Some(position) => drop(self.leaves.remove(position)),
            None => drop(self.leaves.pop()),
        }
    }

    /// Applies a probe of all addresses that ended.
    fn end_probe(&mut self, before: Option<&TargetResults>, endpoints: &[&EndpointResult]) {
        let is_complete = endpoints.iter().all(|e| leaf_of(e).is_some());
        if let Some(probes) = &mut self.first_probes {
            *probes += 1;
            if is_complete || *probes >= MAX_FIRST_PROBES {
                self.first_probes = None;
            }
        }
        let served: Vec<Fingerprint> = endpoints.iter().filter_map(|e| leaf_of(e)).collect();
        let earlier = |sha256: &Fingerprint| {
            let mut leaves = self.leaves.iter();
            leaves.any(|known| known.leaf.sha256 == *sha256 && known.replaced.is_none())
        };
        // An earlier leaf is served again at an address that served the new one, or everywhere.
        let mut ended: Vec<Fingerprint> = Vec::new();
        for endpoint in endpoints {
            if let Some(now) = leaf_of(endpoint)
                && earlier(&now)
                && let Some(was) = before.and_then(|before| before.endpoint(&endpoint.judged))
                && let Some(was) = leaf_of(was)
            {
                ended.push(was);
            }
        }
        let is_back = is_complete && served.iter().any(earlier);
        for known in &mut self.leaves {
            let sha256 = &known.leaf.sha256;
            let is_ended = ended.contains(sha256) || (is_back && !served.contains(sha256));
            if is_ended && known.replaced.take().is_some() {
                self.is_changed = true;
            }
        }
    }
}

impl KnownLeaf {
    /// Returns the time at which its finding ends.
    fn reported_until(&self) -> Timestamp {
        Timestamp(self.first_seen.0.saturating_add(REPORTED_SECONDS))
    }

    /// Returns the finding of this leaf, which is served.
    fn finding(&self, served: &Certificate, now: Timestamp) -> Option<Finding> {
        let before = self.replaced.as_ref()?;
        let until = self.reported_until();
        let changes = material_changes(before, &self.leaf);
        (now < until && !changes.is_empty()).then(|| {
            Finding::new(Detail::MaterialChange {
                before: Box::new(LeafRecord::clone(before)),
                served: served.clone(),
                changes,
                first_seen: self.first_seen,
                until,
            })
        })
    }
}

fn leaf_of(endpoint: &EndpointResult) -> Option<Fingerprint> {
    leaf_to_compare(&endpoint.judged).map(|(leaf, _)| leaf.sha256())
}

/// Returns the leaf of a result that is compared with earlier ones, and true if its chain is
/// trusted. A remote vantage does not report the leaf.
fn leaf_to_compare(judged: &Judged) -> Option<(&Certificate, bool)> {
    let observation = &judged.observation;
    let expected = judged.expected.as_ref()?;
    match (&observation.outcome, &judged.verdict) {
        (Outcome::Served(served), Verdict::Conclusive(flags))
            if observation.vantage.is_local() && expected.what == Expectation::TrustOnly =>
        {
            Some((&served.leaf, flags.trusted == Some(true)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
