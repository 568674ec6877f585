//! `current_download` URL of a certificate: the instance and its chain as PEM, without credentials.

use certvigil_probe::io::{Http, SourceError, read};
use tokio::time::Instant;
use url::Url;

use crate::certificate::{Fingerprint, parse_certificates};
use crate::instance::Instance;

/// Maximum size of a download, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Digits of a URL's hash that identify it.
const SHOWN_HASH_DIGITS: usize = 8;

/// Returns the name of a download that has none configured. Anyone who knows the URL can fetch the
/// certificate, so the name has only the host and a hash.
pub(crate) fn name_of(url: &str) -> String {
    let host = Url::parse(url).ok();
    let host = host.as_ref().and_then(Url::host_str).unwrap_or("download");
    let hash = Fingerprint::of(url.as_bytes()).to_string();
    let hash = hash.get(..SHOWN_HASH_DIGITS).unwrap_or_default();
    format!("{host}/{hash}")
}

fn instance(body: &[u8]) -> Result<Instance, SourceError> {
    parse_certificates(body)
        .map_err(|error| error.to_string())
        .and_then(|all| Instance::from_chain(all).map_err(|error| error.to_string()))
        .map_err(|e| SourceError::Unusable(format!("the download cannot be used: {e}")))
}

/// Fetches the instance. HTTP 202 means that none has been issued yet.
pub(super) async fn load(
    http: &Http,
    url: &str,
    deadline: Instant,
) -> Result<Instance, SourceError> {
    let parsed = Url::parse(url)
        .ok()
        .filter(|u| matches!(u.scheme(), "https" | "http"))
        .ok_or_else(|| SourceError::Unusable("it is not an https:// URL".into()))?;
    let answer = http.get(&parsed, None, MAX_BYTES, deadline).await?;
    match answer.status {
        202 => Err(SourceError::NotIssued(
            "no certificate has been issued yet; wait for it with --wait".into(),
        )),
        200 => read(answer, |answer| instance(&answer.body)).await,
        status => Err(SourceError::Http {
            status,
            content_type: answer.content_type,
        }),
    }
}
