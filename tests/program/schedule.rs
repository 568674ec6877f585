//! The schedule under a simulated clock: a model of a monitor with few permits. Its probes are
//! quick, slow or dead, and its targets come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use certvigil::model::{Protocol, Target};
use certvigil::schedule::DueQueue;
use proptest::prelude::*;

const INTERVAL: Duration = Duration::from_secs(60);
/// Divisor in the maximum difference in probes between two targets: `2 + most / UNEVEN`.
const UNEVEN: usize = 8;

/// An endpoint: the durations of its probes, repeated in order.
#[derive(Clone, Debug)]
struct Endpoint {
    looks: Vec<Duration>,
}

impl Endpoint {
    fn longest(&self) -> Duration {
        self.looks.iter().max().copied().unwrap_or_default()
    }
}

/// From this time on, the targets with these numbers are the only ones.
#[derive(Clone, Debug)]
struct Change {
    at: Duration,
    present: BTreeSet<usize>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    /// Time since which it has been one of the targets, if it still is.
    since: Option<Duration>,
    /// Start times of the probes since then.
    starts: Vec<Duration>,
    finished: Option<Duration>,
    /// Number of all probes, including earlier presences.
    looks: usize,
}

/// Measurements of a run.
#[derive(Debug)]
struct Outcome {
    seen: Vec<Seen>,
    /// Longest time without a probe of a present target.
    longest_gap: Duration,
    /// Longest lag that was reported.
    lag: Duration,
}

fn target(number: usize) -> Target {
    Target {
        certificate: "c".into(),
        hostname: format!("h{number}.example").parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

/// Runs a monitor with this many permits from zero to `end`.
fn run(
    endpoints: &[Endpoint],
    hands: usize,
    changes: &[Change],
    end: Duration,
) -> Result<Outcome, TestCaseError> {
    let targets: Vec<Target> = (0..endpoints.len()).map(target).collect();
    let numbers: BTreeMap<&Target, usize> = targets.iter().zip(0..).collect();
    let mut schedule = DueQueue::default();
    let mut seen = vec![Seen::default(); endpoints.len()];
    let mut under_way: BTreeSet<(Duration, usize)> = BTreeSet::new();
    let mut changes = changes.iter().peekable();
    let (mut longest_gap, mut lag) = (Duration::ZERO, Duration::ZERO);
    let mut now = Duration::ZERO;
    while now < end {
        while let Some(change) = changes.next_if(|change| change.at <= now) {
            let kept: BTreeSet<Target> =
                change.present.iter().map(|n| targets[*n].clone()).collect();
            schedule.retain(|target| kept.contains(target));
            schedule.add_all(kept, INTERVAL, now);
            for (number, seen) in seen.iter_mut().enumerate() {
                if !change.present.contains(&number) {
                    seen.since = None;
                } else if seen.since.is_none() {
                    seen.since = Some(now);
                    seen.starts.clear();
                }
            }
        }
        while let Some((_, number)) = under_way
            .first()
            .filter(|(until, _)| *until <= now)
            .copied()
        {
            under_way.pop_first();
            let is_wanted = schedule.finish(&targets[number], INTERVAL, now);
            prop_assert_eq!(is_wanted, seen[number].since.is_some());
            seen[number].finished = Some(now);
        }
        lag = lag.max(schedule.lag(now));
        while under_way.len() < hands
            && let Some(next) = schedule.start(now)
        {
            let number = numbers[&next];
            prop_assert!(
                under_way.iter().all(|(_, other)| *other != number),
                "twice at once"
            );
            let this = &mut seen[number];
            let before = this.starts.last().copied().or(this.since);
            prop_assert!(before.is_some(), "looked at though it is gone");
            longest_gap = longest_gap.max(now - before.unwrap());
            this.starts.push(now);
            let looks = &endpoints[number].looks;
            under_way.insert((now + looks[this.looks % looks.len()], number));
            this.looks += 1;
        }
        // The lag covers each target whose last probe is more than an interval ago.
        let told = schedule.lag(now);
        for (number, this) in seen.iter().enumerate() {
            let is_busy = under_way.iter().any(|(_, busy)| *busy == number);
            if let (Some(since), false) = (this.since, is_busy) {
                let idle_from = this.finished.map_or(since, |finished| finished.max(since));
                let overdue = now.saturating_sub(idle_from + INTERVAL);
                prop_assert!(
                    told >= overdue,
                    "{number}: {overdue:?} overdue, {told:?} told"
                );
            }
        }
        let due = schedule.next_due().filter(|_| under_way.len() < hands);
        let done = under_way.first().map(|(until, _)| *until);
        let change = changes.peek().map(|change| change.at);
        now = due
            .into_iter()
            .chain(done)
            .chain(change)
            .min()
            .unwrap_or(end);
    }
    for this in &seen {
        if let Some(since) = this.since {
            let last = this.starts.last().copied().unwrap_or(since);
            longest_gap = longest_gap.max(end.saturating_sub(last));
        }
    }
    Ok(Outcome {
        seen,
        longest_gap,
        lag,
    })
}

/// Quick endpoints, slow ones, dead ones whose probes take the whole timeout, and mixed ones.
fn endpoint() -> impl Strategy<Value = Endpoint> {
    let quick = 1u64..200;
    let slow = 200u64..5_000;
    let dead = Just(10_000u64);
    let mixed =
        proptest::collection::vec(prop_oneof![1u64..200, 200u64..5_000, Just(10_000u64)], 1..5);
    let looks = prop_oneof![
        6 => quick.prop_map(|ms| vec![ms]),
        2 => slow.prop_map(|ms| vec![ms]),
        1 => dead.prop_map(|ms| vec![ms]),
        2 => mixed,
    ];
    looks.prop_map(|looks| Endpoint {
        looks: looks.into_iter().map(Duration::from_millis).collect(),
    })
}

/// All endpoints at the start; later some of them come and go.
fn changes(count: usize) -> impl Strategy<Value = Vec<Change>> {
    let present = proptest::collection::btree_set(0..count, 0..=count);
    let later = proptest::collection::vec((0u64..900, present), 0..6);
    later.prop_map(move |later| {
        let mut changes = vec![Change {
            at: Duration::ZERO,
            present: (0..count).collect(),
        }];
        changes.extend(later.into_iter().map(|(s, present)| Change {
            at: Duration::from_secs(s),
            present,
        }));
        changes.sort_by_key(|change| change.at);
        changes
    })
}

fn fleet() -> impl Strategy<Value = (Vec<Endpoint>, Vec<Change>)> {
    proptest::collection::vec(endpoint(), 1..60).prop_flat_map(|endpoints| {
        let changes = changes(endpoints.len());
        (Just(endpoints), changes)
    })
}

/// Duration of one round of all probes with this many permits, where each takes its longest time.
fn round(endpoints: &[Endpoint], hands: usize) -> Duration {
    let work: Duration = endpoints.iter().map(Endpoint::longest).sum();
    work / u32::try_from(hands).unwrap()
}

fn longest(endpoints: &[Endpoint]) -> Duration {
    endpoints
        .iter()
        .map(Endpoint::longest)
        .max()
        .unwrap_or_default()
}

proptest! {
    // A failure prints the whole case, so no file of seeds is kept.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// The work fits if a round and the longest probe together are no longer than an interval. Then
    /// no target misses a probe, even if all become due at once.
    #[test]
    fn every_target_is_probed_within_two_intervals_if_load_fits((endpoints, changes) in fleet()) {
        let mut hands = 1;
        while round(&endpoints, hands) + longest(&endpoints) > INTERVAL {
            hands += 1;
        }
        let outcome = run(&endpoints, hands, &changes, 20 * INTERVAL)?;
        prop_assert!(outcome.longest_gap <= 2 * INTERVAL, "{:?}", outcome.longest_gap);
        let bound = round(&endpoints, hands);
        prop_assert!(outcome.lag <= bound, "{:?} of {bound:?}", outcome.lag);
    }

    /// The durations of the probes and the offsets in the interval may differ in any way.
    #[test]
    fn overload_gives_every_target_the_same_number_of_probes(
        endpoints in proptest::collection::vec(endpoint(), 2..60),
        hands in 1usize..6,
    ) {
        let quickest: Duration = endpoints.iter().filter_map(|e| e.looks.iter().min()).sum();
        let work = quickest / u32::try_from(hands).unwrap();
        prop_assume!(work > INTERVAL);
        let all = [Change { at: Duration::ZERO, present: (0..endpoints.len()).collect() }];
        let outcome = run(&endpoints, hands, &all, 30 * round(&endpoints, hands))?;
        let counts: Vec<usize> = outcome.seen.iter().map(|seen| seen.looks).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= 2 + most / UNEVEN, "{counts:?}");
        // A round is longer than the interval, and the lag reports that.
        prop_assert!(outcome.lag + longest(&endpoints) >= work, "{:?} of {work:?}", outcome.lag);
    }
}
