//! Entries that are not in the configuration now. A reload that loses an entry for a while, and finds it again while its
//! source is away, costs nothing. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Entry, SourceSettings};
use crate::store::{FORGET_AFTER, Remembered};

use super::expectations::{Kept, Watch};
use super::state::{Fetched, Now};

/// Maximum entries that are remembered; beyond that further ones are not. The state folder has them for the next start.
const MAX_LOST: usize = 100_000;

/// Lost entries by key.
#[derive(Debug, Default)]
pub(super) struct Lost {
    entries: HashMap<String, LostEntry>,
}

#[derive(Debug)]
struct LostEntry {
    /// The time since the start when it was lost.
    since: Duration,
    watch: Watch,
    /// When its source is due, so that an entry that comes and goes has it asked no more often.
    due: Option<Duration>,
}

impl Lost {
    /// Remembers an entry that the configuration lost, and when its source is due.
    pub(super) fn put(&mut self, key: String, watch: Watch, due: Option<Duration>, now: Duration) {
        if self.entries.len() < MAX_LOST {
            let since = now;
            self.entries.insert(key, LostEntry { since, watch, due });
        }
    }

    /// Remembers what the state folder has of an entry.
    pub(super) fn put_remembered(
        &mut self,
        key: String,
        remembered: Vec<Remembered>,
        now: Duration,
    ) {
        if remembered.is_empty() {
            return;
        }
        // The folder has no entries: the configuration brings this one, or it is forgotten.
        let mut watch = Watch::new(Entry::new(SourceSettings::TrustOnly));
        watch.kept = remembered.into_iter().map(Kept::from).collect();
        self.put(key, watch, None, now);
    }

    /// Returns an entry that is back, and when its source is due; nothing if it was not lost.
    pub(super) fn take(&mut self, key: &str) -> Option<(Watch, Option<Duration>)> {
        let entry = self.entries.remove(key)?;
        Some((entry.watch, entry.due))
    }

    /// Takes the result of a request that began before the entry was lost.
    pub(super) fn on_source_result(
        &mut self,
        key: &str,
        fetched: Fetched,
        refresh: Duration,
        now: Now,
    ) {
        if let Some(LostEntry { watch, due, .. }) = self.entries.get_mut(key) {
            if let Some(mail_hosts) = fetched.mail_hosts {
                watch.mail_hosts = Arc::new(mail_hosts);
            }
            watch.absorb(fetched.answers, now.clock);
            *due = watch
                .refresh_after(refresh)
                .map(|after| now.elapsed + after);
        }
    }

    /// Forgets the entries that were lost too long ago.
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

    fn watch() -> Watch {
        Watch::new(Entry::new(SourceSettings::TrustOnly))
    }

    #[test]
    fn a_lost_entry_is_found_again_until_the_delay_is_over() {
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
    fn lost_entries_are_bounded() {
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
