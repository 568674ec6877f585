//! When to look at what: looks are spread over the interval, and never two at once at one target. Pure: time is
//! passed in, as what has passed since the beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::model::Target;

/// The pause between the first looks at targets that are new, so that a start is no thundering herd. It
/// shrinks where they would not fit into the interval.
const FIRST_LOOKS_GAP: Duration = Duration::from_millis(20);

/// The targets, each with the time of its next look.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    slots: BTreeMap<Target, Slot>,
    /// Who waits, in order.
    queue: BTreeSet<(Duration, Target)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Waiting {
        due: Duration,
    },
    UnderWay {
        /// When it was due.
        due: Duration,
        /// To be looked at again right after.
        again: bool,
        /// No longer wanted, and forgotten after.
        gone: bool,
    },
}

impl Schedule {
    /// An empty schedule that has each target looked at once in an interval.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval: interval.max(Duration::from_millis(1)),
            slots: BTreeMap::new(),
            queue: BTreeSet::new(),
        }
    }

    /// Makes these the targets. Those that are new are looked at soon, those that are not among them no more.
    pub fn keep(&mut self, targets: &BTreeSet<Target>, now: Duration) {
        let queue = &mut self.queue;
        self.slots.retain(|target, slot| match slot {
            _ if targets.contains(target) => true,
            Slot::Waiting { due } => {
                queue.remove(&(*due, target.clone()));
                false
            }
            Slot::UnderWay { gone, .. } => {
                *gone = true;
                true
            }
        });
        let new: Vec<&Target> = targets
            .iter()
            .filter(|t| !self.slots.contains_key(t))
            .collect();
        let fitting = self.interval / u32::try_from(new.len().max(1)).unwrap_or(u32::MAX);
        let gap = FIRST_LOOKS_GAP.min(fitting);
        let mut due = now;
        for target in new {
            self.wait(target.clone(), due);
            due += gap;
        }
        for target in targets {
            if let Some(Slot::UnderWay { gone, .. }) = self.slots.get_mut(target) {
                *gone = false;
            }
        }
    }

    /// Changes the interval; who waits gets a place in the new one.
    pub fn set_interval(&mut self, interval: Duration, now: Duration) {
        let interval = interval.max(Duration::from_millis(1));
        if interval == self.interval {
            return;
        }
        self.interval = interval;
        for (due, target) in std::mem::take(&mut self.queue) {
            let due = due.min(self.next_turn(&target, now));
            self.wait(target, due);
        }
    }

    /// When the next look is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// When a target is to be looked at next; `None` where a look is under way, or it is not among the targets.
    pub fn due(&self, target: &Target) -> Option<Duration> {
        match self.slots.get(target)? {
            Slot::Waiting { due } => Some(*due),
            Slot::UnderWay { .. } => None,
        }
    }

    /// How long the look that waits the longest has been due.
    pub fn lag(&self, now: Duration) -> Duration {
        let due = self.next_due().unwrap_or(now);
        now.saturating_sub(due)
    }

    /// Takes a target whose look is due. It does not come again before [`Schedule::finish`].
    pub fn start(&mut self, now: Duration) -> Option<Target> {
        let (due, target) = self.queue.pop_first()?;
        if due > now {
            self.queue.insert((due, target));
            return None;
        }
        let under_way = Slot::UnderWay {
            due,
            again: false,
            gone: false,
        };
        self.slots.insert(target.clone(), under_way);
        Some(target)
    }

    /// Says that a look has ended. False where the target is no longer wanted.
    pub fn finish(&mut self, target: &Target, now: Duration) -> bool {
        match self.slots.get(target) {
            Some(Slot::UnderWay { gone: true, .. }) => {
                self.slots.remove(target);
                false
            }
            Some(Slot::UnderWay { due, again, .. }) => {
                // Who has missed a turn while waiting for a hand comes again behind those who wait already. Were it
                // to wait for another turn, some would have half the looks of others wherever the work does
                // not fit, for no more than their place in the interval.
                let due = if *again {
                    now
                } else {
                    self.next_turn(target, *due).max(now)
                };
                self.wait(target.clone(), due);
                true
            }
            Some(Slot::Waiting { .. }) => true,
            None => false,
        }
    }

    /// Has a target looked at now, or again right after the look that is under way: what that one sees may
    /// be old.
    pub fn hurry(&mut self, target: &Target, now: Duration) {
        match self.slots.get_mut(target) {
            Some(Slot::UnderWay { again, .. }) => *again = true,
            Some(Slot::Waiting { due }) => {
                let due = *due;
                if due > now {
                    self.queue.remove(&(due, target.clone()));
                    self.wait(target.clone(), now);
                }
            }
            None => {}
        }
    }

    fn wait(&mut self, target: Target, due: Duration) {
        self.queue.insert((due, target.clone()));
        self.slots.insert(target, Slot::Waiting { due });
    }

    /// The target's own place in the interval, after `now` and within an interval of it.
    fn next_turn(&self, target: &Target, now: Duration) -> Duration {
        let mut hasher = DefaultHasher::new();
        target.hash(&mut hasher);
        let interval = self.interval.as_nanos();
        let phase = u128::from(hasher.finish()) % interval;
        let into = now.as_nanos() % interval;
        let ahead = (phase + interval - into) % interval;
        let ahead = if ahead == 0 { interval } else { ahead };
        now + Duration::from_nanos(u64::try_from(ahead).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Protocol;

    const MINUTE: Duration = Duration::from_secs(60);

    fn target(number: usize) -> Target {
        Target {
            certificate: "c".into(),
            hostname: format!("h{number}.example").parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
        }
    }

    fn targets(count: usize) -> BTreeSet<Target> {
        (0..count).map(target).collect()
    }

    /// Runs until `end` with looks that take no time: when each target was looked at.
    fn run(schedule: &mut Schedule, end: Duration) -> BTreeMap<Target, Vec<Duration>> {
        let mut looks: BTreeMap<Target, Vec<Duration>> = BTreeMap::new();
        while let Some(now) = schedule.next_due().filter(|due| *due < end) {
            let target = schedule.start(now).unwrap();
            assert!(schedule.finish(&target, now));
            looks.entry(target).or_default().push(now);
        }
        looks
    }

    #[test]
    fn when_a_target_is_due_is_told_while_it_waits() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(1), Duration::ZERO);
        assert_eq!(schedule.due(&target(0)), Some(Duration::ZERO));
        schedule.start(Duration::ZERO);
        assert_eq!(schedule.due(&target(0)), None);
        schedule.finish(&target(0), Duration::ZERO);
        assert_eq!(schedule.due(&target(0)), schedule.next_due());
        assert!(schedule.due(&target(0)) > Some(Duration::ZERO));
        assert_eq!(schedule.due(&target(1)), None);
    }

    #[test]
    fn every_target_is_looked_at_once_in_every_interval() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(100), Duration::ZERO);
        let looks = run(&mut schedule, 10 * MINUTE);
        assert_eq!(looks.len(), 100);
        for times in looks.values() {
            assert!((10..=11).contains(&times.len()), "{times:?}");
            for pair in times.windows(2) {
                assert!(pair[1] - pair[0] <= MINUTE);
            }
        }
    }

    #[test]
    fn looks_are_spread_over_the_interval() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(6000), Duration::ZERO);
        let looks = run(&mut schedule, 3 * MINUTE);
        let mut seconds = [0; 60];
        for time in looks.values().flatten().filter(|t| **t >= 2 * MINUTE) {
            seconds[usize::try_from(time.as_secs()).unwrap() % 60] += 1;
        }
        // A hundred a second on average; no second has twice that, none less than half.
        assert!(seconds.iter().all(|n| (50..200).contains(n)), "{seconds:?}");
    }

    #[test]
    fn the_first_looks_come_soon_but_not_at_once() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(10), Duration::ZERO);
        let first: Vec<Duration> = schedule.queue.iter().map(|(due, _)| *due).collect();
        assert_eq!(first[0], Duration::ZERO);
        assert_eq!(first[9], 9 * FIRST_LOOKS_GAP);
        // Very many do not take longer than an interval.
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(10_000), Duration::ZERO);
        assert!(schedule.queue.last().unwrap().0 <= MINUTE);
    }

    #[test]
    fn a_look_that_takes_long_does_not_overlap_with_itself() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(1), Duration::ZERO);
        assert!(schedule.start(Duration::ZERO).is_some());
        assert_eq!(schedule.start(10 * MINUTE), None);
        schedule.hurry(&target(0), 10 * MINUTE);
        assert_eq!(schedule.start(10 * MINUTE), None);
        // What it sees may be from before the hurry.
        assert!(schedule.finish(&target(0), 11 * MINUTE));
        assert_eq!(schedule.start(11 * MINUTE), Some(target(0)));
    }

    #[test]
    fn who_is_hurried_comes_first_and_then_in_its_turn() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(50), Duration::ZERO);
        run(&mut schedule, 2 * MINUTE);
        let now = 2 * MINUTE;
        while schedule.start(now).is_some() {}
        let last = schedule.queue.last().unwrap().1.clone();
        schedule.hurry(&last, now);
        assert_eq!(schedule.start(now), Some(last.clone()));
        assert_eq!(schedule.lag(now), Duration::ZERO);
        schedule.finish(&last, now);
        assert!(
            schedule
                .queue
                .iter()
                .any(|(due, t)| *t == last && *due > now)
        );
    }

    #[test]
    fn what_is_gone_is_forgotten_and_may_come_back() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.keep(&targets(2), Duration::ZERO);
        let first = schedule.start(Duration::ZERO).unwrap();
        schedule.keep(&targets(0), Duration::ZERO);
        assert_eq!(schedule.next_due(), None);
        // It comes back while its look is under way: there is still only one look at a time.
        schedule.keep(&BTreeSet::from([first.clone()]), Duration::ZERO);
        assert_eq!(schedule.start(MINUTE), None);
        assert!(schedule.finish(&first, Duration::ZERO));
        schedule.keep(&targets(0), Duration::ZERO);
        assert!(!schedule.finish(&first, Duration::ZERO));
        assert!(schedule.slots.is_empty() && schedule.queue.is_empty());
    }

    #[test]
    fn a_shorter_interval_holds_at_once() {
        let mut schedule = Schedule::new(60 * MINUTE);
        schedule.keep(&targets(20), Duration::ZERO);
        run(&mut schedule, MINUTE);
        schedule.set_interval(MINUTE, MINUTE);
        assert_eq!(
            run(&mut schedule, 2 * MINUTE + Duration::from_secs(1)).len(),
            20
        );
    }

    proptest! {
        #[test]
        fn the_next_turn_is_within_an_interval(now in 0u64..1 << 50, interval in 1u64..1 << 44, number in 0usize..50) {
            let schedule = Schedule::new(Duration::from_nanos(interval));
            let now = Duration::from_nanos(now);
            let next = schedule.next_turn(&target(number), now);
            prop_assert!(next > now && next - now <= schedule.interval);
        }

        #[test]
        fn queue_and_slots_stay_one(steps in proptest::collection::vec((0u8..5, 0usize..8), 0..60)) {
            let mut schedule = Schedule::new(MINUTE);
            let mut now = Duration::ZERO;
            let mut under_way: BTreeSet<Target> = BTreeSet::new();
            for (step, number) in steps {
                now += Duration::from_secs(7);
                match step {
                    0 => schedule.keep(&targets(number), now),
                    1 => schedule.hurry(&target(number), now),
                    2 => schedule.set_interval(MINUTE * (u32::try_from(number).unwrap() + 1), now),
                    3 => if let Some(target) = schedule.start(now) {
                        prop_assert!(under_way.insert(target));
                    },
                    _ => if let Some(target) = under_way.pop_first() {
                        schedule.finish(&target, now);
                    },
                }
                let waiting = schedule.slots.iter().filter_map(|(target, slot)| match slot {
                    Slot::Waiting { due } => Some((*due, target.clone())),
                    Slot::UnderWay { .. } => None,
                });
                prop_assert_eq!(waiting.collect::<BTreeSet<_>>(), schedule.queue.clone());
            }
        }
    }
}
