//! The last results of each target.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::judge::{Judged, Verdict};
use crate::model::{Target, Timestamp, Vantage};
use crate::observation::{Observation, Outcome};
use crate::report::prometheus::Lines;
use crate::scan::KnownDns;

use super::super::dns_failures::dns_answer;
use super::recent::Recent;
use super::starts::Starts;
use super::summary::stale_after;

/// Last result of one endpoint: an address of a target, from one vantage, with one key type.
#[derive(Clone, Debug)]
pub(in crate::serve) struct EndpointResult {
    /// The result, with the findings that compare several endpoints.
    pub(in crate::serve) judged: Arc<Judged>,
    /// The result of the probe alone.
    pub(in crate::serve) alone: Arc<Judged>,
    /// Metrics of the result.
    pub(in crate::serve) lines: Lines,
    /// End of the probe of this endpoint.
    pub(in crate::serve) at: Timestamp,
    /// End of the probe, since the start.
    pub(in crate::serve) ended: Duration,
    /// Start of the current observation.
    pub(in crate::serve) since: Since,
    /// Start of each finding of the result.
    pub(in crate::serve) starts: Starts,
    /// End of the last probe that saw a certificate, or for which a vantage reported one.
    pub(in crate::serve) last_conclusive: Option<Timestamp>,
    /// Number of the probe of the target that the result belongs to.
    pub(in crate::serve) run: u64,
    /// Results of the last day.
    pub(in crate::serve) recent: Recent,
}

/// Time since which probes of an endpoint have had the same observation or finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Since {
    /// Time of the first of these probes.
    pub(in crate::serve) at: Timestamp,
    /// True if there was a probe before it. If false, the actual time may be earlier.
    pub(in crate::serve) is_change: bool,
}

impl EndpointResult {
    /// Returns the result of a probe that ended at `at`, `ended` after the start; `old` is the last
    /// result of its endpoint.
    pub(in crate::serve) fn new(
        alone: Arc<Judged>,
        judged: Arc<Judged>,
        (at, ended): (Timestamp, Duration),
        run: u64,
        old: Option<&Self>,
    ) -> Self {
        let since = match old {
            Some(old) if saw_the_same(&old.judged, &judged) => old.since,
            Some(_) => Since {
                at,
                is_change: true,
            },
            None => Since {
                at,
                is_change: false,
            },
        };
        let starts = match old {
            Some(old) => old.starts.following(&old.judged, &judged, at),
            None => Starts::first(&judged, at),
        };
        let last_conclusive = match judged.verdict {
            Verdict::Conclusive(_) => Some(at),
            Verdict::Inconclusive(_) => old.and_then(|old| old.last_conclusive),
        };
        let lines = match old {
            Some(old) => old
                .lines
                .following(&old.judged, &judged, at, last_conclusive),
            None => Lines::after(&judged, at, last_conclusive),
        };
        let recent = old.map_or_else(Recent::default, |old| old.recent);
        Self {
            lines,
            alone,
            recent: recent.with(at, judged.severity()),
            judged,
            at,
            ended,
            since,
            starts,
            last_conclusive,
            run,
        }
    }

    /// Returns the result with other findings that compare several endpoints.
    pub(in crate::serve) fn with_judged(&self, judged: Arc<Judged>) -> Self {
        Self {
            lines: self
                .lines
                .following(&self.judged, &judged, self.at, self.last_conclusive),
            recent: self.recent.with(self.at, judged.severity()),
            starts: self.starts.with(&judged, self.at),
            judged,
            ..self.clone()
        }
    }

    /// Returns the endpoint's observation.
    pub(in crate::serve) fn observation(&self) -> &Observation {
        &self.judged.observation
    }

    /// Returns true if the result is older than two intervals of its entry; `interval` is the
    /// default.
    pub(in crate::serve) fn is_stale(&self, now: Timestamp, interval: Duration) -> bool {
        let interval = self.judged.notes.interval.unwrap_or(interval);
        now.seconds_since(self.at) > stale_after(interval)
    }
}

/// Last results of one target.
#[derive(Clone, Debug)]
pub(in crate::serve) struct TargetResults {
    /// The target.
    pub(in crate::serve) target: Arc<Target>,
    /// Result of each endpoint, by address, key type and vantage.
    pub(in crate::serve) endpoints: Vec<Arc<EndpointResult>>,
    /// Due times of the next probes, by vantage.
    next: Vec<(Vantage, Timestamp)>,
    /// Addresses of the last successful DNS lookup, if it has no newer result. It is empty if the
    /// results have addresses, or if a name server reported that there are none.
    not_looked_up: Box<[IpAddr]>,
}

impl TargetResults {
    /// Returns a target without results.
    pub(in crate::serve) fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            endpoints: Vec::new(),
            next: Vec::new(),
            not_looked_up: Box::default(),
        }
    }

    /// Returns the results, each with its findings.
    pub(in crate::serve) fn judged(&self) -> impl Iterator<Item = &Judged> + Clone {
        self.endpoints.iter().map(|endpoint| &*endpoint.judged)
    }

    /// Returns the results by endpoint: those of all vantages for one address and key type.
    pub(in crate::serve) fn places(&self) -> impl Iterator<Item = &[Arc<EndpointResult>]> {
        let place = |result: &EndpointResult| {
            let observation = result.observation();
            (observation.ip, observation.key_type)
        };
        self.endpoints.chunk_by(move |a, b| place(a) == place(b))
    }

    /// Returns the last result of the endpoint of a judged observation.
    pub(in crate::serve) fn endpoint(&self, judged: &Judged) -> Option<&Arc<EndpointResult>> {
        let at = self.position(&judged.observation).ok()?;
        self.endpoints.get(at)
    }

    /// Replaces the last result of an endpoint.
    pub(in crate::serve) fn put(&mut self, result: EndpointResult) {
        let result = Arc::new(result);
        match self.position(&result.judged.observation) {
            Ok(at) => {
                if let Some(place) = self.endpoints.get_mut(at) {
                    *place = result;
                }
            }
            Err(at) => {
                // Most targets have one endpoint.
                self.endpoints.reserve_exact(1);
                self.endpoints.insert(at, result);
            }
        }
    }

    fn position(&self, observation: &Observation) -> Result<usize, usize> {
        let order = |o: &Observation| (o.ip, o.key_type);
        let wanted = order(observation);
        self.endpoints.binary_search_by(|endpoint| {
            let own = endpoint.observation();
            let by_place = order(own).cmp(&wanted);
            by_place.then_with(|| own.vantage.cmp(&observation.vantage))
        })
    }

    /// Returns the due time of the next probe from a vantage.
    pub(in crate::serve) fn next(&self, vantage: &Vantage) -> Option<Timestamp> {
        let mut next = self.next.iter();
        next.find(|(of, _)| of == vantage).map(|(_, next)| *next)
    }

    /// Sets the due time of the next probe from a vantage.
    pub(in crate::serve) fn set_next(&mut self, vantage: &Vantage, next: Option<Timestamp>) {
        self.next.retain(|(of, _)| of != vantage);
        if let Some(next) = next {
            self.next.reserve_exact(1);
            self.next.push((vantage.clone(), next));
        }
    }

    /// Removes the results that are not wanted.
    pub(in crate::serve) fn retain(&mut self, is_wanted: impl FnMut(&Arc<EndpointResult>) -> bool) {
        self.endpoints.retain(is_wanted);
    }

    /// Keeps the addresses of the last successful DNS lookup, `known` before this probe, if this
    /// probe did not look them up successfully.
    pub(in crate::serve) fn end_local_probe(&mut self, known: &[IpAddr]) {
        let is_answered = local_addresses(self.judged()).next().is_some();
        let is_looked_up = is_answered || dns_answer(self.judged()).is_some();
        self.not_looked_up = match is_looked_up {
            true => Box::default(),
            false => known.into(),
        };
    }

    /// Returns the addresses of the last successful DNS lookup of the target's host, without
    /// duplicates.
    pub(in crate::serve) fn known(&self) -> Vec<IpAddr> {
        let mut known: Vec<IpAddr> = local_addresses(self.judged()).collect();
        known.extend(&self.not_looked_up);
        known.sort();
        known.dedup();
        known
    }

    /// Returns the results of the last successful DNS lookups for the target.
    pub(in crate::serve) fn known_dns(&self) -> KnownDns {
        let mut local = self
            .judged()
            .filter(|judged| judged.observation.vantage.is_local());
        KnownDns {
            addresses: self.known(),
            tlsa: local.find_map(|judged| Some(judged.dane.as_ref()?.tlsa.clone())),
        }
    }

    /// Returns the results of a target after one probe that ended at `at`; `before` are the results
    /// before it.
    #[cfg(test)]
    pub(in crate::serve) fn probed(
        target: &Target,
        results: Vec<Judged>,
        at: Timestamp,
        before: Option<&Self>,
    ) -> Self {
        let known = before.map_or_else(Vec::new, Self::known);
        let mut now = before
            .cloned()
            .unwrap_or_else(|| Self::new(Arc::new(target.clone())));
        let run = now.endpoints.iter().map(|e| e.run + 1).max().unwrap_or(0);
        for judged in results {
            let judged = Arc::new(judged);
            let old = now.endpoint(&judged).cloned();
            let ended = Duration::from_secs(u64::try_from(at.0).unwrap_or(0));
            let result =
                EndpointResult::new(judged.clone(), judged, (at, ended), run, old.as_deref());
            now.put(result);
        }
        now.retain(|endpoint| endpoint.run == run);
        now.end_local_probe(&known);
        now
    }
}

/// Returns the addresses that were probed from the local vantage.
fn local_addresses<'a>(results: impl Iterator<Item = &'a Judged>) -> impl Iterator<Item = IpAddr> {
    let local = results.filter(|judged| judged.observation.vantage.is_local());
    local.filter_map(|judged| judged.observation.ip)
}

/// Returns true if both results have the same leaf, the same reported result, or the same kind of
/// error.
pub(in crate::serve) fn saw_the_same(a: &Judged, b: &Judged) -> bool {
    match (&a.observation.outcome, &b.observation.outcome) {
        (Outcome::Served(a), Outcome::Served(b)) => a.leaf == b.leaf,
        (Outcome::Reported(a), Outcome::Reported(b)) => a == b,
        (Outcome::Failed(a), Outcome::Failed(b)) => a.kind == b.kind,
        _ => false,
    }
}
