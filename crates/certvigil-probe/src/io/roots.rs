//! Trusted roots of the system.
//!
//! Clients read more or less of the same store: GnuTLS the bundle, OpenSSL also the files of the
//! folder whose names are hashes, Go all files of the folder. Only roots of the bundle are trusted by
//! all of them, so the bundle alone counts where there is one.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::certificate::{FileError, parse_root_store};

use super::file::{ReadError, read_certificate_file};

/// Environment variable with the path of the bundle, as OpenSSL and Go read it.
const FILE_VARIABLE: &str = "SSL_CERT_FILE";
/// Environment variable with the paths of folders, as OpenSSL and Go read it.
const FOLDER_VARIABLE: &str = "SSL_CERT_DIR";

/// Reason for which the system's roots cannot be used. It names the file or folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: the system's root store cannot be used: {reason}; {}", .path.display(), .origin.advice())]
pub struct RootStoreError {
    path: PathBuf,
    origin: Origin,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Certificates(#[from] FileError),
    #[error("it has no file with the name of a hash, such as 5ed36f99.0, as OpenSSL needs them")]
    NoLinks,
}

/// Setting that named a part of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This environment variable.
    Variable(&'static str),
    /// The default of the system.
    Default,
}

impl Origin {
    /// Returns what to do about an error.
    fn advice(self) -> String {
        match self {
            Self::Variable(FOLDER_VARIABLE) => format!(
                "correct {FOLDER_VARIABLE} or the directory (`openssl rehash DIR`), or unset the variable"
            ),
            Self::Variable(name) => format!("correct {name} or the file, or unset the variable"),
            Self::Default => format!(
                "restore it, for example with `update-ca-certificates` or `update-ca-trust`, or name another PEM file in {FILE_VARIABLE}"
            ),
        }
    }
}

/// Files and folders of a root store.
#[derive(Debug, PartialEq, Eq)]
struct Store {
    /// The bundle, in PEM.
    file: Option<(PathBuf, Origin)>,
    /// Folders whose files have hashes as names.
    folders: Vec<(PathBuf, Origin)>,
}

/// Returns the roots that the HTTP client trusts. They always include the system's roots, so that
/// `--no-system-roots` does not affect the API, and the user's own roots for internal servers.
///
/// # Errors
/// Those of [`system_roots`].
pub fn api_roots(own: &[CertificateDer<'static>]) -> Result<RootCertStore, RootStoreError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(system_roots()?);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store.add_parsable_certificates(own.iter().cloned());
    Ok(store)
}

/// Returns the system's roots: those of the variables `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else
/// those of the system's bundle, or else those of its folders. Returns none if the system has no
/// root store.
///
/// # Errors
/// If the store exists, or a variable names it, and it cannot be read, is damaged or has no root.
/// Clients refuse every connection then.
pub fn system_roots() -> Result<Vec<CertificateDer<'static>>, RootStoreError> {
    match Store::of_environment() {
        Some(store) => store.read(),
        None => Ok(native_roots()),
    }
}

/// Returns the files and folders from which [`system_roots`] reads, whether they exist or not. Their
/// metadata show that the roots have changed. Returns none for a system with a database of its own.
pub fn system_root_files() -> Vec<PathBuf> {
    let Some(store) = Store::of_environment() else {
        return Vec::new();
    };
    let file = store.file.into_iter().map(|(file, _)| file);
    let in_folders = store.folders.into_iter().flat_map(|(folder, _)| {
        let links = hash_links(&folder).unwrap_or_default().into_iter();
        let links: Vec<PathBuf> = links.map(|link| folder.join(link)).collect();
        std::iter::once(folder).chain(links)
    });
    file.chain(in_folders).collect()
}

/// Returns the roots of the system's own database. Logs those that cannot be read.
#[cfg(not(all(unix, not(target_os = "macos"))))]
fn native_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("the system's roots: {error}");
    }
    found.certs
}

/// Returns no roots: those of this system are files.
#[cfg(all(unix, not(target_os = "macos")))]
fn native_roots() -> Vec<CertificateDer<'static>> {
    Vec::new()
}

impl Store {
    /// Returns the store of the environment variables, or else that of the system. Returns `None` for a
    /// system with a database of its own.
    fn of_environment() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self::of_variables(variable(FILE_VARIABLE), variable(FOLDER_VARIABLE))
            .or_else(Self::of_default)
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    fn of_default() -> Option<Self> {
        let found = openssl_probe::probe();
        Some(Self::of_system(found.cert_file, found.cert_dir))
    }

    #[cfg(not(all(unix, not(target_os = "macos"))))]
    fn of_default() -> Option<Self> {
        None
    }

    /// Returns the store that the variables name. Returns `None` if they name none.
    fn of_variables(file: Option<OsString>, folders: Option<OsString>) -> Option<Self> {
        let folders = folders.iter().flat_map(std::env::split_paths);
        let folders = folders.filter(|folder| !folder.as_os_str().is_empty());
        let store = Self {
            file: file.map(|file| (file.into(), Origin::Variable(FILE_VARIABLE))),
            folders: folders
                .map(|folder| (folder, Origin::Variable(FOLDER_VARIABLE)))
                .collect(),
        };
        (store.file.is_some() || !store.folders.is_empty()).then_some(store)
    }

    /// Returns the store of the system: its bundle, or its folders if it has none.
    fn of_system(file: Option<PathBuf>, folders: Vec<PathBuf>) -> Self {
        let folders = match file {
            Some(_) => Vec::new(),
            None => folders,
        };
        let of_default = |path| (path, Origin::Default);
        Self {
            file: file.map(of_default),
            folders: folders.into_iter().map(of_default).collect(),
        }
    }

    fn read(&self) -> Result<Vec<CertificateDer<'static>>, RootStoreError> {
        let mut roots = Vec::new();
        if let Some((file, origin)) = &self.file {
            roots.extend(read_file(file, *origin)?);
        }
        for (folder, origin) in &self.folders {
            let links = hash_links(folder).map_err(|error| RootStoreError {
                path: folder.clone(),
                origin: *origin,
                reason: ReadError::Io(Arc::new(error)).into(),
            })?;
            for link in links {
                roots.extend(read_file(&folder.join(link), *origin)?);
            }
        }
        // The default folder may be empty: the system has no root store then.
        match self.folders.first() {
            Some((folder, origin)) if roots.is_empty() && *origin != Origin::Default => {
                Err(RootStoreError {
                    path: folder.clone(),
                    origin: *origin,
                    reason: Reason::NoLinks,
                })
            }
            _ => Ok(roots),
        }
    }
}

fn read_file(file: &Path, origin: Origin) -> Result<Vec<CertificateDer<'static>>, RootStoreError> {
    let bytes = read_certificate_file(file).map_err(Reason::from);
    let roots = bytes.and_then(|bytes| parse_root_store(&bytes).map_err(Reason::from));
    match roots {
        Ok(roots) => Ok(roots.into_iter().map(CertificateDer::from).collect()),
        Err(reason) => Err(RootStoreError {
            path: file.to_owned(),
            origin,
            reason,
        }),
    }
}

/// Returns the names of the files of a folder that OpenSSL reads: a hash and a number, which begins
/// at 0 for each hash and has no gap (`X509_LOOKUP_hash_dir`). Other files are no roots: often they
/// are the certificates of a server.
fn hash_links(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A link to nothing and a folder have no roots.
        if let Some(link) = hash_link(&entry.file_name())
            && std::fs::metadata(entry.path()).is_ok_and(|m| m.is_file())
        {
            found.insert(link);
        }
    }
    let mut links = Vec::new();
    let mut next = (String::new(), 0);
    for (hash, number) in found {
        if next.0 != hash {
            next = (hash.clone(), 0);
        }
        if next.1 == number {
            links.push(format!("{hash}.{number}"));
            next.1 += 1;
        }
    }
    Ok(links)
}

/// Splits the name of a file that OpenSSL searches for into its hash and its number.
fn hash_link(name: &OsStr) -> Option<(String, u32)> {
    const HASH_DIGITS: usize = 8;
    let (hash, number) = name.to_str()?.split_once('.')?;
    let is_hash =
        hash.len() == HASH_DIGITS && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parsed: u32 = number.parse().ok()?;
    // OpenSSL writes the number without a sign or leading zeros.
    (is_hash && parsed.to_string() == number).then(|| (hash.to_owned(), parsed))
}

#[cfg(test)]
mod tests;
