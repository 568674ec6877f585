//! The schedule under a clock of the test's own: a model of a monitor whose looks are quick, slow or dead, whose targets
//! come and go, and which has only so many hands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use certvigil::model::{Protocol, Target};
use certvigil::schedule::DueQueue;
use proptest::prelude::*;

const INTERVAL: Duration = Duration::from_secs(60);
/// One look in so many may be what one target has and another has not, besides two at the ends.
const UNEVEN: usize = 8;

/// A place to look at: the times that looks at it take, in turn.
#[derive(Clone, Debug)]
struct Endpoint {
    looks: Vec<Duration>,
}

impl Endpoint {
    fn longest(&self) -> Duration {
        self.looks.iter().max().copied().unwrap_or_default()
    }
}

/// At this time the targets with these numbers are all that there are.
#[derive(Clone, Debug)]
struct Change {
    at: Duration,
    present: BTreeSet<usize>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    /// Since when it has been among the targets, and is still.
    since: Option<Duration>,
    /// When looks began, in this presence.
    starts: Vec<Duration>,
    finished: Option<Duration>,
    /// The looks of all presences.
    looks: usize,
}

/// What a run has shown.
#[derive(Debug)]
struct Outcome {
    seen: Vec<Seen>,
    /// The longest time that somebody who was there was not looked at.
    longest_gap: Duration,
    /// The longest lag that was told.
    lag: Duration,
}

fn target(number: usize) -> Target {
    Target {
        certificate: "c".into(),
        hostname: format!("h{number}.example").parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
    }
}

/// Runs a monitor with this many hands from zero to `end`.
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
        // Who has waited for longer than an interval since their last look is told of by the lag.
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

/// Quick ones, slow ones, dead ones that cost the whole timeout, and those that are now this and now that.
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

/// All endpoints from the beginning, and then some of them come and go.
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

/// The time that one round of all looks takes with this many hands, where each takes as long as it ever does.
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
    // A failure is shown as a whole: no file of seeds is kept.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// The work fits where a round and the longest look are no longer than an interval together: then even where all
    /// come due at once, nobody misses a turn.
    #[test]
    fn as_long_as_the_work_fits_everybody_is_looked_at_once_in_two_intervals((endpoints, changes) in fleet()) {
        let mut hands = 1;
        while round(&endpoints, hands) + longest(&endpoints) > INTERVAL {
            hands += 1;
        }
        let outcome = run(&endpoints, hands, &changes, 20 * INTERVAL)?;
        prop_assert!(outcome.longest_gap <= 2 * INTERVAL, "{:?}", outcome.longest_gap);
        let bound = round(&endpoints, hands);
        prop_assert!(outcome.lag <= bound, "{:?} of {bound:?}", outcome.lag);
    }

    /// However the looks differ in what they take, and wherever the places in the interval are.
    #[test]
    fn where_the_work_does_not_fit_everybody_has_as_many_looks_as_the_others(
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
        // A round is longer than the interval, and that is told.
        prop_assert!(outcome.lag + longest(&endpoints) >= work, "{:?} of {work:?}", outcome.lag);
    }
}
