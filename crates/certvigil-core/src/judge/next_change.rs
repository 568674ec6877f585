//! Times at which the verdict on an unchanged observation changes.

use crate::certificate::{Certificate, MAX_OCSP_BYTES, ocsp_outdated_from};
use crate::model::Timestamp;
use crate::observation::{Outcome, Staple};

use super::{Judged, Rules};

/// Duration of the last day of an acceptance, in seconds.
const DAY: i64 = 86_400;

/// Returns the first time after `since` at which the same observation may be judged differently,
/// because a certificate, a stapled response, a threshold, the grace period or an acceptance begins
/// or ends. Returns `None` if no such time is known. At a returned time the verdict need not differ.
pub fn next_change(judged: &Judged, rules: &Rules, since: Timestamp) -> Option<Timestamp> {
    let mut next: Option<Timestamp> = None;
    let mut add = |time: Timestamp| {
        if time > since {
            next = Some(next.map_or(time, |next| next.min(time)));
        }
    };
    let after = |time: Timestamp| Timestamp(time.0.saturating_add(1));
    let before = |time: Timestamp, seconds: i64| Timestamp(time.0.saturating_sub(seconds));
    if let Outcome::Served(served) = &judged.observation.outcome {
        let lifetime_of_leaf = served.leaf.facts().map_or(0, |facts| facts.lifetime());
        let instances = judged.expected.as_deref().and_then(|e| e.instances());
        let expected = instances.map(|instances| &instances.expected);
        let above = expected
            .into_iter()
            .flat_map(|e| e.chain.iter().chain(&e.root));
        let own = std::iter::once(&served.leaf).chain(&served.rest);
        let validities = own.chain(above).filter_map(validity);
        for (not_before, not_after) in validities {
            add(not_before);
            add(after(not_after));
            let lifetime = not_after.seconds_since(not_before);
            for threshold in [rules.warn, rules.crit] {
                let seconds = threshold.seconds_of(lifetime);
                add(after(before(not_after, seconds)));
                add(after(before(not_after, seconds.min(lifetime_of_leaf))));
            }
        }
        let with_ech = served.ech.iter().flat_map(|ech| ech.certificates());
        for (not_before, not_after) in with_ech.filter_map(validity) {
            add(not_before);
            add(after(not_after));
        }
        // The root of the path may be known to the trust store only.
        if let Some(end) = judged.path_expiry {
            add(after(end));
            let seconds = rules.warn.seconds_of(i64::MAX).min(lifetime_of_leaf);
            add(after(before(end, seconds)));
        }
        if let Staple::Sent(response) = &served.revocation.staple
            && response.len() <= MAX_OCSP_BYTES
            && let Some(end) = ocsp_outdated_from(response)
        {
            add(end);
        }
    }
    if let Some(grace) = rules.grace {
        add(grace.until);
    }
    for day in judged.notes.accept.iter().filter_map(|a| a.until) {
        add(Timestamp(day.0.saturating_add(DAY)));
    }
    next
}

fn validity(certificate: &Certificate) -> Option<(Timestamp, Timestamp)> {
    certificate.facts().ok()?.validity()
}
