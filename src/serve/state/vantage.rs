//! One vantage: its schedule, its slots, and its backoff.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::judge::Judged;
use crate::model::{Target, Timestamp, Vantage};
use crate::observation::Outcome;
use crate::scan::TARGET_SHARE;
use crate::schedule::DueQueue;

use super::super::snapshot::VantageStatus;
use super::Now;

/// Maximum concurrent probes of one remote vantage.
pub(super) const MAX_REMOTE_PROBES: usize = 16;
/// Pause after the first failed probe of a vantage. Each further failure doubles it.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// Longest pause between two probes of a vantage that keeps failing.
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// Subject of one probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::serve) enum Subject {
    /// One target, from the local vantage.
    Target(Arc<Target>),
    /// Targets of one certificate and port, from a remote vantage.
    Group(Arc<Group>),
}

/// Targets of one certificate and port.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::serve) struct Group {
    /// Key of the entry.
    key: Arc<str>,
    /// Name of the certificate.
    certificate: Box<str>,
    /// Port.
    port: u16,
}

impl Subject {
    /// Returns the group that contains a target.
    pub(super) fn group(key: &Arc<str>, target: &Target) -> Self {
        Self::Group(Arc::new(Group {
            key: key.clone(),
            certificate: target.certificate.as_str().into(),
            port: target.port,
        }))
    }
}

/// Schedule and health of a vantage.
#[derive(Debug)]
pub(super) struct VantageSchedule {
    pub(super) queue: DueQueue<Subject>,
    /// Maximum concurrent probes.
    limit: usize,
    shares: Shares,
    /// First time at which the verdict of each probe may change by itself.
    changes: HashMap<Subject, Timestamp>,
    /// True if the configuration contains the vantage.
    pub(super) is_wanted: bool,
    /// Probes that have never ended yet.
    pub(super) unprobed: BTreeSet<Subject>,
    is_up: Option<bool>,
    /// Number of consecutive failed probes.
    failures: u32,
    /// End of the last failed probe.
    failed_at: Duration,
    failing_since: Option<Timestamp>,
    /// End of the pause.
    resume_at: Duration,
}

/// Slots of entries whose hosts DNS gives. The probes of one entry use at most a share of the slots,
/// because the operator of the domain decides on the number of its hosts.
#[derive(Debug, Default)]
struct Shares {
    /// Key of the entry of each such probe.
    entries: HashMap<Subject, Arc<str>>,
    /// Number of running probes of each such entry.
    running: HashMap<Arc<str>, usize>,
}

impl Shares {
    /// Returns true if a probe may start while others of its entry run.
    fn is_free(&self, subject: &Subject, limit: usize) -> bool {
        let running = self.entries.get(subject).and_then(|k| self.running.get(k));
        running.is_none_or(|running| *running < (limit / TARGET_SHARE).max(1))
    }

    /// Counts a probe that starts. Returns the key of its entry.
    fn take(&mut self, subject: &Subject) -> Option<Arc<str>> {
        let key = self.entries.get(subject)?.clone();
        *self.running.entry(key.clone()).or_default() += 1;
        Some(key)
    }

    fn release(&mut self, key: &Arc<str>) {
        if let Some(running) = self.running.get_mut(key) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running.remove(key);
            }
        }
    }
}

/// Probe that starts.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) subject: Subject,
    /// Time at which it was due.
    pub(super) due: Duration,
    /// Key of its entry, if DNS gives the hosts of the entry.
    pub(super) shared_by: Option<Arc<str>>,
}

/// Change of a vantage's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Failed,
    Recovered,
}

impl VantageSchedule {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queue: DueQueue::default(),
            limit,
            shares: Shares::default(),
            changes: HashMap::new(),
            is_wanted: true,
            unprobed: BTreeSet::new(),
            is_up: None,
            failures: 0,
            failed_at: Duration::ZERO,
            failing_since: None,
            resume_at: Duration::ZERO,
        }
    }

    /// Returns true if everything was probed once, or the vantage fails.
    pub(super) fn is_ready(&self) -> bool {
        self.unprobed.is_empty() || self.failures > 0
    }

    /// Sets the probes whose hosts DNS gives, with the key of their entry.
    pub(super) fn set_shared(&mut self, shared: HashMap<Subject, Arc<str>>) {
        self.shares.entries = shared;
    }

    /// Sets the first time at which the verdict of a probe may change by itself.
    pub(super) fn set_change(&mut self, subject: &Subject, change: Option<Timestamp>) {
        match change {
            Some(change) => drop(self.changes.insert(subject.clone(), change)),
            None => drop(self.changes.remove(subject)),
        }
    }

    /// Removes the probes that are no longer planned.
    pub(super) fn retain(&mut self, is_planned: impl Fn(&Subject) -> bool) {
        self.queue.retain(&is_planned);
        self.changes.retain(|subject, _| is_planned(subject));
    }

    /// Makes the waiting probes due earlier, after the clock was set or the machine was suspended.
    /// Those whose verdict may have changed meanwhile are due now. Running probes, which are judged by
    /// the earlier clock, run again.
    pub(super) fn catch_up(&mut self, earlier: Duration, interval: Duration, now: Now) {
        self.queue.catch_up(earlier, interval, now.elapsed);
        self.queue.run_again();
        let changed = self.changes.iter().filter(|(_, at)| **at <= now.clock);
        for (subject, _) in changed {
            self.queue.advance(subject, now.elapsed);
        }
    }

    /// Starts the next probe, if one is due and a slot is free.
    pub(super) fn start(&mut self, now: Duration) -> Option<Started> {
        if self.next_start()? > now {
            return None;
        }
        let (shares, limit) = (&self.shares, self.limit);
        let is_free = |subject: &Subject| shares.is_free(subject, limit);
        let subject = self.queue.start_of(now, is_free)?;
        let shared_by = self.shares.take(&subject);
        Some(Started {
            due: self.queue.running_due(&subject).unwrap_or(now),
            subject,
            shared_by,
        })
    }

    /// Releases the share of an entry that a probe used.
    pub(super) fn release(&mut self, shared_by: &Arc<str>) {
        self.shares.release(shared_by);
    }

    /// Returns the start time of the next probe; `None` while all slots are busy. A failing vantage
    /// has one slot.
    pub(super) fn next_start(&self) -> Option<Duration> {
        let limit = if self.failures > 0 { 1 } else { self.limit };
        if self.queue.running() >= limit {
            return None;
        }
        let due = match self.shares.running.is_empty() {
            true => self.queue.next_due(),
            false => self
                .queue
                .next_due_of(|subject| self.shares.is_free(subject, self.limit)),
        };
        Some(due?.max(self.resume_at))
    }

    /// Returns the due time of the longest-waiting probe.
    pub(super) fn oldest_due(&self) -> Option<Duration> {
        self.queue.next_due()
    }

    pub(super) fn status(&self, vantage: &Vantage) -> VantageStatus {
        VantageStatus {
            vantage: vantage.clone(),
            is_up: self.is_up,
            failing_since: self.failing_since,
            oldest_due: self.oldest_due(),
        }
    }

    /// Updates the health after a probe that started at `started`.
    pub(super) fn end_probe(&mut self, seen: Seen, started: Duration, now: Now) -> Option<Change> {
        match seen {
            Seen::Nothing => None,
            Seen::Results => {
                self.is_up = Some(true);
                self.failures = 0;
                self.resume_at = Duration::ZERO;
                self.failing_since.take().map(|_| Change::Recovered)
            }
            // Failures of concurrent probes count as one, because they have the same cause.
            Seen::Failure if self.failures > 0 && started < self.failed_at => None,
            Seen::Failure => {
                self.is_up = Some(false);
                let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
                let pause = FIRST_BACKOFF.saturating_mul(doubled).min(MAX_BACKOFF);
                self.failures = self.failures.saturating_add(1);
                self.failed_at = now.elapsed;
                self.resume_at = now.elapsed + pause;
                let is_first = self.failing_since.is_none();
                self.failing_since.get_or_insert(now.clock);
                is_first.then_some(Change::Failed)
            }
        }
    }
}

/// Results of a probe, for the health of its vantage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Seen {
    /// There were no results.
    #[default]
    Nothing,
    /// The vantage did not respond.
    Failure,
    /// The vantage responded.
    Results,
}

impl Seen {
    /// Adds a result.
    pub(super) fn add(&mut self, judged: &Judged) {
        let is_failure = matches!(
            &judged.observation.outcome,
            Outcome::Failed(error) if error.is_of_vantage
        );
        *self = match (*self, is_failure) {
            (Self::Results, _) | (_, false) => Self::Results,
            (_, true) => Self::Failure,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    fn probe(certificate: &str, number: usize) -> Subject {
        let host = format!("mx{number}.{certificate}.example").parse().unwrap();
        let target = Target::new(certificate.to_owned(), host, 25, Protocol::Smtp);
        Subject::Target(Arc::new(target))
    }

    #[test]
    fn hosts_of_one_domain_leave_half_of_the_probes_to_others() {
        const LIMIT: usize = 8;
        let mut schedule = VantageSchedule::new(LIMIT);
        let key: Arc<str> = "hostile".into();
        let hostile: Vec<Subject> = (0..50).map(|number| probe("hostile", number)).collect();
        let shared = hostile.iter().map(|subject| (subject.clone(), key.clone()));
        schedule.set_shared(shared.collect());
        let second = Duration::from_secs(1);
        for subject in hostile {
            schedule.queue.add(subject, Duration::ZERO);
        }
        // The other probe is due last.
        let other = probe("other", 0);
        schedule.queue.add(other.clone(), second);
        let start_all = |schedule: &mut VantageSchedule| {
            let started = std::iter::from_fn(|| schedule.start(2 * second));
            started.collect::<Vec<_>>()
        };
        let started = start_all(&mut schedule);
        assert_eq!(started.len(), LIMIT / TARGET_SHARE + 1);
        assert_eq!(started.last().map(|last| &last.subject), Some(&other));
        assert_eq!(started.last().map(|last| last.due), Some(second));
        // Nothing can start, although a slot is free.
        assert_eq!(schedule.next_start(), None);
        let ended = &started[0];
        schedule.release(ended.shared_by.as_ref().unwrap());
        assert!(schedule.queue.finish_at(&ended.subject, None, 2 * second));
        assert_eq!(schedule.next_start(), Some(Duration::ZERO));
        assert_eq!(start_all(&mut schedule).len(), 1);
    }
}
