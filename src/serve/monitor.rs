//! The one loop that decides what is asked and looked at next, and puts up what comes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::config::Entry;
use crate::model::{Target, Timestamp};
use crate::scan::{Job, Scan, Scanner, caught};
use crate::schedule::Schedule;
use crate::source::{Failed, Loaded};
use crate::store::{Remembered, Store};

use super::agenda::{Agenda, Errand};
use super::asking::{Said, ask};
use super::board::{Board, Looked, Plan};
use super::changes::tell_changes;
use super::dns_failures::{Change, DnsFailures};
use super::engine::{Engine, Setup};
use super::expectations::{Kept, MAX_ALONE, RETRY, Watch, key};
use super::keeper::{Keeper, Note};
use super::lost::Lost;
use super::planning::{Drawn, draw};
use super::reloads::{Asker, Reloads};

/// Sources that are asked at a time.
const MAX_SOURCES: usize = 8;
/// After word of an issued certificate the API may need a moment before it shows it.
const SECOND_TRY: Duration = Duration::from_secs(15);
/// Answers of sources that come within this share one new plan.
const REPLAN_PAUSE: Duration = Duration::from_millis(250);
/// The same for answers that say what is known: thousands of files are read anew every minute, and a plan of all of
/// them costs a thousand times what one of them does.
const UNCHANGED_REPLAN_PAUSE: Duration = Duration::from_secs(10);
/// How often history that is old enough is taken out of the store.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);
/// This share of the time at the end is for the last notes.
const LAST_NOTES_SHARE: u32 = 5;
/// Commands that wait at most.
const MAX_COMMANDS: usize = 64;

/// What the monitor may be told.
pub(super) enum Command {
    /// Read the configuration anew, and say how that went.
    Reload(Asker),
    /// A certificate of this common name has been issued.
    Issued(String),
}

/// Takes the looks of a job, as of a time: the scan path, unless a test puts something else in its place.
pub(super) type Look = Box<dyn Fn(Scanner, Job, Timestamp) -> Looking + Send + Sync>;
type Looking = Pin<Box<dyn Future<Output = Scan> + Send>>;

/// The look that everybody takes.
pub(super) fn look() -> Look {
    Box::new(|scanner, job, now| {
        Box::pin(async move {
            let jobs = vec![job];
            scanner
                .scan(jobs, now, std::future::pending(), |_| {})
                .await
        })
    })
}

/// The monitor.
pub(super) struct Monitor {
    setup: Arc<Setup>,
    look: Look,
    board: Arc<Board>,
    engine: Arc<Engine>,
    watches: BTreeMap<Arc<str>, Watch>,
    /// Their keys in the order of the configuration.
    order: Vec<Arc<str>>,
    /// What is remembered of entries that the configuration has lost.
    lost: Lost,
    plan: Arc<Plan>,
    /// What has been told of the names in it.
    warnings: BTreeSet<String>,
    schedule: Schedule,
    scans: JoinSet<(Scan, Timestamp)>,
    /// The targets of the scans under way.
    scanned: HashMap<Id, Target>,
    refreshes: JoinSet<Answer>,
    /// When the source of each entry is to be asked.
    agenda: Agenda,
    /// Until when the plan may be older than what sources said.
    outdated: Option<Duration>,
    /// What is asked since word has come of it, each with the common names in it that are to be looked at.
    awaiting: HashMap<Errand, BTreeSet<String>>,
    /// What has been heard of alone, by the entries all of which was being asked meanwhile: that answer may be older.
    newer: HashMap<Arc<str>, BTreeSet<String>>,
    /// The targets that this cycle has not looked at yet.
    remaining: BTreeSet<Target>,
    cycle_began: Duration,
    commands: mpsc::Receiver<Command>,
    reloads: Reloads,
    keeper: Option<Keeper>,
    prune_due: Duration,
    dns_failures: DnsFailures,
    /// Whether it has been told that the clock differs from that of the sources.
    is_clock_wrong: bool,
}

/// What a source said.
struct Answer {
    errand: Errand,
    said: Said,
}

impl Monitor {
    /// A monitor of the configuration that is in force on the board.
    /// What it said and saw before is in the store, and goes on from there.
    pub(super) fn new(
        setup: Arc<Setup>,
        board: Arc<Board>,
        store: Option<Store>,
        look: Look,
    ) -> (Self, mpsc::Sender<Command>) {
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let engine = board.engine();
        let mut monitor = Self {
            schedule: Schedule::new(engine.inventory.defaults.interval),
            setup,
            look,
            board,
            engine: engine.clone(),
            watches: BTreeMap::new(),
            order: Vec::new(),
            lost: Lost::default(),
            plan: Arc::default(),
            warnings: BTreeSet::new(),
            scans: JoinSet::new(),
            scanned: HashMap::new(),
            refreshes: JoinSet::new(),
            agenda: Agenda::default(),
            outdated: None,
            awaiting: HashMap::new(),
            newer: HashMap::new(),
            remaining: BTreeSet::new(),
            cycle_began: Duration::ZERO,
            commands,
            reloads: Reloads::default(),
            keeper: None,
            prune_due: Duration::ZERO,
            dns_failures: DnsFailures::default(),
            is_clock_wrong: false,
        };
        if let Some(store) = store {
            monitor.recall(&store);
            let keeper = Keeper::new(store);
            monitor.board.set_state_health(keeper.health());
            monitor.keeper = Some(keeper);
        }
        monitor.adopt(engine);
        (monitor, sender)
    }

    /// Takes up what sources said before, so that it is judged by while they are away.
    fn recall(&mut self, store: &Store) {
        let recalled = match store.recall() {
            Ok(recalled) => recalled,
            Err(error) => return tracing::error!("what sources said before is not known: {error}"),
        };
        let mut recalled: HashMap<String, Vec<Remembered>> = recalled.into_iter().collect();
        for (key, entry) in keyed(&self.engine.inventory.certificates) {
            let mut watch = Watch::new(entry.clone());
            let said = recalled.remove(&key).unwrap_or_default();
            watch.kept = said.into_iter().map(Kept::from).collect();
            self.watches.insert(key.into(), watch);
        }
        for (key, said) in recalled {
            let kept = said.into_iter().map(Kept::from).collect();
            self.lost.put(key, kept, Duration::ZERO);
        }
    }

    /// Runs until `shutdown` is done; then begins nothing new, and gives what is under way so much time. A share of it is
    /// for what remains to be written.
    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>, farewell: Duration) {
        tokio::pin!(shutdown);
        loop {
            self.ask();
            self.catch_up();
            self.look();
            self.prune();
            self.reload();
            let wake = self.next_due();
            tokio::select! {
                Some(done) = self.refreshes.join_next() => match done {
                    Ok(answer) => self.heard(answer),
                    Err(error) => tracing::error!("a source could not be asked: {error}"),
                },
                Some(done) = self.scans.join_next_with_id() => self.looked(done),
                Some(read) = self.reloads.ended() => self.take_up(read),
                Some(command) = self.commands.recv() => self.obey(command),
                () = wait_until(wake) => {}
                () = &mut shutdown => break,
            }
        }
        self.refreshes.abort_all();
        let end = Instant::now() + farewell;
        let for_notes = match self.keeper {
            Some(_) => farewell / LAST_NOTES_SHARE,
            None => Duration::ZERO,
        };
        let finish = async {
            while let Some(done) = self.scans.join_next_with_id().await {
                self.looked(done);
            }
        };
        if timeout_at(end - for_notes, finish).await.is_err() {
            tracing::info!("some looks were still under way and are given up");
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.finish(end).await;
        }
    }

    /// Makes the new plan that what sources said asks for; answers that come shortly after each other share one.
    fn catch_up(&mut self) {
        let is_quiet = self.refreshes.is_empty();
        if let Some(until) = self.outdated
            && (is_quiet || self.elapsed() >= until)
        {
            self.replan();
        }
    }

    /// What has passed since the start.
    fn elapsed(&self) -> Duration {
        self.board.started.elapsed()
    }

    fn next_due(&self) -> Option<Instant> {
        // Where all hands are busy, the next look waits for one of them and not for the clock.
        let look = self.schedule.next_due().filter(|_| self.has_room());
        let replan = self.outdated;
        let refresh = self.agenda.next_due().filter(|_| self.may_ask());
        let prune = self.keeper.as_ref().map(|_| self.prune_due);
        let reload = self.reloads.next_due();
        let due = refresh.into_iter().chain(look).chain(replan);
        let due = due.chain(prune).chain(reload).min()?;
        Some(self.board.started + due)
    }

    /// Has history, and what is remembered of lost entries, taken out of the store once it is old enough.
    fn prune(&mut self) {
        let now = self.elapsed();
        let Some(keeper) = self.keeper.as_mut().filter(|_| self.prune_due <= now) else {
            return;
        };
        self.prune_due = now + PRUNE_INTERVAL;
        let kept = self.engine.inventory.defaults.history.as_secs();
        let kept = i64::try_from(kept).unwrap_or(i64::MAX);
        let before = Timestamp(self.board.now().0.saturating_sub(kept));
        keeper.keep(Note::Prune(before));
        self.lost.expire(now);
        self.keep_entries();
    }

    /// Notes in the store which entries are configured now.
    fn keep_entries(&mut self) {
        let now = self.board.now();
        if let Some(keeper) = &mut self.keeper {
            let keys = self.watches.keys().map(ToString::to_string).collect();
            keeper.keep(Note::Entries(keys, now));
        }
    }

    fn may_ask(&self) -> bool {
        self.refreshes.len() < MAX_SOURCES
    }

    fn has_room(&self) -> bool {
        self.scans.len() < self.setup.concurrency.max(1)
    }

    /// Asks the sources whose time has come.
    fn ask(&mut self) {
        while self.may_ask() {
            let Some(errand) = self.agenda.start(self.elapsed()) else {
                break;
            };
            let Some(watch) = self.watches.get(&errand.key) else {
                self.agenda.forget(&errand.key);
                continue;
            };
            let (entry, engine) = (watch.entry.clone(), self.engine.clone());
            let known = watch.mail_hosts.clone();
            self.refreshes.spawn(async move {
                let asked = caught(ask(&entry, errand.only.as_deref(), &known, &engine));
                let own_fault = || Said::alone(Err(Failed::by_own_fault(&entry)));
                let said = asked.await.unwrap_or_else(own_fault);
                Answer { errand, said }
            });
        }
    }

    /// Takes in what a source said.
    fn heard(&mut self, answer: Answer) {
        let Answer { errand, said } = answer;
        let key = &errand.key;
        let (now, clock) = (self.elapsed(), self.board.now());
        let Some(watch) = self.watches.get_mut(key) else {
            return self.agenda.forget(key);
        };
        let was_up = watch.up;
        let Said {
            answers: said,
            mail_hosts,
        } = said;
        if let Some(mail_hosts) = mail_hosts {
            watch.mail_hosts = Arc::new(mail_hosts);
        }
        let warning = self.engine.scanner.sources.clock_warning(clock);
        if let Some(warning) = warning.as_ref().filter(|_| !self.is_clock_wrong) {
            tracing::warn!("{warning}");
        }
        self.is_clock_wrong = warning.is_some();
        let before: Vec<Arc<Loaded>> = watch.kept.iter().map(|k| k.loaded.clone()).collect();
        let news = match &errand.only {
            None => {
                let newer = self.newer.remove(key).unwrap_or_default();
                watch.absorb(watch.with_newer(said, &newer), clock)
            }
            Some(cn) => {
                let is_older_coming = self.agenda.is_being_asked(&Errand::whole(key));
                if is_older_coming && said.iter().any(Result::is_ok) {
                    let newer = self.newer.entry(key.clone()).or_default();
                    newer.insert(cn.clone());
                }
                let mut said = said.into_iter();
                said.next()
                    .map(|one| watch.absorb_one(one, clock))
                    .unwrap_or_default()
            }
        };
        let is_known = was_up == Some(true)
            && watch.up == Some(true)
            && before.len() == watch.kept.len()
            && std::iter::zip(&before, &watch.kept).all(|(old, new)| Arc::ptr_eq(old, &new.loaded));
        for error in &news.errors {
            tracing::warn!("{error}");
        }
        if was_up == Some(false) && watch.up == Some(true) {
            tracing::info!(
                "{}: the source answers again",
                watch.source().unwrap_or(key.to_string())
            );
        }
        for change in &news.changed {
            tracing::info!("{change}");
        }
        // A source that failed and never answered has said nothing that could replace what the store has.
        let has_said = watch.up == Some(true) || !watch.kept.is_empty();
        if let Some(keeper) = &mut self.keeper
            && has_said
            && (watch.is_asked_over_network() || was_up.is_none() || !news.changed.is_empty())
        {
            let said = watch.kept.iter().map(Remembered::from).collect();
            keeper.keep(Note::Said(key.to_string(), said));
        }
        let awaited = self.awaiting.remove(&errand);
        if let Some(awaited) = &awaited {
            // The word is that it is time to look, also where the instance has been known before.
            let of_entry = self.plan.targets.iter();
            for (target, planned) in of_entry.filter(|(_, planned)| planned.key == *key) {
                let loaded = planned.expectation.as_ref().ok().map(|kept| &kept.loaded);
                let cn = loaded.and_then(|loaded| loaded.common_name.as_ref());
                if cn.is_some_and(|cn| awaited.contains(cn)) {
                    self.schedule.hurry(target, now);
                }
            }
        }
        let failing = watch.failing_alone();
        let next = match &errand.only {
            _ if awaited.is_some() && news.changed.is_empty() => Some(SECOND_TRY),
            Some(cn) => failing.contains(cn).then_some(RETRY),
            None => watch.refresh_after(self.engine.times.refresh),
        };
        self.agenda
            .finish(&errand, next.map(|after| now + after), now);
        for cn in failing {
            let alone = watch.errand(key, cn);
            self.agenda.ask_by(&alone, now + RETRY);
        }
        let pause = if is_known {
            UNCHANGED_REPLAN_PAUSE
        } else {
            REPLAN_PAUSE
        };
        let until = now + pause;
        self.outdated = Some(self.outdated.map_or(until, |before| before.min(until)));
    }

    /// Begins the looks whose time has come.
    fn look(&mut self) {
        while self.has_room() {
            let Some(target) = self.schedule.start(self.elapsed()) else {
                break;
            };
            let (board, now) = (self.board.clone(), self.board.now());
            let Some(mut job) = self.plan.job(&target, &self.engine, now) else {
                self.schedule.finish(&target, self.elapsed());
                continue;
            };
            let before = self.board.looked(&target);
            job.known = before.map_or_else(Vec::new, |looked| looked.known());
            let looking = (self.look)(self.engine.scanner.clone(), job, now);
            let handle = self
                .scans
                .spawn(async move { (looking.await, board.now()) });
            self.scanned.insert(handle.id(), target);
        }
        let oldest = self.schedule.next_due();
        self.board.set_cycle(|cycle| cycle.oldest_due = oldest);
    }

    /// Puts up what a look saw.
    fn looked(&mut self, done: Result<(Id, (Scan, Timestamp)), tokio::task::JoinError>) {
        let id = match &done {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let now = self.elapsed();
        let Some(target) = self.scanned.remove(&id) else {
            return;
        };
        let is_wanted = self.schedule.finish(&target, now);
        self.remaining.remove(&target);
        match done {
            Ok((_, (scan, at))) if is_wanted => {
                self.board.counters.count(&scan.results);
                let before = self.board.looked(&target);
                let next = self.schedule.due(&target).map(|due| {
                    let ahead = due.saturating_sub(now).as_secs();
                    Timestamp(at.0.saturating_add_unsigned(ahead))
                });
                let looked = Arc::new(Looked::new(scan.results, at, next, before.as_deref()));
                self.board.set_looked(target.clone(), looked.clone());
                tell_changes(before.as_deref(), &looked);
                let change = self
                    .dns_failures
                    .update(&target, before.as_deref(), &looked);
                change.iter().for_each(Change::log);
                if let Some(keeper) = &mut self.keeper {
                    keeper.keep(Note::Looked(looked));
                }
            }
            Ok(_) => {}
            Err(error) => tracing::error!("{}: the look failed: {error}", target.hostname),
        }
        self.end_cycle();
    }

    /// Where every target has been looked at, a cycle has ended and the next begins.
    fn end_cycle(&mut self) {
        // After each of ten thousand looks the first of the two says no.
        if !self.remaining.is_empty() || self.watches.values().any(|watch| watch.up.is_none()) {
            return;
        }
        let now = self.elapsed();
        if !self.board.is_ready() {
            self.board.set_ready();
            tracing::info!(
                "ready: {} targets have been looked at",
                self.plan.targets.len()
            );
        }
        if self.plan.targets.is_empty() {
            return;
        }
        let duration = now.saturating_sub(self.cycle_began);
        self.board
            .set_cycle(|cycle| cycle.duration = Some(duration));
        self.cycle_began = now;
        self.remaining = self.plan.targets.keys().cloned().collect();
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Issued(cn) => {
                let now = self.elapsed();
                let about = self.watches.iter().filter(|(_, watch)| watch.is_about(&cn));
                for (key, watch) in about {
                    let mut errand = watch.errand(key, &cn);
                    if self.agenda.alone() >= MAX_ALONE {
                        errand.only = None;
                    }
                    self.agenda.hurry(&errand, now);
                    let awaited = self.awaiting.entry(errand).or_default();
                    // What is not known yet is looked at as soon as it is, and cannot make this grow.
                    if watch.knows(&cn) {
                        awaited.insert(cn.clone());
                    }
                }
            }
            Command::Reload(asker) => self.reloads.ask(asker),
        }
    }

    /// Has the configuration read anew where somebody has asked for it, and tells of a reading that takes too long.
    fn reload(&mut self) {
        if let Some(error) = self.reloads.give_up(self.elapsed()) {
            self.tell_reload(&Err(error));
        }
        if !self.reloads.is_wanted() {
            return;
        }
        let (setup, before) = (self.setup.clone(), self.engine.clone());
        let requests = self.board.requests.clone();
        self.reloads.begin(self.elapsed(), move || {
            let engine = Engine::new(&setup, Some(before.as_ref()), &requests)?;
            setup.web.reload()?;
            Ok(engine)
        });
    }

    /// Takes a configuration into force that has been read anew.
    fn take_up(&mut self, read: Result<Engine, String>) {
        let result = read.map(|engine| {
            let engine = Arc::new(engine);
            self.board.set_engine(engine.clone());
            self.adopt(engine);
        });
        self.tell_reload(&result);
        self.reloads.finish(&result);
    }

    fn tell_reload(&self, result: &Result<(), String>) {
        match result {
            Ok(()) => tracing::info!("the configuration was read anew and is in force"),
            Err(error) => tracing::error!(
                "the configuration was refused, and the one before stays in force: {error}"
            ),
        }
        let succeeded = self.board.now();
        self.board.set_reload(|reload| {
            reload.error = result.clone().err();
            if result.is_ok() {
                reload.succeeded = succeeded;
            }
        });
    }

    /// Makes a configuration the one that is watched. What is known of entries that stay is kept.
    fn adopt(&mut self, engine: Arc<Engine>) {
        let now = self.elapsed();
        let account_changed = self.engine.inventory.sslmate != engine.inventory.sslmate;
        let mut before = std::mem::take(&mut self.watches);
        let mut changed = BTreeSet::new();
        self.order.clear();
        for (key, entry) in keyed(&engine.inventory.certificates) {
            let old = before.remove(key.as_str());
            let is_same = old.as_ref().is_some_and(|old| *old.entry == *entry);
            if old.is_some() && !is_same {
                changed.insert(key.clone());
            }
            let new = Watch::new(entry.clone());
            let watch = match old {
                Some(old) => Watch {
                    entry: new.entry,
                    ..old
                },
                None => Watch {
                    kept: self.lost.take(&key),
                    ..new
                },
            };
            // Reading files anew is what a reload is for; a source over the network has its own clock, unless
            // something about it has changed.
            let keeps_its_clock = watch.is_asked_over_network() && watch.up == Some(true);
            if account_changed || !is_same || !keeps_its_clock {
                self.agenda.hurry(&Errand::whole(&key), now);
            }
            let key: Arc<str> = key.into();
            self.order.push(key.clone());
            self.watches.insert(key, watch);
        }
        for (key, watch) in before {
            self.agenda.forget(&key);
            self.newer.remove(&key);
            self.awaiting.retain(|errand, _| errand.key != key);
            self.lost.put(key.to_string(), watch.kept, now);
        }
        self.keep_entries();
        self.schedule
            .set_interval(engine.inventory.defaults.interval, now);
        let defaults = &engine.inventory.defaults;
        engine.scanner.permits.set_per_address(defaults.per_address);
        self.engine = engine;
        self.replan();
        // What was seen was seen elsewhere, or judged by other rules.
        let (plan, now) = (self.plan.clone(), self.elapsed());
        let targets = plan.targets.iter();
        for (target, _) in targets.filter(|(_, planned)| changed.contains(&*planned.key)) {
            self.schedule.hurry(target, now);
        }
    }

    /// Makes a new plan of what is expected, and hurries where that has changed.
    fn replan(&mut self) {
        let now = self.elapsed();
        self.outdated = None;
        let Drawn { plan, warnings } = draw(&self.watches, &self.order);
        for warning in warnings.difference(&self.warnings) {
            tracing::warn!("{warning}");
        }
        self.warnings = warnings;
        let targets = &plan.targets;
        let changed: Vec<Target> = targets
            .iter()
            .filter(|(target, planned)| {
                let before = self.plan.targets.get(*target);
                before.is_some_and(|b| differ(&b.expectation, &planned.expectation))
            })
            .map(|(target, _)| target.clone())
            .collect();
        let all: BTreeSet<Target> = targets.keys().cloned().collect();
        let new = all.iter().filter(|t| !self.plan.targets.contains_key(*t));
        self.remaining.extend(new.cloned());
        self.remaining.retain(|target| all.contains(target));
        self.schedule.keep(&all, now);
        for target in changed {
            self.schedule.hurry(&target, now);
        }
        self.dns_failures.retain(&plan);
        self.plan = Arc::new(plan);
        self.board.set_plan(self.plan.clone());
        self.end_cycle();
    }
}

/// The entries with their keys, in their order. Two of them may have the same source and no names.
pub(super) fn keyed(entries: &[Entry]) -> Vec<(String, &Entry)> {
    let mut keys = HashSet::new();
    let keyed = entries.iter().map(|entry| {
        let mut key = key(entry);
        let mut text = key.encode();
        while !keys.insert(text.clone()) {
            key.repeat += 1;
            text = key.encode();
        }
        (text, entry)
    });
    keyed.collect()
}

/// Whether another thing is expected than before.
fn differ(before: &Result<Kept, String>, now: &Result<Kept, String>) -> bool {
    match (before, now) {
        (Ok(before), Ok(now)) => before.loaded.expected != now.loaded.expected,
        (Err(_), Err(_)) => false,
        _ => true,
    }
}

async fn wait_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
