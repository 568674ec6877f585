//! Tests of the finding of material changes, on the state of a monitor with one entry.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::super::expectations::Times;
use super::super::super::history_writer::Note;
use super::super::{Effect, Event, Fetched, Now, Settings, SourceRequest, Start, State};
use super::*;
use crate::config::{Entry, SourceSettings};
use crate::finding::{Acceptance, Code, EntryNotes, MaterialChange, Severity};
use crate::instance::{Expected, SourceKind};
use crate::judge::Flags;
use crate::model::{KeyType, Target, Timings, Vantage};
use crate::observation::{ErrorKind, KeyProof, Observation, ProbeError, Served, TlsVersion};
use crate::source::Loaded;
use crate::testbed::authority::{Authority, Key, Validity};

const START: i64 = 1_800_000_000;
const INTERVAL: Duration = Duration::from_secs(3600);

/// Leaves of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaf {
    /// The usual certificate, and two renewals by other intermediates of the authority.
    Usual,
    Renewed,
    RenewedAgain,
    /// One of another authority, and its renewal.
    Other,
    OtherRenewed,
    /// One of a third authority.
    Third,
    /// One of the usual authority without one of the names.
    Fewer,
}

const LEAVES: [Leaf; 7] = [
    Leaf::Usual,
    Leaf::Renewed,
    Leaf::RenewedAgain,
    Leaf::Other,
    Leaf::OtherRenewed,
    Leaf::Third,
    Leaf::Fewer,
];

static CERTIFICATES: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let validity = Validity::around(Timestamp(START), 10, 80);
    let both: &[&str] = &["a.example", "www.a.example"];
    let issue = |authority: &str, names: &[&str]| {
        let authority = Authority::root(authority, validity).unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let issued = authority.issue(&names, validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    vec![
        issue("Usual R10", both),
        issue("Usual R11", both),
        issue("Usual E5", both),
        issue("Other 1", both),
        issue("Other 2", both),
        issue("Third", both),
        issue("Usual R10", &["a.example"]),
    ]
});

fn certificate(leaf: Leaf) -> Certificate {
    let position = LEAVES.iter().position(|one| *one == leaf).unwrap();
    CERTIFICATES[position].clone()
}

/// Result of one address.
type Seen = Option<Leaf>;

/// Monitor of one host.
struct Simulated {
    state: State,
    what: Expectation,
    is_trusted: bool,
    notes: Arc<EntryNotes>,
    elapsed: Duration,
    clock: Timestamp,
    stored: BTreeMap<Place, Vec<KnownLeaf>>,
    writes: usize,
}

fn settings() -> Settings {
    let mut entry = Entry::new(SourceSettings::TrustOnly);
    entry.name = Some("a".into());
    entry.hostnames = vec!["a.example".parse().unwrap()];
    entry.ports = vec![443];
    Settings {
        entries: vec![Arc::new(entry)],
        interval: INTERVAL,
        times: Times {
            grace: INTERVAL,
            refresh: INTERVAL,
        },
        history: 30 * 24 * INTERVAL,
        account: None,
        vantages: Vec::new(),
        judging: Arc::default(),
    }
}

impl Simulated {
    fn new() -> Self {
        Self::of(Expectation::TrustOnly, BTreeMap::new(), Timestamp(START))
    }

    fn of(what: Expectation, stored: BTreeMap<Place, Vec<KnownLeaf>>, clock: Timestamp) -> Self {
        let start = Start {
            concurrency: 4,
            known_leaves: stored.clone(),
            has_store: true,
            ..Start::default()
        };
        let now = Now {
            elapsed: Duration::ZERO,
            clock,
        };
        let (state, effects) = State::new(settings(), start, now);
        let mut simulated = Self {
            state,
            what,
            is_trusted: true,
            notes: Arc::default(),
            elapsed: Duration::ZERO,
            clock,
            stored,
            writes: 0,
        };
        simulated.carry_out(effects, &[]);
        simulated
    }

    fn restarted(&self) -> Self {
        Self::of(self.what.clone(), self.stored.clone(), self.clock)
    }

    fn step(&mut self, event: Event, seen: &[Seen]) {
        let now = self.now();
        let effects = self.state.on(event, now);
        self.carry_out(effects, seen);
    }

    fn now(&self) -> Now {
        Now {
            elapsed: self.elapsed,
            clock: self.clock,
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, seen: &[Seen]) {
        for effect in effects {
            match effect {
                Effect::Fetch { request, .. } => self.answer(request),
                Effect::Probe { id, targets, .. } => {
                    for (ip, seen) in (1..).zip(seen) {
                        let judged = Arc::new(self.judged(&targets[0], ip, *seen));
                        let at = self.now();
                        self.step(Event::ProbeResult { id, judged, at }, &[]);
                    }
                    let is_complete = !seen.is_empty();
                    self.step(Event::ProbeDone { id, is_complete }, &[]);
                }
                Effect::Record(Note::Leaves(place, leaves)) => {
                    self.writes += 1;
                    self.stored.insert(place, leaves);
                }
                Effect::Reread { .. } | Effect::Resume(_) => {}
                Effect::Record(_) | Effect::Log(_) | Effect::Publish => {}
            }
        }
    }

    fn answer(&mut self, request: SourceRequest) {
        let loaded = Loaded {
            name: "a".into(),
            common_name: None,
            expected: self.expected(),
            hostnames: vec!["a.example".parse().unwrap()],
            found: Vec::new(),
            awaited: None,
        };
        let fetched = Fetched {
            answers: vec![Ok(loaded)],
            known_places: None,
        };
        let event = Event::SourceResult {
            request,
            fetched,
            clock_warning: None,
        };
        self.step(event, &[]);
    }

    fn expected(&self) -> Arc<Expected> {
        Arc::new(Expected {
            source: SourceKind::Trust,
            what: self.what.clone(),
        })
    }

    fn judged(&self, target: &Target, ip: u8, seen: Seen) -> Judged {
        let observation = |outcome| Observation {
            target: target.clone().into(),
            ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, ip))),
            key_type: KeyType::Any,
            vantage: Vantage::local(),
            timings: Timings::default(),
            outcome,
        };
        let Some(leaf) = seen else {
            let error = ProbeError::new(ErrorKind::ConnectTimeout, "no response");
            return Judged::failed(observation(Outcome::Failed(error.clone())), error);
        };
        let served = Served {
            leaf: certificate(leaf),
            rest: Vec::new(),
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            alpn: None,
            revocation: Default::default(),
            key_proof: KeyProof::Handshake,
            parameters: Default::default(),
            failure: None,
            ech: None,
        };
        let mut judged = Judged {
            expected: Some(self.expected()),
            verdict: Verdict::Conclusive(Flags {
                correct: self.is_trusted,
                chained: true,
                dummy: false,
                trusted: Some(self.is_trusted),
                hostname_match: Some(true),
                expired: Some(false),
                not_yet_valid: Some(false),
                revoked: None,
            }),
            ..Judged::failed(
                observation(Outcome::Served(Box::new(served))),
                ProbeError::new(ErrorKind::Internal, ""),
            )
        };
        judged.annotate(&self.notes, self.clock);
        judged
    }

    /// Probes all addresses in the next interval. Returns the published findings of the addresses.
    fn round(&mut self, seen: &[Seen]) -> Vec<Option<Finding>> {
        self.elapsed += INTERVAL;
        let seconds = i64::try_from(INTERVAL.as_secs()).unwrap();
        self.clock = Timestamp(self.clock.0 + seconds);
        self.step(Event::Tick, seen);
        let parts = self.state.parts();
        let results = parts
            .results
            .iter()
            .next()
            .expect("a probe in each interval");
        let mut found = Vec::new();
        for endpoint in &results.endpoints {
            assert_eq!(endpoint.ended, self.elapsed, "a result of this round");
            let mut findings = endpoint.judged.findings.iter();
            found.push(findings.find(|f| f.code() == Code::MaterialChange).cloned());
        }
        assert_eq!(found.len(), seen.len());
        found
    }

    /// Probes one address. Returns true if it has the finding.
    fn serves(&mut self, leaf: Leaf) -> bool {
        self.round(&[Some(leaf)])[0].is_some()
    }
}

#[test]
fn another_issuer_is_reported_for_a_day_with_both_certificates() {
    let mut host = Simulated::new();
    assert!(!host.serves(Leaf::Usual));
    assert!(!host.serves(Leaf::Usual));
    let finding = host.round(&[Some(Leaf::Other)])[0].clone().unwrap();
    let first_seen = host.clock;
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(
        finding.detail,
        Detail::MaterialChange {
            before: Box::new(LeafRecord::of(&certificate(Leaf::Usual)).unwrap()),
            served: certificate(Leaf::Other),
            changes: vec![MaterialChange::Issuer {
                before: "Usual R10".into(),
                after: "Other 1".into(),
            }],
            first_seen,
            until: Timestamp(first_seen.0 + 24 * 3600),
        }
    );
    // The first of 24 probes is the one above.
    let hours = (0..30).filter(|_| host.serves(Leaf::Other)).count();
    assert_eq!(hours, 23);
}

#[test]
fn renewal_is_not_reported() {
    let mut host = Simulated::new();
    for leaf in [Leaf::Usual, Leaf::Renewed, Leaf::RenewedAgain, Leaf::Usual] {
        assert!(!host.serves(leaf), "{leaf:?}");
    }
    assert!(host.serves(Leaf::Fewer));
}

#[test]
fn finding_ends_when_the_earlier_certificate_or_its_renewal_is_served() {
    for earlier in [Leaf::Usual, Leaf::Renewed] {
        let mut host = Simulated::new();
        assert!(!host.serves(Leaf::Usual));
        assert!(host.serves(Leaf::Other));
        assert!(!host.serves(earlier));
        assert!(!host.serves(Leaf::Other), "both are known now");
        assert!(!host.serves(Leaf::OtherRenewed), "a renewal of a known one");
        assert!(host.serves(Leaf::Third), "neither of them");
    }
}

#[test]
fn known_leaves_and_the_finding_survive_a_restart() {
    let mut host = Simulated::new();
    assert!(!host.serves(Leaf::Usual));
    let mut host = host.restarted();
    assert!(!host.serves(Leaf::Renewed));
    assert!(host.serves(Leaf::Other));
    let first_seen = host.clock;
    let mut host = host.restarted();
    let finding = host.round(&[Some(Leaf::Other)])[0].clone().unwrap();
    let Detail::MaterialChange {
        before,
        first_seen: seen,
        ..
    } = finding.detail
    else {
        panic!("{finding:?}");
    };
    assert_eq!(seen, first_seen);
    assert_eq!(before.sha256, certificate(Leaf::Renewed).sha256());
    assert!(!host.serves(Leaf::Usual));
    let mut host = host.restarted();
    assert!(!host.serves(Leaf::Other), "the end is stored too");
}

#[test]
fn leaves_are_stored_only_when_they_change() {
    let mut host = Simulated::new();
    for _ in 0..5 {
        host.serves(Leaf::Usual);
    }
    assert_eq!(host.writes, 1);
    for _ in 0..5 {
        host.serves(Leaf::Renewed);
    }
    assert_eq!(host.writes, 2);
}

#[test]
fn leaves_of_the_first_probe_are_not_compared() {
    let mut host = Simulated::new();
    let both = [Some(Leaf::Usual), Some(Leaf::Other)];
    assert_eq!(host.round(&both), [None, None]);
    assert_eq!(host.round(&[both[1], both[0]]), [None, None]);
    assert!(host.round(&[both[0], Some(Leaf::Third)])[1].is_some());

    // An address that does not respond at first may have another certificate.
    let mut host = Simulated::new();
    assert_eq!(host.round(&[Some(Leaf::Usual), None]), [None, None]);
    assert_eq!(host.round(&both), [None, None]);
    // An address that never responds does not prevent the comparison.
    let mut host = Simulated::new();
    for _ in 0..MAX_FIRST_PROBES {
        assert_eq!(host.round(&[Some(Leaf::Usual), None]), [None, None]);
    }
    assert!(host.round(&[Some(Leaf::Other), None])[0].is_some());
}

#[test]
fn change_at_one_of_several_addresses_is_reported_there_until_it_is_undone() {
    let mut host = Simulated::new();
    let usual = Some(Leaf::Usual);
    host.round(&[usual, usual]);
    let found = host.round(&[usual, Some(Leaf::Other)]);
    assert!(found[0].is_none() && found[1].is_some());
    // The other address serves what it always did, so the change is not undone.
    for _ in 0..3 {
        assert!(host.round(&[usual, Some(Leaf::Other)])[1].is_some());
        assert!(host.round(&[usual, None])[1].is_none());
    }
    // A planned change reaches the other address later, and ends for both at the same time.
    assert!(host.round(&[Some(Leaf::Other); 2])[0].is_some());
    let end = (0..48).take_while(|_| host.round(&[Some(Leaf::Other); 2])[0].is_some());
    assert_eq!(end.count(), 24 - 8);
}

#[test]
fn trusted_certificate_after_an_untrusted_one_is_not_reported() {
    let mut host = Simulated::new();
    host.is_trusted = false;
    assert!(!host.serves(Leaf::Usual));
    assert!(host.serves(Leaf::Other), "neither is trusted");
    host.is_trusted = true;
    assert!(!host.serves(Leaf::Third));
    host.is_trusted = false;
    assert!(host.serves(Leaf::Fewer));
}

#[test]
fn accepted_finding_is_information() {
    let mut host = Simulated::new();
    host.notes = Arc::new(EntryNotes {
        accept: vec![Acceptance {
            code: Code::MaterialChange,
            reason: "a CDN".into(),
            until: None,
        }],
        ..EntryNotes::default()
    });
    host.serves(Leaf::Usual);
    let finding = host.round(&[Some(Leaf::Other)])[0].clone().unwrap();
    assert_eq!(finding.severity, Severity::Info);
    assert!(finding.accepted.is_some());
}

#[test]
fn entries_with_an_expected_certificate_are_not_compared() {
    let pins = [certificate(Leaf::Usual).sha256()].into();
    let mut host = Simulated::of(
        Expectation::Fingerprints(pins),
        BTreeMap::new(),
        Timestamp(START),
    );
    assert!(!host.serves(Leaf::Usual));
    assert!(!host.serves(Leaf::Other));
    assert_eq!(host.state.sizes().leaves, 0);
}

#[test]
fn finding_ends_within_a_day_after_the_clock_was_set_back() {
    let mut host = Simulated::new();
    host.serves(Leaf::Usual);
    assert!(host.serves(Leaf::Other));
    host.clock = Timestamp(host.clock.0 - 30 * 24 * 3600);
    let hours = (0..48).filter(|_| host.serves(Leaf::Other)).count();
    assert_eq!(hours, 24);
}

#[test]
fn alternating_certificates_cause_one_finding_at_most() {
    // A load balancer whose servers have certificates of two authorities, each of which is renewed.
    let mut rng: u64 = 7;
    let mut found = Vec::new();
    let mut host = Simulated::new();
    for hour in 0..20 * 24 {
        let [one, other] = match hour {
            0..200 => [Leaf::Usual, Leaf::Other],
            200..400 => [Leaf::Renewed, Leaf::Other],
            _ => [Leaf::Renewed, Leaf::OtherRenewed],
        };
        let seen = [0, 1, 2].map(|_| {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some(if rng >> 62 == 0 { other } else { one })
        });
        found.push(host.round(&seen).iter().any(Option::is_some));
        if hour % 50 == 49 {
            host = host.restarted();
        }
    }
    found.dedup();
    assert!(found.len() <= 3, "{found:?}");
}

#[test]
fn alternately_served_certificate_stays_known_while_another_is_renewed() {
    let leaf = |number: usize, authority: &str| KnownLeaf {
        leaf: Arc::new(LeafRecord {
            sha256: Fingerprint::of(&number.to_be_bytes()),
            issuer_organization: Some(authority.into()),
            ..LeafRecord::of(&certificate(Leaf::Usual)).unwrap()
        }),
        replaced: None,
        is_trusted: true,
        first_seen: Timestamp(START),
    };
    let mut known = Known {
        leaves: vec![leaf(0, "Other")],
        first_probes: None,
        seen: Duration::ZERO,
        is_changed: false,
    };
    for number in 1..50 {
        known.leaves.insert(0, leaf(number, "Usual"));
        if known.leaves.len() > MAX_LEAVES {
            known.drop_one();
        }
    }
    assert_eq!(known.leaves.len(), MAX_LEAVES);
    let last = known.leaves.last().unwrap();
    assert_eq!(last.leaf.issuer_organization.as_deref(), Some("Other"));
    // Without renewals, the one that was seen the longest time ago is dropped.
    for number in 0..MAX_LEAVES {
        known.leaves.insert(
            0,
            leaf(100 + number, &format!("CA {}", "x".repeat(number + 1))),
        );
        known.drop_one();
    }
    assert_eq!(known.leaves.len(), MAX_LEAVES);
}

#[test]
fn leaves_of_hosts_that_are_no_longer_probed_expire() {
    let mut host = Simulated::new();
    host.serves(Leaf::Usual);
    host.serves(Leaf::Other);
    assert_eq!(host.state.sizes().leaves, 2);
    host.state.known_leaves.expire(host.elapsed);
    assert_eq!(host.state.sizes().leaves, 2);
    host.state.known_leaves.expire(host.elapsed + INTERVAL);
    assert_eq!(host.state.sizes().leaves, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is served, the number of leaves is bounded, a leaf that was served earlier without a
    /// finding has none later, and a restart changes nothing.
    #[test]
    fn known_leaf_without_a_finding_stays_without_one(
        rounds in vec(vec(prop::option::weighted(0.9, 0..LEAVES.len()), 1..3), 1..40)
    ) {
        let mut host = Simulated::new();
        let mut settled: Vec<Leaf> = Vec::new();
        for round in rounds {
            let seen: Vec<Seen> = round.iter().map(|leaf| leaf.map(|leaf| LEAVES[leaf])).collect();
            let mut again = host.restarted();
            let found = host.round(&seen);
            for (finding, leaf) in found.iter().zip(&seen) {
                if let Some(leaf) = leaf {
                    prop_assert!(finding.is_none() || !settled.contains(leaf));
                    if finding.is_none() && !settled.contains(leaf) {
                        settled.push(*leaf);
                    }
                }
            }
            prop_assert!(host.state.sizes().leaves <= MAX_LEAVES);
            if !again.stored.is_empty() {
                prop_assert_eq!(again.round(&seen).iter().map(Option::is_some).collect::<Vec<_>>(),
                    found.iter().map(Option::is_some).collect::<Vec<_>>());
            }
        }
    }
}
