//! Writes to the state folder, on a thread of its own: no look waits for a disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::model::Timestamp;
use crate::store::{Remembered, Store};

use super::board::Looked;

/// Notes that wait to be written; where a disk is so slow, further ones are lost, and the log says so.
const MAX_WAITING: usize = 1 << 14;

/// What is to be kept.
pub(super) enum Note {
    /// What was seen at a target.
    Looked(Arc<Looked>),
    /// What the source of this entry said.
    Said(String, Vec<Remembered>),
    /// The configuration has these entries as of a time, and no others.
    Entries(BTreeSet<String>, Timestamp),
    /// History before this time is old enough to go.
    Prune(Timestamp),
}

/// The thread that writes.
pub(super) struct Keeper {
    notes: SyncSender<Note>,
    /// Notes that are not written yet.
    left: Arc<AtomicUsize>,
    is_behind: bool,
    ended: oneshot::Receiver<()>,
}

impl Keeper {
    /// Begins to write into a store.
    pub(super) fn new(store: Store) -> Self {
        let (notes, waiting) = sync_channel(MAX_WAITING);
        let (end, ended) = oneshot::channel();
        let left = Arc::new(AtomicUsize::new(0));
        let still_left = left.clone();
        std::thread::spawn(move || {
            write_all(&store, &waiting, &still_left);
            // Nobody waits for it any more where this took too long.
            let _ = end.send(());
        });
        Self {
            notes,
            left,
            is_behind: false,
            ended,
        }
    }

    /// Has something written in its turn.
    pub(super) fn keep(&mut self, note: Note) {
        // Counted before, or it could be written before it counts.
        self.left.fetch_add(1, Ordering::Relaxed);
        let Err(error) = self.notes.try_send(note) else {
            self.is_behind = false;
            return;
        };
        self.left.fetch_sub(1, Ordering::Relaxed);
        // The thread ends only with this.
        if matches!(error, TrySendError::Full(_)) && !self.is_behind {
            self.is_behind = true;
            tracing::error!("the disk does not keep up: a part of the history is lost");
        }
    }

    /// Waits until all is written, or until `deadline`. Each note may wait for whoever holds the database, and there may
    /// be thousands: what is left then is given up, and the thread, which nothing can wake, ends with the process.
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

fn write_all(store: &Store, notes: &Receiver<Note>, left: &AtomicUsize) {
    // What fails again in the same way is told once.
    let mut told = None;
    while let Ok(note) = notes.recv() {
        let written = match note {
            Note::Looked(looked) => store.note(&looked.results, looked.at),
            Note::Said(key, said) => store.remember(&key, &said),
            Note::Entries(keys, now) => store.configured(&keys, now),
            Note::Prune(before) => store.prune(before).map(drop),
        };
        left.fetch_sub(1, Ordering::Relaxed);
        match written {
            Ok(()) => {
                if told.take().is_some() {
                    tracing::info!("the state is kept again");
                }
            }
            Err(error) if told.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::error!("the state cannot be kept: {error}");
                told = Some(error);
            }
        }
    }
}
