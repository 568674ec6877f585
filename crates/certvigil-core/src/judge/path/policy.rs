//! Certificate policies (RFC 5280, section 6.1, with the policy graph of RFC 9618). The user's
//! initial policy set is anyPolicy, so only an explicit policy that a certificate requires can
//! fail.

use std::collections::BTreeSet;

use crate::certificate::Facts;

use crate::finding::FaultKind;

const ANY_POLICY: &[u8] = &[0x55, 0x1d, 32, 0];
/// Maximum policies that are followed at one level of a path.
const MAX_POLICIES: usize = 1_024;

/// Checks the policies of a path: certificates from below the trust anchor down to the leaf.
/// Returns the position in that order and the fault. RFC 5280 ignores constraints of the trust
/// anchor; some clients apply those of `anchor`.
pub(in crate::judge) fn fault<'a>(
    anchor: Option<&'a Facts>,
    path: impl ExactSizeIterator<Item = &'a Facts>,
) -> Option<(usize, FaultKind)> {
    let length = path.len();
    let mut state = State {
        // A level of the graph: the policies that the next certificate may have.
        expected: BTreeSet::from([ANY_POLICY]),
        explicit: length + 1,
        mapping: length + 1,
        any: length + 1,
    };
    if let Some(anchor) = anchor {
        // The anchor is treated as self-issued, so it does not count.
        state.prepare(anchor, true);
    }
    let mut first_demand = None;
    for (at, facts) in path.enumerate() {
        let is_last = at + 1 == length;
        let is_self_issued = facts.is_self_issued();
        let required = facts.extensions.policy_constraints;
        let required = required.and_then(|c| c.require_explicit);
        if required.is_some() {
            first_demand = first_demand.or(Some(at));
        }
        state.certificate(facts, is_last, is_self_issued);
        if is_last {
            // Section 6.1.5 (a), (b).
            state.explicit = state.explicit.saturating_sub(1);
            if required == Some(0) {
                state.explicit = 0;
            }
        }
        if state.explicit == 0 && state.expected.is_empty() {
            return Some((first_demand.unwrap_or(at), FaultKind::NoValidPolicy));
        }
        if !is_last && !state.prepare(facts, is_self_issued) {
            return Some((at, FaultKind::AnyPolicyMapped));
        }
    }
    None
}

struct State<'a> {
    expected: BTreeSet<&'a [u8]>,
    explicit: usize,
    mapping: usize,
    any: usize,
}

impl<'a> State<'a> {
    /// Processes a certificate by section 6.1.3 (d), (e).
    fn certificate(&mut self, facts: &'a Facts, is_last: bool, is_self_issued: bool) {
        let Some(policies) = &facts.extensions.policies else {
            self.expected.clear();
            return;
        };
        let had_any = self.expected.contains(ANY_POLICY);
        let mut next = BTreeSet::new();
        for policy in policies
            .iter()
            .map(AsRef::as_ref)
            .filter(|p| *p != ANY_POLICY)
        {
            if had_any || self.expected.contains(policy) {
                next.insert(policy);
            }
        }
        let has_any = policies.iter().any(|p| **p == *ANY_POLICY);
        if has_any && (self.any > 0 || !is_last && is_self_issued) {
            next.extend(&self.expected);
        }
        while next.len() > MAX_POLICIES {
            next.pop_last();
        }
        self.expected = next;
    }

    /// Prepares for the next certificate by section 6.1.4 (a) to (j). Returns false if anyPolicy is
    /// mapped.
    fn prepare(&mut self, facts: &'a Facts, is_self_issued: bool) -> bool {
        let extensions = &facts.extensions;
        let mappings = &extensions.policy_mappings;
        if mappings
            .iter()
            .any(|(from, to)| **from == *ANY_POLICY || **to == *ANY_POLICY)
        {
            return false;
        }
        if !mappings.is_empty() {
            let has_any = self.expected.contains(ANY_POLICY);
            let mut mapped = BTreeSet::new();
            for (from, to) in mappings {
                if self.mapping > 0 && (has_any || self.expected.contains(&**from)) {
                    mapped.insert(&**to);
                }
            }
            for (from, _) in mappings {
                self.expected.remove(&**from);
            }
            self.expected.extend(mapped);
        }
        if !is_self_issued {
            self.explicit = self.explicit.saturating_sub(1);
            self.mapping = self.mapping.saturating_sub(1);
            self.any = self.any.saturating_sub(1);
        }
        let at_most = |counter: &mut usize, limit: Option<u32>| {
            if let Some(limit) = limit.and_then(|l| usize::try_from(l).ok()) {
                *counter = limit.min(*counter);
            }
        };
        if let Some(constraints) = extensions.policy_constraints {
            at_most(&mut self.explicit, constraints.require_explicit);
            at_most(&mut self.mapping, constraints.inhibit_mapping);
        }
        at_most(&mut self.any, extensions.inhibit_any_policy);
        true
    }
}
