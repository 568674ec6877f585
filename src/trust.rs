//! Loads the roots: the system's, Mozilla's where the system has none, and the user's own.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::certificate::{Certificate, parse_certificates};
use crate::config::TrustSettings;
use crate::judge::TrustStore;
use crate::source::read_bounded;

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

/// The roots that the HTTP client trusts: always the system's, so that `--no-system-roots` does not cut
/// off the API, and the user's own, for peers inside.
pub fn api_roots(own: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(system_roots());
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store.add_parsable_certificates(own.iter().cloned());
    store
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

fn system_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("the system's roots: {error}");
    }
    found.certs
}

fn read_own_roots(settings: &TrustSettings) -> Result<Vec<(String, Certificate)>, String> {
    let mut roots = Vec::new();
    for file in &settings.ca_files {
        let name = file.display().to_string();
        let read = read_bounded(file).and_then(|pem| parse_certificates(&pem));
        let certificates = read.map_err(|e| format!("{name}: the roots cannot be used: {e}"))?;
        roots.extend(certificates.into_iter().map(|c| (name.clone(), c)));
    }
    Ok(roots)
}
