//! Reading of files that the web configuration names.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::error::FileError;
use super::limits::MAX_FILE_BYTES;

/// Maximum wait for the end of a pipe or device.
const MAX_STREAM_WAIT: Duration = Duration::from_secs(10);

/// Reads a file of bounded size. A pipe or device must end within 10 s.
pub(super) fn read_bounded(file: &Path) -> Result<Vec<u8>, FileError> {
    read_within(file, MAX_STREAM_WAIT)
}

fn read_within(file: &Path, wait: Duration) -> Result<Vec<u8>, FileError> {
    let unreadable = |error: io::Error| FileError::Unreadable(error.to_string());
    let path = file.to_owned();
    let read = move || {
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(path)?;
        opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let is_stream = std::fs::metadata(file).is_ok_and(|m| !m.is_file() && !m.is_dir());
    let bytes = if is_stream {
        // Even opening a pipe waits for its writer.
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("read-stream".into())
            .spawn(move || sender.send(read()))
            .map_err(unreadable)?;
        let received = receiver.recv_timeout(wait);
        received.map_err(|_| FileError::Endless(wait))?
    } else {
        read()
    };
    let bytes = bytes.map_err(unreadable)?;
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn pipe_is_read_to_its_end_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let wait = Duration::from_millis(50);
        let error = read_within(&pipe, wait).unwrap_err();
        assert_eq!(error, FileError::Endless(wait));
        let other = folder.path().join("other");
        let made = std::process::Command::new("mkfifo").arg(&other).status();
        assert!(made.unwrap().success());
        let path = other.clone();
        let writer = std::thread::spawn(move || std::fs::write(path, "content"));
        assert_eq!(read_within(&other, MAX_STREAM_WAIT).unwrap(), b"content");
        writer.join().unwrap().unwrap();
        assert_eq!(
            read_bounded(Path::new("/dev/zero")),
            Err(FileError::TooLarge)
        );
    }
}
