//! Loading of trusted roots: the system's, Mozilla's if the system has none, and the user's own.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

use crate::certificate::{Certificate, FileError, parse_roots};
use crate::io::{ReadError, RootStoreError, read_certificate_file, system_roots};
use crate::judge::{TrustStore, UnreadableAnchor};

/// Settings for the trusted roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustSettings {
    /// Trust the system's roots, or Mozilla's if the system has none.
    pub system: bool,
    /// PEM files with additional roots.
    pub ca_files: Vec<PathBuf>,
}

impl Default for TrustSettings {
    fn default() -> Self {
        Self {
            system: true,
            ca_files: Vec::new(),
        }
    }
}

/// Reason for which roots cannot be used. It names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The system's root store cannot be used.
    #[error(transparent)]
    System(#[from] RootStoreError),
    /// A file cannot be read.
    #[error("{}: the roots cannot be used: {error}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: ReadError,
    },
    /// A file does not contain certificates alone.
    #[error("{}: the roots cannot be used: {error}", .file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: FileError,
    },
    /// A certificate cannot be a trust anchor.
    #[error("{}: {error}", .file.display())]
    Anchor {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: UnreadableAnchor,
    },
}

/// Returns the roots for the validation of served chains.
///
/// # Errors
/// If a file with roots cannot be read, or contains something other than a root, or if the system has
/// a root store that cannot be used.
pub fn load(settings: &TrustSettings) -> Result<TrustStore, TrustError> {
    let mut store = TrustStore::default();
    if settings.system {
        for der in &system_roots()? {
            // Clients skip a root whose name or key they cannot read.
            let _ = store.add_der(der);
        }
        if store.is_empty() {
            for anchor in webpki_roots::TLS_SERVER_ROOTS {
                store.add_anchor(anchor.clone());
            }
        }
    }
    for (file, certificate) in read_own_roots(settings)? {
        store
            .add(&certificate)
            .map_err(|error| TrustError::Anchor { file, error })?;
    }
    Ok(store)
}

/// Returns the user's own roots.
///
/// # Errors
/// If a file with roots cannot be read.
pub fn own_roots(settings: &TrustSettings) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let own = read_own_roots(settings)?;
    let der = |(_, root): &(PathBuf, Certificate)| CertificateDer::from(root.der()).into_owned();
    Ok(own.iter().map(der).collect())
}

fn read_own_roots(settings: &TrustSettings) -> Result<Vec<(PathBuf, Certificate)>, TrustError> {
    let mut roots = Vec::new();
    for file in &settings.ca_files {
        let bytes = read_certificate_file(file).map_err(|error| TrustError::Read {
            file: file.clone(),
            error,
        })?;
        let certificates = parse_roots(&bytes).map_err(|error| TrustError::Certificates {
            file: file.clone(),
            error,
        })?;
        roots.extend(certificates.into_iter().map(|c| (file.clone(), c)));
    }
    Ok(roots)
}
