//! Errors of the state directory.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::PATIENCE;
use super::schema::Unfit;

/// Failure of an operation on the state directory. It formats as one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be created.
    #[error("{}: cannot create the state directory: {error}; give another --state-dir, or check the permissions of its parent", folder.display())]
    Folder {
        /// State directory.
        folder: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// A file is in the place of the folder.
    #[error("--state-dir {} is not a directory; give the path of a directory, or remove the file", .0.display())]
    NotDirectory(PathBuf),
    /// The lock file cannot be opened.
    #[error(
        "{}: cannot open the lock file: {error}; check the owner, the permissions and the free space of the folder",
        file.display()
    )]
    LockFile {
        /// Lock file.
        file: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// Another process holds the lock.
    #[error(
        "{}: another certvigil monitor uses this state directory; stop that monitor, or give this one another --state-dir",
        .0.display()
    )]
    Locked(PathBuf),
    /// The database that is in use is no longer at its path.
    #[error("{}: the file was removed or replaced while it is in use", .0.display())]
    Removed(PathBuf),
    /// There is no database to read.
    #[error(
        "{}: there is no such file: give the --state-dir that monitoring was started with",
        .0.display()
    )]
    Missing(PathBuf),
    /// The database file cannot be read.
    #[error("{}: it cannot be read: {error}", file.display())]
    Unreadable {
        /// Database file.
        file: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// The database has another schema.
    #[error("{}: {what}, or move the file away to start again", file.display())]
    Unfit {
        /// Database file.
        file: PathBuf,
        /// Description of the schema, with advice.
        what: String,
    },
    /// SQLite returned an error.
    #[error("{}", in_one_line(format_args!("{}: {}", file.display(), Advised(error))))]
    Sqlite {
        /// Database file.
        file: PathBuf,
        /// Error of SQLite.
        error: rusqlite::Error,
    },
}

impl StoreError {
    /// Returns true for a fault of the disk, of permissions or of another process, which may pass
    /// while the monitor runs. A mistake in the configuration does not pass.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::LockFile { error, .. } => matches!(
                error.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Sqlite { error, .. } => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::ReadOnly
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::SystemIoFailure
                )
            ),
            Self::Removed(_) => true,
            Self::Folder { .. }
            | Self::NotDirectory(_)
            | Self::Locked(_)
            | Self::Missing(_)
            | Self::Unreadable { .. }
            | Self::Unfit { .. } => false,
        }
    }

    /// Returns the error for a folder that could not be created.
    pub(super) fn of_folder(folder: &Path, error: io::Error) -> Self {
        let folder = folder.to_owned();
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::NotDirectory(folder),
            _ => Self::Folder { folder, error },
        }
    }

    /// Returns the error for a database that could not be opened.
    pub(super) fn of_opening(file: PathBuf, unfit: Unfit) -> Self {
        match unfit {
            Unfit::Is(what) => Self::Unfit { file, what },
            Unfit::Sqlite(error) => Self::Sqlite { file, error },
        }
    }
}

/// Reason why a stored result cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    /// The content is not text.
    #[error("it is no text")]
    NoText,
    /// The content is not the JSON of a result.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// SQLite returned an error.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A certificate is not in the database.
    #[error("the certificate {0} is missing")]
    Missing(String),
    /// A certificate does not match its fingerprint.
    #[error("the certificate {0} has been changed")]
    Changed(String),
    /// A list of pins is empty, so no certificate could match it.
    #[error("its list of hashes is empty")]
    NoPins,
    /// A host name, protocol or hash is invalid.
    #[error("{0}")]
    Value(crate::error::Cause),
}

/// Message of SQLite, with advice.
struct Advised<'a>(&'a rusqlite::Error);

impl fmt::Display for Advised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.0;
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => write!(
                f,
                "it is damaged or no database ({error}): stop certvigil and move the file away, with its -wal and -shm, to start again"
            ),
            Some(ErrorCode::DiskFull) => f.write_str("the disk is full: make room on it"),
            // SQLite writes its index of the log (`-shm`) beside the database, for readers too.
            Some(ErrorCode::ReadOnly) => f.write_str(
                "it cannot be written, which reading needs too: run as the user who owns it, or correct the permissions of the file and its folder",
            ),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => write!(
                f,
                "it cannot be opened ({error}): check the owner and the permissions of the file and its folder"
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => write!(
                f,
                "another process has held it for {} seconds: let it end, or give another --state-dir",
                PATIENCE.as_secs()
            ),
            Some(ErrorCode::SystemIoFailure) => write!(
                f,
                "it cannot be read or written ({error}): check the disk, whether it is full, and the system's log"
            ),
            _ => write!(f, "the database says: {error}"),
        }
    }
}

fn in_one_line(text: fmt::Arguments<'_>) -> String {
    text.to_string().replace('\n', " ")
}
