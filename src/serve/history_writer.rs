//! Writer of the state directory. It has its own thread, so that no probe waits for the disk.
//!
//! While the folder cannot be written, the thread keeps the last note about each subject, and tries
//! to write them again at an interval.

mod unwritten;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::model::Timestamp;
use crate::store::{KnownLeaf, Place, Remembered, Store, StoreError};

use super::snapshot::EndpointResult;
use unwritten::Unwritten;

/// Maximum notes that wait to be written. If the disk is too slow, further notes are lost, and this
/// is logged.
const MAX_WAITING: usize = 1 << 14;

/// Maximum duration of one write. After it, the disk is taken to hang. A write waits up to 10 s for
/// another process.
const MAX_WRITE: Duration = Duration::from_secs(30);

/// Time between two attempts to write into a state directory that cannot be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two checks that the state directory was not removed, while nothing is written.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// State directory of a monitor.
#[derive(Debug)]
pub(super) struct StateFolder {
    folder: PathBuf,
    /// Database for the start: writable, or at least readable.
    store: Option<Store>,
    /// Error if it is not writable.
    error: Option<StoreError>,
}

impl StateFolder {
    /// Opens a state directory. If the disk is full, or the database cannot be written for another
    /// reason that may pass, the folder is used for reading, and is opened again later.
    ///
    /// # Errors
    /// Returns the errors of [`Store::open`] that do not pass.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let (store, error) = match Store::open(folder) {
            Ok(store) => (Some(store), None),
            Err(error) if error.is_temporary() => {
                tracing::error!("the state cannot be kept: {error}");
                (Store::open_to_read(folder).ok(), Some(error))
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            folder: folder.to_owned(),
            store,
            error,
        })
    }

    /// Returns the database, if it can be read.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }
}

/// Health of the state directory, shared between the writing thread and `/metrics`.
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
    /// Starts the thread, which writes into a state directory.
    pub(super) fn new(folder: StateFolder) -> Self {
        let (notes, waiting) = sync_channel(MAX_WAITING);
        let (end, ended) = oneshot::channel();
        let left = Arc::new(AtomicUsize::new(0));
        let still_left = left.clone();
        let health = Arc::new(StateHealth::default());
        let mut writer = Writer::new(folder, health.clone(), still_left);
        std::thread::spawn(move || {
            writer.run(&waiting);
            // Closes the database, before the process may end.
            drop(writer);
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

    /// Returns the health of the state directory.
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

/// State of the thread that writes.
struct Writer {
    folder: PathBuf,
    store: Option<Store>,
    /// Database that is no longer at its path. It is written there again.
    removed: Option<Store>,
    health: Arc<StateHealth>,
    /// Number of notes that are not written yet.
    left: Arc<AtomicUsize>,
    /// Notes that could not be written.
    unwritten: Unwritten,
    /// Time of the next attempt to write them.
    retry_at: Option<Instant>,
    /// Last reported error. An error that repeats is logged once.
    reported: Option<String>,
}

impl Writer {
    fn new(folder: StateFolder, health: Arc<StateHealth>, left: Arc<AtomicUsize>) -> Self {
        let StateFolder {
            folder,
            store,
            error,
        } = folder;
        let is_writable = error.is_none();
        health.has_failed.store(!is_writable, Ordering::Relaxed);
        Self {
            folder,
            // A database that is open for reading is not needed any more.
            store: store.filter(|_| is_writable),
            removed: None,
            health,
            left,
            unwritten: Unwritten::default(),
            retry_at: (!is_writable).then(|| Instant::now() + RETRY_INTERVAL),
            reported: error.map(|error| error.to_string()),
        }
    }

    /// Writes notes until there is no sender.
    fn run(&mut self, notes: &Receiver<Note>) {
        loop {
            let note = match self.retry_at {
                None => notes.recv_timeout(CHECK_INTERVAL),
                Some(at) => match at.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => Err(RecvTimeoutError::Timeout),
                    wait => notes.recv_timeout(wait),
                },
            };
            match note {
                Ok(note) => self.take(note),
                Err(RecvTimeoutError::Timeout) if self.retry_at.is_some() => self.retry(),
                Err(RecvTimeoutError::Timeout) => {
                    if !self.is_in_place() {
                        self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.retry_at.is_some() {
            self.retry();
        }
        if let lost @ 1.. = self.unwritten.count() {
            tracing::error!("the state could not be kept: {lost} notes are given up");
        }
    }

    /// Writes a note, or keeps it until the folder can be written.
    fn take(&mut self, note: Note) {
        match self.retry_at {
            None => {
                if self.write(note) {
                    self.left.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
                self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
            }
            Some(_) => self.keep(note),
        }
        self.unwritten.add_count();
    }

    /// Tries to write the notes that could not be written.
    fn retry(&mut self) {
        self.retry_at = None;
        if self.store.is_none() {
            *self.health.writing() = Some(Instant::now());
            let restored = self.removed.as_ref().map_or(Ok(()), Store::restore);
            let opened = restored.and_then(|()| {
                // Its lock may be on the file that is locked next.
                self.removed = None;
                Store::open(&self.folder)
            });
            *self.health.writing() = None;
            match opened {
                Ok(store) => self.store = Some(store),
                Err(error) => {
                    self.report(&error);
                    self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
                    return;
                }
            }
        }
        while let Some(note) = self.unwritten.next() {
            if !self.write(note) {
                // The next attempt opens the database again, which another file may have replaced.
                self.store = None;
                self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
                return;
            }
        }
        let written = self.unwritten.take_count();
        self.left.fetch_sub(written, Ordering::Relaxed);
        self.succeed();
    }

    /// Writes a note. If the reason why it fails may pass, keeps the note and returns false.
    fn write(&mut self, note: Note) -> bool {
        let is_in_place = self.is_in_place();
        let Some(store) = self.store.as_ref().filter(|_| is_in_place) else {
            self.keep(note);
            return false;
        };
        *self.health.writing() = Some(Instant::now());
        let written = note.write(store);
        *self.health.writing() = None;
        match written {
            Ok(()) => self.succeed(),
            Err(error) => {
                self.report(&error);
                if error.is_temporary() {
                    self.keep(note);
                    return false;
                }
            }
        }
        true
    }

    /// Returns true if the open database is still at its path, or none is open. Otherwise gives it up,
    /// because what is written to it would be lost.
    fn is_in_place(&mut self) -> bool {
        *self.health.writing() = Some(Instant::now());
        let removed = self.store.take_if(|store| !store.is_in_place());
        *self.health.writing() = None;
        if let Some(store) = &removed {
            self.report(&store.removed());
        }
        let is_in_place = removed.is_none();
        self.removed = removed.or_else(|| self.removed.take());
        is_in_place
    }

    fn keep(&mut self, note: Note) {
        if !self.unwritten.add(note) && !self.health.is_behind.swap(true, Ordering::Relaxed) {
            tracing::error!("the state cannot be kept for so long: a part of the history is lost");
        }
    }

    fn succeed(&mut self) {
        self.health.has_failed.store(false, Ordering::Relaxed);
        if self.reported.take().is_some() {
            tracing::info!("the state is kept again");
        }
    }

    fn report(&mut self, error: &StoreError) {
        self.health.has_failed.store(true, Ordering::Relaxed);
        let error = error.to_string();
        if self.reported.as_ref() != Some(&error) {
            tracing::error!("the state cannot be kept: {error}");
            self.reported = Some(error);
        }
    }
}

impl Note {
    fn write(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Self::Probed(results) => {
                store.note_each(results.iter().map(|result| (&*result.judged, result.at)))
            }
            Self::Remember(key, said) => store.remember(key, said),
            Self::Leaves(place, leaves) => store.keep_leaves(place, leaves),
            Self::Entries(keys, now) => store.configured(keys, *now),
            Self::Prune(before) => store.prune(*before).map(drop),
        }
    }
}

#[cfg(test)]
mod tests;
