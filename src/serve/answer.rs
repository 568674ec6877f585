//! Constructors of HTTP responses.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

use crate::web::{Body, whole};

pub(super) use crate::web::Response;

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
/// Prometheus' text format.
pub(super) const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
/// JSON, the only content type that SSLMate's client accepts.
pub(super) const JSON: &str = "application/json";

/// `Retry-After` of a response to a client that must try again, in seconds.
pub(super) const RETRY_SECONDS: u64 = 1;

/// Returns a response with a body.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response {
    answer_with(status, content_type, whole(body))
}

/// Returns a response with a body that may be written while it is sent.
pub(super) fn answer_with(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, content_type);
    response
}

/// Returns a plain text response, with a final newline.
pub(super) fn plain_text(status: StatusCode, text: impl AsRef<str>) -> Response {
    answer(status, PLAIN, format!("{}\n", text.as_ref()))
}

/// Adds a `Retry-After` header to a response.
pub(super) fn retry_later(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    response
}

pub(super) fn set(response: &mut Response, name: HeaderName, value: &'static str) {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
}
