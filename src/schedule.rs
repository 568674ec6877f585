//! Due times of repeated work: probes of endpoints and source requests. Pure: the time is an
//! argument, as the duration since the start.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

/// Pause between the first runs of new keys, so that a start does not send everything at once. It
/// is shorter if they would not fit into the interval.
const FIRST_RUNS_GAP: Duration = Duration::from_millis(20);
/// Memory is released if the used share of it is smaller than one divided by this.
const SPARSE: usize = 8;
/// Capacity in keys below which no memory is released.
const MIN_SHRUNK: usize = 1024;
/// Minimum interval. Shorter intervals are raised to it.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Queue of keys. Each key either waits for its due time or runs.
#[derive(Clone, Debug)]
pub struct DueQueue<K> {
    /// A hash costs less than the comparisons of a sorted map, because keys contain long texts.
    slots: HashMap<K, Slot>,
    /// Waiting keys, in order of their due times.
    queue: BTreeSet<(Duration, K)>,
    running: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Waiting {
        due: Duration,
    },
    Running {
        /// Due time of this run.
        due: Duration,
        /// True if the key runs once more afterwards.
        again: bool,
        /// True if the key was removed. It is forgotten when it finishes.
        gone: bool,
    },
}

impl<K> Default for DueQueue<K> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            queue: BTreeSet::new(),
            running: 0,
        }
    }
}

impl<K: Clone + Ord + Hash> DueQueue<K> {
    /// Adds a key that is due at `due`. A waiting key is unchanged. A key that was removed while it
    /// runs is no longer forgotten when it finishes.
    pub fn add(&mut self, key: K, due: Duration) {
        match self.slots.get_mut(&key) {
            Some(Slot::Running { gone, .. }) => *gone = false,
            Some(Slot::Waiting { .. }) => {}
            None => self.wait(key, due),
        }
    }

    /// Removes a key. A running key is forgotten when it finishes.
    pub fn remove(&mut self, key: &K) {
        match self.slots.get_mut(key) {
            Some(Slot::Running { gone, again, .. }) => {
                *gone = true;
                *again = false;
            }
            Some(Slot::Waiting { due }) => {
                let due = *due;
                self.queue.remove(&(due, key.clone()));
                self.forget(key);
            }
            None => {}
        }
    }

    /// Removes unwanted keys, as [`DueQueue::remove`] does.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&K) -> bool) {
        let unwanted: Vec<K> = self.keys().filter(|key| !is_wanted(key)).cloned().collect();
        for key in &unwanted {
            self.remove(key);
        }
    }

    /// Returns true if the key waits or runs, and was not removed.
    pub fn contains(&self, key: &K) -> bool {
        self.slots.get(key).is_some_and(|slot| !slot.is_gone())
    }

    /// Returns the keys that were not removed, in any order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        let present = self.slots.iter().filter(|(_, slot)| !slot.is_gone());
        present.map(|(key, _)| key)
    }

    /// Returns the due time of the first waiting key.
    pub fn next_due(&self) -> Option<Duration> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Returns the due time of the first waiting key for which `is_free` returns true.
    pub fn next_due_of(&self, is_free: impl Fn(&K) -> bool) -> Option<Duration> {
        let mut free = self.queue.iter().filter(|(_, key)| is_free(key));
        free.next().map(|(due, _)| *due)
    }

    /// Returns the due time of the present run of a key, or `None` if it does not run.
    pub fn running_due(&self, key: &K) -> Option<Duration> {
        match self.slots.get(key)? {
            Slot::Running { due, .. } => Some(*due),
            Slot::Waiting { .. } => None,
        }
    }

    /// Returns the due time of a key, or `None` if it runs or is unknown.
    pub fn due(&self, key: &K) -> Option<Duration> {
        match self.slots.get(key)? {
            Slot::Waiting { due } => Some(*due),
            Slot::Running { .. } => None,
        }
    }

    /// Returns true if the key runs, even if it was removed meanwhile.
    pub fn is_running(&self, key: &K) -> bool {
        matches!(self.slots.get(key), Some(Slot::Running { .. }))
    }

    /// Returns the number of running keys, including removed ones.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Returns the number of keys that wait or run.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns true if no key waits or runs.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns how long the longest-waiting key has been due.
    pub fn lag(&self, now: Duration) -> Duration {
        now.saturating_sub(self.next_due().unwrap_or(now))
    }

    /// Starts the first key that is due. It does not start again before it has finished.
    pub fn start(&mut self, now: Duration) -> Option<K> {
        self.start_of(now, |_| true)
    }

    /// Starts the first key that is due and for which `is_free` returns true.
    pub fn start_of(&mut self, now: Duration, is_free: impl Fn(&K) -> bool) -> Option<K> {
        let due = self.queue.iter().take_while(|(due, _)| *due <= now);
        let first = due.into_iter().find(|(_, key)| is_free(key))?.clone();
        self.queue.remove(&first);
        let (due, key) = first;
        let slot = Slot::Running {
            due,
            again: false,
            gone: false,
        };
        self.slots.insert(key.clone(), slot);
        self.running += 1;
        Some(key)
    }

    /// Finishes a run. The key is due at `next`, or never again if it is `None`. Returns false if
    /// the key was removed meanwhile.
    pub fn finish_at(&mut self, key: &K, next: Option<Duration>, now: Duration) -> bool {
        self.finish_with(key, now, |_| next)
    }

    /// Makes a key due now. A running key is due again when it finishes, because the present run
    /// may see an older state. An unknown or removed key is unchanged.
    pub fn hurry(&mut self, key: &K, now: Duration) {
        match self.slots.get_mut(key) {
            Some(Slot::Running { again, gone, .. }) => *again = !*gone,
            Some(Slot::Waiting { due }) => {
                let due = *due;
                if due > now {
                    self.queue.remove(&(due, key.clone()));
                    self.wait(key.clone(), now);
                }
            }
            None => {}
        }
    }

    /// Makes a waiting key due at `due`, if that is earlier. Other keys are unchanged.
    pub fn advance(&mut self, key: &K, due: Duration) {
        if let Some(Slot::Waiting { due: later }) = self.slots.get(key)
            && due < *later
        {
            let later = *later;
            self.queue.remove(&(later, key.clone()));
            self.wait(key.clone(), due);
        }
    }

    fn finish_with(
        &mut self,
        key: &K,
        now: Duration,
        next: impl FnOnce(Duration) -> Option<Duration>,
    ) -> bool {
        let Some(slot) = self.slots.get_mut(key) else {
            return false;
        };
        let Slot::Running { due, again, gone } = *slot else {
            return true;
        };
        self.running = self.running.saturating_sub(1);
        let next = if again { Some(now) } else { next(due) };
        match next.filter(|_| !gone) {
            Some(due) => {
                *slot = Slot::Waiting { due };
                self.queue.insert((due, key.clone()));
            }
            None => self.forget(key),
        }
        !gone
    }

    /// Removes a key, and unused memory if most keys are gone. Of a million entries, most have
    /// nothing to fetch after the start.
    fn forget(&mut self, key: &K) {
        self.slots.remove(key);
        let is_sparse = self.slots.len() < self.slots.capacity() / SPARSE;
        if is_sparse && self.slots.capacity() > MIN_SHRUNK {
            self.slots.shrink_to_fit();
        }
    }

    fn wait(&mut self, key: K, due: Duration) {
        self.queue.insert((due, key.clone()));
        self.slots.insert(key, Slot::Waiting { due });
    }
}

impl<K: Clone + Ord + Hash> DueQueue<K> {
    /// Adds keys that repeat at an interval. Their first runs begin now, one after the other.
    pub fn add_all(
        &mut self,
        keys: impl IntoIterator<Item = K>,
        interval: Duration,
        now: Duration,
    ) {
        let mut new = Vec::new();
        for key in keys {
            match self.slots.contains_key(&key) {
                true => self.add(key, now),
                false => new.push(key),
            }
        }
        let gap = first_runs_gap(new.len(), interval);
        let mut due = now;
        for key in new {
            self.wait(key, due);
            due += gap;
        }
    }

    /// Finishes a run of a key that repeats at an interval. Returns false if the key was removed
    /// meanwhile.
    pub fn finish(&mut self, key: &K, interval: Duration, now: Duration) -> bool {
        self.finish_spaced(key, interval, Duration::ZERO, now)
    }

    /// Finishes a run as [`DueQueue::finish`] does. The key is not due before `earliest`, unless it
    /// was hurried.
    pub fn finish_spaced(
        &mut self,
        key: &K,
        interval: Duration,
        earliest: Duration,
        now: Duration,
    ) -> bool {
        // A key that missed its time while all slots were busy is due again at once, behind the
        // waiting keys. Otherwise some keys would run half as often as others under overload.
        self.finish_with(key, now, |due| {
            let next = next_place(key, interval, due).max(now);
            Some(match next < earliest {
                true => next_place(key, interval, earliest),
                false => next,
            })
        })
    }

    /// Makes waiting keys due earlier, as if they had waited longer. Keys that are due now because of
    /// it are spaced as first runs are.
    pub fn catch_up(&mut self, earlier: Duration, interval: Duration, now: Duration) {
        let waiting = std::mem::take(&mut self.queue);
        let gap = first_runs_gap(waiting.len(), interval);
        let mut first = now;
        for (due, key) in waiting {
            let moved = due.saturating_sub(earlier);
            if moved < first && due > now {
                self.wait(key, due.min(first));
                first += gap;
            } else {
                self.wait(key, moved.max(now).min(due));
            }
        }
    }

    /// Makes running keys due again when they finish.
    pub fn run_again(&mut self) {
        for slot in self.slots.values_mut() {
            if let Slot::Running { again, gone, .. } = slot {
                *again = !*gone;
            }
        }
    }

    /// Changes the interval. Waiting keys get due times in the new one.
    pub fn set_interval(&mut self, interval: Duration, now: Duration) {
        for (due, key) in std::mem::take(&mut self.queue) {
            let due = due.min(next_place(&key, interval, now));
            self.wait(key, due);
        }
    }
}

impl Slot {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Running { gone: true, .. })
    }
}

/// Returns the pause between this number of first runs.
fn first_runs_gap(count: usize, interval: Duration) -> Duration {
    let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    FIRST_RUNS_GAP.min(interval.max(MIN_INTERVAL) / count)
}

/// Returns the key's own time in the interval, after `now` and at most one interval later.
fn next_place<K: Hash>(key: &K, interval: Duration, now: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let interval = interval.max(MIN_INTERVAL).as_nanos();
    let phase = u128::from(hasher.finish()) % interval;
    let into = now.as_nanos() % interval;
    let ahead = (phase + interval - into) % interval;
    let ahead = if ahead == 0 { interval } else { ahead };
    now + Duration::from_nanos(u64::try_from(ahead).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
