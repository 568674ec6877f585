//! The monitor as a pure state machine: events in, effects out. Time is an argument.
//!
//! - **mod**: the state, and the one function that takes events;
//! - **sources**: requests to sources, and their results;
//! - **probes**: probes, their results, and the cycle;
//! - **vantage**: the slots and the backoff of one vantage;
//! - **combine**: findings that compare several endpoints;
//! - **known_leaves**: findings that compare a leaf with earlier ones;
//! - **rereads**: files that are read again for a probe of another leaf;
//! - **clock**: a clock that was set, or that ran on while the machine was suspended;
//! - **apply**: the configuration, and the plan that follows from it.

mod apply;
#[cfg(test)]
mod capacity;
mod clock;
mod combine;
mod known_leaves;
mod probes;
mod rereads;
#[cfg(test)]
mod simulation;
mod sources;
#[cfg(test)]
mod validity_changes;
mod vantage;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Entry, SslmateSettings};
use crate::judge::Judged;
use crate::model::{Target, Timestamp, Vantage};
use crate::report::prometheus::SharedSamples;
use crate::scan::{KnownDns, KnownPlaces};
use crate::schedule::DueQueue;
use crate::source::{Failed, KnownInstances, Loaded};
use crate::store::{KnownLeaf, Place, Remembered};

use super::dns_failures::DnsFailures;
use super::expectations::{Times, Watch};
use super::history_writer::Note;
use super::judging_settings::JudgingSettings;
use super::lost::Lost;
use super::plan::Plan;
use super::runtime::Runtime;
use super::snapshot::{Cycle, ResultMap, VantageStatus};

use known_leaves::KnownLeaves;
use probes::Run;
use rereads::Rereads;
pub(super) use rereads::Ticket;
pub(super) use sources::SourceRequest;
use vantage::VantageSchedule;

#[cfg(test)]
pub(super) use apply::keyed;
#[cfg(test)]
pub(super) use sources::REPLAN_PAUSE;

/// Interval between two removals of old history from the store.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Time of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Time since the start. It never decreases.
    pub(super) elapsed: Duration,
    /// Time of the clock, which may be set back.
    pub(super) clock: Timestamp,
}

/// Part of the configuration that the state depends on.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Entries of the inventory.
    pub(super) entries: Vec<Arc<Entry>>,
    /// Interval of the probes.
    pub(super) interval: Duration,
    /// Grace period and refresh interval.
    pub(super) times: Times,
    /// Time for which history is kept.
    pub(super) history: Duration,
    /// SSLMate account, which its entries depend on.
    pub(super) account: Option<SslmateSettings>,
    /// Remote vantages.
    pub(super) vantages: Vec<Vantage>,
    /// Settings outside the entries that take part in verdicts.
    pub(super) judging: Arc<JudgingSettings>,
}

impl From<&Runtime> for Settings {
    fn from(runtime: &Runtime) -> Self {
        let inventory = &runtime.inventory;
        Self {
            entries: runtime.entries.clone(),
            interval: inventory.defaults.interval,
            times: runtime.times,
            history: inventory.defaults.history,
            account: inventory.sslmate.clone(),
            vantages: runtime.remotes.keys().cloned().collect(),
            judging: runtime.judging.clone(),
        }
    }
}

/// Limits of a state, and the stored results that it starts with.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Maximum concurrent local probes.
    pub(super) concurrency: usize,
    /// Results of sources before the start, by the keys of their entries.
    pub(super) remembered: Vec<(String, Vec<Remembered>)>,
    /// Known leaves of the hosts before the start.
    pub(super) known_leaves: BTreeMap<Place, Vec<KnownLeaf>>,
    /// True if there is a state directory to record in.
    pub(super) has_store: bool,
}

/// Number of a probe.
pub(super) type ProbeId = u64;

/// Result of a request to a source.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Result for each certificate.
    pub(super) answers: Vec<Result<Loaded, Failed>>,
    /// Mail hosts of the entry's domains; `None` if they were not looked up.
    pub(super) known_places: Option<KnownPlaces>,
}

/// Event of the state machine.
#[derive(Debug)]
pub(super) enum Event {
    /// A request to a source succeeded or failed.
    SourceResult {
        request: SourceRequest,
        fetched: Fetched,
        /// Log line if the clock of the source differs from the local clock.
        clock_warning: Option<String>,
    },
    /// A probe has the result of one endpoint, as of `at`.
    ProbeResult {
        id: ProbeId,
        judged: Arc<Judged>,
        at: Now,
    },
    /// A probe ended. It is not complete after an internal error.
    ProbeDone { id: ProbeId, is_complete: bool },
    /// A probe found another leaf than expected at a target, and waits until its source was read
    /// again.
    Unexpected { ticket: Ticket, target: Arc<Target> },
    /// The files of an entry were read again.
    Reread {
        key: Arc<str>,
        answers: Vec<Result<Loaded, Failed>>,
    },
    /// The configuration was read.
    Reload(Settings),
    /// A certificate of this common name was issued.
    Issued(String),
    /// Time has passed.
    Tick,
    /// The monitor stops: nothing new starts from now on.
    Shutdown,
}

/// Effect, which the loop carries out.
#[derive(Debug)]
pub(super) enum Effect {
    /// Fetch from the source of an entry; `known` are the mail hosts of its domains, and `instances`
    /// the last results of an account.
    Fetch {
        request: SourceRequest,
        entry: Arc<Entry>,
        known: Arc<KnownPlaces>,
        instances: Arc<KnownInstances>,
    },
    /// Probe targets of one entry from one vantage; `known` are the results of the last
    /// successful DNS lookups, and `due` is the time at which the probe was due.
    Probe {
        id: ProbeId,
        vantage: Vantage,
        targets: Vec<Arc<Target>>,
        known: KnownDns,
        due: Duration,
    },
    /// Read the files of an entry again, without DNS lookups.
    Reread { key: Arc<str>, entry: Arc<Entry> },
    /// Judge a probe that waits by the current plan.
    Resume(Ticket),
    /// Write a note to the state directory.
    Record(Note),
    /// Write a line to the log.
    Log(LogLine),
    /// Publish a snapshot.
    Publish,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warning,
}

/// Log line: the event first, then `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogLine {
    pub(super) level: Level,
    pub(super) text: String,
}

impl LogLine {
    pub(super) fn info(text: impl fmt::Display) -> Self {
        Self {
            level: Level::Info,
            text: text.to_string(),
        }
    }

    pub(super) fn warning(text: impl fmt::Display) -> Self {
        Self {
            level: Level::Warning,
            text: text.to_string(),
        }
    }
}

/// State of the monitor.
pub(super) struct State {
    settings: Settings,
    concurrency: usize,
    has_store: bool,
    is_stopping: bool,
    watches: BTreeMap<Arc<str>, Arc<Watch>>,
    /// Keys of the entries in the order of the configuration.
    order: Vec<Arc<str>>,
    /// Entries that are no longer in the configuration.
    lost: Lost,
    plan: Arc<Plan>,
    /// Logged warnings about the names in the plan.
    warnings: BTreeSet<String>,
    targets: BTreeSet<Arc<Target>>,
    /// Targets of each test of a remote vantage.
    groups: BTreeMap<vantage::Subject, Vec<Arc<Target>>>,
    /// Local vantage and remote vantages.
    schedules: BTreeMap<Vantage, VantageSchedule>,
    runs: BTreeMap<ProbeId, Run>,
    last_id: ProbeId,
    results: ResultMap,
    /// Metrics that endpoints share.
    samples: SharedSamples,
    /// Schedule of the requests to sources.
    sources: DueQueue<SourceRequest>,
    /// Latest time of the next plan, if sources have returned results since the last one.
    outdated: Option<Duration>,
    /// Requests after notifications of issued certificates, each with the common names whose
    /// targets are probed after the result.
    awaiting: BTreeMap<SourceRequest, BTreeSet<String>>,
    /// Certificates that were fetched individually while a full fetch of their entry was running.
    newer: BTreeMap<Arc<str>, BTreeSet<String>>,
    rereads: Rereads,
    /// Targets that this cycle has not probed yet.
    remaining: HashSet<Arc<Target>>,
    cycle_began: Duration,
    cycle_duration: Option<Duration>,
    is_ready: bool,
    prune_due: Duration,
    dns_failures: DnsFailures,
    known_leaves: KnownLeaves,
    /// True after the log line about the difference between the local clock and that of the
    /// sources.
    is_clock_wrong: bool,
    /// Time of the last event.
    last_event: Now,
    effects: Vec<Effect>,
}

/// Parts of a snapshot that come from the state.
pub(super) struct Parts {
    pub(super) plan: Arc<Plan>,
    pub(super) results: ResultMap,
    pub(super) cycle: Cycle,
    pub(super) vantages: Arc<[VantageStatus]>,
    pub(super) is_ready: bool,
}

impl State {
    /// Returns a state with a first configuration, and the effects of it.
    pub(super) fn new(settings: Settings, start: Start, now: Now) -> (Self, Vec<Effect>) {
        let concurrency = start.concurrency.max(1);
        let local = VantageSchedule::new(concurrency);
        let mut state = Self {
            settings: Settings {
                entries: Vec::new(),
                ..settings.clone()
            },
            concurrency,
            has_store: start.has_store,
            is_stopping: false,
            watches: BTreeMap::new(),
            order: Vec::new(),
            lost: Lost::default(),
            plan: Arc::default(),
            warnings: BTreeSet::new(),
            targets: BTreeSet::new(),
            groups: BTreeMap::new(),
            schedules: BTreeMap::from([(Vantage::local(), local)]),
            runs: BTreeMap::new(),
            last_id: 0,
            results: ResultMap::default(),
            samples: SharedSamples::default(),
            sources: DueQueue::default(),
            outdated: None,
            awaiting: BTreeMap::new(),
            newer: BTreeMap::new(),
            rereads: Rereads::default(),
            remaining: HashSet::new(),
            cycle_began: now.elapsed,
            cycle_duration: None,
            is_ready: false,
            prune_due: now.elapsed,
            dns_failures: DnsFailures::default(),
            known_leaves: KnownLeaves::new(start.known_leaves, now.elapsed),
            is_clock_wrong: false,
            last_event: now,
            effects: Vec::new(),
        };
        for (key, remembered) in start.remembered {
            state.lost.put_remembered(key, remembered, now.elapsed);
        }
        let effects = state.on(Event::Reload(settings), now);
        (state, effects)
    }

    /// Applies an event. Returns the effects that follow from it, in order.
    pub(super) fn on(&mut self, event: Event, now: Now) -> Vec<Effect> {
        self.follow_clock(now);
        match event {
            Event::SourceResult {
                request,
                fetched,
                clock_warning,
            } => {
                self.on_clock_warning(clock_warning);
                self.on_source_result(&request, fetched, now);
            }
            Event::ProbeResult { id, judged, at } => self.on_probe_result(id, judged, at),
            Event::ProbeDone { id, is_complete } => self.on_probe_done(id, is_complete, now),
            Event::Unexpected { ticket, target } => self.on_unexpected(ticket, &target, now),
            Event::Reread { key, answers } => self.on_reread(&key, answers, now),
            Event::Reload(settings) => self.apply(settings, now),
            Event::Issued(cn) => self.on_issued(&cn, now),
            Event::Tick => {}
            Event::Shutdown => {
                self.is_stopping = true;
                self.end_rereads();
            }
        }
        if !self.is_stopping {
            self.start_fetches(now);
            self.start_rereads(now);
            self.replan_if_due(now);
            self.start_probes(now);
            self.prune_if_due(now);
        }
        std::mem::take(&mut self.effects)
    }

    /// Returns the time at which the state needs a tick.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let probes = self
            .schedules
            .values()
            .filter_map(VantageSchedule::next_start);
        let fetch = self.next_fetch();
        let prune = self.has_store.then_some(self.prune_due);
        let others = fetch.into_iter().chain(self.outdated).chain(prune);
        let others = others.chain(self.next_reread());
        probes.chain(others).min()
    }

    /// Returns the plan.
    pub(super) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Returns the parts of a snapshot.
    pub(super) fn parts(&self) -> Parts {
        let remotes = self
            .schedules
            .iter()
            .filter(|(vantage, _)| !vantage.is_local());
        let remotes = remotes.filter(|(_, schedule)| schedule.is_wanted);
        Parts {
            plan: self.plan.clone(),
            results: self.results.clone(),
            cycle: Cycle {
                duration: self.cycle_duration,
                oldest_due: self.oldest_due(),
            },
            vantages: remotes
                .map(|(name, schedule)| schedule.status(name))
                .collect(),
            is_ready: self.is_ready,
        }
    }

    /// Returns the due time of the longest-waiting local probe. A remote vantage that responds
    /// slowly delays only its own probes.
    fn oldest_due(&self) -> Option<Duration> {
        self.schedules.get(&Vantage::local())?.oldest_due()
    }

    fn log(&mut self, line: LogLine) {
        self.effects.push(Effect::Log(line));
    }

    fn record(&mut self, note: impl FnOnce(&Self) -> Note) {
        if self.has_store {
            let note = note(self);
            self.effects.push(Effect::Record(note));
        }
    }

    fn publish(&mut self) {
        if !matches!(self.effects.last(), Some(Effect::Publish)) {
            self.effects.push(Effect::Publish);
        }
    }

    fn on_clock_warning(&mut self, warning: Option<String>) {
        let is_wrong = warning.is_some();
        if let Some(warning) = warning.filter(|_| !self.is_clock_wrong) {
            self.log(LogLine::warning(warning));
        }
        self.is_clock_wrong = is_wrong;
    }

    /// Removes old history, and the entries that were lost too long ago.
    fn prune_if_due(&mut self, now: Now) {
        if self.prune_due > now.elapsed {
            return;
        }
        self.prune_due = now.elapsed + PRUNE_INTERVAL;
        self.lost.expire(now.elapsed);
        let oldest = now.elapsed.saturating_sub(self.settings.history);
        self.known_leaves.expire(oldest);
        let kept = i64::try_from(self.settings.history.as_secs()).unwrap_or(i64::MAX);
        let before = Timestamp(now.clock.0.saturating_sub(kept));
        self.record(|_| Note::Prune(before));
        self.record_entries(now);
    }

    /// Records the keys of the configured entries.
    fn record_entries(&mut self, now: Now) {
        self.record(|state| {
            let keys = state.watches.keys().map(ToString::to_string).collect();
            Note::Entries(keys, now.clock)
        });
    }
}

/// Sizes of all collections that could grow.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Sizes {
    pub(super) slots: usize,
    pub(super) requests: usize,
    pub(super) runs: usize,
    pub(super) results: usize,
    pub(super) endpoints: usize,
    pub(super) lost: usize,
    pub(super) leaves: usize,
    pub(super) notes: usize,
    pub(super) rereads: usize,
}

#[cfg(test)]
impl State {
    pub(super) fn sizes(&self) -> Sizes {
        let awaited = self.awaiting.values().map(BTreeSet::len).sum::<usize>();
        let newer = self.newer.values().map(BTreeSet::len).sum::<usize>();
        Sizes {
            slots: self.schedules.values().map(|s| s.queue.len()).sum(),
            requests: self.sources.len(),
            runs: self.runs.len(),
            results: self.results.iter().count(),
            endpoints: self.results.iter().map(|r| r.endpoints.len()).sum(),
            lost: self.lost.len(),
            leaves: self.known_leaves.len(),
            notes: awaited + newer + self.remaining.len() + self.warnings.len(),
            rereads: self.rereads.len(),
        }
    }
}
