//! A simulated world and its events.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use crate::config::SourceSettings;
use crate::finding::{Detail, Finding, Wanted};
use crate::instance::{Expectation, Expected, SourceKind};
use crate::judge::{Flags, Verdict};
use crate::model::{Hostname, KeyType, KeyTypes, Timings};
use crate::observation::{ErrorKind, Observation, Outcome, ProbeError, Reported};
use crate::source::{FetchError, SourceError};
use crate::tlsa::DaneCheck;

use super::checks::Truth;
use super::*;

/// Start time of the clock.
const START: i64 = 1_800_000_000;
/// Maximum duration of a local probe, and of the delivery of a result ([`DELIVERY`]).
const TIMEOUT: Duration = Duration::from_secs(10);
const DELIVERY: Duration = Duration::from_millis(50);
pub(super) const REFRESH: Duration = Duration::from_secs(3600);

/// Kind of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The work fits into the interval, which is long.
    Fitting,
    /// The same with an interval of two minutes, and files as sources.
    Dense,
    /// The work does not fit. Targets are neither added nor removed.
    Overloaded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Fast,
    Slow,
    Dead,
    /// It refuses handshakes for all key types but one.
    OneKeyType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dns {
    Up,
    Servfail,
    Nxdomain,
}

/// Behavior of a vantage or a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Up,
    Failing,
    /// It responds after hours.
    Hanging,
}

struct Host {
    dns: Dns,
    /// Addresses in DNS by their last byte, with their servers and whether the certificate is
    /// correct.
    addresses: BTreeMap<u8, (Server, bool)>,
}

/// Scheduled event.
enum Pending {
    /// A probe of an address ends.
    Observe {
        id: ProbeId,
        target: Arc<Target>,
        vantage: Vantage,
        ip: Option<u8>,
        key_type: KeyType,
        error: Option<ProbeError>,
    },
    Deliver(Event),
    Change,
}

pub(super) struct World {
    pub(super) seed: u64,
    kind: Kind,
    rng: Rng,
    pub(super) now: Duration,
    shift: i64,
    pending: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, Pending>,
    last: u64,
    pub(super) state: State,
    pub(super) settings: Settings,
    universe: Vec<Arc<Entry>>,
    hosts: BTreeMap<Hostname, Host>,
    pub(super) vantages: BTreeMap<Vantage, Peer>,
    pub(super) sources: BTreeMap<String, Peer>,
    version: BTreeMap<String, u8>,
    pub(super) truth: Truth,
}

impl World {
    pub(super) fn new(seed: u64, kind: Kind) -> Self {
        let mut rng = Rng(seed);
        let count = 2 + rng.below(5);
        let mut hosts = BTreeMap::new();
        let universe: Vec<Arc<Entry>> = (0..count)
            .map(|number| Arc::new(entry(number, kind, &mut rng, &mut hosts)))
            .collect();
        let all = ["north", "south"].map(Vantage::named);
        let vantages: Vec<Vantage> = match kind {
            Kind::Overloaded => Vec::new(),
            _ => all.iter().filter(|_| !rng.one_in(3)).cloned().collect(),
        };
        let interval = match kind {
            Kind::Fitting => rng.between(HOUR / 2, 2 * HOUR),
            Kind::Dense => Duration::from_secs(120),
            Kind::Overloaded => Duration::from_secs(5),
        };
        let settings = Settings {
            entries: universe.clone(),
            interval,
            times: Times {
                grace: HOUR,
                refresh: REFRESH,
            },
            history: HOUR,
            account: None,
            vantages,
            judging: Arc::default(),
        };
        let start = Start {
            concurrency: 2 + rng.below(3),
            remembered: Vec::new(),
            known_leaves: BTreeMap::new(),
            has_store: true,
        };
        let now = Now {
            elapsed: Duration::ZERO,
            clock: Timestamp(START),
        };
        let (state, effects) = State::new(settings.clone(), start, now);
        let mut world = Self {
            seed,
            kind,
            rng,
            now: Duration::ZERO,
            shift: 0,
            pending: BinaryHeap::new(),
            events: HashMap::new(),
            last: 0,
            state,
            settings,
            universe,
            hosts,
            vantages: all.into_iter().map(|v| (v, Peer::Up)).collect(),
            sources: BTreeMap::new(),
            version: BTreeMap::new(),
            truth: Truth::default(),
        };
        let none = Settings {
            entries: Vec::new(),
            ..world.settings.clone()
        };
        world
            .truth
            .on_reload(&none, &world.settings, Duration::ZERO);
        world.carry_out(effects);
        if kind != Kind::Overloaded {
            world.push(Duration::from_secs(60), Pending::Change);
        }
        world
    }

    pub(super) fn universe_len(&self) -> usize {
        self.universe.len()
    }

    pub(super) fn at(&self) -> Now {
        let seconds = i64::try_from(self.now.as_secs()).unwrap();
        Now {
            elapsed: self.now,
            clock: Timestamp(START + seconds + self.shift),
        }
    }

    fn push(&mut self, after: Duration, pending: Pending) {
        self.last += 1;
        self.pending.push(Reverse((self.now + after, self.last)));
        self.events.insert(self.last, pending);
    }

    /// Runs the world for this time, then ends it.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut ticks = 0;
        while self.now < end {
            let due = self.state.next_due();
            let next = self.pending.peek().map(|Reverse((at, _))| *at);
            if due.is_some_and(|due| next.is_none_or(|next| due < next)) {
                ticks = if due.unwrap() <= self.now {
                    ticks + 1
                } else {
                    0
                };
                assert!(ticks < 3, "{}: ticks change nothing", self.seed);
                self.now = self.now.max(due.unwrap());
                self.step(Event::Tick);
                continue;
            }
            let Some(Reverse((at, number))) = self.pending.pop() else {
                break;
            };
            ticks = 0;
            self.now = self.now.max(at);
            match self.events.remove(&number).unwrap() {
                Pending::Deliver(event) => self.step(event),
                Pending::Change => self.change(),
                Pending::Observe {
                    id,
                    target,
                    vantage,
                    ip,
                    key_type,
                    error,
                } => self.observe(id, &target, vantage, ip, key_type, error),
            }
        }
        self.step(Event::Shutdown);
        let effects = self.state.on(Event::Tick, self.at());
        assert!(effects.is_empty(), "{effects:?}");
        self.truth.check_all(&self.state, self.seed);
        self.check_index();
    }

    fn step(&mut self, event: Event) {
        let now = self.at();
        let ended = self.truth.ended(&event);
        self.truth.before(&event, now);
        let check = self.truth.expectation_of(&event, &self.state);
        let effects = self.state.on(event, now);
        self.truth.check(check, &self.state, self.seed);
        self.truth.check_ended(ended, &self.state, self.seed);
        self.carry_out(effects);
        self.check();
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch { request, entry, .. } => self.fetch(request, &entry),
                Effect::Probe {
                    id,
                    vantage,
                    targets,
                    known,
                    due: _,
                } => self.probe(id, vantage, targets, &known.addresses),
                Effect::Log(line) => self.truth.on_log(&line, self.seed),
                Effect::Reread { .. } | Effect::Resume(_) => {
                    unreachable!("no probe of this world waits")
                }
                Effect::Record(_) | Effect::Publish => {}
            }
        }
    }

    fn fetch(&mut self, request: SourceRequest, entry: &Entry) {
        self.truth.on_fetch(&request, self.now, self.seed);
        let name = entry.name.clone().unwrap_or_default();
        let peer = *self.sources.entry(name.clone()).or_insert(Peer::Up);
        // A failing source is requested every minute, and recovers before hundreds of requests.
        if peer == Peer::Failing && self.rng.one_in(8) {
            self.sources.insert(name.clone(), Peer::Up);
        }
        let takes = match peer {
            Peer::Hanging => self.rng.between(HOUR, 3 * HOUR),
            _ => self.rng.between(Duration::ZERO, 2 * TIMEOUT),
        };
        let version = *self.version.entry(name.clone()).or_default();
        let hostnames = entry.hostnames.clone();
        let answer = match peer {
            Peer::Up => Ok(Loaded {
                common_name: Some(name.clone()),
                name,
                expected: Arc::new(Expected {
                    source: SourceKind::Sslmate,
                    what: Expectation::Fingerprints(
                        [format!("{version:064x}").parse().unwrap()].into(),
                    ),
                }),
                hostnames,
                found: Vec::new(),
                awaited: None,
            }),
            Peer::Failing | Peer::Hanging => Err(Failed {
                name,
                hostnames,
                found: Vec::new(),
                error: Arc::new(FetchError::File(SourceError::Timeout)),
                may_pass: true,
                is_gone: false,
            }),
        };
        let event = Event::SourceResult {
            request,
            fetched: Fetched {
                answers: vec![answer],
                known_places: None,
            },
            clock_warning: None,
        };
        self.push(takes, Pending::Deliver(event));
    }

    fn probe(
        &mut self,
        id: ProbeId,
        vantage: Vantage,
        targets: Vec<Arc<Target>>,
        known: &[IpAddr],
    ) {
        let interval = self.settings.interval;
        let peer = self.vantages.get(&vantage).copied();
        self.truth
            .on_probe(id, &vantage, &targets, peer, interval, self.now, self.seed);
        let mut longest = Duration::ZERO;
        for target in targets {
            let host = &self.hosts[&target.hostname];
            let known: Vec<u8> = known.iter().map(last_byte).collect();
            let (addresses, failure) = match host.dns {
                _ if peer.is_some_and(|peer| peer != Peer::Up) => {
                    let error = ProbeError::new(ErrorKind::Internal, "the vantage is away");
                    let is_of_vantage = true;
                    (
                        Vec::new(),
                        Some(ProbeError {
                            is_of_vantage,
                            ..error
                        }),
                    )
                }
                Dns::Up => (host.addresses.keys().copied().collect(), None),
                Dns::Servfail => (known, Some(ProbeError::new(ErrorKind::DnsServfail, "x"))),
                Dns::Nxdomain => (
                    Vec::new(),
                    Some(ProbeError::new(ErrorKind::DnsNxdomain, "x")),
                ),
            };
            let key_types = match vantage.is_local() {
                true => self.key_types(&target).each().to_vec(),
                false => vec![KeyType::Any],
            };
            let places = addresses.iter().map(|&ip| (Some(ip), None));
            let places: Vec<_> = places
                .chain(failure.map(|error| (None, Some(error))))
                .collect();
            for (ip, error) in places {
                for &key_type in &key_types {
                    let takes = self.time_at(&target, ip, peer);
                    longest = longest.max(takes);
                    let pending = Pending::Observe {
                        id,
                        target: target.clone(),
                        vantage: vantage.clone(),
                        ip,
                        key_type,
                        error: error.clone(),
                    };
                    self.push(takes, pending);
                }
            }
        }
        // A probe that breaks off must leave everything unchanged.
        let is_complete = !self.rng.one_in(500);
        let done = Event::ProbeDone { id, is_complete };
        self.push(longest + 2 * DELIVERY, Pending::Deliver(done));
    }

    fn key_types(&self, target: &Target) -> KeyTypes {
        let mut entries = self.universe.iter();
        let entry = entries.find(|e| e.hostnames.contains(&target.hostname));
        entry.unwrap().key_types
    }

    fn time_at(&mut self, target: &Target, ip: Option<u8>, peer: Option<Peer>) -> Duration {
        let host = &self.hosts[&target.hostname];
        let server = ip.and_then(|ip| host.addresses.get(&ip)).map(|(s, _)| *s);
        let second = Duration::from_secs(1);
        match (peer, server) {
            (Some(Peer::Hanging), _) => self.rng.between(HOUR, 5 * HOUR),
            (_, Some(Server::Dead)) => TIMEOUT,
            (_, Some(Server::Slow)) => self.rng.between(second, TIMEOUT),
            _ => self.rng.between(Duration::ZERO, second),
        }
    }

    /// Ends the probe of one endpoint: its outcome is the truth of this moment, and the result
    /// arrives later.
    fn observe(
        &mut self,
        id: ProbeId,
        target: &Arc<Target>,
        vantage: Vantage,
        ip: Option<u8>,
        key_type: KeyType,
        error: Option<ProbeError>,
    ) {
        let host = &self.hosts[&target.hostname];
        let at_ip = ip.and_then(|ip| host.addresses.get(&ip)).copied();
        let error = error.or_else(|| match at_ip {
            None | Some((Server::Dead, _)) => {
                Some(ProbeError::new(ErrorKind::ConnectTimeout, "no answer"))
            }
            Some((Server::OneKeyType, _)) if key_type == KeyType::Ecdsa => {
                Some(ProbeError::new(ErrorKind::TlsAlert, "refused"))
            }
            Some(_) => None,
        });
        let is_correct = at_ip.is_some_and(|(_, is_correct)| is_correct);
        let judged = judged(target, vantage, ip, key_type, is_correct, error);
        let at = self.at();
        self.truth.on_observation(&judged, at);
        let delay = self.rng.between(Duration::ZERO, DELIVERY);
        let judged = Arc::new(judged);
        self.push(
            delay,
            Pending::Deliver(Event::ProbeResult { id, judged, at }),
        );
    }

    /// Changes something in the world.
    fn change(&mut self) {
        let peers = [Peer::Up, Peer::Up, Peer::Failing, Peer::Hanging];
        let peer = peers[self.rng.below(peers.len())];
        match self.rng.below(12) {
            0..=3 => self.change_server(),
            4 | 5 => {
                let number = self.rng.below(self.hosts.len());
                let dns = [Dns::Up, Dns::Up, Dns::Servfail, Dns::Nxdomain][self.rng.below(4)];
                self.hosts.values_mut().nth(number).unwrap().dns = dns;
            }
            6 | 7 => {
                let number = self.rng.below(self.vantages.len());
                *self.vantages.values_mut().nth(number).unwrap() = peer;
            }
            8 => {
                let number = self.rng.below(self.universe.len());
                let name = self.universe[number].name.clone().unwrap();
                self.sources.insert(name, peer);
            }
            9 => {
                let number = self.rng.below(self.universe.len());
                let name = self.universe[number].name.clone().unwrap();
                *self.version.entry(name.clone()).or_default() += 1;
                self.step(Event::Issued(name));
            }
            10 => {
                // The next event is one that sees the clock as it was.
                self.step(Event::Tick);
                let jump = i64::try_from(self.rng.below(200)).unwrap() - 100;
                self.shift += jump;
                self.truth.on_clock_jump(jump, self.now);
                self.step(Event::Tick);
            }
            _ => self.reload(),
        }
        let longest = match self.kind {
            Kind::Dense => HOUR / 20,
            _ => HOUR,
        };
        let after = self.rng.between(Duration::from_secs(1), longest);
        self.push(after, Pending::Change);
    }

    fn change_server(&mut self) {
        let servers = [Server::Fast, Server::Slow, Server::Dead, Server::OneKeyType];
        let server = servers[self.rng.below(servers.len())];
        let number = self.rng.below(self.hosts.len());
        let ip = 1 + u8::try_from(self.rng.below(3)).unwrap();
        let is_correct = !self.rng.one_in(3);
        let is_removed = self.rng.one_in(4);
        let host = self.hosts.values_mut().nth(number).unwrap();
        if is_removed && host.addresses.len() > 1 {
            host.addresses.remove(&ip);
        } else {
            host.addresses.insert(ip, (server, is_correct));
        }
    }

    /// Reloads the configuration, often followed by a reload that reverts it.
    fn reload(&mut self) {
        let mut settings = self.settings.clone();
        if self.rng.one_in(3) && self.kind == Kind::Fitting {
            settings.interval = self.rng.between(HOUR / 2, 2 * HOUR);
        }
        if self.rng.one_in(3) {
            let all: Vec<Vantage> = self.vantages.keys().cloned().collect();
            settings.vantages = all.into_iter().filter(|_| !self.rng.one_in(3)).collect();
        }
        let is_kept: Vec<bool> = self.universe.iter().map(|_| !self.rng.one_in(4)).collect();
        let all = self.universe.iter().zip(is_kept);
        settings.entries = all
            .filter(|(_, kept)| *kept)
            .map(|(e, _)| e.clone())
            .collect();
        if self.rng.one_in(4)
            && let Some(entry) = settings.entries.first_mut()
        {
            let entry = Arc::make_mut(entry);
            entry.dane = match entry.dane {
                DaneCheck::Off => DaneCheck::On,
                DaneCheck::On | DaneCheck::Required => DaneCheck::Off,
            };
        }
        let again = Settings {
            entries: self.universe.clone(),
            ..settings.clone()
        };
        self.apply(settings);
        if self.rng.one_in(2) {
            self.apply(again);
        }
    }

    fn apply(&mut self, settings: Settings) {
        self.truth.on_reload(&self.settings, &settings, self.now);
        self.settings = settings.clone();
        self.step(Event::Reload(settings));
    }
}

fn entry(number: usize, kind: Kind, rng: &mut Rng, hosts: &mut BTreeMap<Hostname, Host>) -> Entry {
    let name = format!("e{number}.example");
    let mut entry = Entry::new(match (kind, rng.below(4)) {
        (Kind::Fitting, 0) => SourceSettings::TrustOnly,
        (Kind::Dense, 0 | 1) => SourceSettings::Pem(vec![format!("/{name}").into()]),
        _ => SourceSettings::Sslmate(name.clone()),
    });
    entry.name = Some(name.clone());
    for host in 0..1 + rng.below(3) {
        let hostname: Hostname = format!("h{host}.{name}").parse().unwrap();
        let server = match kind {
            Kind::Overloaded => Server::Dead,
            _ => Server::Fast,
        };
        let host = Host {
            dns: Dns::Up,
            addresses: (1..=1 + u8::try_from(rng.below(2)).unwrap())
                .map(|ip| (ip, (server, true)))
                .collect(),
        };
        hosts.insert(hostname.clone(), host);
        entry.hostnames.push(hostname);
    }
    entry.ports = vec![443];
    if rng.one_in(3) {
        entry.key_types = KeyTypes::All;
    }
    entry
}

fn last_byte(ip: &IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(_) => unreachable!(),
    }
}

pub(super) fn judged(
    target: &Target,
    vantage: Vantage,
    ip: Option<u8>,
    key_type: KeyType,
    is_correct: bool,
    error: Option<ProbeError>,
) -> Judged {
    let observation = |outcome| Observation {
        target: Arc::new(target.clone()),
        ip: ip.map(|ip| Ipv4Addr::new(192, 0, 2, ip).into()),
        key_type,
        vantage,
        timings: Timings::default(),
        outcome,
    };
    if let Some(error) = error {
        let mut judged = Judged::failed(observation(Outcome::Failed(error.clone())), error.clone());
        if error.kind == ErrorKind::TlsAlert {
            let detail = Detail::HandshakeFailed {
                hostname: target.hostname.clone(),
                port: target.port,
                protocol: target.protocol,
                error,
                is_key_proved: false,
            };
            judged.findings.push(Finding::new(detail));
        }
        return judged;
    }
    let reported = Reported {
        correct: is_correct,
        chained: true,
        dummy: false,
        peer: None,
    };
    let wrong = Finding::new(Detail::WrongCertificate {
        served: None,
        is_newer: false,
        expected: Wanted::Fingerprint,
    });
    Judged {
        observation: observation(Outcome::Reported(reported)),
        expected: None,
        verdict: Verdict::Conclusive(Flags {
            correct: is_correct,
            chained: true,
            dummy: false,
            trusted: None,
            hostname_match: None,
            expired: None,
            not_yet_valid: None,
            revoked: None,
        }),
        findings: if is_correct { Vec::new() } else { vec![wrong] },
        clients: None,
        path_expiry: None,
        thresholds: None,
        notes: Arc::default(),
        dane: None,
    }
}
