//! When the source of each entry is to be asked. Pure: time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What is asked of the source of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Errand {
    /// The key of the entry.
    pub(super) key: Arc<str>,
    /// The one certificate of a whole account that is asked for, by its common name; `None` is everything.
    pub(super) only: Option<String>,
}

impl Errand {
    /// Everything that the source of this entry has to say.
    pub(super) fn whole(key: &str) -> Self {
        Self {
            key: key.into(),
            only: None,
        }
    }
}

/// What sources are asked at all.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    turns: BTreeMap<Errand, Turn>,
    queue: BTreeSet<(Duration, Errand)>,
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

    /// Takes what is to be asked by now. It does not come again before [`Agenda::finish`].
    pub(super) fn start(&mut self, now: Duration) -> Option<Errand> {
        if self.next_due()? > now {
            return None;
        }
        let (_, errand) = self.queue.pop_first()?;
        self.turns
            .insert(errand.clone(), Turn::BeingAsked { again: false });
        Some(errand)
    }

    /// Says that a source has answered, and when it is to be asked the same next, if ever.
    pub(super) fn finish(&mut self, errand: &Errand, next: Option<Duration>, now: Duration) {
        let again = matches!(
            self.turns.remove(errand),
            Some(Turn::BeingAsked { again: true })
        );
        if let Some(due) = if again { Some(now) } else { next } {
            self.wait(errand, due);
        }
    }

    /// Has a source asked now, or again right after the answer that is under way, which may be old.
    pub(super) fn hurry(&mut self, errand: &Errand, now: Duration) {
        match self.turns.get_mut(errand) {
            Some(Turn::BeingAsked { again }) => *again = true,
            Some(Turn::Waiting { due }) => {
                let due = *due;
                self.queue.remove(&(due, errand.clone()));
                self.wait(errand, due.min(now));
            }
            None => self.wait(errand, now),
        }
    }

    /// Has a source asked by then, where that is not to come anyway.
    pub(super) fn ask_by(&mut self, errand: &Errand, due: Duration) {
        if !self.turns.contains_key(errand) {
            self.wait(errand, due);
        }
    }

    /// Whether the answer is under way.
    pub(super) fn is_being_asked(&self, errand: &Errand) -> bool {
        matches!(self.turns.get(errand), Some(Turn::BeingAsked { .. }))
    }

    /// How many certificates are asked for, or to be asked for, alone.
    pub(super) fn alone(&self) -> usize {
        let errands = self.turns.keys();
        errands.filter(|errand| errand.only.is_some()).count()
    }

    /// Asks the source of this entry no more. An answer that is under way is nobody's.
    pub(super) fn forget(&mut self, key: &str) {
        let all = self.turns.range(Errand::whole(key)..);
        let all = all.take_while(|(errand, _)| *errand.key == *key);
        let all: Vec<Errand> = all.map(|(errand, _)| errand.clone()).collect();
        for errand in all {
            if let Some(Turn::Waiting { due }) = self.turns.remove(&errand) {
                self.queue.remove(&(due, errand));
            }
        }
    }

    fn wait(&mut self, errand: &Errand, due: Duration) {
        self.queue.insert((due, errand.clone()));
        self.turns.insert(errand.clone(), Turn::Waiting { due });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a() -> Errand {
        Errand::whole("a")
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_source_is_asked_on_its_own_clock_and_not_twice_at_once() {
        let mut agenda = Agenda::default();
        agenda.hurry(&a(), at(0));
        assert_eq!(agenda.start(at(0)), Some(a()));
        assert_eq!(agenda.start(at(100)), None);
        agenda.finish(&a(), Some(at(900)), at(1));
        assert_eq!(agenda.start(at(899)), None);
        assert_eq!(agenda.start(at(900)), Some(a()));
        // Nobody to ask again.
        agenda.finish(&a(), None, at(901));
        assert_eq!(agenda.next_due(), None);
    }

    #[test]
    fn who_is_hurried_while_being_asked_is_asked_again() {
        let mut agenda = Agenda::default();
        agenda.hurry(&a(), at(0));
        agenda.start(at(0));
        agenda.hurry(&a(), at(1));
        assert_eq!(agenda.start(at(1)), None);
        agenda.finish(&a(), Some(at(900)), at(2));
        assert_eq!(agenda.start(at(2)), Some(a()));
        agenda.finish(&a(), Some(at(900)), at(3));
        agenda.hurry(&a(), at(4));
        assert_eq!(agenda.start(at(4)), Some(a()));
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let mut agenda = Agenda::default();
        agenda.hurry(&a(), at(5));
        agenda.forget("a");
        assert_eq!(agenda.start(at(9)), None);
        assert!(agenda.turns.is_empty());
    }

    #[test]
    fn one_certificate_is_asked_for_beside_everything_and_goes_with_its_entry() {
        let mut agenda = Agenda::default();
        let one = Errand {
            only: Some("a.example".into()),
            ..a()
        };
        agenda.hurry(&a(), at(0));
        assert_eq!(agenda.start(at(0)), Some(a()));
        agenda.hurry(&one, at(1));
        assert!(agenda.is_being_asked(&a()) && !agenda.is_being_asked(&one));
        assert_eq!(agenda.start(at(1)), Some(one.clone()));
        agenda.finish(&one, None, at(2));
        assert_eq!(agenda.alone(), 0);
        // Who is to be asked anyway is not asked later for that.
        agenda.hurry(&one, at(3));
        agenda.ask_by(&one, at(9));
        assert_eq!(agenda.next_due(), Some(at(3)));
        agenda.hurry(&Errand::whole("b"), at(4));
        agenda.forget("a");
        assert_eq!((agenda.alone(), agenda.next_due()), (0, Some(at(4))));
    }
}
