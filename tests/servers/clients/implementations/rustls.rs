//! rustls' verifier (webpki), in this process.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use time::OffsetDateTime;

use super::ACCEPTED;

/// Version of rustls-webpki.
pub(crate) fn version() -> String {
    let lock = include_str!("../../../../Cargo.lock");
    let of = |name: &str| {
        let mark = format!("name = \"{name}\"\nversion = \"");
        let (_, rest) = lock.split_once(&mark).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    format!("rustls {}, webpki {}", of("rustls"), of("rustls-webpki"))
}

pub(crate) fn ask(host: &str, served: &[Vec<u8>], roots: &[Vec<u8>], at: OffsetDateTime) -> String {
    let mut store = RootCertStore::empty();
    let mut unread = String::new();
    for root in roots {
        if let Err(error) = store.add(CertificateDer::from(root.clone())) {
            unread.push_str(&format!("roots: {}; ", reason(&error)));
        }
    }
    let answer = judge(host, served, store, at);
    format!(
        "{unread}{}",
        answer.map_or_else(|reason| reason, |()| ACCEPTED.to_owned())
    )
}

fn judge(
    host: &str,
    served: &[Vec<u8>],
    store: RootCertStore,
    at: OffsetDateTime,
) -> Result<(), String> {
    let host = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|e| e.to_string())?;
    let chain: Vec<CertificateDer<'_>> = served.iter().map(|d| d.as_slice().into()).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(at.unix_timestamp() as u64));
    verifier
        .verify_server_cert(&chain[0], &chain[1..], &host, &[], now)
        .map(drop)
        .map_err(|e| reason(&e))
}

/// The error's name without the timestamps and names of this run.
fn reason(error: &Error) -> String {
    let Error::InvalidCertificate(error) = error else {
        return format!("{error:?}");
    };
    match error {
        CertificateError::Other(other) => format!("{:?}", other.0),
        known => {
            let text = format!("{known:?}");
            let name = text.split([' ', '(', '{']).next().unwrap();
            name.trim_end_matches("Context").to_owned()
        }
    }
}
