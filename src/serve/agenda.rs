//! When the source of each entry is to be asked. Pure: time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The entries whose source is asked at all, by their keys.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    turns: BTreeMap<String, Turn>,
    queue: BTreeSet<(Duration, String)>,
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Waiting { due: Duration },
    BeingAsked { again: bool },
}

impl Agenda {
    /// When the next source is to be asked.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Takes an entry whose time has come. It does not come again before [`Agenda::finish`].
    pub(super) fn start(&mut self, now: Duration) -> Option<String> {
        if self.next_due()? > now {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.turns
            .insert(key.clone(), Turn::BeingAsked { again: false });
        Some(key)
    }

    /// Says that a source has answered, and when it is to be asked next, if ever.
    pub(super) fn finish(&mut self, key: &str, next: Option<Duration>, now: Duration) {
        let again = matches!(
            self.turns.remove(key),
            Some(Turn::BeingAsked { again: true })
        );
        if let Some(due) = if again { Some(now) } else { next } {
            self.wait(key, due);
        }
    }

    /// Has a source asked now, or again right after the answer that is under way, which may be old.
    pub(super) fn hurry(&mut self, key: &str, now: Duration) {
        match self.turns.get_mut(key) {
            Some(Turn::BeingAsked { again }) => *again = true,
            Some(Turn::Waiting { due }) => {
                let due = *due;
                self.queue.remove(&(due, key.to_owned()));
                self.wait(key, due.min(now));
            }
            None => self.wait(key, now),
        }
    }

    /// Asks the source of this entry no more. An answer that is under way is nobody's.
    pub(super) fn forget(&mut self, key: &str) {
        if let Some(Turn::Waiting { due }) = self.turns.remove(key) {
            self.queue.remove(&(due, key.to_owned()));
        }
    }

    fn wait(&mut self, key: &str, due: Duration) {
        self.queue.insert((due, key.to_owned()));
        self.turns.insert(key.to_owned(), Turn::Waiting { due });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_source_is_asked_on_its_own_clock_and_not_twice_at_once() {
        let mut agenda = Agenda::default();
        agenda.hurry("a", at(0));
        assert_eq!(agenda.start(at(0)).as_deref(), Some("a"));
        assert_eq!(agenda.start(at(100)), None);
        agenda.finish("a", Some(at(900)), at(1));
        assert_eq!(agenda.start(at(899)), None);
        assert_eq!(agenda.start(at(900)).as_deref(), Some("a"));
        // Nobody to ask again.
        agenda.finish("a", None, at(901));
        assert_eq!(agenda.next_due(), None);
    }

    #[test]
    fn who_is_hurried_while_being_asked_is_asked_again() {
        let mut agenda = Agenda::default();
        agenda.hurry("a", at(0));
        agenda.start(at(0));
        agenda.hurry("a", at(1));
        assert_eq!(agenda.start(at(1)), None);
        agenda.finish("a", Some(at(900)), at(2));
        assert_eq!(agenda.start(at(2)).as_deref(), Some("a"));
        agenda.finish("a", Some(at(900)), at(3));
        agenda.hurry("a", at(4));
        assert_eq!(agenda.start(at(4)).as_deref(), Some("a"));
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let mut agenda = Agenda::default();
        agenda.hurry("a", at(5));
        agenda.forget("a");
        assert_eq!(agenda.start(at(9)), None);
        assert!(agenda.turns.is_empty());
    }
}
