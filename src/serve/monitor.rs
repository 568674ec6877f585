//! The loop around the state: it waits for the next event or due time, and carries out the effects.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::judge::Judged;
use crate::model::{Target, Timestamp, Vantage};
use crate::scan::{Job, Scanner, caught};
use crate::source::{Failed, Loaded};
use crate::store::Store;

use super::error::{ConfigError, ReloadError};
use super::fetch::fetch;
use super::history_writer::{HistoryWriter, StateFolder};
use super::reload::{Asker, Reloads};
use super::reread::{Waiting, Waits};
use super::runtime::{Runtime, Setup};
use super::snapshot::{Current, Reload, Snapshot};
use super::state::{
    Effect, Event, Fetched, Level, LogLine, Now, ProbeId, Settings, SourceRequest, Start, State,
};

/// Share of the shutdown grace period that is reserved for the last notes, as a divisor.
const LAST_NOTES_SHARE: u32 = 5;
/// Maximum commands that wait.
const MAX_COMMANDS: usize = 64;
/// Probes that become due within this time start together. A process that wakes for many probes at
/// once needs less CPU time for each than one that wakes for every probe, and for every response,
/// separately.
const START_STEP: Duration = Duration::from_millis(250);
/// Maximum time between two comparisons of the clock with the time since the start. The clock may be
/// set, or run on while the machine is suspended.
const CLOCK_CHECK: Duration = Duration::from_secs(5);
/// Maximum results of probes that share one snapshot.
const MAX_RESULTS_PER_PASS: usize = 256;

/// Command to the monitor.
pub(super) enum Command {
    /// Reload the configuration, and report the result.
    Reload(Asker),
    /// A certificate of this common name was issued.
    Issued(String),
    /// Files that the configuration names have changed.
    FilesChanged,
}

/// Function that runs a probe as of a time, and reports each result. Tests replace the scan path.
pub(super) type Probe = Box<dyn Fn(Scanner, Job, Timestamp, Report) -> Probing + Send + Sync>;
/// Function that receives each result of a probe as soon as it is known.
pub(super) type Report = Box<dyn FnMut(Judged) + Send>;
/// Future that returns true if the probe is complete.
type Probing = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Returns the probe of the scan path.
pub(super) fn probe() -> Probe {
    Box::new(|scanner, job, now, report| {
        Box::pin(async move { scanner.probe(job, now, report).await })
    })
}

/// Key of an entry, and what its files have.
type ReadFiles = (Arc<str>, Vec<Result<Loaded, Failed>>);

/// The monitor.
pub(super) struct Monitor {
    setup: Arc<Setup>,
    probe: Probe,
    current: Arc<Current>,
    runtime: Arc<Runtime>,
    state: State,
    reload: Reload,
    probes: JoinSet<()>,
    sender: mpsc::UnboundedSender<Event>,
    results: mpsc::UnboundedReceiver<Event>,
    fetches: JoinSet<(SourceRequest, Fetched)>,
    /// Probes that wait for files, and the readings of these files.
    waits: Waits,
    rereads: JoinSet<ReadFiles>,
    commands: mpsc::Receiver<Command>,
    reloads: Reloads,
    /// True if files that the configuration names have changed and must be read again.
    has_new_files: bool,
    /// True if the running reload reads only these files.
    is_reading_files: bool,
    history: Option<HistoryWriter>,
    /// The published snapshot is older than the state.
    is_unpublished: bool,
}

impl Monitor {
    /// Returns a monitor of the configuration in force. It starts with the stored results of the
    /// sources.
    pub(super) fn new(
        setup: Arc<Setup>,
        current: Arc<Current>,
        folder: Option<StateFolder>,
        probe: Probe,
    ) -> (Self, mpsc::Sender<Command>) {
        let (command_sender, commands) = mpsc::channel(MAX_COMMANDS);
        // The channel is bounded by the number of addresses of the running probes.
        let (sender, results) = mpsc::unbounded_channel();
        let snapshot = current.snapshot();
        let store = folder.as_ref().and_then(StateFolder::store);
        let remembered = store.map(Store::recall).transpose();
        let remembered = remembered.unwrap_or_else(|error| {
            tracing::error!("cannot read the remembered certificates: {error}");
            None
        });
        let known_leaves = store.map(Store::known_leaves).transpose();
        let known_leaves = known_leaves.unwrap_or_else(|error| {
            tracing::error!("cannot read the known certificates of hosts: {error}");
            None
        });
        let start = Start {
            concurrency: snapshot.runtime.scanner.permits.slots(),
            remembered: remembered.unwrap_or_default(),
            known_leaves: known_leaves.unwrap_or_default(),
            has_store: folder.is_some(),
        };
        let settings = Settings::from(&*snapshot.runtime);
        let now = Now {
            elapsed: current.started.elapsed(),
            clock: current.now(),
        };
        let (state, effects) = State::new(settings, start, now);
        let waits = Waits::default();
        current.set_reread(waits.reread());
        let history = folder.map(HistoryWriter::new);
        if let Some(history) = &history {
            current.set_state_health(history.health());
        }
        let mut monitor = Self {
            setup,
            probe,
            runtime: snapshot.runtime.clone(),
            reload: snapshot.reload.clone(),
            current,
            state,
            probes: JoinSet::new(),
            sender,
            results,
            fetches: JoinSet::new(),
            waits,
            rereads: JoinSet::new(),
            commands,
            reloads: Reloads::default(),
            has_new_files: false,
            is_reading_files: false,
            history,
            is_unpublished: true,
        };
        monitor.carry_out(effects);
        monitor.publish();
        (monitor, command_sender)
    }

    /// Runs until `shutdown` is done. Then it starts nothing new, and gives running probes the
    /// grace period. A share of it is reserved for the last notes.
    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>, grace: Duration) {
        tokio::pin!(shutdown);
        loop {
            self.start_reload();
            self.publish();
            let wake = self.next_due();
            tokio::select! {
                Some(done) = self.fetches.join_next() => match done {
                    Ok((request, fetched)) => self.on_source_result(request, fetched),
                    Err(error) => tracing::error!("cannot query a source: {error}"),
                },
                Some(waiting) = self.waits.next() => self.on_waiting(waiting),
                Some(done) = self.rereads.join_next() => match done {
                    Ok((key, answers)) => self.on(Event::Reread { key, answers }),
                    Err(error) => tracing::error!("cannot query a source: {error}"),
                },
                Some(event) = self.results.recv() => {
                    // Probes that are ready run first, so that their results share one snapshot.
                    tokio::task::yield_now().await;
                    self.on_results(event);
                }
                Some(read) = self.reloads.ended() => self.apply(read),
                Some(command) = self.commands.recv() => self.on_command(command),
                () = sleep_until(wake) => self.on(Event::Tick),
                () = &mut shutdown => break,
            }
            while self.probes.try_join_next().is_some() {}
        }
        self.shut_down(grace).await;
    }

    async fn shut_down(mut self, grace: Duration) {
        self.on(Event::Shutdown);
        self.fetches.abort_all();
        self.rereads.abort_all();
        // No probe waits from now on.
        self.waits = Waits::default();
        let end = Instant::now() + grace;
        let for_notes = match self.history {
            Some(_) => grace / LAST_NOTES_SHARE,
            None => Duration::ZERO,
        };
        let finish = async {
            while self.probes.join_next().await.is_some() {
                while let Ok(event) = self.results.try_recv() {
                    self.on(event);
                }
                self.publish();
            }
        };
        if timeout_at(end - for_notes, finish).await.is_err() {
            tracing::info!("probes aborted: they did not end in the shutdown grace period");
        }
        if let Some(history) = self.history.take() {
            history.finish(end).await;
        }
    }

    fn now(&self) -> Now {
        now(&self.current)
    }

    fn next_due(&self) -> Instant {
        let due = self.state.next_due().map(next_step).into_iter();
        let clock_check = self.current.started.elapsed() + CLOCK_CHECK;
        let due = due.chain(self.reloads.next_due()).min();
        let due = due.map_or(clock_check, |due| due.min(clock_check));
        self.current.started + due
    }

    fn on(&mut self, event: Event) {
        let effects = self.state.on(event, self.now());
        self.carry_out(effects);
    }

    /// Applies the results that are available, which share one snapshot.
    fn on_results(&mut self, first: Event) {
        self.on(first);
        for _ in 0..MAX_RESULTS_PER_PASS {
            let Ok(event) = self.results.try_recv() else {
                break;
            };
            self.on(event);
        }
    }

    fn on_source_result(&mut self, request: SourceRequest, fetched: Fetched) {
        let sources = &self.runtime.scanner.sources;
        let clock_warning = sources.clock_warning(self.current.now());
        self.on(Event::SourceResult {
            request,
            fetched,
            clock_warning,
        });
    }

    fn on_waiting(&mut self, waiting: Waiting) {
        let (ticket, target) = self.waits.add(waiting);
        self.on(Event::Unexpected { ticket, target });
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Issued(cn) => self.on(Event::Issued(cn)),
            Command::Reload(asker) => self.reloads.ask(asker),
            Command::FilesChanged => self.has_new_files = true,
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch {
                    request,
                    entry,
                    known,
                    instances,
                } => {
                    let runtime = self.runtime.clone();
                    self.fetches.spawn(async move {
                        let only = request.only.as_deref();
                        let fetched =
                            caught(fetch(&entry, only, &known, &instances, &runtime)).await;
                        let internal_error =
                            || Fetched::alone(Err(Failed::by_internal_error(&entry)));
                        let fetched = fetched.unwrap_or_else(internal_error);
                        (request, fetched)
                    });
                }
                Effect::Probe {
                    id,
                    vantage,
                    targets,
                    known,
                    due,
                } => {
                    let due = vantage.is_local().then(|| self.current.started + due);
                    let reread = self.current.reread();
                    let job = self.job(&targets).map(|job| Job {
                        known,
                        reread,
                        due,
                        ..job
                    });
                    self.start_probe(id, &vantage, job);
                }
                Effect::Reread { key, entry } => {
                    let sources = self.runtime.scanner.sources.clone();
                    let patience = self.runtime.options.timeout;
                    self.rereads.spawn(async move {
                        let answers = caught(sources.load(&entry, patience)).await;
                        (key, answers.unwrap_or_default())
                    });
                }
                Effect::Resume(ticket) => {
                    let (plan, now) = (self.state.plan(), self.current.now());
                    self.waits.resume(ticket, plan, &self.runtime, now);
                }
                Effect::Record(note) => {
                    if let Some(history) = &self.history {
                        history.write(note);
                    }
                }
                Effect::Log(LogLine { level, text }) => match level {
                    Level::Info => tracing::info!("{text}"),
                    Level::Warning => tracing::warn!("{text}"),
                },
                Effect::Publish => self.is_unpublished = true,
            }
        }
    }

    /// Returns the probe of these targets, which are of one certificate.
    fn job(&self, targets: &[Arc<Target>]) -> Option<Job> {
        let targets = targets.to_vec();
        let plan = self.state.plan();
        plan.job_of(targets, &self.runtime, self.current.now())
    }

    fn start_probe(&mut self, id: ProbeId, vantage: &Vantage, job: Option<Job>) {
        let scanner = self.runtime.scanner_of(vantage);
        let (sender, current) = (self.sender.clone(), self.current.clone());
        let (Some(job), Some(scanner)) = (job, scanner) else {
            let is_complete = false;
            // The receiver lives as long as the monitor.
            let _ = sender.send(Event::ProbeDone { id, is_complete });
            return;
        };
        let reported: Arc<Mutex<Vec<Arc<Judged>>>> = Arc::default();
        let (results, times, noted) = (sender.clone(), current.clone(), reported.clone());
        let report: Report = Box::new(move |judged| {
            let judged = Arc::new(judged);
            lock(&noted).push(judged.clone());
            let at = now(&times);
            // After the shutdown there is no receiver.
            let _ = results.send(Event::ProbeResult { id, judged, at });
        });
        let probing = (self.probe)(scanner, job, current.now(), report);
        self.probes.spawn(async move {
            let complete = caught(probing).await;
            match complete {
                Some(_) => current
                    .counters
                    .count(lock(&reported).iter().map(|judged| &**judged)),
                None => {
                    tracing::error!("probe failed because of a bug in certvigil; please report it")
                }
            }
            let is_complete = complete.unwrap_or(false);
            let _ = sender.send(Event::ProbeDone { id, is_complete });
        });
    }

    /// Publishes a snapshot if the state has changed.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.is_unpublished) {
            return;
        }
        let parts = self.state.parts();
        self.current.publish(Snapshot {
            runtime: self.runtime.clone(),
            plan: parts.plan,
            results: parts.results,
            cycle: parts.cycle,
            reload: self.reload.clone(),
            vantages: parts.vantages,
            is_ready: parts.is_ready,
        });
    }

    /// Starts a requested reload, and reports one that takes too long.
    fn start_reload(&mut self) {
        let elapsed = self.now().elapsed;
        if let Some(error) = self.reloads.give_up(elapsed) {
            match self.is_reading_files {
                true => tracing::warn!("files of the configuration not read yet: {error}"),
                false => self.note_reload(&Err(error)),
            }
        }
        let (setup, before) = (self.setup.clone(), self.runtime.clone());
        let requests = self.current.requests.clone();
        if !self.reloads.is_wanted() {
            if self.has_new_files && self.reloads.is_idle() {
                self.has_new_files = false;
                self.is_reading_files = true;
                self.reloads.begin(elapsed, move || {
                    Ok(before.with_present_files(&setup, &requests)?)
                });
            }
            return;
        }
        // A reload reads these files too.
        self.has_new_files = false;
        self.reloads.begin(elapsed, move || {
            let runtime = Runtime::new(&setup, Some(before.as_ref()), &requests)?;
            let web = setup.web.reload();
            web.map_err(|e| ConfigError::Web(e.to_string().into()))?;
            Ok(runtime)
        });
    }

    /// Puts a configuration into force that was read.
    fn apply(&mut self, read: Result<Runtime, ReloadError>) {
        let result = read.map(|runtime| {
            let defaults = &runtime.inventory.defaults;
            runtime
                .scanner
                .permits
                .set_per_address(defaults.per_address);
            let settings = Settings::from(&runtime);
            self.runtime = Arc::new(runtime);
            self.on(Event::Reload(settings));
        });
        match std::mem::take(&mut self.is_reading_files) {
            true => self.note_files(&result),
            false => self.note_reload(&result),
        }
        // The snapshot is published first, so that responses after the reply are of the new
        // configuration.
        self.publish();
        self.reloads.finish(&result);
    }

    fn note_files(&mut self, result: &Result<(), ReloadError>) {
        match result {
            Ok(()) => {
                let targets = self.runtime.target_files.entries().count();
                tracing::info!("files of the configuration read: targets={targets}");
            }
            Err(error) => tracing::error!(
                "changed files not used, their earlier content stays in force: {error}"
            ),
        }
        self.reload.file_error = result.as_ref().err().map(ToString::to_string);
        self.is_unpublished = true;
    }

    fn note_reload(&mut self, result: &Result<(), ReloadError>) {
        match result {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(error) => {
                tracing::error!("configuration refused, the previous one stays in force: {error}")
            }
        }
        self.reload.error = result.as_ref().err().map(ToString::to_string);
        if result.is_ok() {
            self.reload.succeeded = self.current.now();
            self.reload.file_error = None;
        }
        self.is_unpublished = true;
    }
}

/// Rounds a due time up to the next step.
fn next_step(due: Duration) -> Duration {
    let step = START_STEP.as_nanos();
    let missing = (step - due.as_nanos() % step) % step;
    due + Duration::from_nanos(u64::try_from(missing).unwrap_or(0))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now(current: &Current) -> Now {
    Now {
        elapsed: current.started.elapsed(),
        clock: current.now(),
    }
}

#[cfg(test)]
mod tests;
