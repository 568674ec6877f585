//! Certificates that begin or end to be valid between two regular probes. Simulated time, real
//! judging.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use crate::config::SourceSettings;
use crate::finding::Code;
use crate::instance::{Expectation, Expected, SourceKind};
use crate::judge::{Rules, TrustStore, judge};
use crate::model::{Hostname, KeyType, Protocol, Timings};
use crate::observation::{
    KeyProof, Observation, Outcome, Parameters, Revocation, Served, TlsVersion,
};
use crate::testbed::authority::{Authority, Key, Validity};

use super::probes::MIN_CHANGE_DISTANCE;
use super::*;

const START: i64 = 1_800_000_000;
const HOUR: Duration = Duration::from_secs(3600);
/// Duration of each simulated probe.
const PROBE: Duration = Duration::from_millis(700);
/// Maximum age of a verdict after the time at which it changes: the distance, a probe, and the
/// resolution of the clock.
const BOUND: Duration = Duration::from_secs(8);

/// Begin and end of a certificate, in seconds after the start.
type Span = (i64, i64);

struct Servers {
    served: Vec<Outcome>,
    trust: TrustStore,
    expected: Arc<Expected>,
}

impl Servers {
    /// Creates one server for each leaf, all below one intermediate.
    fn new(intermediate: Span, leaves: &[Span]) -> Self {
        let span = |(from, until)| Validity {
            not_before: Timestamp(START + from),
            not_after: Timestamp(START + until),
        };
        let root = Authority::root("Root", span((-1_000_000, 1_000_000_000))).unwrap();
        let middle = root
            .intermediate("Intermediate", span(intermediate))
            .unwrap();
        let key = Key::generate().unwrap();
        let served = leaves.iter().enumerate().map(|(number, validity)| {
            let issued = middle
                .issue(&[host(number).to_string()], span(*validity), &key)
                .unwrap();
            Outcome::Served(Box::new(Served {
                leaf: issued.certificate,
                rest: vec![middle.certificate.clone()],
                tls_version: TlsVersion::Tls13,
                cipher_suite: "".into(),
                alpn: None,
                revocation: Revocation::default(),
                key_proof: KeyProof::Handshake,
                parameters: Parameters::default(),
                failure: None,
                ech: None,
            }))
        });
        let served = served.collect();
        let mut trust = TrustStore::default();
        trust.add(&root.certificate).unwrap();
        Self {
            served,
            trust,
            expected: Arc::new(Expected {
                source: SourceKind::Trust,
                what: Expectation::TrustOnly,
            }),
        }
    }

    fn judged(&self, target: &Target, server: usize, now: Timestamp) -> Judged {
        let observation = Observation {
            target: target.clone().into(),
            ip: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
            key_type: KeyType::Any,
            vantage: Vantage::local(),
            timings: Timings::default(),
            outcome: self.served[server].clone(),
        };
        let expected = Some(&self.expected);
        judge(expected, observation, &self.trust, &Rules::default(), now)
    }
}

fn host(number: usize) -> Hostname {
    format!("h{number}.example").parse().unwrap()
}

fn number(hostname: &Hostname) -> usize {
    let text = hostname.to_string();
    let digits = text.trim_start_matches('h').split('.').next();
    digits.unwrap().parse().unwrap()
}

fn settings(count: usize) -> Settings {
    let entries = (0..count).map(|number| {
        let mut entry = Entry::new(SourceSettings::TrustOnly);
        entry.name = Some(format!("h{number}"));
        entry.hostnames = vec![host(number)];
        entry.ports = vec![443];
        Arc::new(entry)
    });
    Settings {
        entries: entries.collect(),
        interval: HOUR,
        times: Times {
            grace: HOUR,
            refresh: HOUR,
        },
        history: 30 * 24 * HOUR,
        account: None,
        vantages: Vec::new(),
        judging: Arc::default(),
    }
}

struct World {
    state: State,
    now: Duration,
    /// Seconds by which the clock is ahead of the time since the start.
    jump: i64,
    running: BTreeMap<ProbeId, (Arc<Target>, Duration, Timestamp)>,
    /// Results of sources that the state does not have yet.
    fetched: Vec<Event>,
    /// Number of probes that started.
    started: usize,
    most_running: usize,
}

impl World {
    fn new(count: usize, concurrency: usize) -> Self {
        let start = Start {
            concurrency,
            ..Start::default()
        };
        let now = Now {
            elapsed: Duration::ZERO,
            clock: Timestamp(START),
        };
        let (state, effects) = State::new(settings(count), start, now);
        let mut world = Self {
            state,
            now: Duration::ZERO,
            jump: 0,
            running: BTreeMap::new(),
            fetched: Vec::new(),
            started: 0,
            most_running: 0,
        };
        world.carry_out(effects);
        world
    }

    fn at(&self) -> Now {
        let seconds = i64::try_from(self.now.as_secs()).unwrap();
        Now {
            elapsed: self.now,
            clock: Timestamp(START + seconds + self.jump),
        }
    }

    fn step(&mut self, event: Event) {
        let effects = self.state.on(event, self.at());
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch { request, entry, .. } => {
                    let loaded = Loaded {
                        name: entry.name.clone().unwrap(),
                        common_name: None,
                        expected: Arc::new(Expected {
                            source: SourceKind::Trust,
                            what: Expectation::TrustOnly,
                        }),
                        hostnames: entry.hostnames.clone(),
                        found: Vec::new(),
                        awaited: None,
                    };
                    let fetched = Fetched {
                        answers: vec![Ok(loaded)],
                        known_places: None,
                    };
                    self.fetched.push(Event::SourceResult {
                        request,
                        fetched,
                        clock_warning: None,
                    });
                }
                Effect::Probe { id, targets, .. } => {
                    let run = (targets[0].clone(), self.now + PROBE, self.at().clock);
                    self.running.insert(id, run);
                    self.started += 1;
                    self.most_running = self.most_running.max(self.running.len());
                }
                Effect::Record(_)
                | Effect::Log(_)
                | Effect::Publish
                | Effect::Reread { .. }
                | Effect::Resume(_) => {}
            }
        }
    }

    /// Runs until `end`. `judged` returns the result of a target at a time; `check` is called after
    /// each step.
    fn run(
        &mut self,
        end: Duration,
        mut judged: impl FnMut(&Target, Timestamp) -> Judged,
        mut check: impl FnMut(&Self),
    ) {
        while self.now < end {
            while let Some(event) = self.fetched.pop() {
                self.step(event);
            }
            let ended = self.running.iter().min_by_key(|(_, (_, end, _))| *end);
            let ended = ended.map(|(id, (_, end, _))| (*id, *end));
            let due = self.state.next_due();
            match ended {
                Some((id, at)) if due.is_none_or(|due| at <= due.max(self.now)) => {
                    self.now = self.now.max(at);
                    let (target, _, from) = self.running.remove(&id).unwrap();
                    let judged = Arc::new(judged(&target, from));
                    let at = self.at();
                    self.step(Event::ProbeResult { id, judged, at });
                    self.step(Event::ProbeDone {
                        id,
                        is_complete: true,
                    });
                }
                _ => {
                    let Some(due) = due else { break };
                    self.now = self.now.max(due);
                    self.step(Event::Tick);
                }
            }
            check(self);
        }
    }
}

fn span() -> impl Strategy<Value = Span> {
    (-5_000_i64..3_000, 1_i64..20_000).prop_map(|(from, lifetime)| (from, from + lifetime))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// At each step, a published verdict is what judging the same certificates again would have
    /// returned a few seconds ago. The number of probes is bounded.
    #[test]
    fn no_verdict_is_older_than_the_time_at_which_it_changes(
        intermediate in span(),
        leaves in prop::collection::vec(span(), 1..5),
    ) {
        let servers = Servers::new(intermediate, &leaves);
        let mut world = World::new(leaves.len(), 8);
        world.run(
            2 * HOUR,
            |target, now| servers.judged(target, number(&target.hostname), now),
            |world| {
                let now = world.at();
                let then = Timestamp(now.clock.0 - i64::try_from(BOUND.as_secs()).unwrap());
                for results in world.state.results.iter() {
                    for endpoint in results.endpoints.iter().filter(|e| e.at < then) {
                        let target = &endpoint.observation().target;
                        let again = servers.judged(target, number(&target.hostname), then);
                        let published = &endpoint.judged;
                        let codes = |judged: &Judged| {
                            let all = judged.findings.iter();
                            all.map(|f| (f.code(), f.severity)).collect::<Vec<_>>()
                        };
                        assert_eq!(published.verdict, again.verdict, "at {:?}", now.elapsed);
                        assert_eq!(codes(published), codes(&again), "at {:?}", now.elapsed);
                    }
                }
            },
        );
        prop_assert!(world.started >= 2 * leaves.len(), "{}", world.started);
        // Two regular probes, the first one, and one for each time of two certificates.
        let times = 2 * 6 + 3;
        prop_assert!(world.started <= leaves.len() * (3 + times), "{}", world.started);
    }
}

/// The certificate of very many endpoints expires at once: the permits limit the probes, and each
/// endpoint is probed once more.
#[test]
fn simultaneous_expiry_of_ten_thousand_endpoints_stays_within_the_permits() {
    const COUNT: usize = 10_000;
    const PERMITS: usize = 64;
    let servers = Servers::new((-1_000_000, 1_000_000), &[(-900_000, 2_000)]);
    let mut world = World::new(COUNT, PERMITS);
    let one = Target::new("h0".to_owned(), host(0), 443, Protocol::Https);
    let judged = [0, 2_001].map(|at| servers.judged(&one, 0, Timestamp(START + at)));
    let of = |target: &Target, now: Timestamp| {
        let mut judged = judged[usize::from(now.0 > START + 2_000)].clone();
        judged.observation.target = target.clone().into();
        judged
    };
    world.run(Duration::from_secs(1_900), of, |_| {});
    let before = world.started;
    world.run(Duration::from_secs(2_500), of, |_| {});
    assert!(world.most_running <= PERMITS, "{}", world.most_running);
    assert!(
        world.started - before >= COUNT,
        "{}",
        world.started - before
    );
    assert!(
        world.started - before <= COUNT + COUNT / 2,
        "{}",
        world.started - before
    );
    let expired = world.state.results.iter().filter(|results| {
        let endpoints = results.endpoints.iter();
        endpoints.clone().count() == 1
            && endpoints
                .clone()
                .all(|e| e.judged.severity() == crate::finding::Severity::Critical)
    });
    assert_eq!(expired.count(), COUNT);
}

/// A server whose certificates live for a second is not probed in a tight loop.
#[test]
fn certificates_that_live_for_a_second_are_probed_at_the_minimum_distance() {
    let mut world = World::new(1, 4);
    world.run(
        HOUR,
        |target, now| {
            let at = now.0 - START;
            Servers::new((-1_000_000, 1_000_000), &[(at - 10, at + 1)]).judged(target, 0, now)
        },
        |_| {},
    );
    let most = HOUR.as_secs() / MIN_CHANGE_DISTANCE.as_secs() + 2;
    let started = u64::try_from(world.started).unwrap();
    assert!((10..=most).contains(&started), "{started} of {most}");
}

/// Number of endpoints whose published result is of a time, or later.
fn probed_since(world: &World, time: Timestamp) -> usize {
    let results = world.state.results.iter();
    let endpoints = results.flat_map(|results| &results.endpoints);
    endpoints.filter(|endpoint| endpoint.at >= time).count()
}

fn is_expired(judged: &Judged) -> bool {
    let mut findings = judged.findings.iter();
    findings.any(|finding| finding.code() == Code::Expired)
}

/// A suspended machine has a clock that runs on, while the time since the start does not.
#[test]
fn certificates_that_expire_during_a_suspension_are_critical_within_seconds() {
    const COUNT: usize = 400;
    // One of the certificates expires during the suspension.
    let servers = Servers::new(
        (-1_000_000, 1_000_000),
        &[(-900_000, 900_000), (-900_000, 4_000)],
    );
    let expiring = host(COUNT - 1);
    let judged = |target: &Target, now: Timestamp| {
        servers.judged(target, usize::from(target.hostname == expiring), now)
    };
    let mut world = World::new(COUNT, 8);
    world.run(Duration::from_secs(600), judged, |_| {});
    let before = world.started;
    world.jump = 2 * 3_600;
    let resumed = world.at();
    world.step(Event::Tick);
    world.run(world.now + BOUND, judged, |_| {});
    let of_host = world.state.results.iter();
    let of_host = of_host.filter(|results| results.target.hostname == expiring);
    let expired: Vec<bool> = of_host
        .flat_map(|results| &results.endpoints)
        .map(|endpoint| is_expired(&endpoint.judged))
        .collect();
    assert_eq!(expired, [true]);
    // The other results are old. They are replaced as after a start, not all at the same moment.
    assert!(world.started - before < COUNT);
    world.run(world.now + Duration::from_secs(60), judged, |_| {});
    assert_eq!(probed_since(&world, resumed.clock), COUNT);
}

/// A clock that is set back has judged certificates by a time that was wrong.
#[test]
fn everything_is_probed_again_after_the_clock_was_set_back() {
    const COUNT: usize = 20;
    let servers = Servers::new((-1_000_000, 1_000_000), &[(-900_000, 4_000)]);
    let judged = |target: &Target, now: Timestamp| servers.judged(target, 0, now);
    let mut world = World::new(COUNT, 8);
    world.jump = 5_000;
    world.step(Event::Tick);
    world.run(Duration::from_secs(60), judged, |_| {});
    assert_eq!(probed_since(&world, Timestamp(START + 5_000)), COUNT);
    world.jump = 0;
    world.step(Event::Tick);
    world.run(world.now + Duration::from_secs(60), judged, |_| {});
    let results = world.state.results.iter();
    let endpoints = results.flat_map(|results| &results.endpoints);
    for endpoint in endpoints {
        assert!(endpoint.at < Timestamp(START + 5_000));
        assert!(!is_expired(&endpoint.judged));
    }
}

/// Small steps of the clock, and its resolution, are no jumps.
#[test]
fn a_clock_that_is_adjusted_by_seconds_causes_no_probes() {
    let servers = Servers::new((-1_000_000, 1_000_000), &[(-900_000, 900_000)]);
    let judged = |target: &Target, now: Timestamp| servers.judged(target, 0, now);
    let mut world = World::new(4, 8);
    world.run(Duration::from_secs(600), judged, |_| {});
    let before = world.started;
    for jump in [1, 4, 0, -4, 0] {
        world.jump = jump;
        world.step(Event::Tick);
    }
    assert_eq!(world.started, before);
}
