//! The monitor's state at one moment. The loop publishes it; every page, metric and API answer reads one.

mod results;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::model::{Target, Timestamp, Vantage};
use crate::source::Requests;

use super::counters::Counters;
use super::history_writer::StateHealth;
use super::plan::Plan;
use super::runtime::Runtime;

pub(super) use results::{EndpointResult, ResultMap, Since, TargetResults, saw_the_same};

/// The monitor's state at one moment. It never changes.
#[derive(Clone)]
pub(super) struct Snapshot {
    /// The configuration in force.
    pub(super) runtime: Arc<Runtime>,
    /// The targets to probe, with the state of each source.
    pub(super) plan: Arc<Plan>,
    /// The last results by target.
    pub(super) results: ResultMap,
    /// The progress of the probes.
    pub(super) cycle: Cycle,
    /// The last reload.
    pub(super) reload: Reload,
    /// The remote vantages.
    pub(super) vantages: Arc<[VantageStatus]>,
    /// Every source was asked and every target was probed once.
    pub(super) is_ready: bool,
}

/// The progress of the probes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cycle {
    /// Time that the last complete cycle took; in each, every target is probed once.
    pub(super) duration: Option<Duration>,
    /// Due time of the longest-waiting probe, since the start.
    pub(super) oldest_due: Option<Duration>,
}

/// The last reload of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Reload {
    /// Why the configuration was refused, if it was.
    pub(super) error: Option<String>,
    /// The time of the last successful one, or of the start.
    pub(super) succeeded: Timestamp,
}

/// The state of a remote vantage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VantageStatus {
    /// Its name.
    pub(super) vantage: Vantage,
    /// True if its last probe returned results; `None` before the first.
    pub(super) is_up: Option<bool>,
    /// The first of the probes that failed one after another.
    pub(super) failing_since: Option<Timestamp>,
}

impl Snapshot {
    /// The state before the first probe.
    pub(super) fn new(runtime: Runtime, now: Timestamp) -> Self {
        Self {
            runtime: Arc::new(runtime),
            plan: Arc::default(),
            results: ResultMap::default(),
            cycle: Cycle::default(),
            reload: Reload {
                error: None,
                succeeded: now,
            },
            vantages: Arc::new([]),
            is_ready: false,
        }
    }

    /// Returns the last results of a target.
    pub(super) fn results_of(&self, target: &Target) -> Option<&Arc<TargetResults>> {
        self.results.get(target)
    }

    /// Returns how long the longest-waiting probe has been due; `elapsed` is the time since the start.
    pub(super) fn lag(&self, elapsed: Duration) -> Duration {
        let due = self.cycle.oldest_due.unwrap_or(elapsed);
        elapsed.saturating_sub(due)
    }
}

/// The current snapshot, and the counters beside it.
pub(super) struct Current {
    snapshot: ArcSwap<Snapshot>,
    /// The health of the state folder; not set without one.
    state_health: OnceLock<Arc<StateHealth>>,
    pub(super) counters: Counters,
    pub(super) requests: Requests,
    pub(super) clock: fn() -> Timestamp,
    /// The start of the monitor.
    pub(super) started: Instant,
}

impl Current {
    /// A first snapshot.
    pub(super) fn new(runtime: Runtime, requests: Requests, clock: fn() -> Timestamp) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::new(runtime, clock())),
            state_health: OnceLock::new(),
            counters: Counters::default(),
            requests,
            clock,
            started: Instant::now(),
        }
    }

    /// Returns the current time.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Returns the current snapshot. An answer calls it once, so that its parts fit together.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Publishes a snapshot. Only the loop calls it.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Returns true if the state folder can be written; `None` without one.
    pub(super) fn is_state_up(&self) -> Option<bool> {
        let health = self.state_health.get()?;
        Some(health.is_up(Instant::now()))
    }

    /// Sets the health of the state folder, of which there is one for the life of the process.
    pub(super) fn set_state_health(&self, health: Arc<StateHealth>) {
        let _ = self.state_health.set(health);
    }
}
