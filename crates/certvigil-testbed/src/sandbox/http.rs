//! HTTP server of a sandbox.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use certvigil_core::certificate::Certificate;

use super::account::{
    ApiError, Body, Call, Expand, Method, Parsed, Request, Which, names, parse, test_row,
};
use super::revocation::{ocsp_response, revocation_list};
use super::{BASE_PATH, Sandbox, TestRequest};
use crate::instance::{Instance, State};
use crate::model::Hostname;

/// Path prefix of the requests that only the sandbox has.
const SANDBOX_PATH: &str = "/sandbox";
/// Maximum size of a request body in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Maximum time to read a request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time to read the head of a request, which also bounds idle connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Maximum concurrent connections.
const MAX_CONNECTIONS: usize = 256;
/// Maximum time that a request may wait for an instance, in seconds.
const MAX_POLL: u64 = 180;
/// Seconds after which a client whose wait ended without an instance may ask again.
const POLL_RETRY_AFTER: u64 = 1;

type Answer = Response<Full<Bytes>>;

impl Sandbox {
    /// Serves requests on a bound listener until the task is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().live());
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = connections.clone().acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, for example: other connections may close meanwhile.
                let _ = timeout(ACCEPT_PAUSE, std::future::pending::<()>()).await;
                continue;
            };
            let sandbox = self.clone();
            tasks.spawn(async move {
                let service = service_fn(move |request| {
                    let sandbox = sandbox.clone();
                    async move { Ok::<_, Infallible>(sandbox.respond(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                // A client may close its connection at any time, so the error is ignored.
                let _ = connection.await;
                drop(permit);
            });
            while tasks.try_join_next().is_some() {}
        }
    }

    async fn respond(&self, request: hyper::Request<Incoming>) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let answer = match self.public(&parts.method, &path, body).await {
            Ok(answer) => answer,
            Err(body) => match self.private(&parts, &path, body).await {
                Ok(value) => json_answer(StatusCode::OK, &value),
                Err(error) => error_answer(&error),
            },
        };
        let status = answer.status().as_u16();
        let method = &parts.method;
        match self.logs_requests {
            true => tracing::info!("request: method={method} path={path} status={status}"),
            false => tracing::debug!("request: method={method} path={path} status={status}"),
        }
        answer
    }

    /// Answers requests that need no credentials. Returns the body for any other.
    async fn public(
        &self,
        method: &hyper::Method,
        path: &str,
        body: Incoming,
    ) -> Result<Answer, Incoming> {
        let der = "application/pkix-cert";
        let answer = match (method.as_str(), path) {
            ("GET", "/ca.pem") => {
                let pem = self.root().to_pem();
                answer(StatusCode::OK, "application/x-pem-file", pem)
            }
            ("GET", "/issuer.der") => {
                let certificate = self.state().authority.issuing().certificate.clone();
                answer(StatusCode::OK, der, certificate.der().to_vec())
            }
            ("GET", "/crl.der") => {
                let account = self.account();
                let list = revocation_list(&account, &self.state().authority, self.now());
                signed("application/pkix-crl", list)
            }
            ("POST", "/ocsp") => match read_body(body).await {
                Ok(request) => self.ocsp(&request),
                Err(error) => error_answer(&error),
            },
            ("GET", _) => match path.split_once('/').and_then(|(_, p)| p.split_once('/')) {
                Some(("ocsp", encoded)) => {
                    let request = STANDARD.decode(decoded(encoded));
                    self.ocsp(&request.unwrap_or_default())
                }
                Some(("download", token)) => self.download(token),
                _ => return Err(body),
            },
            _ => return Err(body),
        };
        Ok(answer)
    }

    fn ocsp(&self, request: &[u8]) -> Answer {
        let account = self.account();
        let response = ocsp_response(request, &account, &self.state().authority, self.now());
        signed("application/ocsp-response", response)
    }

    /// Returns the certificate and its chain. The reference requires: "If the certificate doesn't
    /// have a current certificate instance, the URL returns an empty response with HTTP code 202."
    fn download(&self, token: &str) -> Answer {
        let account = self.account();
        match account.by_token(token).map(|(_, record)| record.current()) {
            None => answer(StatusCode::NOT_FOUND, "text/plain", "not found\n"),
            Some(None) => answer(StatusCode::ACCEPTED, "text/plain", ""),
            Some(Some(instance)) => {
                let signed = &instance.certificate;
                let pem = signed.crt.clone() + &signed.chain.concat();
                answer(StatusCode::OK, "application/x-pem-file", pem)
            }
        }
    }

    /// Answers requests that need credentials.
    async fn private(
        &self,
        parts: &hyper::http::request::Parts,
        path: &str,
        body: Incoming,
    ) -> Result<Value, ApiError> {
        self.authenticate(&parts.headers)?;
        if let Some(path) = path.strip_prefix(SANDBOX_PATH) {
            return self.hook(&parts.method, path);
        }
        let below = path
            .strip_prefix(BASE_PATH)
            .and_then(|below| below.strip_prefix('/'))
            .ok_or_else(|| ApiError::NotFound(path.to_owned()))?;
        let method = match parts.method {
            hyper::Method::GET => Method::Get,
            hyper::Method::POST => Method::Post,
            _ => Method::Other,
        };
        let mut request = Request {
            method,
            path: below.split('/').map(decoded).collect(),
            query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            body: Body::Form(Vec::new()),
        };
        if method == Method::Post {
            request.body = body_of(&parts.headers, &read_body(body).await?)?;
        }
        let parsed = parse(&request)?;
        match &parsed.call {
            Call::Instance(cn, which, Some(seconds)) => {
                self.wait(cn, which, *seconds).await?;
                self.call(&parsed)
            }
            Call::Test(cn, hostnames, port) => {
                self.call(&parsed)?;
                self.test(cn, hostnames, *port).await
            }
            _ => self.call(&parsed),
        }
    }

    fn call(&self, parsed: &Parsed) -> Result<Value, ApiError> {
        self.transition(|account, context| account.answer(parsed, context))
    }

    /// Approves or rejects the pending instance of a certificate, as the owner of the domain does by
    /// e-mail, DNS or HTTP. Returns the instance.
    fn hook(&self, method: &hyper::Method, path: &str) -> Result<Value, ApiError> {
        let parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let ["certs", cn, action @ ("approve" | "reject")] = parts.as_slice() else {
            return Err(ApiError::NotFound(format!("{SANDBOX_PATH}{path}")));
        };
        if method != hyper::Method::POST {
            return Err(ApiError::MethodNotAllowed {
                path: format!("{SANDBOX_PATH}{path}"),
                allowed: "POST",
            });
        }
        let cn = cn.to_lowercase();
        self.transition(|account, context| {
            let id = match *action {
                "approve" => account.approve(&cn, context)?,
                _ => account.reject(&cn)?,
            };
            let instance = account.certificate(&cn)?.instance(id);
            let instance = instance.ok_or(ApiError::NoSuchInstance)?;
            Ok(instance.to_json(&Expand::default(), context.policy, context.now))
        })
    }

    /// Waits until an instance is not pending.
    async fn wait(&self, cn: &str, which: &Which, seconds: u64) -> Result<(), ApiError> {
        // Subscribed before the account is read for the first time, so that no change is missed.
        let mut changed = self.changed.subscribe();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let settled = async {
            while self.account().is_pending(cn, which) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let waited = timeout(Duration::from_secs(seconds.min(MAX_POLL)), settled).await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        waited.map_err(|_| ApiError::NotReady {
            retry_after: POLL_RETRY_AFTER,
        })
    }

    async fn test(&self, cn: &str, hostnames: &[Hostname], port: u16) -> Result<Value, ApiError> {
        let account = self.account();
        let record = account.certificate(cn)?;
        let none = || ApiError::NoActiveCertificate(cn.to_owned());
        let current = record.current().ok_or_else(none)?;
        let mut hostnames = hostnames.to_vec();
        if hostnames.is_empty() {
            // A wildcard is not a host name.
            let all = names(cn, current.sans.as_deref());
            hostnames.extend(all.iter().filter_map(|name| name.parse().ok()));
        }
        let signed = &current.certificate;
        let read = |pem: &str| {
            let all = certvigil_core::certificate::parse_certificates(pem.as_bytes());
            all.unwrap_or_default()
        };
        let first = |pem: &str| read(pem).into_iter().next();
        let instance = Instance {
            id: Some(current.id),
            state: State::Active,
            leaf: first(&signed.crt).unwrap_or_else(|| Certificate::from_der(Vec::new())),
            chain: signed.chain.iter().flat_map(|pem| read(pem)).collect(),
            root: first(&signed.root),
        };
        let request = TestRequest {
            common_name: cn.to_owned(),
            current: instance,
            hostnames,
            port,
        };
        let results = self.tester.test(request, self.now()).await;
        let rows: Vec<Value> = results.iter().filter_map(test_row).collect();
        Ok(json!({ "result": rows }))
    }

    /// Checks the credentials: the API key as user name without a password, or user name and
    /// password.
    fn authenticate(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        let given = header
            .and_then(|h| h.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, text)| STANDARD.decode(text.trim()).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let known = &self.credentials;
        let is_known = given.is_some_and(|given| {
            given == format!("{}:", known.api_key)
                || given == format!("{}:{}", known.username, known.password)
        });
        is_known.then_some(()).ok_or(ApiError::BadCredentials)
    }
}

async fn read_body(body: Incoming) -> Result<Bytes, ApiError> {
    let read = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    match read.map_err(|_| ApiError::BodyTimeout)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ApiError::BodyTooLarge(MAX_BODY_BYTES))
        }
        Err(error) => Err(ApiError::BadBody(error.to_string())),
    }
}

/// Decodes a body. SSLMate's own client sends JSON in some requests.
fn body_of(headers: &HeaderMap, body: &[u8]) -> Result<Body, ApiError> {
    if body.is_empty() {
        return Ok(Body::Form(Vec::new()));
    }
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = given.and_then(|v| v.split(';').next()).map(str::trim);
    match essence.unwrap_or_default().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => match std::str::from_utf8(body) {
            Ok(_) => Ok(Body::Form(pairs(body))),
            Err(error) => Err(ApiError::BadBody(error.to_string())),
        },
        "application/json" => {
            let object = serde_json::from_slice(body);
            object
                .map(Body::Json)
                .map_err(|e| ApiError::BadBody(e.to_string()))
        }
        _ => Err(ApiError::BadContentType),
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn signed(
    content_type: &'static str,
    signed: Result<Vec<u8>, super::account::IssuingError>,
) -> Answer {
    match signed {
        Ok(der) => answer(StatusCode::OK, content_type, der),
        Err(error) => error_answer(&ApiError::Internal(error.to_string())),
    }
}

fn error_answer(error: &ApiError) -> Answer {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = json_answer(status, &error.to_json());
    let headers = answer.headers_mut();
    match error {
        ApiError::BadCredentials => {
            let challenge = HeaderValue::from_static("Basic realm=\"SSLMate API\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        ApiError::MethodNotAllowed { allowed, .. } => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        ApiError::Internal(why) => tracing::error!("request failed: error={why:?}"),
        _ => {}
    }
    answer
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    answer(status, "application/json", value.to_string())
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
