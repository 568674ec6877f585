//! The last results of all targets, in a map that is cheap to publish. Each part of it has a summary
//! of its content, so that the endpoints of a severity are found without reading all of them.

use std::sync::Arc;
use std::time::Duration;

use crate::finding::Severity;
use crate::model::{Target, Timestamp};

use super::results::TargetResults;
use super::summary::{SeverityCounts, Summary, severity};

/// Maximum targets in one chunk of the map; a larger one is split. A change copies one chunk, and
/// the copy touches every target in it, most of which are not in the processor's cache.
const MAX_CHUNK: usize = 16;
/// Maximum chunks in one node of the map; a larger one is split. A change copies one node.
const MAX_NODE: usize = 64;

/// Last results of all targets, in the order of the targets. A copy shares everything with its
/// original; a change copies one chunk, its node, and the list of nodes.
#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct ResultMap {
    /// Nodes, of which none is empty.
    nodes: Arc<Vec<Part<Node>>>,
    summary: Summary,
}

/// Chunks, of which none is empty.
type Node = Vec<Part<Chunk>>;
type Chunk = Vec<Part<TargetResults>>;

/// Part of the map, beside its summary.
#[derive(Debug)]
struct Part<T> {
    content: Arc<T>,
    summary: Summary,
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self {
            content: self.content.clone(),
            summary: self.summary,
        }
    }
}

impl Part<TargetResults> {
    fn of_target(results: Arc<TargetResults>) -> Self {
        Self {
            summary: Summary::of(&results),
            content: results,
        }
    }
}

impl<T> Part<Vec<Part<T>>> {
    fn of_parts(parts: Vec<Part<T>>) -> Self {
        Self {
            summary: sum(&parts),
            content: Arc::new(parts),
        }
    }

    /// Computes the summary after a change of the content.
    fn update(&mut self) {
        self.summary = sum(&self.content);
    }
}

fn sum<T>(parts: &[Part<T>]) -> Summary {
    Summary::sum(parts.iter().map(|part| &part.summary))
}

impl ResultMap {
    /// Returns the results of a target.
    pub(in crate::serve) fn get(&self, target: &Target) -> Option<&Arc<TargetResults>> {
        let node = self
            .nodes
            .get(place_in(&self.nodes, first_of_node, target))?;
        let node = &*node.content;
        let chunk = node.get(place_in(node, first_of_chunk, target))?;
        let chunk = &*chunk.content;
        let at = chunk
            .binary_search_by(|one| (*one.content.target).cmp(target))
            .ok()?;
        Some(&chunk.get(at)?.content)
    }

    /// Returns all results, in the order of their targets.
    pub(in crate::serve) fn iter(&self) -> impl Iterator<Item = &Arc<TargetResults>> + Clone {
        let chunks = self.nodes.iter().flat_map(|node| node.content.iter());
        let results = chunks.flat_map(|chunk| chunk.content.iter());
        results.map(|part| &part.content)
    }

    /// Returns the results whose summaries are wanted, in the order of their targets. A part with
    /// wanted results must be wanted too.
    fn matching(
        &self,
        is_wanted: impl Fn(&Summary) -> bool + Copy,
    ) -> impl Iterator<Item = &Arc<TargetResults>> {
        let nodes = self.nodes.iter();
        let nodes = nodes.filter(move |node| is_wanted(&node.summary));
        let chunks = nodes.flat_map(|node| node.content.iter());
        let chunks = chunks.filter(move |chunk| is_wanted(&chunk.summary));
        let results = chunks.flat_map(|chunk| chunk.content.iter());
        let results = results.filter(move |part| is_wanted(&part.summary));
        results.map(|part| &part.content)
    }

    /// Returns the targets with an endpoint of at least this severity, or with a stale result, in
    /// their order; `interval` is the default.
    pub(in crate::serve) fn at_least(
        &self,
        least: Severity,
        now: Timestamp,
        interval: Duration,
    ) -> impl Iterator<Item = &Arc<TargetResults>> {
        self.matching(move |s| s.has_at_least(least) || s.has_stale(now, interval))
    }

    /// Returns the targets with an endpoint whose result has this severity, even if it is stale, in
    /// their order.
    pub(in crate::serve) fn with(
        &self,
        severity: Severity,
    ) -> impl Iterator<Item = &Arc<TargetResults>> {
        self.matching(move |summary| summary.has(severity))
    }

    /// Returns the targets with a result, in their order.
    pub(in crate::serve) fn probed(&self) -> impl Iterator<Item = &Target> {
        let probed = self.matching(|summary| summary.probed() > 0);
        probed.map(|results| &*results.target)
    }

    /// Returns the number of targets with a result.
    pub(in crate::serve) fn probed_count(&self) -> usize {
        self.summary.probed()
    }

    /// Returns the results of a certificate's targets, in their order.
    pub(in crate::serve) fn of_certificate<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Arc<TargetResults>> {
        let is_before = |target: &Target| *target.certificate < *name;
        let after = self
            .nodes
            .partition_point(|node| first_of_node(node).is_some_and(is_before));
        let nodes = self.nodes.iter().skip(after.saturating_sub(1));
        let chunks = nodes.flat_map(|node| node.content.iter());
        let chunks = chunks.skip_while(move |chunk| last_of_chunk(chunk).is_some_and(is_before));
        let results = chunks.flat_map(|chunk| chunk.content.iter());
        let results = results.map(|part| &part.content);
        let results = results.skip_while(move |results| is_before(&results.target));
        results.take_while(move |results| *results.target.certificate == *name)
    }

    /// Returns the number of endpoints by severity, and the number of those with a stale result,
    /// whose severity is at least unknown; `interval` is the default.
    pub(in crate::serve) fn counts(
        &self,
        now: Timestamp,
        interval: Duration,
    ) -> (SeverityCounts, usize) {
        let (mut counts, mut stale) = (self.summary.counts(), 0);
        let results = self.matching(move |summary| summary.has_stale(now, interval));
        for place in results.flat_map(|results| results.places()) {
            if place.iter().any(|result| result.is_stale(now, interval)) {
                stale += 1;
                let severity = severity(place.iter().map(|result| &**result));
                counts.change(severity, severity.max(Severity::Unknown));
            }
        }
        (counts, stale)
    }

    /// Replaces the results of a target.
    pub(in crate::serve) fn put(&mut self, results: Arc<TargetResults>) {
        let nodes = Arc::make_mut(&mut self.nodes);
        put_in_nodes(nodes, Part::of_target(results));
        self.summary = sum(nodes);
    }

    /// Removes the results that are not wanted.
    pub(in crate::serve) fn retain(&mut self, is_wanted: impl Fn(&Target) -> bool) {
        if self.iter().all(|results| is_wanted(&results.target)) {
            return;
        }
        let is_wanted = |part: &Part<TargetResults>| is_wanted(&part.content.target);
        let nodes = Arc::make_mut(&mut self.nodes);
        for node in nodes.iter_mut() {
            let mut all = node.content.iter().flat_map(|chunk| chunk.content.iter());
            if all.all(is_wanted) {
                continue;
            }
            let chunks = Arc::make_mut(&mut node.content);
            for chunk in chunks.iter_mut() {
                if !chunk.content.iter().all(is_wanted) {
                    Arc::make_mut(&mut chunk.content).retain(is_wanted);
                    chunk.update();
                }
            }
            chunks.retain(|chunk| !chunk.content.is_empty());
            node.update();
        }
        nodes.retain(|node| !node.content.is_empty());
        self.summary = sum(nodes);
    }
}

fn put_in_nodes(nodes: &mut Vec<Part<Node>>, results: Part<TargetResults>) {
    let at = place_in(nodes, first_of_node, &results.content.target);
    let Some(node) = nodes.get_mut(at) else {
        let chunk = Part::of_parts(vec![results]);
        return nodes.push(Part::of_parts(vec![chunk]));
    };
    let chunks = Arc::make_mut(&mut node.content);
    put_in_chunks(chunks, results);
    let rest = (chunks.len() > MAX_NODE).then(|| chunks.split_off(MAX_NODE / 2));
    node.update();
    if let Some(rest) = rest {
        nodes.insert(at + 1, Part::of_parts(rest));
    }
}

fn put_in_chunks(chunks: &mut Node, results: Part<TargetResults>) {
    let at = place_in(chunks, first_of_chunk, &results.content.target);
    let Some(chunk) = chunks.get_mut(at) else {
        return chunks.push(Part::of_parts(vec![results]));
    };
    let all = Arc::make_mut(&mut chunk.content);
    match all.binary_search_by(|one| one.content.target.cmp(&results.content.target)) {
        Ok(at) => {
            if let Some(place) = all.get_mut(at) {
                *place = results;
            }
        }
        Err(at) => all.insert(at, results),
    }
    let rest = (all.len() > MAX_CHUNK).then(|| all.split_off(MAX_CHUNK / 2));
    chunk.update();
    if let Some(rest) = rest {
        chunks.insert(at + 1, Part::of_parts(rest));
    }
}

fn first_of_node(node: &Part<Node>) -> Option<&Target> {
    first_of_chunk(node.content.first()?)
}

fn first_of_chunk(chunk: &Part<Chunk>) -> Option<&Target> {
    chunk.content.first().map(|one| &*one.content.target)
}

fn last_of_chunk(chunk: &Part<Chunk>) -> Option<&Target> {
    chunk.content.last().map(|one| &*one.content.target)
}

/// Returns the index of the part that contains a target, or would contain it.
fn place_in<P>(parts: &[P], first: fn(&P) -> Option<&Target>, target: &Target) -> usize {
    let is_before = |part: &P| first(part).is_some_and(|first| first <= target);
    parts.partition_point(is_before).saturating_sub(1)
}

#[cfg(test)]
pub(super) mod tests;
