//! Values read from system files, which are read again when the files change.

use std::fmt;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Value read from a file at its first use, and again after each change of the file.
pub(super) struct Reread<T> {
    /// File. `None` is a value that never changes.
    file: Option<PathBuf>,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Option<(Stamp, Arc<T>)>,
    /// Last error that was logged.
    logged: Option<String>,
}

/// Version of a file by its metadata, as C libraries' resolvers detect changes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    /// The file does not exist, or its metadata cannot be read.
    Absent,
    Present {
        length: u64,
        modified: Option<SystemTime>,
        /// Inode, and the time of its last change. A file that replaces another one may have the
        /// same modification time and length.
        inode: (u64, i64, i64),
    },
}

impl<T> Reread<T> {
    /// Creates a value that is read at its first use.
    pub(super) fn new(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Path::to_owned),
            state: Mutex::new(State {
                current: None,
                logged: None,
            }),
        }
    }

    /// Returns the value of the file's current content. If a changed file cannot be read, the
    /// previous value stays in use, which is logged once.
    ///
    /// # Errors
    /// Those of `read`, if there is no value yet.
    pub(super) fn get<E: fmt::Display>(
        &self,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        // Taken before the file is read, so that a change during reading is detected at the next
        // use.
        let stamp = self.file.as_deref().map_or(Stamp::Absent, Stamp::of);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &state.current {
            Some((known, value)) if *known == stamp => return Ok(value.clone()),
            Some((_, value)) => Some(value.clone()),
            None => None,
        };
        match (read(), before) {
            (Ok(value), before) => {
                if let Some(file) = before.and(self.file.as_deref()) {
                    tracing::info!("system file read again: file={}", file.display());
                }
                let value = Arc::new(value);
                state.current = Some((stamp, value.clone()));
                state.logged = None;
                Ok(value)
            }
            (Err(error), None) => Err(error),
            (Err(error), Some(before)) => {
                let error = error.to_string();
                if state.logged.as_ref() != Some(&error) {
                    tracing::warn!("system file unusable, its last content stays in use: {error}");
                    state.logged = Some(error);
                }
                Ok(before)
            }
        }
    }
}

impl Stamp {
    fn of(file: &Path) -> Self {
        match fs::metadata(file) {
            Ok(metadata) => Self::Present {
                length: metadata.len(),
                modified: metadata.modified().ok(),
                inode: inode(&metadata),
            },
            Err(_) => Self::Absent,
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// Test file with its value.
    struct Bench {
        folder: tempfile::TempDir,
        text: Reread<String>,
        reads: std::cell::Cell<usize>,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                text: Reread::new(Some(&folder.path().join("file"))),
                folder,
                reads: std::cell::Cell::new(0),
            }
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("file")
        }

        fn get(&self) -> Result<String, ErrorKind> {
            let read = || {
                self.reads.set(self.reads.get() + 1);
                let text = fs::read_to_string(self.file()).map_err(|e| e.kind())?;
                match text.as_str() {
                    "" => Err(ErrorKind::UnexpectedEof),
                    _ => Ok(text),
                }
            };
            self.text.get(read).map(|text| text.as_str().to_owned())
        }
    }

    #[test]
    fn file_is_reread_only_if_it_changes() {
        let bench = Bench::new();
        fs::write(bench.file(), "one").unwrap();
        for _ in 0..3 {
            assert_eq!(bench.get().as_deref(), Ok("one"));
        }
        assert_eq!(bench.reads.get(), 1);
        fs::write(bench.file(), "longer").unwrap();
        assert_eq!(bench.get().as_deref(), Ok("longer"));
        // Replaced by a file of the same length.
        let new = bench.folder.path().join("new");
        fs::write(&new, "LONGER").unwrap();
        fs::rename(&new, bench.file()).unwrap();
        assert_eq!(bench.get().as_deref(), Ok("LONGER"));
        assert_eq!(bench.get().as_deref(), Ok("LONGER"));
        assert_eq!(bench.reads.get(), 3);
    }

    #[test]
    fn absent_or_empty_file_keeps_its_last_value() {
        let bench = Bench::new();
        assert_eq!(bench.get(), Err(ErrorKind::NotFound));
        fs::write(bench.file(), "one").unwrap();
        assert_eq!(bench.get().as_deref(), Ok("one"));
        // Rewritten in place: first empty, then with its content.
        fs::write(bench.file(), "").unwrap();
        assert_eq!(bench.get().as_deref(), Ok("one"));
        fs::remove_file(bench.file()).unwrap();
        assert_eq!(bench.get().as_deref(), Ok("one"));
        fs::write(bench.file(), "two, longer").unwrap();
        assert_eq!(bench.get().as_deref(), Ok("two, longer"));
    }

    #[test]
    fn value_without_a_file_is_read_once() {
        let value = Reread::new(None);
        for _ in 0..2 {
            assert_eq!(*value.get(|| Ok::<_, ErrorKind>(1)).unwrap(), 1);
        }
        assert_eq!(*value.get(|| Ok::<_, ErrorKind>(2)).unwrap(), 1);
    }
}
