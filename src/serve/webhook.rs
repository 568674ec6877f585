//! `/webhook/sslmate`: notification that a certificate was issued. Only the common name is taken
//! from the body; the expected certificate is fetched from the API.

use std::time::Duration;

use base64::Engine as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, StatusCode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::web::Query;

use super::answer::{Response, plain_text};
use super::monitor::Command;
use super::snapshot::Snapshot;

/// Maximum size of a body, in bytes: a certificate object with all expanded fields is smaller.
const MAX_BODY: usize = 1 << 20;
/// Maximum time until a body has arrived.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Issued {
    cn: String,
}

/// Checks the secret of the webhook.
///
/// # Errors
/// Returns the response to a request without the correct secret.
pub(super) fn authorize(
    snapshot: &Snapshot,
    headers: &HeaderMap,
    query: &Query,
) -> Result<(), Box<Response>> {
    let Some(secret) = &snapshot.runtime.webhook_secret else {
        return Err(Box::new(plain_text(
            StatusCode::NOT_FOUND,
            "no webhook is configured; set `webhook.secret_file`",
        )));
    };
    let given = query.last("secret").map(SecretString::from);
    let is_right = |given: &SecretString| {
        let (given, secret) = (given.expose_secret(), secret.expose_secret());
        aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), secret.as_bytes())
            .is_ok()
    };
    match given.or_else(|| password(headers)) {
        Some(given) if is_right(&given) => Ok(()),
        _ => Err(Box::new(plain_text(
            StatusCode::FORBIDDEN,
            "wrong secret; pass it as ?secret=… or as the HTTP Basic password",
        ))),
    }
}

/// Passes the notification on and responds immediately, because SSLMate does not wait.
pub(super) async fn receive(
    snapshot: &Snapshot,
    commands: &mpsc::Sender<Command>,
    body: hyper::body::Incoming,
) -> Response {
    let body = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect());
    let Ok(Ok(body)) = body.await else {
        let text = format!("the body timed out, or is larger than {MAX_BODY} bytes");
        return plain_text(StatusCode::BAD_REQUEST, text);
    };
    let Ok(issued) = serde_json::from_slice::<Issued>(&body.to_bytes()) else {
        return plain_text(
            StatusCode::BAD_REQUEST,
            "the body is not a certificate object; send a JSON object with `cn`",
        );
    };
    let cn = issued.cn.to_ascii_lowercase();
    if !snapshot
        .plan
        .watches
        .values()
        .any(|watch| watch.is_about(&cn))
    {
        let cn = crate::certificate::printable(&cn);
        let text = format!("`{cn}` is not in the inventory; ignored");
        return plain_text(StatusCode::NOT_FOUND, text);
    }
    match commands.try_send(Command::Issued(cn)) {
        Ok(()) => plain_text(StatusCode::ACCEPTED, "fetching and probing the certificate"),
        Err(_) => plain_text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many concurrent requests; try again",
        ),
    }
}

/// Returns the password of HTTP Basic authentication (RFC 7617).
fn password(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let standard = base64::engine::general_purpose::STANDARD;
    let decoded = Zeroizing::new(standard.decode(encoded.trim()).ok()?);
    let decoded = std::str::from_utf8(&decoded).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.into())
}
