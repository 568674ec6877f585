//! Paths of the web server behind a proxy: external URL and route prefix, as in Prometheus.

use std::sync::Arc;

use thiserror::Error;
use url::Url;

/// Error in the external URL or the route prefix.
#[derive(Debug, Error)]
pub enum RouteError {
    /// The external URL is not an HTTP URL.
    #[error(
        "--web.external-url: `{0}` is not the URL of a monitor; write https://HOST/PATH, or only the path"
    )]
    ExternalUrl(String),
    /// The prefix has characters that are not part of a path.
    #[error("--web.route-prefix: `{0}` is not a path; write one such as /certvigil")]
    Prefix(String),
}

/// Prefixes of paths and links. Without a proxy, all are empty.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Prefix of the paths that requests have, without the final slash.
    prefix: Arc<str>,
    /// Prefix of the paths of links, without the final slash.
    links: Arc<str>,
    /// Address of the overview.
    front: Arc<str>,
}

/// Place to which a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Path without the prefix.
    Path(&'a str),
    /// The root, or the prefix without its slash. Clients are redirected to this address.
    Redirect(&'a str),
    /// A path outside the prefix.
    Unknown,
}

impl Routes {
    /// Creates the routes of these flags. The prefix of requests defaults to the path of the
    /// external URL. Links have the path of the external URL, or without one the prefix.
    ///
    /// # Errors
    /// If the external URL is not an HTTP URL or a path, or the prefix is not a path.
    pub fn new(external_url: Option<&str>, route_prefix: Option<&str>) -> Result<Self, RouteError> {
        let external = external_url.map(read_external).transpose()?;
        let prefix = route_prefix.map(|text| {
            let path = trimmed(text);
            path.ok_or_else(|| RouteError::Prefix(text.to_owned()))
        });
        let prefix = prefix.transpose()?;
        let (origin, path) = match external {
            Some((origin, path)) => (origin, Some(path)),
            None => (String::new(), None),
        };
        let prefix = prefix.or_else(|| path.clone()).unwrap_or_default();
        let links = path.unwrap_or_else(|| prefix.clone());
        Ok(Self {
            front: format!("{origin}{links}/").into(),
            prefix: prefix.into(),
            links: links.into(),
        })
    }

    /// Returns the URL of the status page; `origin` is that of the server without a proxy.
    pub fn status_page(&self, origin: &str) -> String {
        match Url::parse(&self.front) {
            Ok(url) => url.into(),
            Err(_) => format!("{origin}{}/", self.prefix),
        }
    }

    /// Returns the prefix of the paths of links.
    pub(super) fn links(&self) -> &Arc<str> {
        &self.links
    }

    /// Returns the prefix of the paths of requests.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the path without the prefix; `None` for a path outside it.
    pub(super) fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&*self.prefix)?;
        rest.starts_with('/').then_some(rest)
    }

    /// Returns where a path leads.
    pub(super) fn route<'a>(&'a self, path: &'a str) -> Route<'a> {
        match self.strip(path) {
            Some(path) => Route::Path(path),
            None if path == "/" || *path == *self.prefix => Route::Redirect(&self.front),
            None => Route::Unknown,
        }
    }
}

/// Parses an external URL. Returns its origin and its path without the final slash. A path alone
/// has an empty origin.
fn read_external(text: &str) -> Result<(String, String), RouteError> {
    let wrong = || RouteError::ExternalUrl(text.to_owned());
    if text.starts_with('/') {
        let path = trimmed(text).ok_or_else(wrong)?;
        return Ok((String::new(), path));
    }
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_http = matches!(url.scheme(), "http" | "https");
    let has_more = url.query().is_some() || url.fragment().is_some();
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !is_http || has_more || has_user {
        return Err(wrong());
    }
    let path = trimmed(url.path()).ok_or_else(wrong)?;
    Ok((url.origin().ascii_serialization(), path))
}

/// Returns a path with a slash before it and none after it; `None` if it has other characters than
/// those of path segments (RFC 3986, section 3.3), or empty or relative segments.
fn trimmed(path: &str) -> Option<String> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Some(String::new());
    }
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@".contains(c);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(is_of_path);
    path.split('/').all(is_segment).then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_defaults_to_the_path_of_the_external_url() {
        for (url, prefix, requests, links, front) in [
            (None, None, "", "", "/"),
            (
                Some("https://a.example/x/y/"),
                None,
                "/x/y",
                "/x/y",
                "https://a.example/x/y/",
            ),
            (
                Some("https://a.example"),
                None,
                "",
                "",
                "https://a.example/",
            ),
            (Some("/x"), None, "/x", "/x", "/x/"),
            (
                Some("http://a.example:1/x"),
                Some("/"),
                "",
                "/x",
                "http://a.example:1/x/",
            ),
            (None, Some("x/"), "/x", "/x", "/x/"),
        ] {
            let routes = Routes::new(url, prefix).unwrap();
            assert_eq!(
                (&*routes.prefix, &*routes.links, &*routes.front),
                (requests, links, front),
                "{url:?} {prefix:?}"
            );
        }
    }

    #[test]
    fn paths_outside_the_prefix_are_unknown() {
        let routes = Routes::new(Some("https://a.example/x"), None).unwrap();
        assert_eq!(routes.route("/x/metrics"), Route::Path("/metrics"));
        assert_eq!(routes.route("/x/"), Route::Path("/"));
        let front = Route::Redirect("https://a.example/x/");
        assert_eq!(routes.route("/"), front);
        assert_eq!(routes.route("/x"), front);
        assert_eq!(routes.route("/metrics"), Route::Unknown);
        assert_eq!(routes.route("/xy/metrics"), Route::Unknown);
        assert_eq!(Routes::default().route("/metrics"), Route::Path("/metrics"));
    }

    #[test]
    fn wrong_urls_and_prefixes_are_errors() {
        for url in [
            "a.example/x",
            "ftp://a.example",
            "https://a.example/?q",
            "https://u@a.example",
        ] {
            assert!(Routes::new(Some(url), None).is_err(), "{url}");
        }
        for prefix in ["/a b", "/a?b", "/../a", "/a//b", "\"/a\""] {
            assert!(Routes::new(None, Some(prefix)).is_err(), "{prefix}");
        }
    }
}
