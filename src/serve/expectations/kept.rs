//! Last result of a source for one certificate, with the instances that were expected before.

use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Fingerprint;
use crate::instance::{Expectation, Expected, Instance};
use crate::judge::Grace;
use crate::model::Timestamp;
use crate::source::Loaded;
use crate::store::Remembered;

use super::seconds;

/// Maximum older instances that are kept of one certificate; the oldest are dropped first.
pub(super) const MAX_PREVIOUS: usize = 8;

/// Result of a source for one certificate.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Kept {
    /// The result, with the instances that were expected before; the last is the previous one.
    pub(in crate::serve) loaded: Arc<Loaded>,
    /// Time of the last fetch that returned it.
    pub(in crate::serve) fetched: Timestamp,
    /// Time at which the expected instance changed; `None` if none was expected before.
    pub(in crate::serve) changed: Option<Timestamp>,
}

impl From<Remembered> for Kept {
    fn from(remembered: Remembered) -> Self {
        Self {
            loaded: Arc::new(remembered.loaded),
            fetched: remembered.fetched,
            changed: remembered.changed,
        }
    }
}

impl From<&Kept> for Remembered {
    fn from(kept: &Kept) -> Self {
        Self {
            loaded: Loaded::clone(&kept.loaded),
            fetched: kept.fetched,
            changed: kept.changed,
        }
    }
}

impl Kept {
    /// Moves times that are after `now` back to `now`. They are in the future if the clock was set
    /// back. Otherwise the grace period would be too long, and a failing source would be stale too
    /// late.
    pub(super) fn is_not_of_the_future(&mut self, now: Timestamp) {
        self.fetched = self.fetched.min(now);
        // A `changed` of exactly `now` means that this result changes the instance.
        let before = Timestamp(now.0.saturating_sub(1));
        self.changed = self.changed.map(|changed| changed.min(before));
    }

    /// Combines a result of a source with the previous one.
    pub(super) fn new(old: Option<Self>, loaded: Loaded, now: Timestamp) -> Self {
        let Some(old) = old else {
            return Self {
                loaded: Arc::new(loaded),
                fetched: now,
                changed: None,
            };
        };
        let was = old.loaded.expected.instances();
        let (Some(was), Expectation::Instances(is)) = (was, &loaded.expected.what) else {
            return Self {
                loaded: Arc::new(loaded),
                fetched: now,
                changed: old.changed,
            };
        };
        let same = was.expected.leaf == is.expected.leaf;
        let mut previous: Vec<Instance> = was.previous.clone();
        if !same {
            previous.push(was.expected.clone());
        }
        // The source may report that one has been revoked meanwhile.
        for old in &mut previous {
            let mut reported = is.previous.iter();
            if let Some(present) = reported.find(|present| present.leaf == old.leaf) {
                old.state = present.state;
            }
        }
        // An instance that is expected again after a rollback is no longer a previous one.
        previous.retain(|old| is.accepted().all(|now| now.leaf != old.leaf));
        let surplus = previous.len().saturating_sub(MAX_PREVIOUS);
        previous.drain(..surplus);
        let mut instances = is.clone();
        instances.previous = previous;
        if *was == *instances && old.says(&loaded) {
            return Self {
                fetched: now,
                ..old
            };
        }
        let expected = Expected {
            source: loaded.expected.source,
            what: Expectation::Instances(instances),
        };
        Self {
            changed: if same { old.changed } else { Some(now) },
            fetched: now,
            loaded: Arc::new(Loaded {
                expected: Arc::new(expected),
                ..loaded
            }),
        }
    }

    /// Returns true if the names and hosts of a result have not changed.
    fn says(&self, loaded: &Loaded) -> bool {
        let Loaded {
            name,
            common_name,
            expected,
            hostnames,
            found,
            awaited,
        } = &*self.loaded;
        *name == loaded.name
            && *common_name == loaded.common_name
            && expected.source == loaded.expected.source
            && *hostnames == loaded.hostnames
            && *found == loaded.found
            && *awaited == loaded.awaited
    }

    fn before(&self) -> Option<Fingerprint> {
        let instances = self.loaded.expected.instances()?;
        instances.previous.last().map(|i| i.leaf.sha256())
    }

    pub(super) fn grace(&self, grace: Duration) -> Option<Grace> {
        Some(Grace {
            before: self.before()?,
            until: Timestamp(self.changed?.0.saturating_add(seconds(grace))),
        })
    }

    pub(super) fn describe_change(&self) -> String {
        let name = &self.loaded.name;
        let Some(instances) = self.loaded.expected.instances() else {
            return name.clone();
        };
        let number = instances
            .expected
            .id
            .map(|id| format!(" {id}"))
            .unwrap_or_default();
        let end = instances.expected.leaf.facts().ok();
        let end = end.map(|f| format!(", which expires on {}", f.not_after.date()));
        format!(
            "{name}: another instance{number} is expected now{}",
            end.unwrap_or_default()
        )
    }
}
