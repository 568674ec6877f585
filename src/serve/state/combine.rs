//! Findings that compare several endpoints. They depend only on the results of single probes, and
//! are computed again whenever one of these changes.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use crate::finding::{Code, Finding};
use crate::judge::{Judged, Verdict, together};
use crate::model::{KeyType, Vantage};
use crate::observation::ErrorKind;

use super::super::snapshot::{EndpointResult, TargetResults, saw_the_same};

/// Returns a result as it is published until the probe of its target ends. It keeps the earlier
/// findings that compare endpoints while the endpoint itself has not changed. `place` has the
/// results of this probe for the same address.
pub(super) fn preliminary<'a>(
    alone: &Arc<Judged>,
    old: Option<&EndpointResult>,
    place: impl Iterator<Item = &'a Judged>,
) -> Arc<Judged> {
    if let Some(old) = old.filter(|old| is_alike(&old.alone, alone)) {
        return match Arc::ptr_eq(&old.alone, &old.judged) {
            true => alone.clone(),
            false => carried(alone, old),
        };
    }
    let mut looks: Vec<Judged> = place.cloned().collect();
    if looks.is_empty() {
        return alone.clone();
    }
    looks.push(Judged::clone(alone));
    together(&mut looks);
    looks.pop().map_or_else(|| alone.clone(), Arc::new)
}

/// Returns true if the server refused the handshake for this key type. The meaning of such a result
/// depends on whether the address has a certificate with another key type.
pub(super) fn depends_on_other_key_type(judged: &Judged) -> bool {
    judged.observation.key_type != KeyType::Any
        && matches!(&judged.verdict, Verdict::Inconclusive(error)
            if matches!(error.kind, ErrorKind::TlsAlert | ErrorKind::TlsClosed))
}

/// Computes the findings that compare endpoints, for the vantages without a running probe. Results
/// of two vantages are compared if their times are within one interval of each other.
pub(super) fn combine(
    results: &mut TargetResults,
    is_settled: impl Fn(&Vantage) -> bool,
    interval: Duration,
) {
    if let [one] = results.endpoints.as_slice()
        && Arc::ptr_eq(&one.alone, &one.judged)
    {
        return;
    }
    let vantages: Vec<Vantage> = {
        let mut all: Vec<&Vantage> = results.endpoints.iter().map(vantage).collect();
        all.sort();
        all.dedup();
        let settled = all.into_iter().filter(|vantage| is_settled(vantage));
        settled.cloned().collect()
    };
    let is_alone = results.endpoints.len() <= 1;
    let mut replaced = Vec::new();
    for of in &vantages {
        let own = || results.endpoints.iter().filter(|e| vantage(e) == of);
        let mut looks: Vec<Judged> = Vec::new();
        if !is_alone {
            looks.extend(own().map(|e| Judged::clone(&e.alone)));
            let others = results.endpoints.iter().filter(|e| vantage(e) != of);
            let comparable =
                others.filter(|other| own().any(|e| is_comparable(e, other, interval)));
            looks.extend(comparable.map(|e| Judged::clone(&e.alone)));
            if looks.len() > 1 {
                together(&mut looks);
            }
        }
        let mut looks = looks.into_iter();
        for endpoint in own() {
            let judged = looks.next();
            let findings = judged
                .as_ref()
                .map_or(&endpoint.alone.findings, |j| &j.findings);
            if *findings == endpoint.judged.findings {
                continue;
            }
            let judged = match judged {
                Some(judged) if judged.findings != endpoint.alone.findings => Arc::new(judged),
                _ => endpoint.alone.clone(),
            };
            replaced.push(endpoint.with_judged(judged));
        }
    }
    for endpoint in replaced {
        results.put(endpoint);
    }
}

fn vantage(endpoint: &Arc<EndpointResult>) -> &Vantage {
    &endpoint.observation().vantage
}

/// Returns true if two results are of the same address and key type, and at most one interval
/// apart.
fn is_comparable(a: &EndpointResult, b: &EndpointResult, interval: Duration) -> bool {
    let place = |e: &EndpointResult| (e.observation().ip, e.observation().key_type);
    place(a) == place(b) && a.ended.abs_diff(b.ended) <= interval
}

/// Returns true if two results of an endpoint are the same except for the text of their findings.
fn is_alike(a: &Judged, b: &Judged) -> bool {
    let verdicts = match (&a.verdict, &b.verdict) {
        (Verdict::Conclusive(a), Verdict::Conclusive(b)) => a == b,
        (Verdict::Inconclusive(a), Verdict::Inconclusive(b)) => a.kind == b.kind,
        _ => false,
    };
    let codes = |judged: &Judged| -> Vec<_> {
        let findings = judged.findings.iter();
        findings.map(|f| (f.code(), f.severity)).collect()
    };
    verdicts && saw_the_same(a, b) && codes(a) == codes(b)
}

/// Returns a result to which the last comparison of endpoints is applied: the findings that it
/// added and removed.
fn carried(alone: &Arc<Judged>, old: &EndpointResult) -> Arc<Judged> {
    let has = |findings: &[Finding], code: Code| findings.iter().any(|f| f.code() == code);
    let (was_alone, was) = (&old.alone.findings, &old.judged.findings);
    let mut judged = Judged::clone(alone);
    let is_removed = |code| has(was_alone, code) && !has(was, code);
    judged
        .findings
        .retain(|finding| !is_removed(finding.code()));
    let added = was.iter().filter(|finding| !has(was_alone, finding.code()));
    judged.findings.extend(added.cloned());
    judged
        .findings
        .sort_by_key(|finding| (Reverse(finding.severity), finding.code()));
    Arc::new(judged)
}

#[cfg(test)]
mod tests;
