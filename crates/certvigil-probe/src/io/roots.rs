//! The system's roots.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

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

/// The system's roots; what cannot be read of them is logged.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("the system's roots: {error}");
    }
    found.certs
}
