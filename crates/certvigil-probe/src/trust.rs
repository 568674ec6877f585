//! Loading of trusted roots: the system's, Mozilla's if the system has none, and the user's own.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

use crate::certificate::{Certificate, parse_certificates};
use crate::io::{read_certificate_file, system_roots};
use crate::judge::TrustStore;

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

/// Returns the roots for the validation of served chains.
///
/// # Errors
/// If a file with roots cannot be read, or contains something other than a root.
pub fn load(settings: &TrustSettings) -> Result<TrustStore, String> {
    let mut store = TrustStore::default();
    if settings.system {
        let system = system_roots();
        for der in &system {
            // A system root that cannot be read is not an error of certvigil's configuration.
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

/// Returns the user's own roots.
///
/// # Errors
/// If a file with roots cannot be read.
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
