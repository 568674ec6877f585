//! The monitor: probes the inventory continuously, and serves metrics, SSLMate's test API and the
//! status pages.
//!
//! The **state** decides what is fetched and probed next; it is pure. The **monitor** is the loop
//! around it. It publishes **snapshot**s, which all responses are made from.

mod admission;
mod answer;
mod counters;
mod dns_failures;
mod error;
mod expectations;
mod fetch;
mod history_writer;
mod judging_settings;
mod limiter;
mod lost;
mod metrics;
mod monitor;
mod named_files;
mod page;
mod plan;
mod probe;
mod probe_module;
mod process;
mod reload;
mod reread;
mod routes;
mod runtime;
mod sd;
mod snapshot;
mod state;
mod test_api;
#[cfg(test)]
mod tests;
mod transition_log;
mod watch_files;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{ALLOW, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::source::Requests;
use crate::web::{self, Query, Request, Response, SHUTDOWN_GRACE};

use answer::{plain_text, set};
use limiter::Limiter;
use metrics::Scrapes;
use monitor::{Command, Monitor};
use routes::Route;
use runtime::Runtime;
use snapshot::Current;

pub use error::{ConfigError, ModuleError, ReloadError, ServerError};
use history_writer::StateFolder;
pub use routes::{RouteError, Routes};
pub use runtime::Setup;

/// Path of SSLMate's webhook, which has its own secret.
const WEBHOOK: &str = "/webhook/sslmate";

/// Monitor that is ready to run.
pub struct Server {
    setup: Arc<Setup>,
    current: Arc<Current>,
    folder: Option<StateFolder>,
}

impl Server {
    /// Reads the configuration and prepares the monitor.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid, or if the state directory cannot be used.
    pub fn new(setup: Setup) -> Result<Self, ServerError> {
        let folder = setup.state.as_deref().map(StateFolder::open).transpose()?;
        let requests = Requests::default();
        let runtime = Runtime::new(&setup, None, &requests)?;
        let current = Current::new(runtime, requests, setup.clock);
        Ok(Self {
            setup: Arc::new(setup),
            current: Arc::new(current),
            folder,
        })
    }

    /// Monitors, and serves the listeners, until `shutdown` is done. Running requests and probes
    /// then have 5 s to finish. Each item of `reloads` reloads the configuration.
    ///
    /// # Errors
    /// Returns an error if the monitor ended by itself, which is a bug. Without it the pages would
    /// continue to show the last state.
    pub async fn run(
        self,
        listeners: Vec<TcpListener>,
        mut reloads: mpsc::Receiver<()>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let (stop, stopped) = watch::channel(false);
        let until = || {
            let mut stopped = stopped.clone();
            async move { drop(stopped.wait_for(|stop| *stop).await) }
        };
        let web = self.setup.web.clone();
        let state = self.setup.state.clone();
        let current = self.current.clone();
        let routes = self.setup.routes.clone();
        let (monitor, commands) = Monitor::new(
            self.setup,
            self.current.clone(),
            self.folder,
            monitor::probe(),
        );
        let mut monitor = tokio::spawn(monitor.run(until(), SHUTDOWN_GRACE));
        let pages = Pages {
            current: self.current,
            commands: commands.clone(),
            on_demand: Arc::new(Semaphore::new(probe::max_concurrent(web.max_connections()))),
            scrapes: Scrapes::new(web.max_connections()),
            page_limiter: page::limiter(web.max_connections()),
            state,
            routes,
        };
        let front = tokio::spawn(web::serve(web, listeners, pages, until()));
        // Reloads run one after the other, and the shutdown does not wait for them.
        let mut hangups = JoinSet::new();
        hangups.spawn(watch_files::watch_files(current, commands.clone()));
        hangups.spawn(async move {
            while reloads.recv().await.is_some() {
                // The monitor logs the result.
                let _ = reload(&commands).await;
            }
        });
        let ended = tokio::select! {
            () = shutdown => None,
            ended = &mut monitor => Some(ended),
        };
        drop(hangups);
        tracing::info!(
            "shutting down: running probes and requests have {} s",
            SHUTDOWN_GRACE.as_secs()
        );
        stop.send_replace(true);
        let is_early = ended.is_some();
        let ended = match ended {
            Some(ended) => ended,
            None => monitor.await,
        };
        let front = front.await;
        match ended.and(front) {
            Ok(()) if !is_early => Ok(()),
            Ok(()) => Err(ServerError::Ended),
            Err(error) => Err(error.into()),
        }
    }
}

async fn reload(commands: &mpsc::Sender<Command>) -> Result<(), ReloadError> {
    let (reply, answer) = oneshot::channel();
    let sent = commands.send(Command::Reload(reply)).await;
    sent.map_err(|_| ReloadError::Stopping)?;
    answer.await.map_err(|_| ReloadError::Stopping)?
}

/// Handler of requests.
struct Pages {
    current: Arc<Current>,
    commands: mpsc::Sender<Command>,
    on_demand: Arc<Semaphore>,
    scrapes: Scrapes,
    /// Permits to write status pages.
    page_limiter: Limiter,
    /// State directory.
    state: Option<PathBuf>,
    routes: Routes,
}

impl Pages {
    /// Returns the response to a method that this path does not allow.
    fn not_allowed(path: &str, allowed: &'static str) -> Response {
        let words = format!("this path allows only {allowed}");
        let mut response = refusal(path, StatusCode::METHOD_NOT_ALLOWED, &words, None);
        set(&mut response, ALLOW, allowed);
        response
    }
}

impl web::Service for Pages {
    async fn answer(&self, request: Request) -> Response {
        let query = Query::parse(request.uri().query());
        let method = request.method().clone();
        let is_get = matches!(method, Method::GET | Method::HEAD);
        let path = match self.routes.route(request.uri().path()) {
            Route::Path(path) => path.to_owned(),
            Route::Redirect(to) if is_get => return redirect(to),
            Route::Redirect(_) | Route::Unknown => {
                let words = format!("not found; see {}/", self.routes.prefix());
                return plain_text(StatusCode::NOT_FOUND, words);
            }
        };
        let (current, headers) = (&self.current, request.headers());
        match path.as_str() {
            WEBHOOK if method != Method::POST => Self::not_allowed(&path, "POST"),
            WEBHOOK => {
                let snapshot = current.snapshot();
                match webhook::authorize(&snapshot, headers, &query) {
                    Ok(()) => {
                        webhook::receive(&snapshot, &self.commands, request.into_body()).await
                    }
                    Err(response) => *response,
                }
            }
            "/-/reload" if !matches!(method, Method::POST | Method::PUT) => {
                Self::not_allowed(&path, "POST, PUT")
            }
            "/-/reload" if web::is_cross_site(headers) => plain_text(
                StatusCode::FORBIDDEN,
                "cross-site request refused; reload from the monitor's own host, with curl or with SIGHUP",
            ),
            "/-/reload" => match reload(&self.commands).await {
                Ok(()) => plain_text(StatusCode::OK, "configuration reloaded"),
                Err(error) => plain_text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            _ if !is_get => Self::not_allowed(&path, "GET, HEAD"),
            "/metrics" => metrics::metrics(current.clone(), &self.scrapes, headers).await,
            "/probe" => probe::probe(current, &self.on_demand, headers, &query).await,
            "/sd" => sd::discovery(&current.snapshot(), current.now(), self.routes.prefix()),
            "/-/healthy" => plain_text(StatusCode::OK, "certvigil is healthy."),
            "/-/ready" if current.snapshot().is_ready => {
                plain_text(StatusCode::OK, "certvigil is ready.")
            }
            "/-/ready" => plain_text(
                StatusCode::SERVICE_UNAVAILABLE,
                "certvigil is not ready: not everything has been probed yet.",
            ),
            path => match test_api::certificate_of(path) {
                Some(name) => test_api::test(current, &self.on_demand, &name, &query).await,
                None if path.starts_with(test_api::BASE_PATH) => test_api::error(
                    StatusCode::NOT_FOUND,
                    "not_found",
                    None,
                    "unsupported path of SSLMate's API; only GET /api/v2/certs/CN/test is supported",
                ),
                None => {
                    let page = page::page(
                        current,
                        &self.page_limiter,
                        self.state.clone(),
                        self.routes.links().clone(),
                        path,
                        &query,
                        headers,
                    )
                    .await;
                    page.unwrap_or_else(|| {
                        plain_text(
                            StatusCode::NOT_FOUND,
                            "not found; see /, /metrics, /probe and /sd",
                        )
                    })
                }
            },
        }
    }

    fn is_exempt(&self, path: &str) -> bool {
        self.routes.strip(path) == Some(WEBHOOK)
    }

    fn refused(
        &self,
        path: &str,
        status: StatusCode,
        words: &str,
        retry_after: Option<u64>,
    ) -> Response {
        let path = self.routes.strip(path).unwrap_or_default();
        refusal(path, status, words, retry_after)
    }
}

/// Returns the response to a refused request for a path without the prefix.
fn refusal(path: &str, status: StatusCode, words: &str, retry_after: Option<u64>) -> Response {
    // SSLMate's client accepts only JSON under this path.
    if path.starts_with(test_api::BASE_PATH) {
        return test_api::refused(status, words, retry_after);
    }
    plain_text(status, words)
}

fn redirect(to: &str) -> Response {
    let mut response = plain_text(StatusCode::FOUND, format!("see {to}"));
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}
