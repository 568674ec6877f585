//! Lock of the state directory: only one monitor writes to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreError;

/// Name of the lock file in the state directory. The file is not deleted; the operating system
/// releases the lock when the process exits, even if it crashes.
pub const LOCK_NAME: &str = "certvigil.lock";

/// Lock of a state directory, released on drop.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file is not sufficient: until it executes its program, a process that is being
        // started has a copy of the descriptor, and so the lock.
        let _ = self.file.unlock();
    }
}

impl FolderLock {
    /// Locks a folder.
    ///
    /// # Errors
    /// Returns one line if another process holds the lock, or if the file cannot be written. A file
    /// system without locks is only a warning.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) => return Err(StoreError::LockFile { file: path, error }),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked(folder.to_owned()));
            }
            Err(TryLockError::Error(error)) => tracing::warn!(
                "cannot lock the state directory {}: {error}; make sure that no other monitor uses it",
                folder.display()
            ),
        }
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_released_although_a_process_has_a_copy_of_its_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(FolderLock::take(folder.path()).is_err());
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
        drop(copy);
    }
}
