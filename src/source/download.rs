//! A certificate's `current_download` URL: the instance and its chain as PEM, without credentials.

use tokio::time::Instant;
use url::Url;

use crate::certificate::parse_certificates;
use crate::instance::Instance;

use super::SourceError;
use super::http::Http;

/// The largest download, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Fetches the instance. HTTP 202 means that there is none yet.
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
        200 => parse_certificates(&answer.body)
            .and_then(Instance::from_chain)
            .map_err(|e| SourceError::Unusable(format!("the download cannot be used: {e}"))),
        status => Err(SourceError::Http {
            status,
            content_type: answer.content_type,
        }),
    }
}
