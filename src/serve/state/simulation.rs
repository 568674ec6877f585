//! The state in simulated worlds. Servers, vantages, sources and DNS are slow, dead, wrong or
//! unreachable, and reloads remove and add entries. Every step is checked against the truth. A seed
//! replays its world.

mod checks;
mod renewals;
mod world;

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use world::{Kind, World};

const HOUR: Duration = Duration::from_secs(3600);

/// Random numbers that depend only on the seed (splitmix64).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// Returns true with a probability of one in `count`.
    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn between(&mut self, from: Duration, until: Duration) -> Duration {
        let span = u64::try_from((until - from).as_millis()).unwrap();
        from + Duration::from_millis(self.next() % (span + 1))
    }
}

/// Runs the world of each seed, on all processors, until one fails.
fn run_all(seeds: std::ops::Range<u64>, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let run_some = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                next.store(seeds.end, Ordering::Relaxed);
                resume_unwind(panic);
            }
        }
    };
    let count = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(run_some)).collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    });
}

/// Long runs in which the work fits: every target is probed in time, despite all failures.
#[test]
fn simulated_results_are_correct_and_timely_despite_failures() {
    const HOURS: u32 = 64;
    let hours = AtomicU32::new(0);
    run_all(0..160, |seed| {
        World::new(seed, Kind::Fitting).run(HOURS * HOUR);
        hours.fetch_add(HOURS, Ordering::Relaxed);
    });
    assert!(hours.into_inner() >= 10_000);
}

/// Short intervals, and files that are fetched again every minute.
#[test]
fn simulated_results_are_correct_with_short_intervals() {
    run_all(0..40, |seed| World::new(seed, Kind::Dense).run(HOUR));
}

/// Probes of dead servers take longer than the interval in total: all targets are probed equally
/// often.
#[test]
fn simulated_overload_is_shared_evenly_with_a_correct_lag() {
    run_all(0..20, |seed| {
        let mut world = World::new(seed, Kind::Overloaded);
        world.run(HOUR);
        world.check_evenness();
    });
}
