//! The truth about a simulated world, and the checks of the state against it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::judge::Verdict;
use crate::model::KeyType;

use super::super::clock::MIN_CLOCK_JUMP;
use super::super::sources::{MAX_SOURCES, SECOND_TRY};
use super::super::vantage::MAX_BACKOFF;
use super::world::{Peer, REFRESH, World};
use super::*;
use crate::serve::expectations::RETRY;
use crate::serve::snapshot::{TargetResults, check_index};

/// Maximum time until a change is in the plan, including the delivery of results.
const SLACK: Duration = Duration::from_secs(120);
/// Maximum time until the tests that follow from a change are planned.
const EXCUSE: Duration = Duration::from_secs(30);
/// Failed tests of a vantage after which the pause is the longest one, even if some tests were
/// concurrent.
const MANY_FAILURES: usize = 20;
/// Maximum observations that are kept of an endpoint.
const REMEMBERED: usize = 4;
/// Tolerated difference between the numbers of probes of two targets, as a divisor, in addition to
/// two probes at the ends.
const UNEVEN: usize = 8;

/// Steps between two checks of the index.
const INDEX_STEPS: u64 = 128;

type Endpoint = (Arc<Target>, Option<IpAddr>, KeyType, Vantage);

/// Observation: its time, and whether the certificate was correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Observed {
    elapsed: Duration,
    clock: Timestamp,
    correct: Option<bool>,
}

#[derive(Debug)]
struct Tracked {
    /// Time since which the target has been in the plan.
    since: Duration,
    /// The longest interval since its last probe.
    interval: Duration,
    /// Time of the last change of the interval.
    changed: Duration,
    started: Option<Duration>,
    finished: Option<Duration>,
    is_running: bool,
    runs: usize,
}

#[derive(Debug, Default)]
struct Source {
    /// The earliest time of the next request.
    allowed: Duration,
    /// Requests that a command or a reload allows before that.
    excuses: usize,
    is_up: Option<bool>,
    is_running: bool,
    /// True if its certificate was issued since its last result.
    is_awaited: bool,
    /// The entry as it was last configured.
    entry: Option<Entry>,
    /// The certificate that it last returned.
    returned: Option<Arc<crate::instance::Expected>>,
}

/// Running probe: its vantage, its targets and its start.
type Running = (Vantage, Vec<Arc<Target>>, Duration);

#[derive(Default)]
pub(super) struct Truth {
    /// The plan whose targets are in `tracked`.
    plan: Option<Arc<Plan>>,
    observed: HashMap<Endpoint, Vec<Observed>>,
    tracked: BTreeMap<Arc<Target>, Tracked>,
    running: HashMap<ProbeId, Running>,
    sources: BTreeMap<String, Source>,
    fetching: usize,
    /// Times of the last tests of a certificate from a vantage.
    tests: BTreeMap<(Vantage, String), Vec<Duration>>,
    /// Time until which tests do not count, because the tests that follow from a change start at
    /// once.
    excused: Duration,
    /// Time of the last test of a vantage, and the number of its tests while it failed.
    asked: BTreeMap<Vantage, (Duration, usize)>,
    /// Hosts that a vantage has probed before, so that their log lines must not be initial.
    probed: BTreeSet<(String, Vantage)>,
    steps: u64,
}

/// Result that an event must publish.
pub(super) struct Published {
    endpoint: Endpoint,
    at: Duration,
}

impl Truth {
    pub(super) fn on_observation(&mut self, judged: &Judged, at: Now) {
        let o = &judged.observation;
        let endpoint = (o.target.clone(), o.ip, o.key_type, o.vantage.clone());
        let observed = self.observed.entry(endpoint).or_default();
        observed.push(Observed {
            elapsed: at.elapsed,
            clock: at.clock,
            correct: correct(judged),
        });
        if observed.len() > REMEMBERED {
            observed.remove(0);
        }
    }

    /// Returns the result that an event must publish: that of one endpoint, unless the target was
    /// removed or the result depends on another one.
    pub(super) fn expectation_of(&self, event: &Event, state: &State) -> Option<Published> {
        let Event::ProbeResult { id, judged, at } = event else {
            return None;
        };
        let o = &judged.observation;
        let is_held = matches!(&judged.verdict, Verdict::Inconclusive(error)
            if error.kind == crate::observation::ErrorKind::TlsAlert);
        let is_planned =
            state.plan().targets.contains_key(&o.target) && self.running.contains_key(id);
        let is_wanted = o.vantage.is_local() || state.settings.vantages.contains(&o.vantage);
        (is_planned && is_wanted && !is_held).then(|| Published {
            endpoint: (o.target.clone(), o.ip, o.key_type, o.vantage.clone()),
            at: at.elapsed,
        })
    }

    pub(super) fn check(&self, published: Option<Published>, state: &State, seed: u64) {
        let Some(Published { endpoint, at }) = published else {
            return;
        };
        let results = state.results.get(&endpoint.0);
        let results = results.unwrap_or_else(|| panic!("{seed}: nothing is published"));
        let mut endpoints = results.endpoints.iter();
        let result = endpoints.find(|e| {
            let o = e.observation();
            (o.ip, o.key_type, &o.vantage) == (endpoint.1, endpoint.2, &endpoint.3)
        });
        let ended = result.map(|result| result.ended);
        assert_eq!(
            ended,
            Some(at),
            "{seed}: {endpoint:?} is not published at its own end"
        );
        self.check_results(results, seed);
    }

    /// Returns the probe that an event completes.
    pub(super) fn ended(&self, event: &Event) -> Option<Running> {
        match event {
            Event::ProbeDone { id, is_complete } if *is_complete => self.running.get(id).cloned(),
            _ => None,
        }
    }

    /// Checks that the end of a probe removes the addresses that it no longer found.
    pub(super) fn check_ended(&self, ended: Option<Running>, state: &State, seed: u64) {
        let Some((vantage, targets, started)) = ended else {
            return;
        };
        for results in targets
            .iter()
            .filter_map(|target| state.results.get(target))
        {
            let endpoints = results.endpoints.iter();
            let mut old = endpoints.filter(|e| e.ended < started);
            let is_gone = old.all(|e| e.observation().vantage != vantage);
            let is_wanted = self.is_wanted(&vantage, &results.target, started);
            assert!(
                is_gone || !is_wanted,
                "{seed}: {:?} has old results",
                results.target
            );
        }
    }

    /// Returns true if a target has been in the plan since a probe of it started.
    fn is_wanted(&self, vantage: &Vantage, target: &Arc<Target>, started: Duration) -> bool {
        let tracked = self.tracked.get(target);
        vantage.is_local() && tracked.is_some_and(|tracked| tracked.since <= started)
    }

    pub(super) fn check_all(&self, state: &State, seed: u64) {
        for results in state.results.iter() {
            self.check_results(results, seed);
        }
    }

    /// Checks that the time and the verdict of every published result are those of an observation.
    fn check_results(&self, results: &TargetResults, seed: u64) {
        for endpoint in &results.endpoints {
            let o = endpoint.observation();
            let place = (o.target.clone(), o.ip, o.key_type, o.vantage.clone());
            let claimed = Observed {
                elapsed: endpoint.ended,
                clock: endpoint.at,
                correct: correct(&endpoint.judged),
            };
            let observed = self.observed.get(&place);
            let is_true = observed.is_some_and(|observed| observed.contains(&claimed));
            assert!(is_true, "{seed}: {place:?}: {claimed:?} of {observed:?}");
            let mut codes: Vec<_> = endpoint.judged.findings.iter().map(|f| f.code()).collect();
            let count = codes.len();
            codes.sort();
            codes.dedup();
            assert_eq!(codes.len(), count, "{seed}: findings accumulate: {codes:?}");
        }
    }

    pub(super) fn before(&mut self, event: &Event, now: Now) {
        self.steps += 1;
        match event {
            Event::ProbeDone { id, is_complete } => {
                let Some((vantage, targets, _)) = self.running.remove(id) else {
                    return;
                };
                for target in &targets {
                    if *is_complete && self.tracked.contains_key(target) {
                        let probed = (target.hostname.to_string(), vantage.clone());
                        self.probed.insert(probed);
                    }
                    if vantage.is_local()
                        && let Some(tracked) = self.tracked.get_mut(target)
                    {
                        tracked.is_running = false;
                        tracked.finished = Some(now.elapsed);
                    }
                }
            }
            Event::SourceResult {
                request, fetched, ..
            } => {
                self.fetching -= 1;
                let source = self.sources.get_mut(&*request.key).unwrap();
                source.is_running = false;
                let is_up = fetched.answers.iter().all(Result::is_ok);
                source.is_up = Some(is_up);
                let pause = match is_up {
                    true if request.key.contains("pem") => Duration::from_secs(60),
                    true => REFRESH,
                    false => RETRY,
                };
                source.allowed = now.elapsed + pause;
                let returned = fetched.answers.iter().flatten().next();
                let returned = returned.map(|loaded| loaded.expected.clone());
                let is_new = returned.is_some() && source.returned != returned;
                if is_new {
                    source.returned = returned;
                }
                if std::mem::take(&mut source.is_awaited) || is_new {
                    self.excuse_tests(now.elapsed);
                }
            }
            Event::Issued(cn) => {
                self.excuse_tests(now.elapsed + 3 * SECOND_TRY);
                for (key, source) in &mut self.sources {
                    if key.contains(cn) {
                        // One request now, and a second one after [`SECOND_TRY`].
                        source.excuses += 2;
                        source.is_awaited = true;
                        assert!(SECOND_TRY < REFRESH);
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes a jump of the clock, after which everything is due earlier.
    pub(super) fn on_clock_jump(&mut self, jump: i64, now: Duration) {
        if jump.abs() < MIN_CLOCK_JUMP {
            return;
        }
        self.excuse_tests(now);
        let ahead = Duration::from_secs(u64::try_from(jump).unwrap_or(0));
        for source in self.sources.values_mut() {
            source.allowed = source.allowed.saturating_sub(ahead);
        }
    }

    fn excuse_tests(&mut self, from: Duration) {
        self.tests.clear();
        self.excused = self.excused.max(from + EXCUSE);
    }

    pub(super) fn on_reload(&mut self, before: &Settings, now: &Settings, at: Duration) {
        self.excuse_tests(at);
        for vantage in before.vantages.iter().filter(|v| !now.vantages.contains(v)) {
            self.asked.remove(vantage);
            self.probed.retain(|(_, of)| of != vantage);
        }
        for (key, entry) in keyed(&now.entries) {
            let source = self.sources.entry(key.clone()).or_default();
            // An entry that is added again may differ from the removed one.
            let old = source.entry.replace(Entry::clone(entry));
            let is_same = old.is_none_or(|old| old == **entry);
            let is_file = !key.contains("sslmate");
            if !is_same || is_file || source.is_up == Some(false) {
                source.excuses += 1;
            }
        }
    }

    /// Checks that no source is requested twice concurrently, nor more often than its interval
    /// allows, except after commands.
    pub(super) fn on_fetch(&mut self, request: &SourceRequest, now: Duration, seed: u64) {
        self.fetching += 1;
        assert!(self.fetching <= MAX_SOURCES, "{seed}");
        let source = self.sources.entry(request.key.to_string()).or_default();
        assert!(!source.is_running, "{seed}: {request:?} runs twice at once");
        source.is_running = true;
        let is_early = now < source.allowed;
        assert!(
            !is_early || source.excuses > 0,
            "{seed}: {request:?} at {now:?}, {:?} too early",
            source.allowed - now
        );
        source.excuses = source.excuses.saturating_sub(1);
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of a probe")]
    pub(super) fn on_probe(
        &mut self,
        id: ProbeId,
        vantage: &Vantage,
        targets: &[Arc<Target>],
        peer: Option<Peer>,
        interval: Duration,
        now: Duration,
        seed: u64,
    ) {
        for (of, running, _) in self.running.values() {
            let is_twice = of == vantage && running.iter().any(|t| targets.contains(t));
            assert!(
                !is_twice,
                "{seed}: {targets:?} from {vantage} twice at once"
            );
        }
        let run = (vantage.clone(), targets.to_vec(), now);
        self.running.insert(id, run);
        if vantage.is_local() {
            let tracked = self.tracked.get_mut(&targets[0]);
            // A target that is new in the plan is tracked from the next check on.
            if let Some(tracked) = tracked {
                tracked.is_running = true;
                tracked.started = Some(now);
                tracked.interval = interval;
                tracked.runs += 1;
            }
            return;
        }
        let name = targets[0].certificate.clone();
        let tests = self.tests.entry((vantage.clone(), name)).or_default();
        if let [.., before, _] = tests.as_slice() {
            assert!(
                now - *before >= interval,
                "{seed}: {vantage} is asked too often"
            );
        }
        if now >= self.excused {
            tests.push(now);
        }
        let failing = peer.is_some_and(|peer| peer == Peer::Failing);
        let asked = self.asked.get(vantage).copied();
        let count = asked.map_or(0, |(_, count)| count);
        if let (true, Some((last, _))) = (failing && count > MANY_FAILURES, asked) {
            let pause = now - last;
            assert!(
                pause >= MAX_BACKOFF,
                "{seed}: {vantage} fails and is asked after {pause:?}"
            );
        }
        let count = if failing { count + 1 } else { 0 };
        self.asked.insert(vantage.clone(), (now, count));
    }

    /// Checks that a known fault is not logged as initial after an outage.
    pub(super) fn on_log(&self, line: &LogLine, seed: u64) {
        if !line.text.contains("initial=true") {
            return;
        }
        let field = |name: &str| {
            let (_, rest) = line.text.split_once(name).unwrap();
            rest.split(' ').next().unwrap().to_owned()
        };
        let vantage = Vantage::named(field("vantage="));
        let hostname = field("hostname=");
        // The probe of the line is already in `observed`.
        let count = self
            .observed
            .keys()
            .filter(|(t, .., v)| t.hostname.to_string() == hostname && *v == vantage);
        assert!(count.count() > 0, "{seed}: {line:?}");
    }
}

impl World {
    /// Checks the invariants of every step.
    pub(super) fn check(&mut self) {
        let (now, interval) = (self.now, self.settings.interval);
        let planned = self.state.plan().clone();
        let truth = &mut self.truth;
        let is_known = truth
            .plan
            .as_ref()
            .is_some_and(|plan| Arc::ptr_eq(plan, &planned));
        if !is_known {
            truth.plan = Some(planned.clone());
            truth.tracked.retain(|t, _| planned.targets.contains_key(t));
            truth.probed.retain(|(host, _)| {
                let mut targets = planned.targets.keys();
                targets.any(|t| t.hostname.to_string() == *host)
            });
            for target in planned.targets.keys() {
                let target = target.clone();
                let running = truth.running.values();
                let is_running = running
                    .clone()
                    .any(|(v, t, _)| v.is_local() && t.contains(&target));
                truth.tracked.entry(target).or_insert_with(|| Tracked {
                    since: now,
                    interval,
                    changed: now,
                    started: is_running.then_some(now),
                    finished: None,
                    is_running,
                    runs: 0,
                });
            }
        }
        let elapsed_lag = self.state.oldest_due();
        let lag = elapsed_lag.map_or(Duration::ZERO, |due| now.saturating_sub(due));
        let mut longest_idle = Duration::ZERO;
        for (target, tracked) in &mut truth.tracked {
            if tracked.interval < interval {
                tracked.interval = interval;
            }
            if interval < tracked.interval && tracked.changed < tracked.since {
                tracked.changed = now;
            }
            if tracked.is_running {
                continue;
            }
            let idle_from = tracked.finished.unwrap_or(tracked.since).max(tracked.since);
            let overdue = now.saturating_sub(idle_from + tracked.interval);
            assert!(
                lag >= overdue,
                "{target:?} is overdue by {overdue:?}, the lag is {lag:?}"
            );
            longest_idle = longest_idle.max(now - idle_from);
            let last = tracked.started.unwrap_or(tracked.since).max(tracked.since);
            let fits = interval > 60 * Duration::from_secs(1);
            if fits {
                let gap = now - last;
                assert!(
                    gap <= 2 * tracked.interval + SLACK,
                    "{target:?} waits {gap:?}"
                );
            }
        }
        // Vantages that hang or fail do not count.
        assert!(
            lag <= longest_idle,
            "the lag is {lag:?}, the longest wait {longest_idle:?}"
        );
        self.check_sizes();
        if self.truth.steps.is_multiple_of(INDEX_STEPS) {
            self.check_index();
        }
        if self.truth.steps.is_multiple_of(256) {
            self.truth.check_all(&self.state, self.seed);
        }
    }

    /// Checks the index of the status page, now and at times at which results are stale.
    pub(super) fn check_index(&self) {
        let parts = self.state.parts();
        let (results, targets) = (&parts.results, parts.plan.targets.keys());
        let interval = self.settings.interval;
        let clock = self.at().clock;
        let seconds = i64::try_from(interval.as_secs()).unwrap();
        for later in [0, seconds, 2 * seconds, 3 * seconds] {
            check_index(results, Timestamp(clock.0 + later), interval);
        }
        let is_waiting = |target: &&Arc<Target>| {
            let results = results.get(target);
            results.is_none_or(|results| results.endpoints.is_empty())
        };
        let waiting = parts.plan.targets.len() - results.probed_count();
        assert_eq!(waiting, targets.filter(is_waiting).count(), "{}", self.seed);
    }

    /// Checks that the size of the state depends only on the size of the inventory.
    fn check_sizes(&self) {
        let sizes = self.state.sizes();
        let targets = self.state.plan().targets.len();
        let (entries, running) = (self.universe_len(), self.truth.running.len());
        let vantages = 1 + self.vantages.len();
        let is_bounded = sizes.slots <= vantages * targets + running
            && sizes.requests <= entries
            && sizes.runs == running
            && sizes.results <= targets
            && sizes.endpoints <= targets * vantages * 4 * 2
            && sizes.lost <= entries
            && sizes.notes <= 4 * entries + targets;
        assert!(
            is_bounded,
            "{sizes:?} of {targets} targets and {entries} entries"
        );
    }

    /// Checks that all targets have about the same number of probes.
    pub(super) fn check_evenness(&self) {
        let runs: Vec<usize> = self.truth.tracked.values().map(|t| t.runs).collect();
        let (least, most) = (runs.iter().min().unwrap(), runs.iter().max().unwrap());
        assert!(*least > 0 && most - least <= 2 + most / UNEVEN, "{runs:?}");
    }
}

fn correct(judged: &Judged) -> Option<bool> {
    match &judged.verdict {
        Verdict::Conclusive(flags) => Some(flags.correct),
        Verdict::Inconclusive(_) => None,
    }
}
