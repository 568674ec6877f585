//! Reading of files that the web configuration names.

use std::io::Read as _;
use std::path::Path;

use super::error::FileError;
use super::limits::MAX_FILE_BYTES;

/// Reads a file of bounded size.
pub(super) fn read_bounded(file: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| FileError::Unreadable(e.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

/// Logs a warning if all users of the machine can read a file with a key.
#[cfg(unix)]
pub(super) fn warn_if_readable_by_others(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o007 != 0) {
        tracing::warn!(
            "{}: everybody can read this secret; chmod o= it",
            file.display()
        );
    }
}

/// Does nothing on systems where files have no mode.
#[cfg(not(unix))]
pub(super) fn warn_if_readable_by_others(_file: &Path) {}
