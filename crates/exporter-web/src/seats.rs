//! The connections that are taken at a time. When there are too many, the one that has rested the longest has to leave:
//! clients that keep their connections, or forget them, do not keep others out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Where nobody rests, somebody may so much later.
const ANOTHER_TRY: Duration = Duration::from_millis(50);

/// The seats, and who sits there.
pub(super) struct Seats {
    free: Arc<Semaphore>,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    next: u64,
    /// In the order in which they came.
    by_number: BTreeMap<u64, Arc<Guest>>,
}

/// One connection, as far as others have to know of it.
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

    /// Whether a request of it is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.is_answering.load(Ordering::Relaxed)
    }

    /// An answer is being made.
    pub(super) fn begin_answer(&self) {
        self.is_answering.store(true, Ordering::Relaxed);
    }

    /// The answer is made; it may still have to be written.
    pub(super) fn end_answer(&self) {
        *lock(&self.rests_since) = Instant::now();
        self.is_answering.store(false, Ordering::Relaxed);
    }

    /// Whether something waits for the other side to take it.
    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    fn is_resting(&self) -> bool {
        !self.is_answering() && !self.is_writing.load(Ordering::Relaxed)
    }

    /// Ends when the seat is needed and nothing is under way here.
    pub(super) async fn sent_away(&self) {
        loop {
            self.leave.notified().await;
            if self.is_resting() {
                return;
            }
            // A request came in the meantime.
            self.is_sent_away.store(false, Ordering::Relaxed);
        }
    }
}

/// A seat, free again when it is dropped.
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

    /// Takes a seat; where there is none, that of the guest who has rested the longest.
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
