//! How many looks are taken at a time, in all and at one address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Targets that are resolved or waited for at a time, for each look that may be under way.
pub const TARGETS_PER_LOOK: usize = 4;
/// Names that are asked for at a time, however many looks there may be: each has sockets of its own.
pub const MAX_NAMES: usize = 512;
/// Tests of remote vantages at a time, which are many looks each, for those who answer them.
pub const MAX_REMOTE_TESTS: usize = 16;

/// Whose turn it is to look: what bounds every scan that shares it.
#[derive(Debug)]
pub struct Turns {
    pub(super) concurrency: usize,
    looks: Semaphore,
    names: Semaphore,
    remote_tests: Semaphore,
    places: Mutex<Places>,
}

/// The addresses that somebody looks at, or waits to.
#[derive(Debug)]
struct Places {
    per_address: usize,
    by_address: HashMap<SocketAddr, Place>,
}

#[derive(Debug)]
struct Place {
    turns: Arc<Semaphore>,
    /// Turns that end with those who have them, since fewer are allowed now than when they were taken.
    surplus: usize,
}

impl Turns {
    /// So many looks under way at a time in all, and so many of them at one IP address and port; at least
    /// one of each.
    pub fn new(concurrency: usize, per_address: usize) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            concurrency,
            looks: Semaphore::new(concurrency),
            names: Semaphore::new(concurrency.saturating_mul(TARGETS_PER_LOOK).min(MAX_NAMES)),
            remote_tests: Semaphore::new(concurrency.min(MAX_REMOTE_TESTS)),
            places: Mutex::new(Places {
                per_address: of_one_address(per_address),
                by_address: HashMap::new(),
            }),
        }
    }

    /// Lets so many looks at one IP address and port from now on. Those under way count among them.
    pub fn set_per_address(&self, per_address: usize) {
        let now = of_one_address(per_address);
        let mut places = self.places();
        let before = std::mem::replace(&mut places.per_address, now);
        for place in places.by_address.values_mut() {
            let more = now.saturating_sub(before);
            let kept = more.min(place.surplus);
            place.surplus -= kept;
            place.turns.add_permits(more - kept);
            let fewer = before.saturating_sub(now);
            place.surplus += fewer - place.turns.forget_permits(fewer);
        }
    }

    /// How many looks are under way.
    pub fn under_way(&self) -> usize {
        self.concurrency
            .saturating_sub(self.looks.available_permits())
    }

    /// Waits for the turn at the address, and then for the turn in all.
    pub(super) async fn take(&self, address: SocketAddr) -> Turn<'_> {
        let place = {
            let mut places = self.places();
            let count = places.per_address;
            let place = places.by_address.entry(address).or_insert_with(|| Place {
                turns: Arc::new(Semaphore::new(count)),
                surplus: 0,
            });
            place.turns.clone()
        };
        // Made before waiting, so that a wait that is given up leaves nothing behind.
        let mut turn = Turn {
            turns: self,
            address,
            place,
            at_place: None,
            _of_all: None,
        };
        turn.at_place = turn.place.clone().acquire_owned().await.ok();
        turn._of_all = self.looks.acquire().await.ok();
        turn
    }

    /// Waits for the turn to ask for a name.
    pub(super) async fn take_name(&self) -> Option<SemaphorePermit<'_>> {
        self.names.acquire().await.ok()
    }

    /// Waits for the turn to have a remote vantage test.
    pub(super) async fn take_remote(&self) -> Option<SemaphorePermit<'_>> {
        self.remote_tests.acquire().await.ok()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_one_address(count: usize) -> usize {
    count.clamp(1, Semaphore::MAX_PERMITS)
}

/// A turn, or the wait for it.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    address: SocketAddr,
    place: Arc<Semaphore>,
    at_place: Option<OwnedSemaphorePermit>,
    _of_all: Option<SemaphorePermit<'a>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut places = self.turns.places();
        if let Some(mine) = self.at_place.take() {
            match places.by_address.get_mut(&self.address) {
                Some(place) if place.surplus > 0 => {
                    place.surplus -= 1;
                    mine.forget();
                }
                _ => drop(mine),
            }
        }
        // The map's and this one: nobody else is there, and under the lock nobody comes.
        if Arc::strong_count(&self.place) == 2 {
            places.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    const ADDRESS: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 443);

    #[derive(Clone, Debug)]
    enum Step {
        Come,
        /// The one with this number among those who look or wait, if there are any.
        Leave(usize),
        Set(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Come),
            3 => (0..20_usize).prop_map(Step::Leave),
            1 => (0..6_usize).prop_map(Step::Set),
        ]
    }

    /// Who looks has its turn; who waits has none yet.
    enum Guest<'a> {
        Looks { _turn: Turn<'a> },
        Waits(Pin<Box<dyn Future<Output = Turn<'a>> + 'a>>),
    }

    proptest! {
        /// However the bound moves while looks are under way: none begins beyond it, and none waits within it.
        #[test]
        fn the_bound_of_an_address_holds_for_looks_under_way_when_it_changes(steps in proptest::collection::vec(step(), 1..60)) {
            let turns = Turns::new(1000, 2);
            let mut cx = Context::from_waker(Waker::noop());
            let (mut bound, mut guests) = (2, Vec::<Guest<'_>>::new());
            for step in steps {
                let looking = |guests: &[Guest<'_>]| guests.iter().filter(|g| matches!(g, Guest::Looks { .. })).count();
                match step {
                    Step::Come => guests.push(Guest::Waits(Box::pin(turns.take(ADDRESS)))),
                    Step::Leave(number) if !guests.is_empty() => drop(guests.remove(number % guests.len())),
                    Step::Leave(_) => {}
                    Step::Set(count) => {
                        turns.set_per_address(count);
                        bound = count.max(1);
                    }
                }
                let before = looking(&guests);
                for guest in &mut guests {
                    if let Guest::Waits(wait) = guest
                        && let Poll::Ready(turn) = wait.as_mut().poll(&mut cx)
                    {
                        *guest = Guest::Looks { _turn: turn };
                    }
                }
                let after = looking(&guests);
                prop_assert!(after <= bound || after == before, "{after} of {bound}");
                prop_assert!(after >= bound || after == guests.len(), "{after} of {bound}, {} are here", guests.len());
                prop_assert_eq!(turns.under_way(), after);
            }
            drop(guests);
            prop_assert!(turns.places().by_address.is_empty());
        }
    }
}
