//! Notes that could not be written. Of several notes about one subject, the last one is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{KeyType, Target, Timestamp, Vantage};
use crate::store::{KnownLeaf, Place, Remembered};

use super::super::snapshot::EndpointResult;
use super::Note;

/// Maximum subjects of each kind: endpoints, entries and hosts. Further ones are lost.
const MAX_UNWRITTEN: usize = 1 << 17;
/// Maximum results in one note.
const MAX_RESULTS: usize = 1 << 10;

/// An endpoint.
type Endpoint = (Arc<Target>, Option<IpAddr>, KeyType, Vantage);

/// Last notes about all subjects.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    entries: Option<(BTreeSet<String>, Timestamp)>,
    remembered: BTreeMap<String, Vec<Remembered>>,
    leaves: BTreeMap<Place, Vec<KnownLeaf>>,
    /// Last results, most of which are those of the snapshot.
    results: BTreeMap<Endpoint, Arc<EndpointResult>>,
    prune: Option<Timestamp>,
    /// Number of notes that these stand for.
    count: usize,
}

impl Unwritten {
    /// Adds a note. Returns false if a part of it is lost.
    pub(super) fn add(&mut self, note: Note) -> bool {
        match note {
            Note::Entries(keys, now) => {
                self.entries = Some((keys, now));
                true
            }
            Note::Remember(key, said) => put(&mut self.remembered, key, said),
            Note::Leaves(place, leaves) => put(&mut self.leaves, place, leaves),
            Note::Probed(results) => results.into_iter().fold(true, |is_kept, result| {
                let of = result.observation();
                let endpoint = (of.target.clone(), of.ip, of.key_type, of.vantage.clone());
                put(&mut self.results, endpoint, result) && is_kept
            }),
            Note::Prune(before) => {
                self.prune = Some(before);
                true
            }
        }
    }

    /// Removes and returns a note to write.
    pub(super) fn next(&mut self) -> Option<Note> {
        if let Some((keys, now)) = self.entries.take() {
            return Some(Note::Entries(keys, now));
        }
        if let Some((key, said)) = self.remembered.pop_first() {
            return Some(Note::Remember(key, said));
        }
        if let Some((place, leaves)) = self.leaves.pop_first() {
            return Some(Note::Leaves(place, leaves));
        }
        let each = std::iter::from_fn(|| self.results.pop_first());
        let results: Vec<_> = each.map(|(_, result)| result).take(MAX_RESULTS).collect();
        if !results.is_empty() {
            return Some(Note::Probed(results));
        }
        self.prune.take().map(Note::Prune)
    }

    /// Counts a note that these stand for.
    pub(super) fn add_count(&mut self) {
        self.count += 1;
    }

    /// Returns the number of notes that these stand for.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of notes that these stood for, and resets it.
    pub(super) fn take_count(&mut self) -> usize {
        std::mem::take(&mut self.count)
    }

    /// Returns the number of subjects.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        usize::from(self.entries.is_some())
            + self.remembered.len()
            + self.leaves.len()
            + self.results.len()
            + usize::from(self.prune.is_some())
    }
}

/// Replaces a value. Returns false if there is no place for another one.
fn put<K: Ord, V>(all: &mut BTreeMap<K, V>, key: K, value: V) -> bool {
    let has_place = all.len() < MAX_UNWRITTEN || all.contains_key(&key);
    if has_place {
        all.insert(key, value);
    }
    has_place
}
