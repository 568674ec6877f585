//! Loads the roots: the system's, Mozilla's where the system has none, and the user's own.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

use crate::certificate::{Certificate, parse_certificates};
use crate::io::{read_certificate_file, system_roots};
use crate::judge::TrustStore;

/// Which roots are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustSettings {
    /// The system's roots, or Mozilla's where the system has none.
    pub system: bool,
    /// PEM files with further roots.
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

/// The roots that served chains are judged by.
///
/// # Errors
/// Where a file with roots cannot be read, or has something in it that is no root.
pub fn load(settings: &TrustSettings) -> Result<TrustStore, String> {
    let mut store = TrustStore::default();
    if settings.system {
        let system = system_roots();
        for der in &system {
            // A root of the system that cannot be read is the system's matter.
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
            .map_err(|e| format!("{file}: {e}"))?;
    }
    Ok(store)
}

/// The user's own roots.
///
/// # Errors
/// Where a file with roots cannot be read.
pub fn own_roots(settings: &TrustSettings) -> Result<Vec<CertificateDer<'static>>, String> {
    let own = read_own_roots(settings)?;
    let der = |(_, root): &(String, Certificate)| CertificateDer::from(root.der()).into_owned();
    Ok(own.iter().map(der).collect())
}

fn read_own_roots(settings: &TrustSettings) -> Result<Vec<(String, Certificate)>, String> {
    let mut roots = Vec::new();
    for file in &settings.ca_files {
        let name = file.display().to_string();
        let read = read_certificate_file(file)
            .and_then(|bytes| parse_certificates(&bytes).map_err(|error| error.to_string()));
        let certificates = read.map_err(|e| format!("{name}: the roots cannot be used: {e}"))?;
        roots.extend(certificates.into_iter().map(|c| (name.clone(), c)));
    }
    Ok(roots)
}
