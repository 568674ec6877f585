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
    if let Outcome::Served(served) = &judged.observation.outcome {
        let lifetime_of_leaf = served.leaf.facts().map_or(0, |facts| facts.lifetime());
        let instances = judged.expected.as_deref().and_then(|e| e.instances());
        let expected = instances.map(|instances| &instances.expected);
        let above = expected
            .into_iter()
            .flat_map(|e| e.chain.iter().chain(&e.root));
        let own = std::iter::once(&served.leaf).chain(&served.rest);
        for validity in own.chain(above).filter_map(validity) {
            changes_of(validity, lifetime_of_leaf, rules).for_each(&mut add);
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
    if let (Outcome::Reported(_), Some(expected)) = (&judged.observation.outcome, &judged.expected)
        && let Some(instances) = expected.instances()
    {
        for (begin, end) in instances.accepted().filter_map(|i| validity(&i.leaf)) {
            let lifetime = end.seconds_since(begin);
            changes_of((begin, end), lifetime, rules).for_each(&mut add);
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

/// Returns the times at which a certificate on a path to a leaf of this lifetime is judged
/// differently.
fn changes_of(
    (not_before, not_after): (Timestamp, Timestamp),
    lifetime_of_leaf: i64,
    rules: &Rules,
) -> impl Iterator<Item = Timestamp> {
    let lifetime = not_after.seconds_since(not_before);
    let thresholds = [rules.warn, rules.crit]
        .into_iter()
        .flat_map(move |threshold| {
            let seconds = threshold.seconds_of(lifetime);
            [seconds, seconds.min(lifetime_of_leaf)].map(|s| after(before(not_after, s)))
        });
    [not_before, after(not_after)].into_iter().chain(thresholds)
}

fn after(time: Timestamp) -> Timestamp {
    Timestamp(time.0.saturating_add(1))
}

fn before(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp(time.0.saturating_sub(seconds))
}

fn validity(certificate: &Certificate) -> Option<(Timestamp, Timestamp)> {
    certificate.facts().ok()?.validity()
}
