//! The status pages for people: faults first, then every certificate and every address with its
//! chain. All pages are complete without the script, and load nothing from other servers.

mod assets;
mod badge;
mod certificate;
mod clients;
mod condition;
mod docs;
mod endpoint;
mod faults;
mod filter;
mod form;
mod frame;
mod headline;
mod history;
mod html;
mod overview;
mod problems;
mod recent;
mod rollout;
mod selection;
mod served;
mod sort;
#[cfg(test)]
mod tests;
mod timeline;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;

use crate::finding::Severity;
use crate::model::{Hostname, Protocol, Target, parse_port, path_of_text};
use crate::web::Query;

use super::answer::{Response, answer, plain_text, retry_later, set};
use super::limiter::Limiter;
use super::metrics::{compress, takes_gzip};
use super::snapshot::Current;

use filter::Filter;
use frame::Page;
use html::Address;
use view::View;

/// Content Security Policy. Names and subjects come from servers, so a page may only run or load
/// files from its own origin.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Maximum size of a page in bytes, for any inventory. Further items are on other pages, or only
/// counted.
#[cfg(test)]
const MAX_PAGE_BYTES: usize = 1 << 20;

/// Maximum pages that are written concurrently. Each needs memory and a CPU core; further ones
/// wait.
const MAX_CONCURRENT: usize = 4;
/// Maximum requests whose pages are being written or wait; further ones must try again.
const MAX_WANTED: usize = 64;
/// Share of the connection slots that they may use, as a divisor.
const CONNECTION_SHARE: usize = 4;

/// Returns the limiter of page requests for this number of connection slots.
pub(super) fn limiter(max_connections: usize) -> Limiter {
    Limiter::new(
        MAX_CONCURRENT,
        MAX_WANTED.min(max_connections / CONNECTION_SHARE),
    )
}

/// Returns the page at a path; `None` if there is no page. It is written on a blocking thread.
pub(super) async fn page(
    current: &Arc<Current>,
    limiter: &Limiter,
    state: Option<PathBuf>,
    base: Arc<str>,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Option<Response> {
    if path.starts_with(assets::BASE_PATH) {
        return assets::serve(path, headers).map(secured);
    }
    let place = match Location::read(path) {
        Some(place) => place,
        None if takes_html(headers) => Location::Unknown,
        None => return None,
    };
    let content_type = match place {
        Location::Badge(_) => "image/svg+xml",
        _ => "text/html; charset=utf-8",
    };
    let (current, filter, gzip) = (current.clone(), Filter::read(query), takes_gzip(headers));
    let Some(permit) = limiter.acquire().await else {
        let words = "too many page requests; try again";
        return Some(retry_later(plain_text(
            StatusCode::SERVICE_UNAVAILABLE,
            words,
        )));
    };
    let written = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let view = View::of(&current, state, base);
        let (status, html) = write(&view, &place, &filter);
        let body = match gzip {
            true => compress(&html),
            false => Ok(html.into_bytes()),
        };
        body.map(|body| (status, body))
    });
    let mut response = match written.await {
        Ok(Ok((status, body))) => {
            let mut response = answer(status, content_type, body);
            if gzip {
                set(&mut response, CONTENT_ENCODING, "gzip");
            }
            response
        }
        _ => plain_text(StatusCode::INTERNAL_SERVER_ERROR, "cannot render the page"),
    };
    set(&mut response, VARY, "accept-encoding");
    set(&mut response, CACHE_CONTROL, "no-store");
    Some(secured(response))
}

/// Returns true if the client is a browser that requests a page.
fn takes_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// Adds the security headers.
fn secured(mut response: Response) -> Response {
    set(&mut response, CONTENT_SECURITY_POLICY, POLICY);
    set(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut response, REFERRER_POLICY, "no-referrer");
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    set(&mut response, opener, "same-origin");
    response
}

/// Location of a page.
#[derive(Debug, PartialEq, Eq)]
enum Location {
    Overview,
    Certificate(String),
    /// The segments of the path, as [`view::Endpoint::segments`] has them.
    Endpoint(Vec<String>),
    Docs(Vec<String>),
    /// The picture of the state of a certificate.
    Badge(String),
    /// A path without a page.
    Unknown,
}

/// Returns the target in the path of an endpoint's page, without its names to match.
fn target_of(segments: &[String]) -> Option<Target> {
    let [_, certificate, protocol, hostname, port, ..] = segments else {
        return None;
    };
    if protocol == Protocol::File.name() {
        let path = Hostname::File(path_of_text(hostname));
        return Some(Target::new(certificate, path, 0, Protocol::File));
    }
    let (hostname, port) = (hostname.parse().ok()?, parse_port(port).ok()?);
    Some(Target::new(
        certificate,
        hostname,
        port,
        protocol.parse().ok()?,
    ))
}

impl Location {
    fn read(path: &str) -> Option<Self> {
        let segments = path.strip_prefix('/')?.split('/');
        let segments: Option<Vec<String>> = segments
            .map(|segment| {
                let decoded = percent_decode_str(segment).decode_utf8().ok()?;
                Some(decoded.into_owned())
            })
            .collect();
        let segments = segments?;
        let first = segments.first().map(String::as_str);
        match (first, segments.len()) {
            (Some(""), 1) => Some(Self::Overview),
            (Some("certificates"), 2) => segments.into_iter().nth(1).map(Self::Certificate),
            (Some("certificates"), 7) => Some(Self::Endpoint(segments)),
            (Some("docs"), 2 | 3) => Some(Self::Docs(segments)),
            (Some("badge"), 2) => {
                let name = segments.get(1)?.strip_suffix(".svg")?;
                Some(Self::Badge(name.to_owned()))
            }
            _ => None,
        }
    }
}

fn write(view: &View, place: &Location, filter: &Filter) -> (StatusCode, String) {
    match place {
        Location::Overview => (StatusCode::OK, overview::page(view, filter)),
        Location::Certificate(name) => match view.certificate(name) {
            Some(found) => (StatusCode::OK, certificate::page(view, &found, filter)),
            None => missing(view, "The inventory has no certificate with this name."),
        },
        Location::Endpoint(segments) => {
            let endpoints = view.endpoints_at(segments);
            let found = endpoints
                .iter()
                .find(|e| e.segments().as_slice() == segments.as_slice());
            match found {
                Some(found) => (StatusCode::OK, endpoint::page(view, found, &endpoints)),
                None => missing(
                    view,
                    "This address is not monitored: it has left DNS or the inventory, or has not been probed yet.",
                ),
            }
        }
        Location::Badge(name) => match view.certificate(name) {
            Some(found) => (StatusCode::OK, badge::picture(found.severity())),
            None => (StatusCode::NOT_FOUND, badge::picture(Severity::Unknown)),
        },
        Location::Unknown => missing(view, "This page does not exist."),
        Location::Docs(segments) => match docs::page(view.now, &view.base, segments) {
            Some(page) => (StatusCode::OK, page),
            None => missing(view, "This page does not exist."),
        },
    }
}

fn missing(view: &View, words: &str) -> (StatusCode, String) {
    let page = Page {
        title: "Not here",
        severity: Severity::Ok,
        is_live: false,
        now: view.now,
        base: &view.base,
    };
    let text = page.document(|html| {
        html.line("h1", &[], "Not here");
        html.line("p", &[], words);
        html.element("p", &[], |html| {
            html.link(&Address::front(), "Go to the overview")
        });
    });
    (StatusCode::NOT_FOUND, text)
}
