//! Takes HTTP requests: listeners, TLS, who may ask, what the query says, and headers that every answer has.
//!
//! The file is the web configuration that Prometheus' exporters share (exporter-toolkit,
//! `docs/web-configuration.md`). HTTP/1.1 is spoken; a client that could speak HTTP/2 falls back to it.

mod cross_site;
mod files;
mod hosts;
mod listen;
mod patience;
mod pem;
mod query;
mod rate;
mod seats;
mod settings;
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
pub use listen::{FAREWELL, serve};
pub use query::Query;

use hosts::AllowedHosts;
use rate::RateLimit;
use tls::Tls;
use users::Users;

/// A request with who sent it.
pub type Request = hyper::Request<Incoming>;
/// An answer. Its body may come to be while it is sent.
pub type Response = hyper::Response<Body>;
/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body that is there already.
pub fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers a request whose sender may ask. It is dropped when the client goes away. How much of the body is
    /// read, and how long that may take, is the service's to bound.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// Whether a path brings its own secret, so that no user of the web configuration is asked for. Client
    /// certificates are asked for all the same.
    fn is_exempt(&self, path: &str) -> bool;

    /// What a client is told whose request never came to [`Service::answer`], or came to no end there, in the shape that
    /// answers have at this path. `retry_after` is in seconds; the headers that go with it and with the status are added.
    fn refused(
        &self,
        path: &str,
        status: StatusCode,
        words: &str,
        retry_after: Option<u64>,
    ) -> Response;
}

/// The web configuration in force.
pub struct Web {
    file: Option<PathBuf>,
    /// Connections at a time.
    seats: usize,
    hosts: AllowedHosts,
    state: RwLock<Arc<State>>,
}

/// What one reading of the file says.
#[derive(Default)]
struct State {
    tls: Option<Arc<Tls>>,
    users: Users,
    headers: HeaderMap,
    rate: Option<RateLimit>,
}

impl Web {
    /// Reads the file and the certificates that it names. Without a file, plain HTTP is spoken and everybody may
    /// ask.
    ///
    /// # Errors
    /// Everything that is wrong with the file, a line each with its line and key.
    pub fn open(file: Option<&Path>) -> Result<Self, String> {
        let state = file.map(read).transpose()?.unwrap_or_default();
        Ok(Self {
            file: file.map(Path::to_owned),
            seats: usize::MAX,
            hosts: AllowedHosts::default(),
            state: RwLock::new(Arc::new(state)),
        })
    }

    /// The same with so many connections at a time, where that is fewer than are taken anyway.
    pub fn for_at_most(self, connections: usize) -> Self {
        Self {
            seats: connections,
            ..self
        }
    }

    /// The same where only requests for these host names, for addresses and for `localhost` are answered; others get 421.
    /// No names are all.
    pub fn for_hosts(self, names: impl IntoIterator<Item = String>) -> Self {
        Self {
            hosts: AllowedHosts::new(names),
            ..self
        }
    }

    /// Connections that are taken at a time. What a service does for several at once has to be fewer, or the rest would
    /// find no seat.
    pub fn seats(&self) -> usize {
        self.seats.min(listen::MAX_CONNECTIONS)
    }

    /// Reads the file and the certificates anew: from the next connection and request on they are in force.
    ///
    /// # Errors
    /// Everything that is wrong with the file; what was in force stays so.
    pub fn reload(&self) -> Result<(), String> {
        if let Some(file) = &self.file {
            let state = Arc::new(read(file)?);
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        }
        Ok(())
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.state().tls.is_some()
    }

    fn state(&self) -> Arc<State> {
        let state = self.state.read();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(file: &Path) -> Result<State, String> {
    let wrong = |why: String| format!("{}: {why}", file.display());
    let bytes = read_bounded(file).map_err(wrong)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| wrong("the file is not UTF-8; save it as UTF-8".into()))?;
    settings::read(&text, file).map_err(|errors| errors.to_string())
}
