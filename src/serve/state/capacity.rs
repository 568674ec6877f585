//! Memory and time of the state of very many endpoints, without the probes themselves. A measurement:
//!
//! ```sh
//! ENDPOINTS=1000000 cargo test --release --lib capacity_cost -- --ignored --nocapture
//! ```

use std::net::Ipv4Addr;
use std::time::Instant;

use crate::config::SourceSettings;
use crate::instance::{Expectation, Expected, SourceKind};
use crate::judge::{Rules, TrustStore, judge};
use crate::model::{KeyType, Timings};
use crate::observation::{
    KeyProof, Observation, Outcome, Parameters, Revocation, Served, TlsVersion,
};
use crate::report::prometheus::{Exposition, Gathered, Pieces, gathered_endpoints, hosts};
use crate::testbed::authority::{Authority, Key, Validity};

use super::super::snapshot::{EndpointResult, TargetResults};
use super::*;

const START: Timestamp = Timestamp(1_800_000_000);
const INTERVAL: Duration = Duration::from_secs(24 * 3600);
const CONCURRENCY: usize = 256;
/// Endpoints, unless `ENDPOINTS` is set.
const ENDPOINTS: usize = 100_000;
/// Size of the pieces of a response.
const PIECE_BYTES: usize = 64 << 10;

fn settings(count: usize, pin: &Expectation) -> Settings {
    let Expectation::Fingerprints(pins) = pin else {
        panic!("{pin:?}");
    };
    let entries = (0..count).map(|number| {
        // Each entry has its own text, as one from a file does.
        let pins = pins.iter().copied().collect();
        let mut entry = Entry::new(SourceSettings::Fingerprints(pins));
        entry.name = Some(format!("h{number}"));
        entry.hostnames = vec![format!("h{number}.bench.example").parse().unwrap()];
        let number = u32::try_from(number).unwrap();
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number);
        entry.addresses = vec![ip.into()];
        Arc::new(entry)
    });
    Settings {
        entries: entries.collect(),
        interval: INTERVAL,
        times: Times {
            grace: INTERVAL,
            refresh: INTERVAL,
        },
        history: INTERVAL,
        account: None,
        vantages: Vec::new(),
        judging: Arc::default(),
    }
}

/// Returns the result of an endpoint that serves the expected certificate.
fn result_of_one() -> Judged {
    let validity = Validity::around(START, 10, 100);
    let root = Authority::root("Root", validity).unwrap();
    let middle = root.intermediate("Issuing", validity).unwrap();
    let key = Key::generate().unwrap();
    let leaf = middle.issue(&["*.bench.example".into()], validity, &key);
    let leaf = leaf.unwrap().certificate;
    let mut trust = TrustStore::default();
    trust.add(&root.certificate).unwrap();
    let expected = Expected {
        source: SourceKind::Fingerprint,
        what: Expectation::Fingerprints([leaf.sha256()].into()),
    };
    let hostname = "h0.bench.example".parse().unwrap();
    let observation = Observation {
        target: Arc::new(Target::new(
            "h0",
            hostname,
            443,
            crate::model::Protocol::Https,
        )),
        ip: None,
        key_type: KeyType::Any,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome: Outcome::Served(Box::new(Served {
            leaf,
            rest: vec![middle.certificate],
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            alpn: None,
            revocation: Revocation::default(),
            key_proof: KeyProof::Handshake,
            parameters: Parameters::default(),
            failure: None,
            ech: None,
        })),
    };
    let expected = Arc::new(expected);
    let judged = judge(
        Some(&expected),
        observation,
        &trust,
        &Rules::default(),
        START,
    );
    assert_eq!(
        judged.severity(),
        crate::finding::Severity::Ok,
        "{judged:?}"
    );
    judged
}

fn resident() -> f64 {
    let status = procfs::process::Process::myself().unwrap().status();
    status.unwrap().vmrss.unwrap() as f64 * 1024.0
}

struct Endpoints {
    state: State,
    events: Vec<Event>,
    now: Duration,
    one: Judged,
}

impl Endpoints {
    fn at(&self) -> Now {
        Now {
            elapsed: self.now,
            clock: Timestamp(START.0 + i64::try_from(self.now.as_secs()).unwrap()),
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch { request, entry, .. } => {
                    let loaded = Loaded {
                        name: entry.name.clone().unwrap(),
                        common_name: None,
                        expected: self.one.expected.clone().unwrap(),
                        hostnames: entry.hostnames.clone(),
                        found: Vec::new(),
                        awaited: None,
                    };
                    self.events.push(Event::SourceResult {
                        request,
                        fetched: Fetched {
                            answers: vec![Ok(loaded)],
                            known_places: None,
                        },
                        clock_warning: None,
                    });
                }
                Effect::Probe { id, targets, .. } => {
                    let mut judged = self.one.clone();
                    judged.observation.target = targets[0].clone();
                    judged.observation.ip = Some(Ipv4Addr::LOCALHOST.into());
                    self.events.push(Event::ProbeDone {
                        id,
                        is_complete: true,
                    });
                    self.events.push(Event::ProbeResult {
                        id,
                        judged: Arc::new(judged),
                        at: self.at(),
                    });
                }
                Effect::Record(_)
                | Effect::Log(_)
                | Effect::Publish
                | Effect::Reread { .. }
                | Effect::Resume(_) => {}
            }
        }
    }

    fn step(&mut self, event: Event) {
        let effects = self.state.on(event, self.at());
        self.carry_out(effects);
    }

    /// Runs until every endpoint was probed.
    fn run(&mut self) {
        while !self.state.is_ready {
            match self.events.pop() {
                Some(event) => self.step(event),
                None => {
                    self.now = self.now.max(self.state.next_due().unwrap());
                    self.step(Event::Tick);
                }
            }
        }
    }
}

#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "a measurement prints")]
fn capacity_cost() {
    let count = std::env::var("ENDPOINTS").map_or(ENDPOINTS, |count| count.parse().unwrap());
    for (name, size) in [
        ("Entry", size_of::<Entry>()),
        ("Watch", size_of::<Watch>()),
        ("Loaded", size_of::<Loaded>()),
        ("Target", size_of::<Target>()),
        ("TargetResults", size_of::<TargetResults>()),
        ("EndpointResult", size_of::<EndpointResult>()),
        ("Judged", size_of::<Judged>()),
        ("Observation", size_of::<Observation>()),
        ("Served", size_of::<Served>()),
    ] {
        println!("{name}: {size} bytes");
    }
    let one = result_of_one();
    let expected = one.expected.clone().unwrap();
    let (begin, start) = (resident(), Instant::now());
    let each = |what: &str, start: Instant| {
        let bytes = (resident() - begin) / count as f64;
        println!(
            "{what}: {:?}; {bytes:.0} bytes an endpoint",
            start.elapsed()
        );
    };
    let settings = settings(count, &expected.what);
    each("entries", start);
    let start = Instant::now();
    let limits = Start {
        concurrency: CONCURRENCY,
        ..Start::default()
    };
    let now = Now {
        elapsed: Duration::ZERO,
        clock: START,
    };
    let (state, effects) = State::new(settings.clone(), limits, now);
    each("state", start);
    let start = Instant::now();
    let mut endpoints = Endpoints {
        state,
        events: Vec::new(),
        now: Duration::ZERO,
        one,
    };
    endpoints.carry_out(effects);
    endpoints.run();
    each("first round", start);
    let start = Instant::now();
    endpoints.state.replan(now);
    each("plan", start);
    let start = Instant::now();
    endpoints.step(Event::Reload(settings));
    each("reload", start);

    let results = endpoints.state.parts().results;
    let all = || results.iter().flat_map(|results| &results.endpoints);
    assert_eq!(all().count(), count);
    let start = Instant::now();
    let gathered = Arc::new(Gathered::new(all().map(|endpoint| &endpoint.lines)));
    let mut out = Exposition::default();
    gathered_endpoints(&mut out, &gathered);
    hosts(&mut out, &gathered, all().map(|endpoint| &*endpoint.judged));
    each("gathered metrics", start);
    let start = Instant::now();
    let mut pieces = Pieces::new([Arc::new(out)]);
    let (mut text, mut bytes) = (String::new(), 0);
    while pieces.left() > 0 {
        text.clear();
        pieces.write(&mut text, PIECE_BYTES);
        bytes += text.len();
    }
    each("written metrics", start);
    println!("{} bytes of metrics an endpoint", bytes / count);
}
