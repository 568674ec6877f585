//! Writer of the state folder. It has its own thread, so that no probe waits for the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::model::Timestamp;
use crate::store::{KnownLeaf, Place, Remembered, Store, StoreError};

use super::snapshot::EndpointResult;

/// Maximum notes that wait to be written. If the disk is too slow, further notes are lost, and this
/// is logged.
const MAX_WAITING: usize = 1 << 14;

/// Maximum duration of one write. After it, the disk is taken to hang. A write waits up to 10 s for
/// another process.
const MAX_WRITE: Duration = Duration::from_secs(30);

/// Minimum time between two attempts to open a state folder that could not be opened at the start.
const REOPEN_DISTANCE: Duration = Duration::from_secs(15);

/// State folder of a monitor.
#[derive(Debug)]
pub(super) struct StateFolder {
    folder: PathBuf,
    /// Database for the start: writable, or at least readable.
    store: Option<Store>,
    is_writable: bool,
}

impl StateFolder {
    /// Opens a state folder. If the disk is full, or the database cannot be written for another
    /// reason that may pass, the folder is used for reading, and is opened again later.
    ///
    /// # Errors
    /// Returns the errors of [`Store::open`] that do not pass.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let (store, is_writable) = match Store::open(folder) {
            Ok(store) => (Some(store), true),
            Err(error) if error.is_temporary() => {
                tracing::error!("the state cannot be kept: {error}");
                (Store::open_to_read(folder).ok(), false)
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            folder: folder.to_owned(),
            store,
            is_writable,
        })
    }

    /// Returns the database, if it can be read.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }
}

/// Health of the state folder, shared between the writing thread and `/metrics`.
#[derive(Debug, Default)]
pub(super) struct StateHealth {
    /// The last write failed.
    has_failed: AtomicBool,
    /// Notes were lost because the disk is too slow, and none has been accepted since.
    is_behind: AtomicBool,
    /// Start of the running write.
    writing_since: Mutex<Option<Instant>>,
}

impl StateHealth {
    /// Returns true if the last write succeeded, as of `now`.
    pub(super) fn is_up(&self, now: Instant) -> bool {
        let hangs = self.writing().is_some_and(|since| now - since > MAX_WRITE);
        !hangs
            && !self.has_failed.load(Ordering::Relaxed)
            && !self.is_behind.load(Ordering::Relaxed)
    }

    fn writing(&self) -> MutexGuard<'_, Option<Instant>> {
        let lock = self.writing_since.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Note to write.
#[derive(Debug)]
pub(super) enum Note {
    /// Results of a probe.
    Probed(Vec<Arc<EndpointResult>>),
    /// Certificates that the source of this entry returned.
    Remember(String, Vec<Remembered>),
    /// Known leaves of a host.
    Leaves(Place, Vec<KnownLeaf>),
    /// Keys of all configured entries, as of a time.
    Entries(BTreeSet<String>, Timestamp),
    /// Command to delete the history before this time.
    Prune(Timestamp),
}

/// Thread that writes.
pub(super) struct HistoryWriter {
    notes: SyncSender<Note>,
    /// Number of notes that are not written yet.
    left: Arc<AtomicUsize>,
    health: Arc<StateHealth>,
    ended: oneshot::Receiver<()>,
}

impl HistoryWriter {
    /// Starts the thread, which writes into a state folder.
    pub(super) fn new(folder: StateFolder) -> Self {
        let (notes, waiting) = sync_channel(MAX_WAITING);
        let (end, ended) = oneshot::channel();
        let left = Arc::new(AtomicUsize::new(0));
        let still_left = left.clone();
        let health = Arc::new(StateHealth::default());
        let of_thread = health.clone();
        health
            .has_failed
            .store(!folder.is_writable, Ordering::Relaxed);
        std::thread::spawn(move || {
            let store = match folder {
                StateFolder {
                    store: Some(store),
                    is_writable: true,
                    ..
                } => Some(store),
                // The database is not held open for reading while it is opened again.
                StateFolder { folder, store, .. } => {
                    drop(store);
                    open_later(&folder, &waiting, &still_left, &of_thread)
                }
            };
            if let Some(store) = store {
                write_all(&store, &waiting, &still_left, &of_thread);
            }
            // `finish` no longer waits if its deadline has passed.
            let _ = end.send(());
        });
        Self {
            notes,
            left,
            health,
            ended,
        }
    }

    /// Returns the health of the state folder.
    pub(super) fn health(&self) -> Arc<StateHealth> {
        self.health.clone()
    }

    /// Queues a note after the earlier ones.
    pub(super) fn write(&self, note: Note) {
        // The note is counted before it is sent, because the thread may write it at once.
        self.left.fetch_add(1, Ordering::Relaxed);
        let Err(error) = self.notes.try_send(note) else {
            self.health.is_behind.store(false, Ordering::Relaxed);
            return;
        };
        self.left.fetch_sub(1, Ordering::Relaxed);
        // The thread runs as long as this sender exists, so a full queue is the only error.
        if matches!(error, TrySendError::Full(_))
            && !self.health.is_behind.swap(true, Ordering::Relaxed)
        {
            tracing::error!("the disk does not keep up: a part of the history is lost");
        }
    }

    /// Waits until all notes are written, or until `deadline`. Each write may wait for another
    /// process that locks the database, and there may be thousands of notes. After the deadline the
    /// remaining notes are lost. The thread cannot be interrupted and ends with the process.
    pub(super) async fn finish(self, deadline: Instant) {
        drop(self.notes);
        match timeout_at(deadline, self.ended).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("the state could not be written to its end"),
            Err(_) => tracing::error!(
                "the state could not be written in time: {} notes are given up",
                self.left.load(Ordering::Relaxed)
            ),
        }
    }
}

/// Opens a state folder again from time to time, and drops the notes until then. Returns `None` if
/// the monitor stops before.
fn open_later(
    folder: &Path,
    notes: &Receiver<Note>,
    left: &AtomicUsize,
    health: &StateHealth,
) -> Option<Store> {
    let mut next = Instant::now() + REOPEN_DISTANCE;
    while notes.recv().is_ok() {
        left.fetch_sub(1, Ordering::Relaxed);
        if Instant::now() < next {
            continue;
        }
        match Store::open(folder) {
            Ok(store) => {
                health.has_failed.store(false, Ordering::Relaxed);
                tracing::info!("the state is kept again");
                return Some(store);
            }
            Err(error) => tracing::debug!("the state cannot be kept: {error}"),
        }
        next = Instant::now() + REOPEN_DISTANCE;
    }
    None
}

fn write_all(store: &Store, notes: &Receiver<Note>, left: &AtomicUsize, health: &StateHealth) {
    // An error that repeats is logged once.
    let mut reported = None;
    while let Ok(note) = notes.recv() {
        *health.writing() = Some(Instant::now());
        let written = match note {
            Note::Probed(results) => {
                store.note_each(results.iter().map(|result| (&*result.judged, result.at)))
            }
            Note::Remember(key, said) => store.remember(&key, &said),
            Note::Leaves(place, leaves) => store.keep_leaves(&place, &leaves),
            Note::Entries(keys, now) => store.configured(&keys, now),
            Note::Prune(before) => store.prune(before).map(drop),
        };
        *health.writing() = None;
        left.fetch_sub(1, Ordering::Relaxed);
        health.has_failed.store(written.is_err(), Ordering::Relaxed);
        match written.map_err(|e| e.to_string()) {
            Ok(()) => {
                if reported.take().is_some() {
                    tracing::info!("the state is kept again");
                }
            }
            Err(error) if reported.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::error!("the state cannot be kept: {error}");
                reported = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FILE_NAME;

    #[test]
    fn state_is_down_after_a_failed_or_hanging_write() {
        let health = StateHealth::default();
        let now = Instant::now();
        assert!(health.is_up(now));
        *health.writing() = Some(now);
        assert!(health.is_up(now + MAX_WRITE));
        assert!(!health.is_up(now + MAX_WRITE + Duration::from_millis(1)));
        *health.writing() = None;
        health.is_behind.store(true, Ordering::Relaxed);
        assert!(!health.is_up(now));
    }

    /// Writes one note, waits for the result, and returns true if the state is healthy then.
    fn tried(store: &Store, health: &StateHealth) -> bool {
        let (notes, waiting) = sync_channel(1);
        let note = Note::Entries(BTreeSet::from(["x".to_owned()]), Timestamp(0));
        notes.send(note).unwrap();
        drop(notes);
        write_all(store, &waiting, &AtomicUsize::new(1), health);
        health.is_up(Instant::now())
    }

    #[test]
    fn state_is_up_again_after_a_successful_write() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let other = rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap();
        let health = StateHealth::default();
        assert!(tried(&store, &health));
        let fails =
            "CREATE TRIGGER fails BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'x'); END";
        other.execute_batch(fails).unwrap();
        assert!(!tried(&store, &health));
        other.execute_batch("DROP TRIGGER fails").unwrap();
        assert!(tried(&store, &health));
    }
}
