//! Reading of files of bounded size.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

/// Maximum size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Maximum size of a file with a secret or with the configuration of a client, in bytes.
const MAX_SHORT_FILE_BYTES: u64 = 64 << 10;

/// Maximum wait for the end of a pipe or device.
const MAX_STREAM_WAIT: Duration = Duration::from_secs(10);
/// Maximum pipes and devices whose content is kept.
const MAX_STREAMS: usize = 16;

/// Pipes and devices that were read, by path.
type Streams = HashMap<PathBuf, Result<Vec<u8>, ReadError>>;

/// A pipe has its content only once, and one run reads some files several times.
static STREAMS: Mutex<Option<Streams>> = Mutex::new(None);

/// Reason for which a file cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system reports an error.
    #[error("it cannot be read: {0}")]
    Io(Arc<io::Error>),
    /// The file is too large.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// Maximum size, in bytes.
        limit: u64,
    },
    /// The file is a pipe or device, and the content of others is kept.
    #[error("it is a pipe or device, and {limit} others were read: give a regular file")]
    TooManyStreams {
        /// Maximum pipes and devices whose content is kept.
        limit: usize,
    },
}

/// Reason for which a short file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadTextError {
    /// The system reports an error.
    #[error("{0}")]
    Io(io::Error),
    /// The file is too large.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// Maximum size, in bytes.
        limit: u64,
    },
    /// The file is not text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
}

/// Reason for which there is no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{}: the secret cannot be read: {error}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: ReadTextError,
    },
    /// The first line is empty.
    #[error("{}: the secret is empty: write it into the first line", .file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// Reads a file with certificates. A pipe or device is read once, for at most 10 s; later calls return the same.
///
/// # Errors
/// Returns the reason if the file cannot be read.
pub fn read_certificate_file(file: &Path) -> Result<Vec<u8>, ReadError> {
    read_certificate_file_within(file, MAX_STREAM_WAIT)
}

/// Reads a file as [`read_certificate_file`] does, with a shorter maximum wait for the end of a pipe or device.
///
/// # Errors
/// The same as [`read_certificate_file`].
pub fn read_certificate_file_within(file: &Path, wait: Duration) -> Result<Vec<u8>, ReadError> {
    if !is_stream(file) {
        return read_bounded(file);
    }
    let mut streams = STREAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let streams = streams.get_or_insert_default();
    if let Some(known) = streams.get(file) {
        return known.clone();
    }
    if streams.len() >= MAX_STREAMS {
        return Err(ReadError::TooManyStreams { limit: MAX_STREAMS });
    }
    let read = read_bounded_within(file, wait);
    streams.insert(file.to_owned(), read.clone());
    read
}

/// Reads a file whose size is plausible for certificates.
///
/// # Errors
/// Returns the reason if the file cannot be read.
pub fn read_bounded(file: &Path) -> Result<Vec<u8>, ReadError> {
    read_bounded_within(file, MAX_STREAM_WAIT)
}

fn read_bounded_within(file: &Path, wait: Duration) -> Result<Vec<u8>, ReadError> {
    let bytes = read_at_most(file, MAX_FILE_BYTES, wait.min(MAX_STREAM_WAIT))
        .map_err(|error| ReadError::Io(Arc::new(error)))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge {
            limit: MAX_FILE_BYTES,
        });
    }
    Ok(bytes)
}

/// Returns true for a pipe, socket or device: its content cannot be read twice, and its metadata say nothing about it.
pub fn is_stream(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// Reads a file of at most `limit` bytes, or one byte more than the limit of a longer one. A pipe or device must end
/// within 10 s.
///
/// # Errors
/// Returns the error of the operating system, or `TimedOut`.
pub fn read_up_to(file: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_at_most(file, limit, MAX_STREAM_WAIT)
}

/// Reads one byte more than the limit at most. A pipe or device must end within `wait`.
fn read_at_most(file: &Path, limit: u64, wait: Duration) -> io::Result<Vec<u8>> {
    let path = file.to_owned();
    let read = move || {
        let opened = std::fs::File::open(path)?;
        // A pipe or device has no length. The length of a file may change meanwhile.
        let length = opened.metadata()?.len().min(limit);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
        opened.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    if !is_stream(file) {
        return read();
    }
    // Even opening a pipe waits for its writer.
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("read-stream".into())
        .spawn(move || sender.send(read()))?;
    receiver.recv_timeout(wait).unwrap_or_else(|_| {
        let seconds = wait.as_secs_f32();
        let what = format!("the pipe or device did not end within {seconds} s");
        Err(io::Error::new(io::ErrorKind::TimedOut, what))
    })
}

/// Reads a secret from the first line of a file, without surrounding white space.
///
/// # Errors
/// Returns the file and the reason if there is no secret.
pub fn read_secret(file: &Path) -> Result<SecretString, SecretError> {
    read_secret_within(file, MAX_STREAM_WAIT)
}

/// Reads a secret as [`read_secret`] does, with a shorter maximum wait for the end of a pipe or device.
///
/// # Errors
/// The same as [`read_secret`].
pub fn read_secret_within(file: &Path, wait: Duration) -> Result<SecretString, SecretError> {
    let secret = read_first_line(file, wait)?;
    if secret.expose_secret().is_empty() {
        return Err(SecretError::Empty {
            file: file.to_owned(),
        });
    }
    warn_if_readable_by_others(file);
    Ok(secret)
}

/// Reads the password of a file from the first line of another, without surrounding white space. An
/// empty line is the empty password.
///
/// # Errors
/// Returns the file and the reason if it cannot be read.
pub fn read_password(file: &Path) -> Result<SecretString, SecretError> {
    read_password_within(file, MAX_STREAM_WAIT)
}

/// Reads a password as [`read_password`] does, with a shorter maximum wait for the end of a pipe or
/// device.
///
/// # Errors
/// The same as [`read_password`].
pub fn read_password_within(file: &Path, wait: Duration) -> Result<SecretString, SecretError> {
    let password = read_first_line(file, wait)?;
    if !password.expose_secret().is_empty() {
        warn_if_readable_by_others(file);
    }
    Ok(password)
}

fn read_first_line(file: &Path, wait: Duration) -> Result<SecretString, SecretError> {
    let text = read_short_text_within(file, wait).map_err(|error| SecretError::Read {
        file: file.to_owned(),
        error,
    })?;
    let line = text.lines().next().unwrap_or_default();
    Ok(line.trim().into())
}

/// Reads a short file that may contain a secret.
///
/// # Errors
/// Returns the reason if the file cannot be read.
pub fn read_short_text(file: &Path) -> Result<Zeroizing<String>, ReadTextError> {
    read_short_text_within(file, MAX_STREAM_WAIT)
}

fn read_short_text_within(file: &Path, wait: Duration) -> Result<Zeroizing<String>, ReadTextError> {
    let bytes = read_at_most(file, MAX_SHORT_FILE_BYTES, wait.min(MAX_STREAM_WAIT))
        .map(Zeroizing::new)
        .map_err(ReadTextError::Io)?;
    if bytes.len() as u64 > MAX_SHORT_FILE_BYTES {
        return Err(ReadTextError::TooLarge {
            limit: MAX_SHORT_FILE_BYTES,
        });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| ReadTextError::NotUtf8)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Logs a warning if all users of the machine can read a file with a secret.
#[cfg(unix)]
pub fn warn_if_readable_by_others(file: &Path) {
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
pub fn warn_if_readable_by_others(_file: &Path) {}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn pipe(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    }

    #[test]
    fn a_pipe_is_read_once_and_its_content_returned_again() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = pipe(&folder);
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "certificate")
        });
        for _ in 0..2 {
            assert_eq!(read_certificate_file(&pipe).unwrap(), b"certificate");
        }
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn a_pipe_without_a_writer_is_an_error_after_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_at_most(&pipe(&folder), 1, Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_silent_pipe_is_an_error_after_the_given_wait() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, wait) = (pipe(&folder), Duration::from_millis(1));
        let says = "did not end within 0.001 s";
        let error = read_certificate_file_within(&pipe, wait).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        let error = read_secret_within(&pipe, wait).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn an_endless_device_is_read_up_to_the_limit() {
        let zero = Path::new("/dev/zero");
        let error = read_certificate_file(zero).unwrap_err().to_string();
        assert!(error.contains("larger than 16777216 bytes"), "{error}");
        let error = read_short_text(zero).unwrap_err().to_string();
        assert!(error.contains("larger than 65536 bytes"), "{error}");
    }
}
