//! Limits of concurrent work. Each group of probes has its own connection slots. All groups share
//! the limit of one address.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::model::{Hostname, Vantage};

/// Maximum targets that are resolved or wait, for each connection slot.
pub const TARGETS_PER_SLOT: usize = 4;
/// Maximum concurrent name lookups of a group, regardless of its connection slots: each lookup has
/// its own sockets.
pub const MAX_NAMES: usize = 512;
/// Maximum concurrent tests of one remote vantage, each of which is many probes for the vantage.
pub const MAX_REMOTE_TESTS: usize = 16;
/// Maximum addresses of one name that are probed on demand.
pub const MAX_ON_DEMAND_ADDRESSES: usize = 100;
/// Divisor of the connection slots. The quotient is for on-demand probes, the rest for the monitor.
const ON_DEMAND_SHARE: usize = 4;
/// Divisor of the limit of one address. The quotient is the limit for on-demand probes.
const ON_DEMAND_ADDRESS_SHARE: usize = 2;
/// Divisor of the threads that judge. The quotient is the limit for one host.
const JUDGING_SHARE: usize = 2;
/// Divisor of a group's connection slots. The quotient is the limit for the addresses of one
/// target, and for those of all hosts that DNS gives for one entry.
pub const TARGET_SHARE: usize = 2;

/// The permits of one group of probes, shared by its scans.
#[derive(Debug)]
pub struct Permits {
    slot_count: usize,
    /// Connection slots.
    slots: Semaphore,
    names: Semaphore,
    /// One permit for each thread that judges.
    judging: Arc<Semaphore>,
    judging_threads: usize,
    /// The share of each host of these threads.
    judging_hosts: Mutex<HashMap<Hostname, Arc<Semaphore>>>,
    remote_tests: Mutex<HashMap<Vantage, Arc<Semaphore>>>,
    /// Connection slots of the entries whose hosts DNS gives, by the keys of the entries.
    entries: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
    /// Waits of a monitor's probes, which are its lag. Other probes are due when they start.
    waits: Option<Mutex<Waits>>,
    addresses: Arc<Addresses>,
    is_on_demand: bool,
}

/// Limits of single addresses.
#[derive(Debug)]
struct Addresses {
    /// Limits for all groups together.
    all: AddressLimits,
    /// Limits for on-demand probes, so that few of them wait ahead of the monitor's.
    on_demand: AddressLimits,
}

impl Addresses {
    fn new(per_address: usize) -> Self {
        Self {
            all: AddressLimits::new(per_address),
            on_demand: AddressLimits::new(per_address / ON_DEMAND_ADDRESS_SHARE),
        }
    }
}

impl Permits {
    /// Creates permits for `concurrency` concurrent probes, with at most `per_address` at one IP
    /// address and port. Each limit is at least one.
    pub fn new(concurrency: usize, per_address: usize) -> Self {
        let addresses = Arc::new(Addresses::new(per_address));
        Self {
            waits: None,
            ..Self::of_group(concurrency, addresses, false)
        }
    }

    /// Creates the permits of a monitor and those of on-demand probes, which divide `concurrency`.
    /// At least one probe of each group runs. `per_address` limits both together.
    pub fn of_monitor(concurrency: usize, per_address: usize) -> (Self, Self) {
        let addresses = Arc::new(Addresses::new(per_address));
        let on_demand = (concurrency / ON_DEMAND_SHARE).max(1);
        let of_monitor = concurrency.saturating_sub(on_demand);
        (
            Self::of_group(of_monitor, addresses.clone(), false),
            Self::of_group(on_demand, addresses, true),
        )
    }

    fn of_group(slots: usize, addresses: Arc<Addresses>, is_on_demand: bool) -> Self {
        Self::with_threads(
            slots,
            addresses,
            is_on_demand,
            judging_threads(is_on_demand),
        )
    }

    fn with_threads(
        slots: usize,
        addresses: Arc<Addresses>,
        is_on_demand: bool,
        judging_threads: usize,
    ) -> Self {
        let slots = slots.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slot_count: slots,
            slots: Semaphore::new(slots),
            names: Semaphore::new(slots.saturating_mul(TARGETS_PER_SLOT).min(MAX_NAMES)),
            judging: Arc::new(Semaphore::new(judging_threads)),
            judging_threads,
            judging_hosts: Mutex::default(),
            remote_tests: Mutex::default(),
            entries: Mutex::default(),
            waits: Some(Mutex::default()),
            addresses,
            is_on_demand,
        }
    }

    /// Sets the maximum concurrent probes of one IP address and port, for this group and those that
    /// share it. Running probes count.
    pub fn set_per_address(&self, per_address: usize) {
        self.addresses.all.set(per_address);
        let on_demand = per_address / ON_DEMAND_ADDRESS_SHARE;
        self.addresses.on_demand.set(on_demand);
    }

    /// Returns the number of connection slots in use.
    pub fn in_use(&self) -> usize {
        self.slot_count
            .saturating_sub(self.slots.available_permits())
    }

    /// Returns the number of connection slots.
    pub fn slots(&self) -> usize {
        self.slot_count
    }

    /// Returns true if the permits are those of on-demand probes.
    pub(super) fn is_on_demand(&self) -> bool {
        self.is_on_demand
    }

    /// Records a wait for permits until the returned value is dropped; `since` is the time at which
    /// the probe was due, if it is not now.
    pub(super) fn wait(&self, since: Option<Instant>) -> Option<Wait<'_>> {
        let all = self.waits.as_ref()?;
        let since = since.unwrap_or_else(Instant::now);
        let mut waits = lock(all);
        waits.last += 1;
        let wait = (since, waits.last);
        waits.running.insert(wait);
        drop(waits);
        Some(Wait { waits: all, wait })
    }

    /// Returns the time since which the longest-waiting probe that has started has been due, as of
    /// `now`. It is zero if no probe waits for permits.
    pub fn longest_wait(&self, now: Instant) -> Duration {
        let waits = self.waits.as_ref().map(lock);
        let oldest = waits.as_ref().and_then(|waits| waits.running.first());
        oldest.map_or(Duration::ZERO, |(since, _)| {
            now.saturating_duration_since(*since)
        })
    }

    /// Returns the maximum concurrent probes of one target's addresses.
    pub(super) fn slots_of_target(&self) -> usize {
        (self.slot_count / TARGET_SHARE).max(1)
    }

    /// Waits for a connection slot, and for the limit of the address.
    pub(super) async fn probe(&self, address: SocketAddr) -> ProbePermit<'_> {
        let Addresses { all, on_demand } = &*self.addresses;
        if !self.is_on_demand {
            let at_address = all.acquire(address).await;
            let slot = self.slots.acquire().await.ok();
            return ProbePermit {
                _at_address: [Some(at_address), None],
                _slot: slot,
            };
        }
        // The slot comes first. Otherwise a probe that waits for one would block the address for
        // the monitor.
        let own = on_demand.acquire(address).await;
        let slot = self.slots.acquire().await.ok();
        let at_address = all.acquire(address).await;
        ProbePermit {
            _at_address: [Some(at_address), Some(own)],
            _slot: slot,
        }
    }

    /// Waits for one of the connection slots that all hosts of an entry may use together.
    pub(super) async fn entry(&self, key: &Arc<str>) -> Option<OwnedSemaphorePermit> {
        let permits = {
            let mut all = lock(&self.entries);
            // Removes entries without a running probe.
            all.retain(|known, permits| known == key || Arc::strong_count(permits) > 1);
            let new = || Arc::new(Semaphore::new(self.slots_of_target()));
            all.entry(key.clone()).or_insert_with(new).clone()
        };
        permits.acquire_owned().await.ok()
    }

    /// Waits for a permit to resolve a name.
    pub(super) async fn name(&self) -> Option<SemaphorePermit<'_>> {
        self.names.acquire().await.ok()
    }

    /// Waits for a permit to use a thread for judging a chain of this host. One host has at most
    /// half of the threads.
    pub(super) async fn judging(&self, host: &Hostname) -> JudgingPermit {
        let permits = {
            let mut all = lock(&self.judging_hosts);
            all.retain(|known, permits| known == host || Arc::strong_count(permits) > 1);
            let share = (self.judging_threads / JUDGING_SHARE).max(1);
            let new = || Arc::new(Semaphore::new(share));
            all.entry(host.clone()).or_insert_with(new).clone()
        };
        let of_host = permits.acquire_owned().await.ok();
        let thread = self.judging.clone().acquire_owned().await.ok();
        JudgingPermit {
            _thread: thread,
            _of_host: of_host,
        }
    }

    /// Waits for a permit for a test of a remote vantage. Each vantage has its own permits.
    pub(super) async fn remote_test(&self, vantage: &Vantage) -> Option<OwnedSemaphorePermit> {
        let permits = {
            let mut all = lock(&self.remote_tests);
            // Removes vantages of earlier configurations.
            all.retain(|known, permits| known == vantage || Arc::strong_count(permits) > 1);
            let new = || Arc::new(Semaphore::new(self.slot_count.min(MAX_REMOTE_TESTS)));
            all.entry(vantage.clone()).or_insert_with(new).clone()
        };
        permits.acquire_owned().await.ok()
    }
}

/// Returns the number of threads that judge: one for each processor, and half as many for on-demand
/// probes.
fn judging_threads(is_on_demand: bool) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if is_on_demand {
        (processors / 2).max(1)
    } else {
        processors
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Probes that wait for permits.
#[derive(Debug, Default)]
struct Waits {
    /// Each wait, by the time at which its probe was due. The number makes it unique.
    running: BTreeSet<(Instant, u64)>,
    last: u64,
}

/// A wait for permits. It ends when it is dropped.
pub(super) struct Wait<'a> {
    waits: &'a Mutex<Waits>,
    wait: (Instant, u64),
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        lock(self.waits).running.remove(&self.wait);
    }
}

/// Permit to use a thread for judging. It is released when it is dropped.
pub(super) struct JudgingPermit {
    _thread: Option<OwnedSemaphorePermit>,
    _of_host: Option<OwnedSemaphorePermit>,
}

/// Permit to probe an address. It is released when it is dropped.
pub(super) struct ProbePermit<'a> {
    _at_address: [Option<AddressPermit<'a>>; 2],
    _slot: Option<SemaphorePermit<'a>>,
}

/// Limits of the addresses that are probed now, or for which a probe waits.
#[derive(Debug)]
struct AddressLimits(Mutex<ByAddress>);

#[derive(Debug)]
struct ByAddress {
    per_address: usize,
    limits: HashMap<SocketAddr, AddressLimit>,
}

#[derive(Debug)]
struct AddressLimit {
    permits: Arc<Semaphore>,
    /// Permits that are removed when their probes end, because the limit was lowered meanwhile.
    surplus: usize,
}

impl AddressLimits {
    fn new(per_address: usize) -> Self {
        Self(Mutex::new(ByAddress {
            per_address: at_least_one(per_address),
            limits: HashMap::new(),
        }))
    }

    fn set(&self, per_address: usize) {
        let now = at_least_one(per_address);
        let mut all = lock(&self.0);
        let before = std::mem::replace(&mut all.per_address, now);
        for limit in all.limits.values_mut() {
            let more = now.saturating_sub(before);
            let kept = more.min(limit.surplus);
            limit.surplus -= kept;
            limit.permits.add_permits(more - kept);
            let fewer = before.saturating_sub(now);
            limit.surplus += fewer - limit.permits.forget_permits(fewer);
        }
    }

    async fn acquire(&self, address: SocketAddr) -> AddressPermit<'_> {
        let permits = {
            let mut all = lock(&self.0);
            let count = all.per_address;
            let limit = all.limits.entry(address).or_insert_with(|| AddressLimit {
                permits: Arc::new(Semaphore::new(count)),
                surplus: 0,
            });
            limit.permits.clone()
        };
        // Created before the wait, so that a cancelled wait leaves nothing behind.
        let mut permit = AddressPermit {
            limits: self,
            address,
            permits,
            held: None,
        };
        permit.held = permit.permits.clone().acquire_owned().await.ok();
        permit
    }
}

fn at_least_one(count: usize) -> usize {
    count.clamp(1, Semaphore::MAX_PERMITS)
}

/// Permit of an address, or the wait for it.
struct AddressPermit<'a> {
    limits: &'a AddressLimits,
    address: SocketAddr,
    permits: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Drop for AddressPermit<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.limits.0);
        if let Some(held) = self.held.take() {
            match all.limits.get_mut(&self.address) {
                Some(limit) if limit.surplus > 0 => {
                    limit.surplus -= 1;
                    held.forget();
                }
                _ => drop(held),
            }
        }
        // Only the map and this permit hold the semaphore, and the lock prevents others from
        // getting it.
        if Arc::strong_count(&self.permits) == 2 {
            all.limits.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests;
