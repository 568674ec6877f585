//! Persistent state: the last results of the sources, the last leaves of each host, and the change
//! history of each endpoint. It is one SQLite database in the folder of `--state-dir`.
//!
//! A commit is in the write-ahead log before a call returns, so a killed process loses only the
//! transaction in flight. After a power failure the last commits may be missing too
//! (`synchronous=NORMAL`, <https://www.sqlite.org/pragma.html#pragma_synchronous>), but the
//! database is consistent.

mod error;
mod history;
mod key;
mod known_leaves;
mod leaf_row;
mod lock;
mod remembered;
mod schema;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use error::StoreError;
pub use history::{Before, MAX_SPANS, MAX_SPANS_OF_ENDPOINT, Query, Replacement, Seen, Span};
pub use key::{EntryKey, KeySource};
pub use known_leaves::{KnownLeaf, Place};
pub use lock::LOCK_NAME;
pub use remembered::{FORGET_AFTER, Remembered};

use lock::FolderLock;

/// Name of the database file in its folder. SQLite creates `certvigil.db-wal` and
/// `certvigil.db-shm` beside it.
pub const FILE_NAME: &str = "certvigil.db";

/// Maximum time for which a call waits while another process writes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Size in bytes to which SQLite truncates the write-ahead log after a checkpoint.
const MAX_IDLE_LOG_BYTES: i64 = 16 << 20;

/// The database. Calls block, and concurrent calls run one after the other.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    file: PathBuf,
    /// The file that is open; `None` on systems without such an identity.
    identity: Option<(u64, u64)>,
    /// Lock that is held as long as this process may write.
    _lock: Option<FolderLock>,
}

impl Store {
    /// Opens the database of a folder for reading and writing, and locks the folder. Creates the
    /// database and the folder if they are missing; only the owner may access the new folder.
    ///
    /// # Errors
    /// Returns one line that names the file if:
    ///
    /// - the file cannot be created or opened,
    /// - another process holds the lock,
    /// - the database is damaged,
    /// - it is the database of another program, or
    /// - a newer version of certvigil wrote it.
    ///
    /// In these cases nothing is deleted or overwritten.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        make_folder(folder).map_err(|error| StoreError::of_folder(folder, error))?;
        let lock = FolderLock::take(folder)?;
        let file = folder.join(FILE_NAME);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let prepare = |connection: &mut Connection| {
            // This check precedes every change, so that the database of another program stays as it
            // is.
            schema::version(connection)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "journal_size_limit", MAX_IDLE_LOG_BYTES)?;
            schema::bring_up_to_date(connection)
        };
        let store = Self::open_with(file, flags, prepare)?;
        Ok(Self {
            _lock: Some(lock),
            ..store
        })
    }

    /// Opens the database of a folder read-only. Another process may write to it meanwhile.
    ///
    /// # Errors
    /// Returns the errors of [`Store::open`], and an error if there is no database.
    pub fn open_to_read(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join(FILE_NAME);
        match std::fs::metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Missing(file));
            }
            Err(error) => return Err(StoreError::Unreadable { file, error }),
            Ok(_) => {}
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::open_with(file, flags, |connection| schema::expect_current(connection))
    }

    fn open_with(
        file: PathBuf,
        flags: OpenFlags,
        prepare: impl FnOnce(&mut Connection) -> Result<(), schema::Unfit>,
    ) -> Result<Self, StoreError> {
        let opened = Connection::open_with_flags(&file, flags).map_err(schema::Unfit::from);
        let ready = opened.and_then(|mut connection| {
            connection.busy_timeout(PATIENCE)?;
            prepare(&mut connection)?;
            Ok(connection)
        });
        match ready {
            Ok(connection) => Ok(Self {
                connection: Mutex::new(connection),
                identity: identity_of(&file),
                file,
                _lock: None,
            }),
            Err(unfit) => Err(StoreError::of_opening(file, unfit)),
        }
    }

    /// Returns true if the open database is still the one at its path. It is not after the folder was
    /// removed or replaced.
    pub fn is_in_place(&self) -> bool {
        identity_of(&self.file) == self.identity
    }

    /// Writes the open database to its path again, if the file and its log were removed. Creates the
    /// folder if it is missing.
    ///
    /// # Errors
    /// Returns one line that names the folder or the file if they cannot be written.
    pub fn restore(&self) -> Result<(), StoreError> {
        let folder = self.file.parent().unwrap_or_else(|| Path::new("."));
        make_folder(folder).map_err(|error| StoreError::of_folder(folder, error))?;
        // A log beside a copy of its database would be applied to it again.
        let has_rest = ["", "-wal"].into_iter().any(|end| {
            let mut path = self.file.clone().into_os_string();
            path.push(end);
            Path::new(&path).exists()
        });
        if has_rest {
            return Ok(());
        }
        let file = self.file.to_string_lossy();
        let copied = self.connection().execute("VACUUM INTO ?", [&file]);
        copied.map(drop).map_err(|error| self.failed(error))
    }

    /// Returns the error for a database that is no longer at its path.
    pub fn removed(&self) -> StoreError {
        StoreError::Removed(self.file.clone())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite {
            file: self.file.clone(),
            error,
        }
    }
}

/// Returns the device and the number of a file (`stat(2)`).
#[cfg(unix)]
fn identity_of(file: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(file).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity_of(_file: &Path) -> Option<(u64, u64)> {
    None
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}
