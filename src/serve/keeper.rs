//! Writes to the state folder, on a thread of its own: no look waits for a disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

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
    /// There are no entries but these.
    Entries(BTreeSet<String>),
    /// History before this time is old enough to go.
    Prune(Timestamp),
}

/// The thread that writes.
pub(super) struct Keeper {
    notes: SyncSender<Note>,
    thread: JoinHandle<()>,
    is_behind: bool,
}

impl Keeper {
    /// Begins to write into a store.
    pub(super) fn new(store: Store) -> Self {
        let (notes, waiting) = sync_channel(MAX_WAITING);
        Self {
            notes,
            thread: std::thread::spawn(move || write_all(&store, &waiting)),
            is_behind: false,
        }
    }

    /// Has something written in its turn.
    pub(super) fn keep(&mut self, note: Note) {
        match self.notes.try_send(note) {
            Ok(()) => self.is_behind = false,
            Err(TrySendError::Full(_)) if self.is_behind => {}
            Err(TrySendError::Full(_)) => {
                self.is_behind = true;
                tracing::error!("the disk does not keep up: a part of the history is lost");
            }
            // The thread ends only with this.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// Waits until all is written.
    pub(super) fn finish(self) {
        drop(self.notes);
        if self.thread.join().is_err() {
            tracing::error!("the state could not be written to its end");
        }
    }
}

fn write_all(store: &Store, notes: &Receiver<Note>) {
    // What fails again in the same way is told once.
    let mut told = None;
    while let Ok(note) = notes.recv() {
        let written = match note {
            Note::Looked(looked) => store.note(&looked.results, looked.at),
            Note::Said(key, said) => store.remember(&key, &said),
            Note::Entries(keys) => store.forget(&keys),
            Note::Prune(before) => store.prune(before).map(drop),
        };
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
