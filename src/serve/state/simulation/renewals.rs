//! Renewals in a simulated world: files get new certificates, servers follow, and file systems do
//! not respond for a while. A probe of another leaf must be judged by the current file.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::super::rereads::{MAX_REREADS, MAX_WAIT, REREAD_PAUSE};
use super::world::judged;
use super::*;
use crate::config::SourceSettings;
use crate::instance::{Expectation, Expected, SourceKind};
use crate::model::KeyType;
use crate::source::{FetchError, SourceError};

const START: i64 = 1_800_000_000;
const SECOND: Duration = Duration::from_secs(1);
/// Number of renewals of a run.
const RENEWALS: usize = 40;

/// File of an expected certificate, and its server.
struct Site {
    /// Versions of the file, with the times of their writes.
    versions: Vec<(Duration, u8)>,
    served: u8,
    /// End of the time in which its file system does not respond.
    hangs_until: Duration,
}

impl Site {
    fn version(&self) -> u8 {
        self.versions.last().unwrap().1
    }

    fn written(&self) -> Duration {
        self.versions.last().unwrap().0
    }
}

enum Pending {
    Fetched(SourceRequest, Duration),
    Reread(Arc<str>, Duration),
    Observe(ProbeId, Arc<Target>, Option<u8>),
    Done(ProbeId),
    Renew(usize),
    Serve(usize),
    Hang(usize),
    Reload,
}

/// Probe that waits.
struct Wait {
    id: ProbeId,
    target: Arc<Target>,
    served: u8,
    since: Duration,
}

/// Numbers of results that were published after a wait.
#[derive(Debug, Default)]
struct Counts {
    correct: usize,
    wrong: usize,
    late: usize,
}

struct Renewals {
    seed: u64,
    rng: Rng,
    now: Duration,
    pending: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, Pending>,
    last: u64,
    state: State,
    settings: Settings,
    sites: Vec<Site>,
    waits: HashMap<u64, Wait>,
    /// Start of the last reading of each file, and whether it is running.
    readings: HashMap<Arc<str>, (Duration, bool)>,
    counts: Counts,
}

fn number(text: &str) -> usize {
    let digits = text.split("site").nth(1).unwrap();
    digits[..1].parse().unwrap()
}

fn settings(count: usize) -> Settings {
    let entries = (0..count).map(|number| {
        let mut entry = Entry::new(SourceSettings::Pem(vec![format!("/site{number}").into()]));
        entry.name = Some(format!("site{number}"));
        entry.hostnames = vec![format!("site{number}.example").parse().unwrap()];
        entry.ports = vec![443];
        Arc::new(entry)
    });
    Settings {
        entries: entries.collect(),
        interval: Duration::from_secs(10),
        times: Times {
            grace: Duration::ZERO,
            refresh: HOUR,
        },
        history: HOUR,
        account: None,
        vantages: Vec::new(),
        judging: Arc::default(),
    }
}

fn fingerprint(version: u8) -> Expectation {
    Expectation::Fingerprints([format!("{version:064x}").parse().unwrap()].into())
}

impl Renewals {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        // Sometimes more files are read again than there are slots.
        let count = [1, 2, 3, 9][rng.below(4)];
        let settings = settings(count);
        let start = Start {
            concurrency: 1 + rng.below(12),
            has_store: true,
            ..Start::default()
        };
        let clock = Timestamp(START);
        let elapsed = Duration::ZERO;
        let (state, effects) = State::new(settings.clone(), start, Now { elapsed, clock });
        let sites = (0..count).map(|_| Site {
            versions: vec![(Duration::ZERO, 0)],
            served: 0,
            hangs_until: Duration::ZERO,
        });
        let mut world = Self {
            seed,
            rng,
            now: Duration::ZERO,
            pending: BinaryHeap::new(),
            events: HashMap::new(),
            last: 0,
            state,
            settings,
            sites: sites.collect(),
            waits: HashMap::new(),
            readings: HashMap::new(),
            counts: Counts::default(),
        };
        world.carry_out(effects);
        for number in 0..RENEWALS {
            let at = SECOND * 30 * u32::try_from(number + 1).unwrap();
            let site = world.rng.below(count);
            world.push(at, Pending::Renew(site));
        }
        world
    }

    fn at(&self) -> Now {
        let seconds = i64::try_from(self.now.as_secs()).unwrap();
        Now {
            elapsed: self.now,
            clock: Timestamp(START + seconds),
        }
    }

    fn push(&mut self, after: Duration, pending: Pending) {
        self.last += 1;
        self.pending.push(Reverse((self.now + after, self.last)));
        self.events.insert(self.last, pending);
    }

    fn run(mut self) -> Counts {
        let end = SECOND * 30 * u32::try_from(RENEWALS + 2).unwrap();
        while self.now < end {
            let due = self.state.next_due().unwrap();
            let next = self.pending.peek().map(|Reverse((at, _))| *at);
            if next.is_none_or(|next| due < next) {
                self.now = self.now.max(due);
                self.step(Event::Tick);
                continue;
            }
            let Reverse((at, number)) = self.pending.pop().unwrap();
            self.now = self.now.max(at);
            let pending = self.events.remove(&number).unwrap();
            self.happen(pending);
        }
        let waiting = self.state.sizes().rereads;
        let bound = self.waits.len() + self.sites.len();
        assert!(waiting <= bound, "{}: {waiting} of {bound}", self.seed);
        self.step(Event::Shutdown);
        assert!(self.waits.is_empty(), "{}: a probe is forgotten", self.seed);
        self.counts
    }

    fn happen(&mut self, pending: Pending) {
        match pending {
            Pending::Fetched(request, started) => {
                let answer = self.read(&request.key, started);
                let event = Event::SourceResult {
                    request,
                    fetched: Fetched {
                        answers: vec![answer],
                        known_places: None,
                    },
                    clock_warning: None,
                };
                self.step(event);
            }
            Pending::Reread(key, started) => {
                self.readings.get_mut(&key).unwrap().1 = false;
                let answers = vec![self.read(&key, started)];
                self.step(Event::Reread { key, answers });
            }
            Pending::Observe(id, target, expected) => self.observe(id, target, expected),
            Pending::Done(id) => {
                let is_complete = true;
                self.step(Event::ProbeDone { id, is_complete });
            }
            Pending::Renew(number) => {
                let version = self.sites[number].version() + 1;
                self.sites[number].versions.push((self.now, version));
                let reload = self.rng.between(Duration::ZERO, 2 * SECOND);
                match self.rng.below(8) {
                    0 => self.push(reload, Pending::Hang(number)),
                    1 => self.push(reload, Pending::Reload),
                    _ => {}
                }
                self.push(reload, Pending::Serve(number));
            }
            Pending::Serve(number) => {
                // Rarely a server keeps an unexpected certificate.
                let is_wrong = self.rng.one_in(6);
                let site = &mut self.sites[number];
                site.served = if is_wrong { 255 } else { site.version() };
            }
            Pending::Hang(number) => {
                self.sites[number].hangs_until = self.now + 20 * SECOND;
            }
            Pending::Reload => {
                let mut fewer = self.settings.clone();
                fewer.entries.pop();
                self.step(Event::Reload(fewer));
                self.step(Event::Reload(self.settings.clone()));
            }
        }
    }

    /// Returns the result of a reading: an error if the file was written meanwhile.
    fn read(&self, key: &str, started: Duration) -> Result<Loaded, Failed> {
        let number = number(key);
        let (name, site) = (format!("site{number}"), &self.sites[number]);
        let hostnames = vec![format!("site{number}.example").parse().unwrap()];
        match site.written() > started {
            true => Err(Failed {
                name,
                hostnames,
                found: Vec::new(),
                error: Arc::new(FetchError::File(SourceError::Timeout)),
                may_pass: true,
                is_gone: false,
            }),
            false => Ok(Loaded {
                common_name: None,
                name,
                expected: Arc::new(Expected {
                    source: SourceKind::Pem,
                    what: fingerprint(site.version()),
                }),
                hostnames,
                found: Vec::new(),
                awaited: None,
            }),
        }
    }

    fn time_of_reading(&mut self, key: &str) -> Duration {
        let takes = match self.rng.one_in(2) {
            true => SECOND,
            false => Duration::from_millis(1),
        };
        let hang = self.sites[number(key)].hangs_until.saturating_sub(self.now);
        hang + takes
    }

    /// Returns the version that the plan expects at a target.
    fn expected(&self, target: &Target) -> Option<u8> {
        let planned = self.state.plan().targets.get(target)?;
        let loaded = &planned.expectation.as_ref().ok()?.loaded;
        let Expectation::Fingerprints(pins) = &loaded.expected.what else {
            return None;
        };
        let digits = pins.first()?.to_string();
        u8::from_str_radix(&digits[digits.len() - 2..], 16).ok()
    }

    fn step(&mut self, event: Event) {
        let effects = self.state.on(event, self.at());
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch { request, .. } => {
                    let takes = self.time_of_reading(&request.key);
                    self.push(takes, Pending::Fetched(request, self.now));
                }
                Effect::Reread { key, .. } => {
                    let before = self.readings.insert(key.clone(), (self.now, true));
                    let is_allowed = before.is_none_or(|(started, is_running)| {
                        !is_running && self.now - started >= REREAD_PAUSE
                    });
                    assert!(is_allowed, "{}: {key} is read too often", self.seed);
                    let running = self.readings.values().filter(|(_, is_running)| *is_running);
                    assert!(running.count() <= MAX_REREADS, "{}", self.seed);
                    let takes = self.time_of_reading(&key);
                    self.push(takes, Pending::Reread(key, self.now));
                }
                Effect::Probe { id, targets, .. } => {
                    let target = targets[0].clone();
                    let takes = self.rng.between(Duration::ZERO, 3 * SECOND);
                    let expected = self.expected(&target);
                    self.push(takes, Pending::Observe(id, target, expected));
                }
                Effect::Resume(ticket) => {
                    let wait = self.waits.remove(&ticket).unwrap();
                    self.resume(wait);
                }
                Effect::Record(_) | Effect::Log(_) | Effect::Publish => {}
            }
        }
    }

    fn observe(&mut self, id: ProbeId, target: Arc<Target>, expected: Option<u8>) {
        let served = self.sites[number(&target.certificate)].served;
        if expected.is_none_or(|expected| expected == served) {
            return self.publish(id, &target, expected.is_some());
        }
        self.last += 1;
        let ticket = self.last;
        let wait = Wait {
            id,
            target: target.clone(),
            served,
            since: self.now,
        };
        self.waits.insert(ticket, wait);
        self.step(Event::Unexpected { ticket, target });
    }

    /// Judges a probe that has waited by the plan, which must have the current file.
    fn resume(&mut self, wait: Wait) {
        let Wait {
            id,
            target,
            served,
            since,
        } = wait;
        let expected = self.expected(&target);
        let site = &self.sites[number(&target.certificate)];
        assert!(self.now - since <= MAX_WAIT, "{}: too long", self.seed);
        // Eight of nine files may take all slots.
        let has_hung = self
            .sites
            .iter()
            .any(|site| site.hangs_until > Duration::ZERO);
        let is_changing = site.written() > since;
        let is_current = expected.is_none_or(|expected| expected == site.version());
        let is_stopping = self.state.is_stopping;
        assert!(
            is_current || has_hung || is_changing || is_stopping,
            "{}: judged by {expected:?} instead of {}",
            self.seed,
            site.version()
        );
        let is_correct = expected == Some(served);
        match (is_correct, is_current) {
            (true, _) => self.counts.correct += 1,
            (false, true) => self.counts.wrong += 1,
            (false, false) => self.counts.late += 1,
        }
        self.publish(id, &target, is_correct);
    }

    fn publish(&mut self, id: ProbeId, target: &Arc<Target>, is_correct: bool) {
        let judged = judged(
            target,
            Vantage::local(),
            Some(1),
            KeyType::Any,
            is_correct,
            None,
        );
        let (judged, at) = (Arc::new(judged), self.at());
        // The loop delivers the result after the effects of this event.
        let event = Event::ProbeResult { id, judged, at };
        let effects = self.state.on(event, at);
        self.push(Duration::ZERO, Pending::Done(id));
        self.carry_out(effects);
    }
}

#[test]
fn simulated_renewal_of_a_file_is_never_reported_as_a_wrong_certificate() {
    let mut all = Counts::default();
    for seed in 0..60 {
        let Counts {
            correct,
            wrong,
            late,
        } = Renewals::new(seed).run();
        all.correct += correct;
        all.wrong += wrong;
        all.late += late;
    }
    // The worlds have renewals, wrong certificates, and hanging files.
    assert!(all.correct > 500, "{all:?}");
    assert!(all.wrong > 500, "{all:?}");
    assert!(all.late > 5, "{all:?}");
}
