//! Style sheet, script and icons of the pages, embedded in the binary. The path of each contains a
//! hash of its content, so that browsers may cache it forever.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{HeaderMap, StatusCode};

use crate::finding::Severity;

use super::super::answer::{Response, answer, set};

/// Prefix of the paths of all assets.
pub(in super::super) const BASE_PATH: &str = "/assets/";
/// Bytes of the hash in a path, enough to distinguish versions.
const HASH_OCTETS: usize = 8;

/// File that a page refers to.
pub(super) struct Asset {
    path: String,
    tag: String,
    content_type: &'static str,
    text: String,
}

impl Asset {
    fn new(
        name: &str,
        extension: &str,
        content_type: &'static str,
        text: impl Into<String>,
    ) -> Self {
        let text = text.into();
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash: String = hash
            .as_ref()
            .iter()
            .take(HASH_OCTETS)
            .map(|b| format!("{b:02x}"))
            .collect();
        Self {
            path: format!("{BASE_PATH}{name}-{hash}.{extension}"),
            tag: format!("\"{hash}\""),
            content_type,
            text,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "status",
        "css",
        "text/css; charset=utf-8",
        include_str!("assets/status.css"),
    )
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "status",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("assets/status.js"),
    )
});
static GOOD: LazyLock<Asset> = LazyLock::new(|| drawn("good", "#1a7f37", "M9 16.5l5 5 9-11"));
static BAD: LazyLock<Asset> = LazyLock::new(|| drawn("bad", "#b3121f", "M10 10l12 12M22 10L10 22"));
static ODD: LazyLock<Asset> = LazyLock::new(|| drawn("odd", "#8a5300", "M16 8v10M16 22.5v1"));

pub(super) fn style() -> &'static Asset {
    &STYLE
}

pub(super) fn script() -> &'static Asset {
    &SCRIPT
}

/// Returns the favicon.
pub(super) fn icon(severity: Severity) -> &'static Asset {
    match severity {
        Severity::Ok | Severity::Info => &GOOD,
        Severity::Warning | Severity::Unknown => &ODD,
        Severity::Critical => &BAD,
    }
}

fn drawn(name: &str, colour: &str, path: &str) -> Asset {
    let text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">\
         <rect width=\"32\" height=\"32\" rx=\"8\" fill=\"{colour}\"/>\
         <path d=\"{path}\" fill=\"none\" stroke=\"#fff\" stroke-width=\"4\" stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>\n"
    );
    Asset::new(name, "svg", "image/svg+xml", text)
}

/// Returns the response for a path; `None` for an unknown path, such as that of another version.
pub(super) fn serve(path: &str, headers: &HeaderMap) -> Option<Response> {
    let all = [style(), script(), &GOOD, &BAD, &ODD];
    let asset = all.into_iter().find(|asset| asset.path == path)?;
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| matches!(tag.trim().trim_start_matches("W/"), tag if tag == asset.tag || tag == "*"));
    let mut response = match is_known {
        true => answer(StatusCode::NOT_MODIFIED, asset.content_type, ""),
        false => answer(StatusCode::OK, asset.content_type, asset.text.clone()),
    };
    // The page may require a password, so shared caches must not store its assets.
    set(
        &mut response,
        CACHE_CONTROL,
        "private, max-age=31536000, immutable",
    );
    if let Ok(tag) = HeaderValue::from_str(&asset.tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Some(response)
}
