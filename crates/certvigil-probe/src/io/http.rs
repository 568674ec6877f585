//! Bounded HTTP client for all downloads.

mod client;
mod failure;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use reqwest::header::{AGE, CONTENT_TYPE, DATE, HeaderMap};
use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::guard::Guard;
use crate::model::Timestamp;
use crate::resolve::Resolver;

use super::auth::BasicAuth;
use super::error::SourceError;
use super::secrets::Secrets;
use super::threads::on_own_thread;

use client::{Connector, may_reach_literal};
use failure::{explain, json};

/// Maximum redirects. Credentials are never sent to another host.
const MAX_REDIRECTS: usize = 5;
/// Port of URLs without one, which `--resolve` matches.
const HTTPS_PORT: u16 = 443;
/// Maximum time to establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before the first retry. It doubles with each retry.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Maximum requests for one result.
const MAX_TRIES: u32 = 6;

/// Maximum size of a response body that needs no permit, in bytes. Nearly all bodies are smaller.
const SMALL_BODY_BYTES: usize = 64 << 10;
/// Maximum concurrent larger bodies of one source, or of all issuers together. Others wait, within
/// their deadlines. Without this limit, one server with endless responses could exhaust the memory
/// by concurrent requests.
const MAX_LARGE_BODIES: usize = 4;

/// HTTP client. It is cheap to clone.
#[derive(Clone)]
pub struct Http {
    connector: Arc<Connector>,
    requests: Requests,
    clock: Clock,
    /// Source for which requests are counted.
    source: Arc<str>,
    /// Permits to read larger bodies of that source.
    large_bodies: Arc<Semaphore>,
    /// Secrets that are replaced in the responses of sources.
    secrets: Secrets,
}

/// Number of requests by source and result. It is cheap to clone, and clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Mutex<Counts>>);

/// Counts by source and HTTP status.
type Counts = BTreeMap<(Arc<str>, Option<u16>), u64>;

impl Requests {
    /// Returns the name of each source, the HTTP status (`None` without a response), and the count.
    pub fn counts(&self) -> Vec<(Arc<str>, Option<u16>, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = counts.iter();
        all.map(|((source, status), count)| (source.clone(), *status, *count))
            .collect()
    }

    fn count(&self, source: &Arc<str>, status: Option<u16>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((source.clone(), status)).or_default();
        *count += 1;
    }
}

/// Current time according to the servers of sources. Clones share their state.
#[derive(Clone, Default)]
pub struct Clock(Arc<Mutex<Option<(Timestamp, Instant)>>>);

impl Clock {
    /// Records the time at which a response was generated (RFC 9110, section 6.6.1) or left a cache
    /// (RFC 9111, section 5.1).
    fn observe(&self, headers: &HeaderMap, at: Instant) {
        let text = |name| headers.get(name)?.to_str().ok();
        let Some(date) = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()) else {
            return;
        };
        let since = date
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let age = text(AGE).and_then(|age| age.trim().parse().ok());
        let seconds = i64::try_from(since.saturating_add(age.unwrap_or(0))).unwrap_or(i64::MAX);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Timestamp(seconds), at));
    }

    /// Returns the seconds by which a clock that shows `now` at this instant is ahead of the
    /// servers' clock. `None` if no server has reported a time.
    pub fn ahead(&self, now: Timestamp, at: Instant) -> Option<i64> {
        let observed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, observed_at) = observed?;
        let since =
            i64::try_from(at.saturating_duration_since(observed_at).as_secs()).unwrap_or(i64::MAX);
        Some(now.seconds_since(then).saturating_sub(since))
    }
}

/// Complete HTTP response.
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Content type as received. Empty if there is none.
    pub content_type: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Http {
    /// Creates a client that trusts the system's roots and these, and counts its requests.
    pub fn new(own_roots: Vec<CertificateDer<'static>>, requests: Requests) -> Self {
        Self {
            connector: Arc::new(Connector {
                own_roots,
                guard: None,
                resolver: None,
                made: OnceLock::new(),
            }),
            requests,
            clock: Clock::default(),
            source: "".into(),
            large_bodies: large_bodies(),
            secrets: Secrets::default(),
        }
    }

    /// Returns certvigil's own secrets, which are replaced in responses.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the same client for this source, with separate request counts and a separate limit
    /// for larger bodies.
    pub fn counting_for(&self, source: &str) -> Self {
        Self {
            source: source.into(),
            large_bodies: large_bodies(),
            ..self.clone()
        }
    }

    /// The same client with counts of its own.
    pub fn counting_by(&self, requests: Requests) -> Self {
        Self {
            requests,
            ..self.clone()
        }
    }

    /// Returns the same client for URLs from an untrusted party. It connects only to addresses that
    /// the guard allows, and uses no proxy.
    pub fn guarded_by(&self, guard: Arc<Guard>) -> Self {
        Self {
            connector: Arc::new(Connector {
                own_roots: self.connector.own_roots.clone(),
                guard: Some(guard),
                resolver: None,
                made: OnceLock::new(),
            }),
            ..self.clone()
        }
    }

    /// Returns the same client, which finds hosts with this resolver, follows no redirect and uses
    /// no proxy.
    pub fn without_redirects(&self, resolver: Arc<Resolver>) -> Self {
        Self {
            connector: Arc::new(Connector {
                own_roots: self.connector.own_roots.clone(),
                guard: None,
                resolver: Some(resolver),
                made: OnceLock::new(),
            }),
            ..self.clone()
        }
    }

    /// Returns the clock of the servers of sources.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends one GET request within the deadline, and reads at most `limit` bytes of the response.
    pub async fn get(
        &self,
        url: &Url,
        auth: Option<&BasicAuth>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, SourceError> {
        self.check_literal(url)?;
        let mut request = self.connector.client()?.get(url.clone());
        if let Some(auth) = auth {
            let password = auth.password.as_ref().map(ExposeSecret::expose_secret);
            request = request.basic_auth(auth.username.expose_secret(), password);
        }
        self.send(request, limit, deadline).await
    }

    /// Sends one POST request with a body of this media type within the deadline, and reads at most `limit` bytes
    /// of the response.
    pub async fn post(
        &self,
        url: &Url,
        (content_type, body): (&'static str, Vec<u8>),
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, SourceError> {
        self.check_literal(url)?;
        let request = self.connector.client()?.post(url.clone()).body(body);
        let request = request.header(CONTENT_TYPE, content_type);
        self.send(request, limit, deadline).await
    }

    fn check_literal(&self, url: &Url) -> Result<(), SourceError> {
        match &self.connector.guard {
            Some(guard) => may_reach_literal(guard, url)
                .map_err(|refused| SourceError::Unusable(refused.to_string())),
            None => Ok(()),
        }
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, SourceError> {
        let fetch = async {
            let mut response = request.send().await.map_err(|e| explain(&e))?;
            // Only servers of configured sources are trusted to report the time. The URL of an
            // issuer comes from an untrusted certificate.
            if !self.source.is_empty() {
                self.clock.observe(response.headers(), Instant::now());
            }
            let content_type = response.headers().get(CONTENT_TYPE);
            let content_type = content_type
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            let mut body = Vec::new();
            let mut permit = None;
            while let Some(chunk) = response.chunk().await.map_err(|e| explain(&e))? {
                if body.len() + chunk.len() > limit {
                    return Err(SourceError::TooLarge(limit));
                }
                if body.len() + chunk.len() > SMALL_BODY_BYTES && permit.is_none() {
                    // `acquire` fails only for a closed semaphore, and this one is never closed.
                    permit = self.large_bodies.acquire().await.ok();
                }
                body.extend_from_slice(&chunk);
            }
            let status = response.status().as_u16();
            // Requests to issuers contain no secrets, and CRLs are large.
            if self.source.is_empty() {
                return Ok(Answer {
                    status,
                    content_type,
                    body,
                });
            }
            Ok(Answer {
                status,
                content_type: self.secrets.hide(content_type),
                body: self.secrets.hide_in_body(body),
            })
        };
        let answer = timeout_at(deadline, fetch)
            .await
            .unwrap_or(Err(SourceError::Timeout));
        let answer = answer.map_err(|error| match error {
            SourceError::Unreachable(why) => SourceError::Unreachable(self.secrets.hide(why)),
            other => other,
        });
        let status = answer.as_ref().ok().map(|answer| answer.status);
        self.requests.count(&self.source, status);
        answer
    }

    /// Fetches JSON from the API, and retries if a retry may succeed. 5xx and broken connections
    /// are retried with increasing pauses; 412 and 429 are retried if the response specifies a
    /// delay. Nothing is retried past the deadline.
    pub async fn get_json<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        url: &Url,
        auth: Option<&BasicAuth>,
        limit: usize,
        deadline: Instant,
    ) -> Result<T, SourceError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..MAX_TRIES {
            let error = match self.get_json_once(url, auth, limit, deadline).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let least = error.retry_after().map(Duration::from_secs);
            let wait = least.unwrap_or_default().max(jittered(pause));
            // `now + wait` could overflow, because an API may return any number of seconds.
            if !may_be_repeated(&error)
                || wait >= deadline.saturating_duration_since(Instant::now())
            {
                return Err(error);
            }
            tracing::info!(
                "{}: {error}; retrying in {:.1} s",
                shown(url),
                wait.as_secs_f64()
            );
            #[expect(clippy::disallowed_methods, reason = "the API requests the pause")]
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        self.get_json_once(url, auth, limit, deadline).await
    }

    async fn get_json_once<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        url: &Url,
        auth: Option<&BasicAuth>,
        limit: usize,
        deadline: Instant,
    ) -> Result<T, SourceError> {
        let answer = self.get(url, auth, limit, deadline).await?;
        read(answer, |answer| json(&answer)).await
    }
}

/// Reads a response. A large one is read on a blocking thread, so that it does not delay other
/// tasks.
pub async fn read<T: Send + 'static>(
    answer: Answer,
    read: impl FnOnce(Answer) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    if answer.body.len() <= SMALL_BODY_BYTES {
        return read(answer);
    }
    on_own_thread(move || read(answer)).await
}

fn large_bodies() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_LARGE_BODIES))
}

fn may_be_repeated(error: &SourceError) -> bool {
    match error {
        SourceError::Api(error) => match error.status {
            412 | 429 => error.retry_after.is_some(),
            status => status >= 500,
        },
        other => other.may_pass(),
    }
}

/// Returns the pause plus up to half of it at random, so that many clients do not retry
/// simultaneously.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    let _ = SystemRandom::new().fill(&mut byte);
    pause + pause.mul_f64(f64::from(byte[0]) / 512.0)
}

/// Returns the URL without the parts that may contain secrets.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_offset_is_computed_from_date_and_age_headers() {
        let (clock, at) = (Clock::default(), Instant::now());
        let later = at + Duration::from_secs(100);
        assert_eq!(clock.ahead(Timestamp(0), at), None);
        let headers = |date: &str, age: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, date.parse().unwrap());
            if let Some(age) = age {
                headers.insert(AGE, age.parse().unwrap());
            }
            headers
        };
        clock.observe(&headers("Thu, 01 Jan 1970 00:20:00 GMT", None), at);
        assert_eq!(clock.ahead(Timestamp(1300), at), Some(100));
        assert_eq!(clock.ahead(Timestamp(1300), later), Some(0));
        // A response from a cache was generated earlier.
        clock.observe(
            &headers("Thu, 01 Jan 1970 00:20:00 GMT", Some("300")),
            later,
        );
        assert_eq!(clock.ahead(Timestamp(1400), later), Some(-100));
        for wrong in ["", "yesterday", "Thu, 99 Jan 1970 00:20:00 GMT"] {
            clock.observe(&headers(wrong, None), later);
            assert_eq!(clock.ahead(Timestamp(1400), later), Some(-100), "{wrong}");
        }
    }

    /// Starts a server that responds to each request with this number of bytes, and for `/stalled`
    /// keeps the connection open without sending more.
    async fn server(bytes: usize) -> Url {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let read = stream.read(&mut request).await.unwrap();
                    let stalls = request[..read].starts_with(b"GET /stalled");
                    let observed = bytes + usize::from(stalls);
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {observed}\r\nconnection: close\r\n\r\n"
                    );
                    stream.write_all(head.as_bytes()).await.unwrap();
                    stream.write_all(&vec![b' '; bytes]).await.unwrap();
                    // Wait until the client closes the connection.
                    let _ = stream.read(&mut request).await;
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn few_large_responses_are_read_concurrently_and_small_ones_pass() {
        let large = server(SMALL_BODY_BYTES + 1).await;
        let small = server(SMALL_BODY_BYTES).await;
        let http = Http::new(Vec::new(), Requests::default()).counting_for("one");
        let late = || Instant::now() + Duration::from_secs(60);
        let stalled = large.join("stalled").unwrap();
        let readers: Vec<_> = (0..MAX_LARGE_BODIES)
            .map(|_| {
                let (http, url, deadline) = (http.clone(), stalled.clone(), late());
                tokio::spawn(async move { http.get(&url, None, 1 << 20, deadline).await.err() })
            })
            .collect();
        while http.large_bodies.available_permits() > 0 {
            tokio::task::yield_now().await;
        }

        let soon = Instant::now() + Duration::from_millis(200);
        let refused = http.get(&large, None, 1 << 20, soon).await.err();
        assert!(matches!(refused, Some(SourceError::Timeout)), "{refused:?}");
        let answer = http.get(&small, None, 1 << 20, late()).await.unwrap();
        assert_eq!(answer.body.len(), SMALL_BODY_BYTES);
        let other = http.counting_for("other");
        let answer = other.get(&large, None, 1 << 20, late()).await.unwrap();
        assert_eq!(answer.body.len(), SMALL_BODY_BYTES + 1);

        for reader in readers {
            reader.abort();
        }
        let answer = http.get(&large, None, 1 << 20, late()).await.unwrap();
        assert_eq!(answer.body.len(), SMALL_BODY_BYTES + 1);
    }
}
