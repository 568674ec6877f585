//! Stand-in for the SSLMate API, version 2. It serves an account in memory according to the
//! reference (<https://sslmate.com/help/reference/apiv2>), and refuses requests that would change
//! the account.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::instance::{Instance, State};
use crate::judge::{Judged, Verdict};
use crate::model::{Hostname, Protocol, Timestamp, parse_port};
use crate::observation::Status;

use super::account::{
    Account, AccountCertificate, AccountInstance, Expand, certificate_object, instance_object,
};

/// Path prefix of all requests.
pub const BASE_PATH: &str = "/api/v2";
/// Maximum time that a request may wait for an instance, in seconds.
const MAX_POLL: u64 = 180;
/// `Retry-After` for a client whose wait ended without an instance, in seconds.
const POLL_RETRY_AFTER: u64 = 1;

/// Credentials that the stand-in accepts.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// API key, sent as the user name without a password.
    pub api_key: String,
    /// User name, sent with the password.
    pub username: String,
    /// Password.
    pub password: String,
}

/// Test of the hosts of one certificate.
#[derive(Clone, Debug)]
pub struct TestRequest {
    /// Common name of the certificate.
    pub common_name: String,
    /// Instance that the hosts are expected to serve.
    pub current: Instance,
    /// Host names.
    pub hostnames: Vec<Hostname>,
    /// Port of the hosts.
    pub port: u16,
}

/// Prober for the hosts of `/test`, which also judges the results.
pub trait HostTester: Send + Sync {
    /// Returns a result for each address, as of `now`.
    fn test(
        &self,
        request: TestRequest,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Vec<Judged>> + Send + '_>>;
}

/// Stand-in for the API.
pub struct Api {
    account: Mutex<Account>,
    changed: watch::Sender<()>,
    requests: AtomicUsize,
    credentials: Credentials,
    /// Origin of the stand-in: scheme, address and port.
    origin: String,
    tester: Box<dyn HostTester>,
    now: Timestamp,
}

/// Error object of the reference with its HTTP status.
struct ApiError {
    status: StatusCode,
    reason: &'static str,
    message: String,
    param: Option<&'static str>,
    retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
            param: None,
            retry_after: None,
        }
    }

    fn of_param(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            ..Self::new(StatusCode::BAD_REQUEST, "bad_param", message)
        }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut object = json!({ "reason": self.reason, "message": self.message });
        if let Some(map) = object.as_object_mut() {
            if let Some(param) = self.param {
                map.insert("param".into(), json!(param));
            }
            if let Some(seconds) = self.retry_after {
                map.insert("retry_after".into(), json!(seconds));
            }
        }
        let mut response = answer(self.status, "application/json", object.to_string());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = hyper::header::HeaderValue::from_static("Basic realm=\"SSLMate API\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Api {
    /// Creates a stand-in for this account, reachable at `origin`.
    pub fn new(
        account: Account,
        credentials: Credentials,
        origin: String,
        tester: impl HostTester + 'static,
        now: Timestamp,
    ) -> Arc<Self> {
        Arc::new(Self {
            account: Mutex::new(account),
            changed: watch::Sender::new(()),
            requests: AtomicUsize::new(0),
            credentials,
            origin,
            tester: Box::new(tester),
            now,
        })
    }

    /// Serves requests on a bound listener until the task is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let api = self.clone();
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                // A client may close its connection at any time, so the error is ignored.
                let _ = connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
            while connections.try_join_next().is_some() {}
        }
    }

    /// Changes the account, and notifies requests that wait for an instance.
    pub fn change(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.account());
        self.changed.send_replace(());
    }

    /// Returns the number of requests so far, including those in flight.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that currently wait for an instance.
    pub fn waiting(&self) -> usize {
        self.changed.receiver_count()
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.uri().path().to_owned();
        if let Some(cn) = path.strip_prefix("/download/") {
            return self.download(&decoded(cn));
        }
        match self.route(&request, &path).await {
            Ok(value) => answer(StatusCode::OK, "application/json", value.to_string()),
            Err(error) => error.into_response(),
        }
    }

    async fn route(&self, request: &Request<Incoming>, path: &str) -> Result<Value, ApiError> {
        let no_such_path = || {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "not_found",
                format!("there is nothing at {path}"),
            )
        };
        let path = path.strip_prefix(BASE_PATH).ok_or_else(no_such_path)?;
        self.authenticate(request)?;
        let query = Query::parse(request.uri().query());
        let mut expand = Expand::default();
        query.all("expand").for_each(|path| expand.add(path));
        let parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let is_get = request.method() == Method::GET;
        match (is_get, parts.as_slice()) {
            (true, ["certs"]) => Ok(self.list(&expand)),
            (true, ["certs", cn]) => self.certificate(cn, &expand),
            (true, ["certs", cn, "test"]) => self.test(cn, &query).await,
            (true, ["certs", cn, "instances", id]) => self.instance(cn, id, &query, &expand).await,
            (
                false,
                ["certs", _] | ["certs", _, "buy" | "reissue" | "redo_approval" | "revoke"],
            ) => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "read_only",
                "this stand-in's account cannot be changed",
            )),
            _ => Err(no_such_path()),
        }
    }

    fn authenticate(&self, request: &Request<Incoming>) -> Result<(), ApiError> {
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|v| v.to_str().ok());
        let given = header
            .and_then(|h| h.strip_prefix("Basic "))
            .and_then(|b| {
                base64::engine::general_purpose::STANDARD
                    .decode(b.trim())
                    .ok()
            })
            .and_then(|b| String::from_utf8(b).ok());
        let known = &self.credentials;
        let right = given.is_some_and(|given| {
            given == format!("{}:", known.api_key)
                || given == format!("{}:{}", known.username, known.password)
        });
        if right {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "bad_credentials",
            "The API key, or the user name or password, is not correct",
        ))
    }

    fn list(&self, expand: &Expand) -> Value {
        let account = self.account();
        let object = |(cn, certificate): (&String, &AccountCertificate)| {
            let download = self.download_url(cn);
            certificate_object(cn, Some(certificate), &download, expand, self.now)
        };
        json!({ "data": account.certificates.iter().map(object).collect::<Vec<_>>() })
    }

    fn certificate(&self, cn: &str, expand: &Expand) -> Result<Value, ApiError> {
        let host = cn.strip_prefix("*.").unwrap_or(cn);
        if !matches!(host.parse(), Ok(Hostname::Dns(_))) {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_cn",
                format!("`{cn}` is not a valid common name"),
            ));
        }
        let account = self.account();
        let certificate = account.certificates.get(cn);
        Ok(certificate_object(
            cn,
            certificate,
            &self.download_url(cn),
            expand,
            self.now,
        ))
    }

    async fn instance(
        &self,
        cn: &str,
        id: &str,
        query: &Query,
        expand: &Expand,
    ) -> Result<Value, ApiError> {
        let patience = match query.all("poll").last() {
            None => None,
            Some(text) => Some(
                text.parse::<u64>()
                    .map_err(|_| ApiError::of_param("poll", "poll is a number of seconds"))?,
            ),
        };
        let Some(seconds) = patience else {
            return Ok(self.find_instance(cn, id, expand)?.1);
        };
        // Subscribed before the account is read for the first time, so that no change is missed.
        let mut changed = self.changed.subscribe();
        let settled = async {
            loop {
                let (state, object) = self.find_instance(cn, id, expand)?;
                if state != State::Pending {
                    return Ok(object);
                }
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(seconds.min(MAX_POLL)), settled)
            .await
            .unwrap_or_else(|_| {
                Err(ApiError {
                    retry_after: Some(POLL_RETRY_AFTER),
                    ..ApiError::new(
                        StatusCode::PRECONDITION_FAILED,
                        "not_ready",
                        "The certificate instance is still pending",
                    )
                })
            })
    }

    fn find_instance(
        &self,
        cn: &str,
        id: &str,
        expand: &Expand,
    ) -> Result<(State, Value), ApiError> {
        let missing = |reason, what: &str| ApiError::new(StatusCode::NOT_FOUND, reason, what);
        let account = self.account();
        let certificate = account.certificates.get(cn);
        let (found, error) = match id.strip_prefix("pubkey_hash:") {
            Some(key) => (
                certificate.and_then(|c| c.instance_by_key(key)),
                missing(
                    "no_such_pubkey_hash",
                    "There is no instance with this public key",
                ),
            ),
            None => (
                id.parse().ok().and_then(|id| certificate?.instance(id)),
                missing("no_such_instance", "There is no instance with this ID"),
            ),
        };
        let instance = found.ok_or(error)?;
        let sans = certificate.and_then(|c| c.sans.as_deref());
        Ok((
            instance.state,
            instance_object(instance, sans, expand, self.now),
        ))
    }

    async fn test(&self, cn: &str, query: &Query) -> Result<Value, ApiError> {
        let (current, names) = {
            let account = self.account();
            let certificate = account.certificates.get(cn);
            let current = certificate
                .and_then(AccountCertificate::current)
                .map(instance);
            (
                current,
                certificate.map(|c| c.names(cn)).unwrap_or_default(),
            )
        };
        let Some(current) = current else {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "no_active_certificate",
                format!("You do not have an active certificate for {cn}"),
            ));
        };
        let port = match query.all("port").last() {
            Some(text) => parse_port(text).map_err(|e| ApiError::of_param("port", e))?,
            None => Protocol::Https.default_port(),
        };
        let named = query.all("hostname").map(str::parse);
        let mut hostnames: Vec<Hostname> = named
            .collect::<Result<_, _>>()
            .map_err(|e: String| ApiError::of_param("hostname", e))?;
        if hostnames.is_empty() {
            hostnames = names.iter().filter_map(|name| name.parse().ok()).collect();
        }
        let request = TestRequest {
            common_name: cn.to_owned(),
            current,
            hostnames,
            port,
        };
        let results = self.tester.test(request, self.now).await;
        let rows: Vec<Value> = results.iter().filter_map(test_row).collect();
        Ok(json!({ "result": rows }))
    }

    /// Returns the certificate files. The reference requires: "If the certificate doesn't have a
    /// current certificate instance, the URL returns an empty response with HTTP code 202."
    fn download(&self, cn: &str) -> Response<Full<Bytes>> {
        let account = self.account();
        match account
            .certificates
            .get(cn)
            .map(AccountCertificate::current)
        {
            None => answer(StatusCode::NOT_FOUND, "text/plain", "not found\n".into()),
            Some(None) => answer(StatusCode::ACCEPTED, "text/plain", String::new()),
            Some(Some(instance)) => {
                let all = std::iter::once(&instance.leaf).chain(&instance.chain);
                let pem = all.map(|c| c.to_pem()).collect();
                answer(StatusCode::OK, "application/x-pem-file", pem)
            }
        }
    }

    fn download_url(&self, cn: &str) -> String {
        format!("{}/download/{cn}", self.origin)
    }
}

/// Decoded parameters of a request, in order.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Returns all values of a parameter.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted = self.0.iter().filter(move |(key, _)| key == name);
        wanted.map(|(_, value)| value.as_str())
    }
}

/// Converts an instance of the account to an expected instance.
fn instance(of: &AccountInstance) -> Instance {
    Instance {
        id: Some(of.id),
        state: of.state,
        leaf: of.leaf.clone(),
        chain: of.chain.clone(),
        root: of.root.clone(),
    }
}

/// Returns the test result object. `None` for a name that could not be resolved.
fn test_row(judged: &Judged) -> Option<Value> {
    let observation = &judged.observation;
    let ip = observation.ip?;
    let hostname = observation.target.hostname.to_string();
    Some(match &judged.verdict {
        Verdict::Conclusive(flags) => json!({
            "hostname": hostname,
            "ip_address": ip.to_string(),
            "status": Status::Conclusive.name(),
            "correct": flags.correct,
            "chained": flags.chained,
            "dummy": flags.dummy,
        }),
        Verdict::Inconclusive(error) => json!({
            "hostname": hostname,
            "ip_address": ip.to_string(),
            "status": error.kind.status().name(),
            "error": error.message,
        }),
    })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
