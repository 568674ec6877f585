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
    per_address: usize,
    looks: Semaphore,
    names: Semaphore,
    remote_tests: Semaphore,
    /// Only addresses that somebody looks at, or waits to.
    places: Mutex<HashMap<SocketAddr, Arc<Semaphore>>>,
}

impl Turns {
    /// So many looks under way at a time in all, and so many of them at one IP address and port; at least
    /// one of each.
    pub fn new(concurrency: usize, per_address: usize) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            concurrency,
            per_address: per_address.clamp(1, Semaphore::MAX_PERMITS),
            looks: Semaphore::new(concurrency),
            names: Semaphore::new(concurrency.saturating_mul(TARGETS_PER_LOOK).min(MAX_NAMES)),
            remote_tests: Semaphore::new(concurrency.min(MAX_REMOTE_TESTS)),
            places: Mutex::default(),
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
            let place = places.entry(address);
            place
                .or_insert_with(|| Arc::new(Semaphore::new(self.per_address)))
                .clone()
        };
        // Made before waiting, so that a wait that is given up leaves nothing behind.
        let mut turn = Turn {
            turns: self,
            address,
            place,
            _at_place: None,
            _of_all: None,
        };
        turn._at_place = turn.place.clone().acquire_owned().await.ok();
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

    fn places(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<Semaphore>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, or the wait for it.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    address: SocketAddr,
    place: Arc<Semaphore>,
    _at_place: Option<OwnedSemaphorePermit>,
    _of_all: Option<SemaphorePermit<'a>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self._at_place = None;
        let mut places = self.turns.places();
        // The map's and this one: nobody else is there, and under the lock nobody comes.
        if Arc::strong_count(&self.place) == 2 {
            places.remove(&self.address);
        }
    }
}
