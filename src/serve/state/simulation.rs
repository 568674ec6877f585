//! The state in simulated worlds. Servers, vantages, sources and DNS are slow, dead, wrong or
//! unreachable, and reloads remove and add entries. Every step is checked against the truth. A seed
//! replays its world.

mod checks;
mod renewals;
mod world;

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

/// Long runs in which the work fits: every target is probed in time, despite all failures.
#[test]
fn simulated_results_are_correct_and_timely_despite_failures() {
    let mut hours = 0;
    for seed in 0..160 {
        let mut world = World::new(seed, Kind::Fitting);
        world.run(64 * HOUR);
        hours += 64;
    }
    assert!(hours >= 10_000);
}

/// Short intervals, and files that are fetched again every minute.
#[test]
fn simulated_results_are_correct_with_short_intervals() {
    for seed in 0..40 {
        World::new(seed, Kind::Dense).run(HOUR);
    }
}

/// Probes of dead servers take longer than the interval in total: all targets are probed equally
/// often.
#[test]
fn simulated_overload_is_shared_evenly_with_a_correct_lag() {
    for seed in 0..20 {
        let mut world = World::new(seed, Kind::Overloaded);
        world.run(HOUR);
        world.check_evenness();
    }
}
