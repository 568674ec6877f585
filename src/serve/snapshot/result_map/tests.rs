use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::super::results::EndpointResult;
use super::*;
use crate::finding::{Detail, EntryNotes, Finding, Wanted};
use crate::judge::{Flags, Judged, Verdict};
use crate::model::{KeyType, Protocol, Timings, Vantage};
use crate::observation::{ErrorKind, Observation, Outcome, ProbeError};

fn target(number: usize) -> Target {
    Target {
        certificate: format!("web{}", number % 300),
        hostname: format!("h{number}.example").parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

/// Result of an endpoint: last byte of the address, vantage, severity, age in intervals, and whether
/// its entry has an interval of its own.
type Probed = (u8, bool, u8, i64, bool);

const NOW: Timestamp = Timestamp(1_795_000_000);
const INTERVAL: Duration = Duration::from_secs(300);
/// Interval of the entries with their own.
const OWN_INTERVAL: Duration = Duration::from_secs(1000);
const SEVERITIES: [Severity; 5] = [
    Severity::Ok,
    Severity::Info,
    Severity::Warning,
    Severity::Unknown,
    Severity::Critical,
];

fn judged(target: &Target, (ip, is_remote, severity, _, has_interval): Probed) -> Judged {
    let error = ProbeError::new(ErrorKind::ConnectTimeout, "no answer");
    let vantage = if is_remote { "north" } else { Vantage::LOCAL };
    let observation = Observation {
        target: target.clone().into(),
        ip: Some(Ipv4Addr::new(192, 0, 2, ip).into()),
        key_type: KeyType::Any,
        vantage: Vantage::named(vantage),
        timings: Timings::default(),
        outcome: Outcome::Failed(error.clone()),
    };
    let mut judged = Judged::failed(observation, error);
    let severity = SEVERITIES[usize::from(severity) % SEVERITIES.len()];
    if severity != Severity::Unknown {
        judged.verdict = Verdict::Conclusive(Flags {
            correct: true,
            chained: true,
            dummy: false,
            trusted: None,
            hostname_match: None,
            expired: None,
            not_yet_valid: None,
            revoked: None,
        });
    }
    if ![Severity::Unknown, Severity::Ok].contains(&severity) {
        let mut finding = Finding::new(Detail::WrongCertificate {
            served: None,
            is_newer: false,
            expected: Wanted::Fingerprint,
        });
        finding.severity = severity;
        judged.findings.push(finding);
    }
    judged.notes = Arc::new(EntryNotes {
        interval: has_interval.then_some(OWN_INTERVAL),
        ..EntryNotes::default()
    });
    assert_eq!(judged.severity(), severity);
    judged
}

fn results(number: usize, probed: &[Probed]) -> Arc<TargetResults> {
    let target = Arc::new(target(number));
    let mut results = TargetResults::new(target.clone());
    for probed in probed {
        let judged = Arc::new(judged(&target, *probed));
        let interval = if probed.4 { OWN_INTERVAL } else { INTERVAL };
        let age = probed.3 * i64::try_from(interval.as_secs()).unwrap() / 2;
        let at = (Timestamp(NOW.0 - age), Duration::ZERO);
        results.put(EndpointResult::new(judged.clone(), judged, at, 0, None));
    }
    Arc::new(results)
}

/// Checks that everything that the index returns is the same as from all results.
pub(in crate::serve) fn check_index(map: &ResultMap, now: Timestamp, interval: Duration) {
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    let mut stale = 0;
    // Of each target: the severities of the endpoints at the time of their probes, and now.
    let mut all: Vec<(&Target, Vec<(Severity, Severity)>)> = Vec::new();
    for results in map.iter() {
        let mut places: BTreeMap<_, (Severity, bool)> = BTreeMap::new();
        for result in &results.endpoints {
            let o = result.observation();
            let place = places.entry((o.ip, o.key_type));
            let place = place.or_insert((Severity::Ok, false));
            place.0 = place.0.max(result.judged.severity());
            let interval = result.judged.notes.interval.unwrap_or(interval);
            place.1 |= now.0 - result.at.0 > 2 * i64::try_from(interval.as_secs()).unwrap();
        }
        let mut severities = Vec::new();
        for (severity, is_stale) in places.into_values() {
            let floor = if is_stale {
                Severity::Unknown
            } else {
                severity
            };
            stale += usize::from(is_stale);
            *counts.entry(severity.max(floor)).or_default() += 1;
            severities.push((severity, severity.max(floor)));
        }
        all.push((&results.target, severities));
    }
    let (found, found_stale) = map.counts(now, interval);
    assert_eq!(found_stale, stale);
    assert_eq!(found.total(), counts.values().sum::<usize>());
    for severity in SEVERITIES {
        let count = counts.get(&severity).copied().unwrap_or(0);
        assert_eq!(found.of(severity), count, "{severity}");
        let then = |(then, _): &(Severity, Severity)| *then == severity;
        let wanted = all.iter().filter(|(_, all)| all.iter().any(then));
        let found = map.with(severity).map(|r| &*r.target);
        assert!(found.eq(wanted.map(|(target, _)| *target)), "{severity}");
    }
    for least in [Severity::Info, Severity::Warning] {
        let now_is = |(_, is): &(Severity, Severity)| *is >= least;
        let wanted = all.iter().filter(|(_, all)| all.iter().any(now_is));
        let found = map.at_least(least, now, interval).map(|r| &*r.target);
        assert!(found.eq(wanted.map(|(target, _)| *target)), "{least}");
    }
    let probed = all.iter().filter(|(_, severities)| !severities.is_empty());
    assert_eq!(map.probed_count(), probed.clone().count());
    assert!(map.probed().eq(probed.map(|(target, _)| *target)));
    let mut names: Vec<String> = all.iter().map(|(t, _)| t.certificate.clone()).collect();
    names.dedup();
    names.extend(["", "none", "~"].map(str::to_owned));
    for name in &names {
        let wanted = all.iter().filter(|(t, _)| t.certificate == *name);
        let found = map.of_certificate(name).map(|r| &*r.target);
        assert!(found.eq(wanted.map(|(target, _)| *target)), "{name}");
    }
}

fn probed() -> impl Strategy<Value = Vec<Probed>> {
    // Most endpoints are ok, as in reality.
    let severity = prop_oneof![4 => Just(0_u8), 1 => 0_u8..5];
    let one = (0_u8..3, any::<bool>(), severity, 0_i64..6, any::<bool>());
    prop::collection::vec(one, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The map has the same content as a sorted map, and a copy that was published does not change.
    /// Its index is that of its content, at any time.
    #[test]
    fn chunked_map_behaves_as_a_sorted_map(
        steps in prop::collection::vec((0usize..2000, 0u8..20, probed()), 0..1500),
        later in 0_i64..4000, interval in 1_u64..1000,
    ) {
        let mut map = ResultMap::default();
        let mut model: BTreeMap<Target, Arc<TargetResults>> = BTreeMap::new();
        let mut published = (map.clone(), model.clone());
        for (number, step, probed) in steps {
            match step {
                0 => {
                    let is_wanted = |t: &Target| t.hostname.to_string().len() % 2 == number % 2;
                    map.retain(is_wanted);
                    model.retain(|target, _| is_wanted(target));
                }
                1 => published = (map.clone(), model.clone()),
                _ => {
                    let results = results(number, &probed);
                    map.put(results.clone());
                    model.insert(target(number), results);
                }
            }
            let is_there = map.get(&target(number)).is_some();
            prop_assert_eq!(is_there, model.contains_key(&target(number)));
        }
        for (map, model) in [&published, &(map, model)] {
            let all: Vec<*const TargetResults> = map.iter().map(Arc::as_ptr).collect();
            let wanted: Vec<*const TargetResults> = model.values().map(Arc::as_ptr).collect();
            prop_assert_eq!(all, wanted);
            let nodes = || map.nodes.iter().map(|node| &*node.content);
            prop_assert!(nodes().all(|node| !node.is_empty() && node.len() <= MAX_NODE));
            let mut chunks = nodes().flatten().map(|chunk| &*chunk.content);
            prop_assert!(chunks.all(|chunk| !chunk.is_empty() && chunk.len() <= MAX_CHUNK));
            for now in [NOW, Timestamp(NOW.0 + later), Timestamp(NOW.0 - later)] {
                check_index(map, now, Duration::from_secs(interval));
                check_index(map, now, INTERVAL);
            }
        }
    }
}

/// Prints the cost of one published result among 100,000: `cargo test --lib publish_cost --
/// --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "a measurement prints")]
fn publish_cost() {
    const TARGETS: usize = 100_000;
    const CHANGES: usize = 10_000;
    let mut map = ResultMap::default();
    let ok = |number| results(number, &[(1, false, 0, 0, false)]);
    (0..TARGETS).for_each(|number| map.put(ok(number)));
    let published = arc_swap::ArcSwap::from_pointee(map.clone());
    let start = std::time::Instant::now();
    for change in 0..CHANGES {
        map.put(ok(change * 7919 % TARGETS));
        published.store(Arc::new(map.clone()));
    }
    let each = start.elapsed() / u32::try_from(CHANGES).unwrap();
    println!("{each:?} for one of {TARGETS}, {} nodes", map.nodes.len());
}
