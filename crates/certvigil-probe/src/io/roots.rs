//! Trusted roots of the system.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// Returns the roots that the HTTP client trusts. They always include the system's roots, so that
/// `--no-system-roots` does not affect the API, and the user's own roots for internal servers.
pub fn api_roots(own: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(system_roots());
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store.add_parsable_certificates(own.iter().cloned());
    store
}

/// Returns the system's roots. Logs those that cannot be read.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("the system's roots: {error}");
    }
    found.certs
}
