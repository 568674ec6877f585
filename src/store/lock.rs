//! The lock of the state folder: one monitor at a time writes to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// The lock file's name in the state folder. It stays there; the operating system releases the lock when the process
/// ends, however it ends.
pub const LOCK_NAME: &str = "certvigil.lock";

/// The lock of a state folder, released on drop.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks a folder.
    ///
    /// # Errors
    /// One line: another process has the lock, or the file cannot be written. A file system without locks is a warning.
    pub(super) fn take(folder: &Path) -> Result<Self, String> {
        let path = folder.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = options.open(&path).map_err(|error| {
            format!(
                "{}: cannot open the lock file: {error}; check the owner, the permissions and the free space of the folder",
                path.display()
            )
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "{}: another certvigil monitor uses this state folder; stop that monitor, or give this one another --state-dir",
                    folder.display()
                ));
            }
            Err(TryLockError::Error(error)) => tracing::warn!(
                "cannot lock the state folder {}: {error}; make sure that no other monitor uses it",
                folder.display()
            ),
        }
        Ok(Self { _file: file })
    }
}
