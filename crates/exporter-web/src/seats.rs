//! Limit for concurrent connections. At the limit, the server closes the longest-idle connection,
//! so that clients with kept-alive or forgotten connections do not block others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Time until the next search for an idle connection, if there was none.
const ANOTHER_TRY: Duration = Duration::from_millis(50);

/// Connection slots, and the connections that occupy them.
pub(super) struct Seats {
    free: Arc<Semaphore>,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    next: u64,
    /// Connections by number, in the order in which they were accepted.
    by_number: BTreeMap<u64, Arc<Guest>>,
}

/// State of one connection that the limit depends on.
pub(super) struct Guest {
    is_answering: AtomicBool,
    is_writing: AtomicBool,
    is_sent_away: AtomicBool,
    rests_since: Mutex<Instant>,
    leave: Notify,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self {
            is_answering: AtomicBool::new(false),
            is_writing: AtomicBool::new(false),
            is_sent_away: AtomicBool::new(false),
            rests_since: Mutex::new(Instant::now()),
            leave: Notify::new(),
        }
    }

    /// Returns true if a request on this connection is being handled.
    pub(super) fn is_answering(&self) -> bool {
        self.is_answering.load(Ordering::Relaxed)
    }

    /// Records that the handling of a request starts.
    pub(super) fn begin_answer(&self) {
        self.is_answering.store(true, Ordering::Relaxed);
    }

    /// Records that the response is complete. It may still need to be written.
    pub(super) fn end_answer(&self) {
        *lock(&self.rests_since) = Instant::now();
        self.is_answering.store(false, Ordering::Relaxed);
    }

    /// Records whether a write waits for the client to receive data.
    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    fn is_resting(&self) -> bool {
        !self.is_answering() && !self.is_writing.load(Ordering::Relaxed)
    }

    /// Returns when the slot is needed and the connection is idle.
    pub(super) async fn sent_away(&self) {
        loop {
            self.leave.notified().await;
            if self.is_resting() {
                return;
            }
            // A request arrived in the meantime.
            self.is_sent_away.store(false, Ordering::Relaxed);
        }
    }
}

/// Connection slot, which is released when it is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    pub(super) guest: Arc<Guest>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.guests().by_number.remove(&self.number);
    }
}

impl Seats {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count)),
            guests: Mutex::default(),
        })
    }

    /// Takes a connection slot. If none is free, closes the longest-idle connection.
    pub(super) async fn take(self: &Arc<Self>) -> Seat {
        let mut permit = self.free.clone().try_acquire_owned().ok();
        while permit.is_none() {
            self.send_away();
            let free = self.free.clone().acquire_owned();
            permit = timeout(ANOTHER_TRY, free).await.ok().and_then(Result::ok);
        }
        let guest = Arc::new(Guest::new());
        let mut guests = self.guests();
        let number = guests.next;
        guests.next += 1;
        guests.by_number.insert(number, guest.clone());
        drop(guests);
        Seat {
            seats: self.clone(),
            number,
            guest,
            _permit: permit,
        }
    }

    fn send_away(&self) {
        let guests = self.guests();
        let resting = guests
            .by_number
            .values()
            .filter(|guest| guest.is_resting() && !guest.is_sent_away.load(Ordering::Relaxed));
        if let Some(guest) = resting.min_by_key(|guest| *lock(&guest.rests_since)) {
            guest.is_sent_away.store(true, Ordering::Relaxed);
            guest.leave.notify_one();
        }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        lock(&self.guests)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
