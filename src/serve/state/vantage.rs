//! One vantage: its schedule, its slots, and its backoff.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::judge::Judged;
use crate::model::{Target, Timestamp, Vantage};
use crate::observation::Outcome;
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

    /// Starts the next probe, if one is due and a slot is free.
    pub(super) fn start(&mut self, now: Duration) -> Option<Subject> {
        match self.next_start()? <= now {
            true => self.queue.start(now),
            false => None,
        }
    }

    /// Returns the start time of the next probe; `None` while all slots are busy. A failing vantage
    /// has one slot.
    pub(super) fn next_start(&self) -> Option<Duration> {
        let limit = if self.failures > 0 { 1 } else { self.limit };
        let due = self
            .queue
            .next_due()
            .filter(|_| self.queue.running() < limit)?;
        Some(due.max(self.resume_at))
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
