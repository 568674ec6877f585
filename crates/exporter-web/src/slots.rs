//! Limit for concurrent connections. At the limit, the server closes the longest-idle connection,
//! so that clients with kept-alive or forgotten connections do not block others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Time until the next search for an idle connection, if there was none.
const RETRY_AFTER_BUSY: Duration = Duration::from_millis(50);

/// Connection slots, and the connections that occupy them.
pub(super) struct ConnectionSlots {
    free: Arc<Semaphore>,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    next: u64,
    /// Connections by number, in the order in which they were accepted.
    by_number: BTreeMap<u64, Arc<ConnectionState>>,
}

/// State of one connection that the limit depends on.
pub(super) struct ConnectionState {
    is_answering: AtomicBool,
    is_writing: AtomicBool,
    is_closing: AtomicBool,
    idle_since: Mutex<Instant>,
    leave: Notify,
}

impl ConnectionState {
    pub(super) fn new() -> Self {
        Self {
            is_answering: AtomicBool::new(false),
            is_writing: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
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
        *lock(&self.idle_since) = Instant::now();
        self.is_answering.store(false, Ordering::Relaxed);
    }

    /// Records whether a write waits for the client to receive data.
    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        !self.is_answering() && !self.is_writing.load(Ordering::Relaxed)
    }

    /// Returns when the slot is needed and the connection is idle.
    pub(super) async fn must_close(&self) {
        loop {
            self.leave.notified().await;
            if self.is_idle() {
                return;
            }
            // A request arrived in the meantime.
            self.is_closing.store(false, Ordering::Relaxed);
        }
    }
}

/// Connection slot, which is released when it is dropped.
pub(super) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    number: u64,
    pub(super) state: Arc<ConnectionState>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.connections().by_number.remove(&self.number);
    }
}

impl ConnectionSlots {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count)),
            connections: Mutex::default(),
        })
    }

    /// Takes a connection slot. If none is free, closes the longest-idle connection.
    pub(super) async fn take(self: &Arc<Self>) -> ConnectionSlot {
        let mut permit = self.free.clone().try_acquire_owned().ok();
        while permit.is_none() {
            self.close_longest_idle();
            let free = self.free.clone().acquire_owned();
            permit = timeout(RETRY_AFTER_BUSY, free)
                .await
                .ok()
                .and_then(Result::ok);
        }
        let state = Arc::new(ConnectionState::new());
        let mut connections = self.connections();
        let number = connections.next;
        connections.next += 1;
        connections.by_number.insert(number, state.clone());
        drop(connections);
        ConnectionSlot {
            slots: self.clone(),
            number,
            state,
            _permit: permit,
        }
    }

    fn close_longest_idle(&self) {
        let connections = self.connections();
        let resting = connections
            .by_number
            .values()
            .filter(|state| state.is_idle() && !state.is_closing.load(Ordering::Relaxed));
        if let Some(state) = resting.min_by_key(|state| *lock(&state.idle_since)) {
            state.is_closing.store(true, Ordering::Relaxed);
            state.leave.notify_one();
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        lock(&self.connections)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
