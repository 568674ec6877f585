//! Web server for Prometheus exporters: listeners, TLS, authentication, query strings, and common
//! response headers.
//!
//! The configuration file is the web configuration of Prometheus' exporters (exporter-toolkit,
//! `docs/web-configuration.md`). The server speaks HTTP/1.1. Clients that support HTTP/2 fall back
//! to it.

mod cross_site;
mod error;
mod files;
mod hosts;
mod limits;
mod listen;
mod patience;
mod pem;
mod query;
mod rate;
mod settings;
mod slots;
mod tls;
mod users;

use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;

use files::read_bounded;

pub use cross_site::is_cross_site;
pub use error::WebError;
pub use listen::{SHUTDOWN_GRACE, serve};
pub use query::Query;

use hosts::AllowedHosts;
use rate::RateLimit;
use tls::Tls;
use users::Users;

/// HTTP request.
pub type Request = hyper::Request<Incoming>;
/// HTTP response. Its body may be produced while it is sent.
pub type Response = hyper::Response<Body>;
/// Body of a response.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Creates a body with complete content.
pub fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}

/// Handler of requests.
pub trait Service: Send + Sync + 'static {
    /// Handles a request that passed authentication. The future is dropped if the client closes the
    /// connection. The service limits the size of the request body and the time to read it.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// Returns true if a path has its own authentication, so that no user of the web configuration
    /// is required. Client certificates are still required.
    fn is_exempt(&self, path: &str) -> bool;

    /// Returns the response to a request that did not reach [`Service::answer`], or whose handler
    /// panicked, in the format of this path. `retry_after` is in seconds. The caller adds the
    /// headers for it and for the status.
    fn refused(
        &self,
        path: &str,
        status: StatusCode,
        words: &str,
        retry_after: Option<u64>,
    ) -> Response;
}

/// Web configuration in force.
pub struct Web {
    file: Option<PathBuf>,
    /// Maximum concurrent connections.
    max_connections: usize,
    hosts: AllowedHosts,
    state: RwLock<Arc<State>>,
}

/// Content of the file at its last successful reading.
#[derive(Default)]
struct State {
    tls: Option<Arc<Tls>>,
    users: Users,
    headers: HeaderMap,
    rate: Option<RateLimit>,
}

impl Web {
    /// Reads the file and the certificates that it names. Without a file, the server speaks plain
    /// HTTP and requires no authentication.
    ///
    /// # Errors
    /// All errors in the file, one per line, each with its line and key.
    pub fn open(file: Option<&Path>) -> Result<Self, WebError> {
        let state = file.map(read).transpose()?.unwrap_or_default();
        Ok(Self {
            file: file.map(Path::to_owned),
            max_connections: usize::MAX,
            hosts: AllowedHosts::default(),
            state: RwLock::new(Arc::new(state)),
        })
    }

    /// Limits the concurrent connections further, if this number is lower than the default maximum.
    pub fn for_at_most(self, connections: usize) -> Self {
        Self {
            max_connections: connections,
            ..self
        }
    }

    /// Restricts requests to these host names, IP addresses and `localhost`. Others get 421. An
    /// empty list allows all names.
    pub fn for_hosts(self, names: impl IntoIterator<Item = String>) -> Self {
        Self {
            hosts: AllowedHosts::new(names),
            ..self
        }
    }

    /// Returns the maximum concurrent connections. If a service limits concurrent requests, its
    /// limit must be lower, so that connection slots remain for other requests.
    pub fn max_connections(&self) -> usize {
        self.max_connections.min(listen::MAX_CONNECTIONS)
    }

    /// Reads the file and the certificates again. They apply from the next connection and request.
    ///
    /// # Errors
    /// All errors in the file. The previous configuration then stays in force.
    pub fn reload(&self) -> Result<(), WebError> {
        if let Some(file) = &self.file {
            let state = Arc::new(read(file)?);
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        }
        Ok(())
    }

    /// Returns true if the server speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.state().tls.is_some()
    }

    fn state(&self) -> Arc<State> {
        let state = self.state.read();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(file: &Path) -> Result<State, WebError> {
    let bytes = read_bounded(file).map_err(|error| WebError::of_file(file.to_owned(), error))?;
    let text = String::from_utf8(bytes).map_err(|_| WebError::NotUtf8 {
        file: file.to_owned(),
    })?;
    Ok(settings::read(&text, file)?)
}
