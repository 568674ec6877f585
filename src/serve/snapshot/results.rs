//! The last results of each target, in a map that is cheap to publish.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::judge::{Judged, Verdict};
use crate::model::{Target, Timestamp, Vantage};
use crate::observation::{Observation, Outcome};
use crate::report::prometheus::Lines;

use super::super::dns_failures::dns_answer;
use super::recent::Recent;

/// Maximum targets in one chunk of the map; a larger one is split. A change copies one chunk, and
/// the copy touches every target in it, most of which are not in the processor's cache.
const MAX_CHUNK: usize = 16;
/// Maximum chunks in one node of the map; a larger one is split. A change copies one node.
const MAX_NODE: usize = 64;
/// Intervals after which a result is stale.
const STALE_INTERVALS: i64 = 2;

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
    /// End of the last probe that saw a certificate, or for which a vantage reported one.
    pub(in crate::serve) last_conclusive: Option<Timestamp>,
    /// Number of the probe of the target that the result belongs to.
    pub(in crate::serve) run: u64,
    /// Results of the last day.
    pub(in crate::serve) recent: Recent,
}

/// Time since which probes of an endpoint have had the same result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Since {
    /// Time of the first probe with this result.
    pub(in crate::serve) at: Timestamp,
    /// True if the previous probe had another result. If false, the actual time may be earlier.
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
        let interval = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
        now.seconds_since(self.at) > interval.saturating_mul(STALE_INTERVALS)
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
            Err(at) => self.endpoints.insert(at, result),
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
        self.next.extend(next.map(|next| (vantage.clone(), next)));
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

/// Last results of all targets, in the order of the targets. A copy shares everything with its
/// original; a change copies one chunk, its node, and the list of nodes.
#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct ResultMap {
    /// Nodes, of which none is empty.
    nodes: Arc<Vec<Arc<Node>>>,
}

/// Chunks, of which none is empty.
type Node = Vec<Arc<Chunk>>;
type Chunk = Vec<Arc<TargetResults>>;

impl ResultMap {
    /// Returns the results of a target.
    pub(in crate::serve) fn get(&self, target: &Target) -> Option<&Arc<TargetResults>> {
        let node = self
            .nodes
            .get(place_in(&self.nodes, first_of_node, target))?;
        let chunk = node.get(place_in(node, first_of_chunk, target))?;
        let at = chunk
            .binary_search_by(|one| (*one.target).cmp(target))
            .ok()?;
        chunk.get(at)
    }

    /// Returns all results, in the order of their targets.
    pub(in crate::serve) fn iter(&self) -> impl Iterator<Item = &Arc<TargetResults>> + Clone {
        let chunks = self.nodes.iter().flat_map(|node| node.iter());
        chunks.flat_map(|chunk| chunk.iter())
    }

    /// Replaces the results of a target.
    pub(in crate::serve) fn put(&mut self, results: Arc<TargetResults>) {
        let nodes = Arc::make_mut(&mut self.nodes);
        let at_node = place_in(nodes, first_of_node, &results.target);
        let Some(node) = nodes.get_mut(at_node) else {
            nodes.push(Arc::new(vec![Arc::new(vec![results])]));
            return;
        };
        let node = Arc::make_mut(node);
        let at_chunk = place_in(node, first_of_chunk, &results.target);
        let Some(chunk) = node.get_mut(at_chunk) else {
            node.push(Arc::new(vec![results]));
            return;
        };
        let chunk = Arc::make_mut(chunk);
        match chunk.binary_search_by(|one| one.target.cmp(&results.target)) {
            Ok(at) => {
                if let Some(place) = chunk.get_mut(at) {
                    *place = results;
                }
            }
            Err(at) => chunk.insert(at, results),
        }
        if chunk.len() > MAX_CHUNK {
            let rest = chunk.split_off(MAX_CHUNK / 2);
            node.insert(at_chunk + 1, Arc::new(rest));
        }
        if node.len() > MAX_NODE {
            let rest = node.split_off(MAX_NODE / 2);
            nodes.insert(at_node + 1, Arc::new(rest));
        }
    }

    /// Removes the results that are not wanted.
    pub(in crate::serve) fn retain(&mut self, is_wanted: impl Fn(&Target) -> bool) {
        if self.iter().all(|results| is_wanted(&results.target)) {
            return;
        }
        let nodes = Arc::make_mut(&mut self.nodes);
        for node in nodes.iter_mut() {
            let mut all = node.iter().flat_map(|chunk| chunk.iter());
            if all.all(|results| is_wanted(&results.target)) {
                continue;
            }
            let node = Arc::make_mut(node);
            for chunk in node.iter_mut() {
                if !chunk.iter().all(|results| is_wanted(&results.target)) {
                    Arc::make_mut(chunk).retain(|results| is_wanted(&results.target));
                }
            }
            node.retain(|chunk| !chunk.is_empty());
        }
        nodes.retain(|node| !node.is_empty());
    }
}

fn first_of_node(node: &Arc<Node>) -> Option<&Target> {
    first_of_chunk(node.first()?)
}

fn first_of_chunk(chunk: &Arc<Chunk>) -> Option<&Target> {
    chunk.first().map(|one| &*one.target)
}

/// Returns the index of the part that contains a target, or would contain it.
fn place_in<P>(parts: &[P], first: fn(&P) -> Option<&Target>, target: &Target) -> usize {
    let is_before = |part: &P| first(part).is_some_and(|first| first <= target);
    parts.partition_point(is_before).saturating_sub(1)
}

#[cfg(test)]
mod tests;
