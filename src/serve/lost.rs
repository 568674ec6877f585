//! Entries that are no longer in the configuration. If a later reload adds an entry again while its
//! source is unreachable, its last results are still known. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Entry, SourceSettings};
use crate::store::{FORGET_AFTER, Remembered};

use super::expectations::{Kept, Watch};
use super::state::{Fetched, Now};

/// Maximum entries that are kept in memory; further ones are dropped. The state directory has them for
/// the next start.
const MAX_LOST: usize = 100_000;

/// Lost entries by key.
#[derive(Debug, Default)]
pub(super) struct Lost {
    entries: HashMap<String, LostEntry>,
}

#[derive(Debug)]
struct LostEntry {
    /// Time since the start at which it was lost.
    since: Duration,
    watch: Arc<Watch>,
    /// Due time of its source, so that an entry that is removed and added repeatedly does not cause
    /// more requests.
    due: Option<Duration>,
}

impl Lost {
    /// Keeps an entry that the configuration lost, with the due time of its source.
    pub(super) fn put(
        &mut self,
        key: String,
        watch: Arc<Watch>,
        due: Option<Duration>,
        now: Duration,
    ) {
        if self.entries.len() < MAX_LOST {
            let since = now;
            self.entries.insert(key, LostEntry { since, watch, due });
        }
    }

    /// Keeps the stored results of an entry.
    pub(super) fn put_remembered(
        &mut self,
        key: String,
        remembered: Vec<Remembered>,
        now: Duration,
    ) {
        if remembered.is_empty() {
            return;
        }
        // The state directory stores no entries. Either the configuration adds this one, or it
        // expires.
        let mut watch = Watch::new(Entry::new(SourceSettings::TrustOnly));
        watch.kept = remembered.into_iter().map(Kept::from).collect();
        self.put(key, Arc::new(watch), None, now);
    }

    /// Removes and returns an entry that is configured again, with the due time of its source;
    /// `None` if it was not lost.
    pub(super) fn take(&mut self, key: &str) -> Option<(Arc<Watch>, Option<Duration>)> {
        let entry = self.entries.remove(key)?;
        Some((entry.watch, entry.due))
    }

    /// Applies the result of a request that started before the entry was lost.
    pub(super) fn on_source_result(
        &mut self,
        key: &str,
        fetched: Fetched,
        refresh: Duration,
        now: Now,
    ) {
        if let Some(LostEntry { watch, due, .. }) = self.entries.get_mut(key) {
            let watch = Arc::make_mut(watch);
            if let Some(known_places) = fetched.known_places {
                watch.known_places = Arc::new(known_places);
            }
            watch.absorb(fetched.answers, now.clock);
            *due = watch
                .refresh_after(refresh)
                .map(|after| now.elapsed + after);
        }
    }

    /// Drops the entries that were lost too long ago.
    pub(super) fn expire(&mut self, now: Duration) {
        let is_fresh = |entry: &LostEntry| now.saturating_sub(entry.since) <= FORGET_AFTER;
        self.entries.retain(|_, entry| is_fresh(entry));
    }

    /// Returns the number of lost entries.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Arc<Watch> {
        Arc::new(Watch::new(Entry::new(SourceSettings::TrustOnly)))
    }

    #[test]
    fn removed_entry_is_restored_until_the_delay_expires() {
        let mut lost = Lost::default();
        let second = Duration::from_secs(1);
        lost.put("a".into(), watch(), Some(second), Duration::ZERO);
        lost.put("b".into(), watch(), None, second);
        lost.put_remembered("empty".into(), Vec::new(), second);
        lost.expire(FORGET_AFTER);
        let (_, due) = lost.take("a").unwrap();
        assert_eq!(due, Some(second));
        assert!(lost.take("a").is_none());
        lost.put("a".into(), watch(), None, Duration::ZERO);
        lost.expire(FORGET_AFTER + second);
        assert!(lost.take("a").is_none());
        assert!(lost.take("b").is_some());
        assert!(lost.entries.is_empty());
    }

    #[test]
    fn number_of_removed_entries_is_bounded() {
        let mut lost = Lost::default();
        for number in 0..MAX_LOST {
            lost.put(number.to_string(), watch(), None, Duration::ZERO);
        }
        lost.put("new".into(), watch(), None, Duration::ZERO);
        assert_eq!(lost.entries.len(), MAX_LOST);
        lost.take("0");
        lost.put("new".into(), watch(), None, Duration::ZERO);
        assert!(lost.take("new").is_some());
    }
}
