use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Protocol, Target};

const MINUTE: Duration = Duration::from_secs(60);

fn target(number: usize) -> Target {
    Target {
        certificate: "c".into(),
        hostname: format!("h{number}.example").parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

/// Makes these the targets.
fn keep(queue: &mut DueQueue<Target>, targets: &BTreeSet<Target>, now: Duration) {
    queue.retain(|target| targets.contains(target));
    queue.add_all(targets.iter().cloned(), MINUTE, now);
}

fn targets(count: usize) -> BTreeSet<Target> {
    (0..count).map(target).collect()
}

/// Runs every key that is due until `end`. Returns the times of the runs.
fn run(queue: &mut DueQueue<Target>, end: Duration) -> BTreeMap<Target, Vec<Duration>> {
    let mut runs: BTreeMap<Target, Vec<Duration>> = BTreeMap::new();
    while let Some(now) = queue.next_due().filter(|due| *due < end) {
        let target = queue.start(now).unwrap();
        assert!(queue.finish(&target, MINUTE, now));
        runs.entry(target).or_default().push(now);
    }
    runs
}

#[test]
fn a_waiting_key_has_a_due_time() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(1), Duration::ZERO);
    assert_eq!(queue.due(&target(0)), Some(Duration::ZERO));
    queue.start(Duration::ZERO);
    assert_eq!(queue.due(&target(0)), None);
    queue.finish(&target(0), MINUTE, Duration::ZERO);
    assert_eq!(queue.due(&target(0)), queue.next_due());
    assert!(queue.due(&target(0)) > Some(Duration::ZERO));
    assert_eq!(queue.due(&target(1)), None);
}

#[test]
fn every_key_runs_once_in_every_interval() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(100), Duration::ZERO);
    let runs = run(&mut queue, 10 * MINUTE);
    assert_eq!(runs.len(), 100);
    for times in runs.values() {
        assert!((10..=11).contains(&times.len()), "{times:?}");
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] <= MINUTE);
        }
    }
}

#[test]
fn runs_are_spread_over_the_interval() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(6000), Duration::ZERO);
    let runs = run(&mut queue, 3 * MINUTE);
    let mut seconds = [0; 60];
    for time in runs.values().flatten().filter(|t| **t >= 2 * MINUTE) {
        seconds[usize::try_from(time.as_secs()).unwrap() % 60] += 1;
    }
    // A hundred a second on average; no second has twice that, none less than half.
    assert!(seconds.iter().all(|n| (50..200).contains(n)), "{seconds:?}");
}

#[test]
fn first_runs_start_with_a_gap_within_one_interval() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(10), Duration::ZERO);
    let first: Vec<Duration> = queue.queue.iter().map(|(due, _)| *due).collect();
    assert_eq!(first[0], Duration::ZERO);
    assert_eq!(first[9], 9 * FIRST_RUNS_GAP);
    // Very many do not take longer than an interval.
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(10_000), Duration::ZERO);
    assert!(queue.queue.last().unwrap().0 <= MINUTE);
}

#[test]
fn a_long_run_does_not_overlap_with_itself() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(1), Duration::ZERO);
    assert!(queue.start(Duration::ZERO).is_some());
    assert_eq!(queue.start(10 * MINUTE), None);
    queue.hurry(&target(0), 10 * MINUTE);
    assert_eq!(queue.start(10 * MINUTE), None);
    // Its result may be older than the hurry.
    assert!(queue.finish(&target(0), MINUTE, 11 * MINUTE));
    assert_eq!(queue.start(11 * MINUTE), Some(target(0)));
}

#[test]
fn hurried_key_runs_first_and_then_on_schedule() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(50), Duration::ZERO);
    run(&mut queue, 2 * MINUTE);
    let now = 2 * MINUTE;
    while queue.start(now).is_some() {}
    let last = queue.queue.last().unwrap().1.clone();
    queue.hurry(&last, now);
    assert_eq!(queue.start(now), Some(last.clone()));
    assert_eq!(queue.lag(now), Duration::ZERO);
    queue.finish(&last, MINUTE, now);
    assert!(queue.queue.iter().any(|(due, t)| *t == last && *due > now));
}

#[test]
fn a_removed_key_is_forgotten_and_may_be_added_again() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(2), Duration::ZERO);
    let first = queue.start(Duration::ZERO).unwrap();
    keep(&mut queue, &targets(0), Duration::ZERO);
    assert_eq!(queue.next_due(), None);
    // It is added again while it runs: there is still only one run at a time.
    keep(&mut queue, &BTreeSet::from([first.clone()]), Duration::ZERO);
    assert_eq!(queue.start(MINUTE), None);
    assert!(queue.finish(&first, MINUTE, Duration::ZERO));
    keep(&mut queue, &targets(0), Duration::ZERO);
    assert!(!queue.finish(&first, MINUTE, Duration::ZERO));
    assert!(queue.slots.is_empty() && queue.queue.is_empty());
}

#[test]
fn shorter_interval_applies_at_once() {
    let mut queue = DueQueue::default();
    keep(&mut queue, &targets(20), Duration::ZERO);
    run(&mut queue, MINUTE);
    queue.set_interval(MINUTE, MINUTE);
    assert_eq!(
        run(&mut queue, 2 * MINUTE + Duration::from_secs(1)).len(),
        20
    );
}

proptest! {
    #[test]
    fn next_due_time_is_within_one_interval(now in 0u64..1 << 50, interval in 1u64..1 << 44, number in 0usize..50) {
        let interval = Duration::from_nanos(interval);
        let now = Duration::from_nanos(now);
        let next = next_place(&target(number), interval, now);
        prop_assert!(next > now && next - now <= interval.max(MIN_INTERVAL));
    }

    /// Each key has one place, whether it repeats in an interval, as probes do, or at given times, as requests do.
    #[test]
    fn queue_and_slots_stay_consistent(
        repeats in any::<bool>(),
        steps in proptest::collection::vec((0u8..8, 0usize..8), 0..80),
    ) {
        let mut queue = DueQueue::default();
        let mut now = Duration::ZERO;
        let mut present: BTreeSet<Target> = BTreeSet::new();
        let mut running: BTreeSet<Target> = BTreeSet::new();
        let mut again: BTreeSet<Target> = BTreeSet::new();
        for (step, number) in steps {
            now += Duration::from_secs(7);
            let one = target(number);
            match step {
                0 => {
                    present = targets(number);
                    keep(&mut queue, &present, now);
                    again.retain(|key| present.contains(key));
                }
                1 => {
                    queue.add(one.clone(), now + MINUTE);
                    present.insert(one);
                }
                2 => {
                    queue.remove(&one);
                    present.remove(&one);
                    again.remove(&one);
                }
                3 => {
                    queue.hurry(&one, now);
                    if present.contains(&one) && running.contains(&one) {
                        again.insert(one);
                    } else if present.contains(&one) {
                        prop_assert!(queue.due(&one) <= Some(now));
                    }
                }
                4 => queue.set_interval(MINUTE * (u32::try_from(number).unwrap() + 1), now),
                5 | 6 => if let Some(key) = queue.start(now) {
                    prop_assert!(present.contains(&key));
                    prop_assert!(running.insert(key), "it runs twice at once");
                },
                _ => if let Some(key) = running.pop_first() {
                    let next = (number > 0).then_some(now + MINUTE);
                    let is_wanted = match repeats {
                        true => queue.finish(&key, MINUTE, now),
                        false => queue.finish_at(&key, next, now),
                    };
                    prop_assert_eq!(is_wanted, present.contains(&key));
                    let is_again = again.remove(&key);
                    if is_again {
                        prop_assert_eq!(queue.due(&key), Some(now));
                    }
                    if !repeats && next.is_none() && !is_again {
                        present.remove(&key);
                    }
                },
            }
            let waiting = queue.slots.iter().filter_map(|(target, slot)| match slot {
                Slot::Waiting { due } => Some((*due, target.clone())),
                Slot::Running { .. } => None,
            });
            prop_assert_eq!(waiting.collect::<BTreeSet<_>>(), queue.queue.clone());
            prop_assert_eq!(queue.running(), running.len());
            prop_assert!(running.iter().all(|key| queue.is_running(key)));
            prop_assert_eq!(queue.keys().cloned().collect::<BTreeSet<_>>(), present.clone());
            prop_assert_eq!(queue.len(), present.union(&running).count());
        }
    }
}

/// After a suspension that is longer than the interval, keys run in their order, spaced as first runs
/// are. After a shorter one, they run at the time of the clock at which they would have run.
#[test]
fn keys_catch_up_with_the_clock_without_running_all_at_once() {
    const COUNT: usize = 100;
    let start = || {
        let mut queue = DueQueue::default();
        keep(&mut queue, &targets(COUNT), Duration::ZERO);
        run(&mut queue, MINUTE);
        let due: BTreeMap<Target, Duration> = (0..COUNT)
            .map(|number| (target(number), queue.due(&target(number)).unwrap()))
            .collect();
        (queue, due)
    };
    let now = MINUTE;
    let (mut queue, before) = start();
    queue.catch_up(60 * MINUTE, MINUTE, now);
    let mut all: Vec<(Duration, Duration)> = before
        .iter()
        .map(|(target, before)| (*before, queue.due(target).unwrap()))
        .collect();
    all.sort();
    for (number, (before, due)) in all.iter().enumerate() {
        let turn = now + FIRST_RUNS_GAP * u32::try_from(number).unwrap();
        assert_eq!(*due, turn.min(*before));
    }
    let (mut queue, before) = start();
    let short = MINUTE / 4;
    queue.catch_up(short, MINUTE, now);
    for (target, before) in before {
        let due = queue.due(&target).unwrap();
        assert!(due <= before && due >= now, "{due:?}");
        if before >= now + short + FIRST_RUNS_GAP * 100 {
            assert_eq!(due, before - short);
        }
    }
}
