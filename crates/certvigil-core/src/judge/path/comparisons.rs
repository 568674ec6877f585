//! The budget of comparisons of names with name constraints, and the results of earlier ones.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::certificate::Fingerprint;
use crate::finding::FaultKind;

/// Budget of one probe for comparisons of names with subtrees. All judging of the probe shares it.
/// A certificate with a thousand names below an authority with a hundred constraints needs less
/// than half.
pub(in crate::judge) const MAX_COMPARISONS: usize = 250_000;

/// Octets that one unit of the budget covers. Longer names cost more units.
const OCTETS_PER_UNIT: usize = 64;

/// The comparisons of names made for one probe, within `MAX_COMPARISONS`.
#[derive(Debug)]
pub(in crate::judge) struct Comparisons {
    left: Cell<usize>,
    /// The results by authority and constrained certificate. Many paths have the same pairs.
    known: RefCell<HashMap<(Fingerprint, Fingerprint), Option<FaultKind>>>,
}

impl Default for Comparisons {
    fn default() -> Self {
        Self {
            left: Cell::new(MAX_COMPARISONS),
            known: RefCell::default(),
        }
    }
}

impl Comparisons {
    /// Returns true if the budget is used up. No comparison is made then.
    pub(super) fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }

    /// Takes the units for work on this many octets. Returns false, and uses up the budget, if that
    /// is more than what is left.
    pub(super) fn take(&self, octets: usize) -> bool {
        let cost = 1 + octets / OCTETS_PER_UNIT;
        let left = self.left.get();
        self.left.set(left.saturating_sub(cost));
        left >= cost
    }

    /// Returns the result for an authority and a certificate below it, which is computed once.
    pub(super) fn once(
        &self,
        authority: Fingerprint,
        below: Fingerprint,
        compare: impl FnOnce() -> Option<FaultKind>,
    ) -> Option<FaultKind> {
        let pair = (authority, below);
        if let Some(known) = self.known.borrow().get(&pair) {
            return known.clone();
        }
        let result = compare();
        self.known.borrow_mut().insert(pair, result.clone());
        result
    }

    /// Returns the units taken so far.
    #[cfg(test)]
    pub(in crate::judge) fn spent(&self) -> usize {
        MAX_COMPARISONS - self.left.get()
    }
}
