//! The monitor's state at one moment. The loop publishes it; every page, metric and API response
//! reads one.

mod recent;
mod result_map;
mod results;
mod starts;
mod summary;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::model::{Target, Timestamp, Vantage};
use crate::scan::Reread;
use crate::source::Requests;

use super::counters::Counters;
use super::history_writer::StateHealth;
use super::plan::Plan;
use super::runtime::Runtime;

#[cfg(test)]
pub(super) use recent::Recent;
pub(super) use recent::{PERIODS, Period, RecentDay};
pub(super) use result_map::ResultMap;
#[cfg(test)]
pub(super) use result_map::tests::check_index;
pub(super) use results::{EndpointResult, Since, TargetResults, saw_the_same};
pub(super) use summary::SeverityCounts;

/// The monitor's state at one moment. It is immutable.
#[derive(Clone)]
pub(super) struct Snapshot {
    /// Configuration in force.
    pub(super) runtime: Arc<Runtime>,
    /// Targets to probe, with the state of each source.
    pub(super) plan: Arc<Plan>,
    /// Last results by target.
    pub(super) results: ResultMap,
    /// Progress of the probes.
    pub(super) cycle: Cycle,
    /// Last reload.
    pub(super) reload: Reload,
    /// Remote vantages.
    pub(super) vantages: Arc<[VantageStatus]>,
    /// True if every source was fetched and every target was probed once.
    pub(super) is_ready: bool,
}

/// Progress of the probes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cycle {
    /// Duration of the last complete cycle, in which every target is probed once.
    pub(super) duration: Option<Duration>,
    /// Due time of the longest-waiting local probe, since the start.
    pub(super) oldest_due: Option<Duration>,
}

/// Last reload of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Reload {
    /// Reason why the configuration was rejected, if it was.
    pub(super) error: Option<String>,
    /// Reason why a changed file that the configuration names cannot be used, if there is one.
    pub(super) file_error: Option<String>,
    /// Time of the last successful reload, or of the start.
    pub(super) succeeded: Timestamp,
}

/// State of a remote vantage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VantageStatus {
    /// Name of the vantage.
    pub(super) vantage: Vantage,
    /// True if its last probe returned results; `None` before the first.
    pub(super) is_up: Option<bool>,
    /// Time of the first of the consecutive failed probes.
    pub(super) failing_since: Option<Timestamp>,
    /// Due time of the longest-waiting probe from it, since the start.
    pub(super) oldest_due: Option<Duration>,
}

impl Snapshot {
    /// Returns the state before the first probe.
    pub(super) fn new(runtime: Runtime, now: Timestamp) -> Self {
        Self {
            runtime: Arc::new(runtime),
            plan: Arc::default(),
            results: ResultMap::default(),
            cycle: Cycle::default(),
            reload: Reload {
                file_error: None,
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

    /// Returns the time for which the longest-waiting local probe has been due; `elapsed` is the
    /// time since the start. A probe that has started waits as long as one of its addresses does
    /// not have its permits.
    pub(super) fn lag(&self, elapsed: Duration) -> Duration {
        let permits = &self.runtime.scanner.permits;
        lag(self.cycle.oldest_due, elapsed).max(permits.longest_wait(Instant::now()))
    }
}

impl VantageStatus {
    /// Returns the time for which the longest-waiting probe from the vantage has been due.
    pub(super) fn lag(&self, elapsed: Duration) -> Duration {
        lag(self.oldest_due, elapsed)
    }
}

fn lag(oldest_due: Option<Duration>, elapsed: Duration) -> Duration {
    elapsed.saturating_sub(oldest_due.unwrap_or(elapsed))
}

/// The current snapshot, and the counters.
pub(super) struct Current {
    snapshot: ArcSwap<Snapshot>,
    /// Health of the state directory; not set without one.
    state_health: OnceLock<Arc<StateHealth>>,
    reread: OnceLock<Reread>,
    pub(super) counters: Counters,
    pub(super) requests: Requests,
    pub(super) clock: fn() -> Timestamp,
    /// Start of the monitor.
    pub(super) started: Instant,
}

impl Current {
    /// Returns a first snapshot.
    pub(super) fn new(runtime: Runtime, requests: Requests, clock: fn() -> Timestamp) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::new(runtime, clock())),
            state_health: OnceLock::new(),
            reread: OnceLock::new(),
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

    /// Returns the current snapshot. A response calls it once, so that all of its parts are of the
    /// same snapshot.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Publishes a snapshot. Only the loop calls it.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Returns true if the state directory can be written; `None` without one.
    pub(super) fn is_state_up(&self) -> Option<bool> {
        let health = self.state_health.get()?;
        Some(health.is_up(Instant::now()))
    }

    /// Returns the function that reads the source of a target again; `None` before the monitor
    /// starts.
    pub(super) fn reread(&self) -> Option<Reread> {
        self.reread.get().cloned()
    }

    /// Sets the function that reads the source of a target again, once in the life of the process.
    pub(super) fn set_reread(&self, reread: Reread) {
        let _ = self.reread.set(reread);
    }

    /// Sets the health of the state directory, which is set once in the life of the process.
    pub(super) fn set_state_health(&self, health: Arc<StateHealth>) {
        let _ = self.state_health.set(health);
    }
}
