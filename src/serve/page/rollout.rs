//! Progress of the rollout of a new instance: which endpoints serve it.

use std::rc::Rc;

use crate::instance::Instance;
use crate::model::Timestamp;
use crate::observation::Outcome;

use super::view::{Certificate, Endpoint};

/// Progress of the rollout of a new instance.
pub(super) struct Rollout<'e, 'a> {
    /// Time since which it is expected.
    pub(super) changed: Timestamp,
    /// Endpoints that serve it.
    pub(super) new: Vec<&'e Rc<Endpoint<'a>>>,
    /// Endpoints that still serve a previous instance.
    pub(super) old: Vec<&'e Rc<Endpoint<'a>>>,
    /// Endpoints that serve another certificate, or have no result.
    pub(super) other: Vec<&'e Rc<Endpoint<'a>>>,
}

impl Rollout<'_, '_> {
    pub(super) fn total(&self) -> usize {
        self.new.len() + self.old.len() + self.other.len()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.old.is_empty() && self.other.is_empty()
    }
}

impl<'a> Certificate<'a> {
    /// Returns the progress of the rollout of a new instance; `None` if there is no previous one.
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
                .results
                .first()
                .map(|result| &result.judged.observation.outcome);
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
                Some(Outcome::Reported(reported)) if reported.correct => &mut rollout.new,
                _ => &mut rollout.other,
            };
            side.push(endpoint);
        }
        Some(rollout)
    }
}
