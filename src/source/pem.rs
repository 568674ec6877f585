//! PEM files: the leaf, followed by its chain.

mod name;
mod pattern;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use certvigil_probe::io::read_certificate_file;
use secrecy::{ExposeSecret, SecretString};

use crate::certificate::{
    Certificate, Fingerprint, Interner, KeyOfFile, check_layout, is_unordered, leaf_of,
    read_certificates,
};
use crate::instance::{Instance, issuers_first};
use crate::observation::{FileFacts, FileKey, Served};

use super::SourceError;
use pattern::{is_pattern, no_match};

pub(super) use name::{name_of, names_of};
pub(super) use pattern::expand;
pub(crate) use pattern::files_of;

/// Time for which a changed file must be unchanged before it is read. A copy of the leaf and the
/// chain into one file is incomplete for a moment.
const SETTLE: Duration = Duration::from_secs(1);
/// Maximum files in the record. It is cleared when it is full.
const MAX_KNOWN: usize = 10_000;
/// Maximum certificates of a probed file, as of a server's chain.
const MAX_SERVED: usize = 100;

/// Record of the files that were read.
#[derive(Default)]
pub(super) struct Files {
    known: Mutex<HashMap<PathBuf, Known>>,
    /// State of the probed files at their last probe.
    probed: Mutex<HashMap<PathBuf, Stamp>>,
    /// Opens PKCS #12 files.
    password: Option<SecretString>,
}

/// Last reading of a file.
struct Known {
    stamp: Stamp,
    /// SHA-256 of the content.
    content: Fingerprint,
    /// The certificates in it. Equal content is not parsed again.
    instance: Instance,
}

/// State of a file, compared without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Detects a file that was replaced by rename.
    inode: u64,
}

impl Stamp {
    /// Returns `None` if there is no such file. Reading it then returns the error.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        // A pipe's length and time change when it is read.
        let is_stream = !metadata.is_file() && !metadata.is_dir();
        Some(Self {
            length: if is_stream { 0 } else { metadata.len() },
            modified: metadata.modified().ok().filter(|_| !is_stream),
            inode,
        })
    }
}

/// Files of one certificate with their states before they are read.
pub(super) struct Seen {
    pub(super) files: Vec<(PathBuf, Option<Stamp>)>,
    /// True if a file has changed since it was last read. It may not be written completely.
    pub(super) has_changed: bool,
}

/// Waits until a changed file is complete.
pub(super) async fn settle() {
    #[expect(
        clippy::disallowed_methods,
        reason = "no event reports that a file is complete"
    )]
    tokio::time::sleep(SETTLE).await;
}

impl Files {
    /// Returns a reader that opens PKCS #12 files with this password.
    pub(super) fn with_password(password: SecretString) -> Self {
        Self {
            password: Some(password),
            ..Self::default()
        }
    }

    /// Returns the state of each file.
    pub(super) fn seen(&self, files: Vec<PathBuf>) -> Seen {
        let with_stamp = |file: PathBuf| {
            let stamp = Stamp::of(&file);
            (file, stamp)
        };
        let files: Vec<_> = files.into_iter().map(with_stamp).collect();
        let known = self.known();
        let has_changed = files.iter().any(|(file, stamp)| {
            let known = known.get(file).map(|known| &known.stamp);
            known.is_some_and(|known| Some(known) != stamp.as_ref())
        });
        drop(known);
        Seen { files, has_changed }
    }

    /// Reads a file if its state is unchanged. Its certificates are shared with other users of the
    /// interner. `password` opens a PKCS #12 file, instead of that of the reader.
    pub(super) fn load(
        &self,
        file: &Path,
        stamp: Option<Stamp>,
        password: Option<&SecretString>,
        certificates: &Interner,
    ) -> Result<Instance, SourceError> {
        let read = read(file).and_then(|bytes| {
            let content = Fingerprint::of(&bytes);
            let instance = match self.instance(file, &content) {
                Some(known) => known,
                None => self.parse(file, &bytes, password)?.shared(certificates),
            };
            Ok((content, instance))
        });
        check_stamp(file, stamp.as_ref())?;
        let (content, instance) = read?;
        if let Some(stamp) = stamp {
            let mut known = self.known();
            if known.len() >= MAX_KNOWN && !known.contains_key(file) {
                known.clear();
            }
            let read = Known {
                stamp,
                content,
                instance: instance.clone(),
            };
            known.insert(file.to_owned(), read);
        }
        Ok(instance)
    }

    /// Reads one file as it is now.
    pub(super) fn load_now(&self, file: &Path) -> Result<Instance, SourceError> {
        let stamp = Stamp::of(file);
        let instance = read(file).and_then(|bytes| self.parse(file, &bytes, None));
        check_stamp(file, stamp.as_ref())?;
        instance
    }

    /// Returns the certificates of the last reading of a file if it had this content.
    fn instance(&self, file: &Path, content: &Fingerprint) -> Option<Instance> {
        let known = self.known();
        let known = known.get(file)?;
        (known.content == *content).then(|| known.instance.clone())
    }

    fn parse(
        &self,
        file: &Path,
        bytes: &[u8],
        password: Option<&SecretString>,
    ) -> Result<Instance, SourceError> {
        let password = password.or(self.password.as_ref());
        let password = password.map(ExposeSecret::expose_secret);
        read_certificates(bytes, password)
            .map_err(|error| error.to_string())
            .and_then(|all| Instance::from_chain(all).map_err(|error| error.to_string()))
            .map_err(|why| unusable(file, &format!("{why}; {WANTED}")))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a file as a server would send it, if its state is unchanged, and compares it with
    /// private keys.
    pub(super) fn probe(
        &self,
        file: &Path,
        stamp: Option<Stamp>,
        keys: &[KeyOfFile],
    ) -> Result<Served, SourceError> {
        let source = match file == Path::new(STDIN) {
            true => Path::new(STDIN_DEVICE),
            false => file,
        };
        if stamp.is_none() && source == file && is_pattern(file) {
            return Err(no_match(&file.to_string_lossy()));
        }
        let served = served(source, file, self.password.as_ref(), keys);
        if source == file && Stamp::of(file) != stamp {
            return Err(SourceError::BeingWritten(file.display().to_string()));
        }
        if let Some(stamp) = stamp {
            let mut probed = self.probed();
            if probed.len() >= MAX_KNOWN {
                probed.clear();
            }
            probed.insert(file.to_owned(), stamp);
        }
        served
    }

    /// Returns the state of a file to probe. If it has changed, first waits until it is written
    /// completely.
    pub(super) async fn settled_to_probe(&self, file: &Path) -> Option<Stamp> {
        let stamp = Stamp::of(file);
        let before = self.probed().get(file).cloned();
        if before.is_some_and(|before| Some(before) != stamp) {
            settle().await;
        }
        stamp
    }

    fn probed(&self) -> MutexGuard<'_, HashMap<PathBuf, Stamp>> {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a file that stands for the standard input.
const STDIN: &str = "-";
/// The device of the standard input.
const STDIN_DEVICE: &str = "/dev/stdin";
/// Advice in errors about a file.
const WANTED: &str = "give a file with the certificate, followed by its chain";

fn read(file: &Path) -> Result<Vec<u8>, SourceError> {
    read_certificate_file(file)
        .map_err(|why| unusable(file, &format!("{why}; {WANTED}, which certvigil may read")))
}

fn unusable(file: &Path, why: &str) -> SourceError {
    SourceError::Unusable(format!("{}: {why}", file.display()))
}

/// Returns an error if the state of a file that was read is not `stamp`.
fn check_stamp(file: &Path, stamp: Option<&Stamp>) -> Result<(), SourceError> {
    match Stamp::of(file).as_ref() == stamp {
        true => Ok(()),
        false => Err(SourceError::BeingWritten(file.display().to_string())),
    }
}

fn served(
    source: &Path,
    file: &Path,
    password: Option<&SecretString>,
    keys: &[KeyOfFile],
) -> Result<Served, SourceError> {
    let bytes = read_certificate_file(source).map_err(|why| {
        let why = format!("{why}; {WANTED}, which certvigil may read");
        unusable(file, &why)
    })?;
    let all = read_certificates(&bytes, password.map(ExposeSecret::expose_secret))
        .and_then(|all| check_layout(&bytes).map(|()| all))
        .map_err(|why| unusable(file, &format!("{why}; {WANTED}")))?;
    if all.len() > MAX_SERVED {
        let why = format!(
            "it has {} certificates, and no server sends more than {MAX_SERVED}; {WANTED}",
            all.len()
        );
        return Err(unusable(file, &why));
    }
    let leaf = leaf_of(&all).map_err(|why| unusable(file, &format!("{why}; {WANTED}")))?;
    let is_leaf_first = all.first() == Some(leaf);
    let leaf = leaf.clone();
    let mut all = all.into_iter();
    // Copies of the leaf after it are reported.
    let before: Vec<Certificate> = all.by_ref().take_while(|c| *c != leaf).collect();
    let mut rest: Vec<Certificate> = before.into_iter().chain(all).collect();
    let is_set = is_unordered(&bytes);
    if is_set {
        rest = issuers_first(&leaf, rest);
    }
    let facts = FileFacts {
        key: compare(&leaf, keys),
        is_leaf_late: !is_leaf_first && !is_set,
    };
    Ok(Served::from_file(leaf, rest, facts))
}

/// Compares the leaf with private keys, of which one must be its own.
fn compare(leaf: &Certificate, keys: &[KeyOfFile]) -> FileKey {
    let Some(first) = keys.first() else {
        return FileKey::NotGiven;
    };
    match keys.iter().any(|key| key.belongs_to(leaf) == Some(true)) {
        true => FileKey::Matches,
        false => FileKey::Differs(first.public_key_hash()),
    }
}

/// Formats the files of one certificate.
pub(super) fn display(files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    files.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(loaded: &Result<Instance, SourceError>) -> Vec<String> {
        loaded.as_ref().unwrap().names()
    }

    #[tokio::test]
    async fn pem_file_is_not_read_during_a_write() {
        const LEAF: &str = include_str!("../../crates/certvigil-core/src/judge/testdata/leaf.pem");
        const CHAIN: &str =
            include_str!("../../crates/certvigil-core/src/judge/testdata/intermediate.pem");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fullchain.pem");
        let paths = vec![file.clone()];
        std::fs::write(&file, format!("{LEAF}{CHAIN}")).unwrap();
        let files = Files::default();
        let read = async || {
            let mut seen = files.seen(paths.clone());
            if seen.has_changed {
                settle().await;
            }
            let (file, stamp) = seen.files.remove(0);
            files.load(&file, stamp, None, &Interner::default())
        };
        let first = read().await;
        assert_eq!(first.as_ref().unwrap().chain.len(), 1);

        // The file has only the leaf at first, as with `cat leaf chain > fullchain.pem`.
        std::fs::write(&file, LEAF).unwrap();
        let write_the_rest = async {
            tokio::task::yield_now().await;
            std::fs::write(&file, format!("{LEAF}{CHAIN}\n")).unwrap();
        };
        let (half, ()) = tokio::join!(read(), write_the_rest);
        let message = half.unwrap_err();
        assert!(message.may_pass(), "{message}");
        assert!(
            message.to_string().contains("it changes while it is read"),
            "{message}"
        );
        let whole = read().await;
        assert_eq!(whole.as_ref().unwrap().chain.len(), 1);
        assert_eq!(names(&whole), names(&first));
    }
}
