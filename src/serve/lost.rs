//! What sources said of entries that are not in the configuration now. A reload that loses an entry for a while, and
//! finds it again while its source is away, costs nothing. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::FORGET_AFTER;

use super::expectations::Kept;

/// Maximum entries that are remembered; beyond that further ones are not. The state folder has them for the next start.
const MAX_LOST: usize = 100_000;

/// Lost entries by key.
#[derive(Default)]
pub(super) struct Lost {
    entries: HashMap<String, Entry>,
}

struct Entry {
    /// The time since the start when it was lost.
    since: Duration,
    kept: Vec<Kept>,
}

impl Lost {
    /// Remembers what was kept of an entry that the configuration lost.
    pub(super) fn put(&mut self, key: String, kept: Vec<Kept>, now: Duration) {
        if !kept.is_empty() && self.entries.len() < MAX_LOST {
            self.entries.insert(key, Entry { since: now, kept });
        }
    }

    /// Returns what was kept of an entry that is back; nothing if it was not lost.
    pub(super) fn take(&mut self, key: &str) -> Vec<Kept> {
        let entry = self.entries.remove(key);
        entry.map(|entry| entry.kept).unwrap_or_default()
    }

    /// Forgets what was lost too long ago.
    pub(super) fn expire(&mut self, now: Duration) {
        let is_fresh = |entry: &Entry| now.saturating_sub(entry.since) <= FORGET_AFTER;
        self.entries.retain(|_, entry| is_fresh(entry));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::instance::Expected;
    use crate::model::Timestamp;
    use crate::source::Loaded;

    fn kept() -> Vec<Kept> {
        vec![Kept {
            loaded: Arc::new(Loaded {
                name: "a".into(),
                common_name: None,
                expected: Arc::new(Expected::trust_only()),
                hostnames: Vec::new(),
                awaited: None,
            }),
            fetched: Timestamp(0),
            changed: None,
        }]
    }

    #[test]
    fn a_lost_entry_is_found_again_until_the_delay_is_over() {
        let mut lost = Lost::default();
        let second = Duration::from_secs(1);
        lost.put("a".into(), kept(), Duration::ZERO);
        lost.put("b".into(), kept(), second);
        lost.put("empty".into(), Vec::new(), second);
        lost.expire(FORGET_AFTER);
        assert_eq!(lost.take("a").len(), 1);
        assert!(lost.take("a").is_empty());
        lost.put("a".into(), kept(), Duration::ZERO);
        lost.expire(FORGET_AFTER + second);
        assert!(lost.take("a").is_empty());
        assert_eq!(lost.take("b").len(), 1);
        assert!(lost.entries.is_empty());
    }

    #[test]
    fn lost_entries_are_bounded() {
        let mut lost = Lost::default();
        for number in 0..MAX_LOST {
            lost.put(number.to_string(), kept(), Duration::ZERO);
        }
        lost.put("new".into(), kept(), Duration::ZERO);
        assert_eq!(lost.entries.len(), MAX_LOST);
        lost.take("0");
        lost.put("new".into(), kept(), Duration::ZERO);
        assert_eq!(lost.take("new").len(), 1);
    }
}
