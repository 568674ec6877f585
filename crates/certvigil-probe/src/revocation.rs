//! Revocation checks: downloads the CRLs of issuers and queries their OCSP responders.
//!
//! CRLs and OCSP responses are signed, so plain HTTP is sufficient. If they cannot be fetched or
//! verified, the revocation status is unknown, which is never reported as a fault of the endpoint.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::certificate::{
    Answer, Certificate, Crl, Issuer, MAX_OCSP_BYTES, Status, Unusable, ocsp_request, ocsp_url,
    read_ocsp,
};
use crate::guard::Guard;
use crate::io::{Http, ReadError, SourceError, read_certificate_file};
use crate::model::{RevocationCheck, Timestamp};
use crate::observation::{Fetched, Publication};

/// Maximum size of a CRL, in bytes.
pub const MAX_CRL_BYTES: usize = 16 << 20;
/// Status of a responder that accepts POST requests only. RFC 6960, appendix A.1, lets clients use GET; servers need not.
const METHOD_NOT_ALLOWED: u16 = 405;
/// Media type of a request (RFC 6960, appendix C.1).
const OCSP_REQUEST: &str = "application/ocsp-request";
/// Maximum concurrent requests.
const MAX_REQUESTS: usize = 32;
/// Maximum URLs whose responses are cached. Beyond it, the cache is cleared.
const MAX_REMEMBERED: usize = 10_000;
/// Maximum size of all cached responses, in bytes.
const MAX_REMEMBERED_BYTES: usize = 128 << 20;
/// Age after which a CRL or an OCSP response is fetched again although it is still valid, in
/// seconds. Issuers publish a revocation long before the previous response expires.
const MAX_AGE: i64 = 60 * 60;
/// Time after which a failed request is retried, in seconds.
const RETRY_AFTER: i64 = 60;

/// Client for CRLs and OCSP responders, with a cache of their responses.
pub struct Revocations {
    http: Http,
    /// Client for URLs in certificates that are not in the inventory.
    guarded: Http,
    requests: Semaphore,
    known: Lock<HashMap<String, Known>>,
    /// Lists of the user's files. They count before those that are fetched.
    own: Vec<Crl>,
}

/// Cache entry of a URL. A task that sends the request holds the lock, and the others wait for the
/// response.
#[derive(Clone, Default)]
struct Known {
    answer: Arc<Mutex<Option<Kept>>>,
    bytes: usize,
}

/// Response to the last request.
#[derive(Clone)]
struct Kept {
    /// `None` if no usable response was received.
    document: Option<Arc<Document>>,
    asked: Timestamp,
    ask_again: Timestamp,
}

impl Kept {
    /// Returns true until the next request is due. After the clock was set back, it is due at once:
    /// what was decided by the wrong time does not count.
    fn is_current(&self, now: Timestamp) -> bool {
        // Probes that run at the same time may be of slightly earlier times.
        self.asked <= later(now, RETRY_AFTER) && now < self.ask_again
    }
}

/// Document that an issuer has published.
enum Document {
    Crl(Crl),
    Ocsp(Vec<u8>),
}

impl Document {
    fn read(publication: Publication, bytes: Vec<u8>) -> Result<Self, Unusable> {
        match publication {
            Publication::Crl => Crl::read(bytes).map(Self::Crl),
            Publication::Ocsp => Ok(Self::Ocsp(bytes)),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Crl(list) => list.size(),
            Self::Ocsp(response) => response.len(),
        }
    }
}

/// Reason for which a file has no usable list. It names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrlFileError {
    /// The file cannot be read.
    #[error("{}: {error}; give a file with a revocation list (CRL), PEM or DER", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: ReadError,
    },
    /// The file has no list that can be read.
    #[error("{}: {error}; give a file with a revocation list (CRL), PEM or DER", .file.display())]
    List {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: Unusable,
    },
}

/// Reason for which an issuer's document was not fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("it is not a URL: {0}")]
    Url(url::ParseError),
    #[error("it was not its turn in time: too much is being fetched")]
    Busy,
    #[error("{0}")]
    Source(SourceError),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("{0}")]
    Document(Unusable),
}

/// Certificate whose revocation status is requested, and the time for which it is requested.
#[derive(Clone, Copy)]
struct Question<'a> {
    leaf: &'a Certificate,
    issuer: &'a Issuer,
    is_stranger: bool,
    now: Timestamp,
}

impl Question<'_> {
    /// Returns the URL of the OCSP responder and the request for a POST.
    fn for_post(self) -> Option<(Url, Vec<u8>)> {
        let facts = self.leaf.facts().ok()?;
        let responder = Url::parse(facts.ocsp_url.as_deref()?).ok()?;
        Some((responder, ocsp_request(self.leaf, self.issuer)?))
    }

    fn answer(self, document: &Document) -> Result<Answer, Unusable> {
        let Self {
            leaf, issuer, now, ..
        } = self;
        match document {
            Document::Crl(list) => list.status_of(leaf, issuer, now),
            Document::Ocsp(response) => read_ocsp(response, leaf, issuer, now),
        }
    }
}

impl Revocations {
    /// Creates a client that sends its requests with `http`. URLs in certificates that are not in
    /// the inventory are fetched from public addresses only.
    pub fn new(http: Http) -> Self {
        Self {
            guarded: http.guarded_by(Arc::default()),
            http,
            requests: Semaphore::new(MAX_REQUESTS),
            known: Lock::default(),
            own: Vec::new(),
        }
    }

    /// Returns the same client, with lists from files.
    ///
    /// # Errors
    /// If a file cannot be read or has no list.
    pub fn with_files(self, files: &[PathBuf]) -> Result<Self, CrlFileError> {
        let mut own = Vec::new();
        for file in files {
            let bytes = read_certificate_file(file).map_err(|error| CrlFileError::Read {
                file: file.clone(),
                error,
            })?;
            own.extend(Crl::read_all(&bytes).map_err(|error| CrlFileError::List {
                file: file.clone(),
                error,
            })?);
        }
        Ok(Self { own, ..self })
    }

    /// Returns true if there are lists from files.
    pub fn has_files(&self) -> bool {
        !self.own.is_empty()
    }

    /// Returns the status of a certificate in the lists from files.
    fn status_in_files(&self, question: Question<'_>) -> Option<Fetched> {
        let by = Publication::Crl;
        let mut reasons = Vec::new();
        let mut status = None;
        for list in &self.own {
            match list.status_of(question.leaf, question.issuer, question.now) {
                Ok(answer) if matches!(answer.status, Status::Revoked(_)) => {
                    let status = answer.status;
                    return Some(Fetched { by, status });
                }
                Ok(answer) => status = Some(answer.status),
                Err(why) => reasons.push(why.to_string()),
            }
        }
        if status.is_none() && self.has_files() {
            reasons.dedup();
            tracing::warn!(
                "no list of --crl-file has the status of `{}`: {}",
                question.leaf.subject(),
                reasons.join("; ")
            );
        }
        status.map(|status| Fetched { by, status })
    }

    /// Returns the same client, which fetches URLs in certificates that are not in the inventory
    /// only from addresses that this guard allows.
    pub fn guarded_by(self, guard: Guard) -> Self {
        Self {
            guarded: self.http.guarded_by(Arc::new(guard)),
            ..self
        }
    }

    /// Returns the revocation status of a certificate as of `now`, if the certificate names a
    /// source and the source responds before the deadline. Sources are the CRLs in the order of the
    /// certificate, then the OCSP responder. A certificate is a stranger's if its endpoint is not
    /// in the inventory.
    pub async fn ask(
        &self,
        leaf: &Certificate,
        issuer: &Issuer,
        is_stranger: bool,
        check: RevocationCheck,
        now: Timestamp,
        deadline: Instant,
    ) -> Option<Fetched> {
        let facts = leaf.facts().ok()?;
        let question = Question {
            leaf,
            issuer,
            is_stranger,
            now,
        };
        if let Some(known) = self.status_in_files(question) {
            return Some(known);
        }
        let lists = facts
            .crl_urls
            .iter()
            .map(|url| (Publication::Crl, url.clone()));
        let lists = lists.filter(|_| check >= RevocationCheck::Crl);
        let responder = facts.ocsp_url.as_deref();
        let responder = responder
            .filter(|_| check >= RevocationCheck::Full)
            .and_then(|url| ocsp_url(url, leaf, issuer))
            .map(|url| (Publication::Ocsp, url));
        for (by, url) in lists.chain(responder) {
            let answer = self.ask_at(&url, by, question, deadline).await;
            if let Some(Answer { status, .. }) = answer {
                return Some(Fetched { by, status });
            }
        }
        None
    }

    async fn ask_at(
        &self,
        url: &str,
        by: Publication,
        question: Question<'_>,
        deadline: Instant,
    ) -> Option<Answer> {
        // Addresses that the guard refuses for strangers remain allowed for the inventory.
        let key = match question.is_stranger {
            true => format!("stranger {url}"),
            false => url.to_owned(),
        };
        let known = self.known(&key).answer;
        let now = question.now;
        let Ok(mut kept) = timeout_at(deadline, known.lock()).await else {
            tracing::info!(
                "{url}: another request was waiting for it, and no response arrived in time"
            );
            return None;
        };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_current(now)) {
            let document = kept.document.as_ref()?;
            let answer = question.answer(document);
            if let Err(why) = &answer {
                tracing::debug!("{url}: {why}");
            }
            return answer.ok();
        }
        let retry = later(now, RETRY_AFTER);
        let (new, why) = match self.fetch(url, by, question, deadline).await {
            Ok(document) => {
                self.weigh(&key, document.size());
                let document = Arc::new(document);
                match question.answer(&document) {
                    Ok(answer) => {
                        if matches!(answer.status, Status::Revoked(_)) && answer.until < now {
                            tracing::warn!(
                                "revocation list expired, its entry of the certificate still counts: url={url} until={}",
                                answer.until
                            );
                        }
                        *kept = Some(Kept {
                            document: Some(document),
                            asked: now,
                            // An expired response within the clock tolerance is not requested for
                            // each probe.
                            ask_again: answer.until.min(later(now, MAX_AGE)).max(retry),
                        });
                        return Some(answer);
                    }
                    Err(why) => (Some(document), why.to_string()),
                }
            }
            Err(why) => (None, why.to_string()),
        };
        tracing::info!("{url}: no new word of what has been revoked: {why}");
        // The previous document counts until it expires. A document without an answer for this
        // certificate may have one for other certificates.
        let before = kept.take().and_then(|kept| kept.document);
        let answer = before.as_ref().and_then(|old| question.answer(old).ok());
        let document = match answer {
            Some(_) => before,
            None => new.or(before),
        };
        *kept = Some(Kept {
            document,
            asked: now,
            ask_again: retry,
        });
        answer
    }

    async fn fetch(
        &self,
        url: &str,
        by: Publication,
        question: Question<'_>,
        deadline: Instant,
    ) -> Result<Document, FetchError> {
        let url = Url::parse(url).map_err(FetchError::Url)?;
        let limit = match by {
            Publication::Crl => MAX_CRL_BYTES,
            Publication::Ocsp => MAX_OCSP_BYTES,
        };
        let _turn = timeout_at(deadline, self.requests.acquire())
            .await
            .map_err(|_| FetchError::Busy)?;
        let http = match question.is_stranger {
            true => &self.guarded,
            false => &self.http,
        };
        let answer = http.get(&url, None, limit, deadline).await;
        let mut answer = answer.map_err(FetchError::Source)?;
        if by == Publication::Ocsp
            && answer.status == METHOD_NOT_ALLOWED
            && let Some((responder, request)) = question.for_post()
        {
            let body = (OCSP_REQUEST, request);
            let posted = http.post(&responder, body, limit, deadline).await;
            answer = posted.map_err(FetchError::Source)?;
        }
        if answer.status != 200 {
            return Err(FetchError::Status(answer.status));
        }
        Document::read(by, answer.body).map_err(FetchError::Document)
    }

    fn known(&self, url: &str) -> Known {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED && !known.contains_key(url) {
            known.clear();
        }
        known.entry(url.to_owned()).or_default().clone()
    }

    /// Records the size of a cached response. If the total exceeds the limit, removes all other
    /// entries.
    fn weigh(&self, url: &str, bytes: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(url) {
            known.bytes = bytes;
        }
        let all: usize = known.values().map(|known| known.bytes).sum();
        if all > MAX_REMEMBERED_BYTES {
            known.retain(|other, _| other == url);
        }
    }
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp(now.0.saturating_add(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_was_set_back_makes_a_request_due() {
        let asked = Timestamp(1_795_000_000);
        let kept = Kept {
            document: None,
            asked,
            ask_again: later(asked, MAX_AGE),
        };
        let is_current = |seconds: i64| kept.is_current(later(asked, seconds));
        assert!(is_current(0) && is_current(MAX_AGE - 1));
        // A concurrent probe of a slightly earlier time.
        assert!(is_current(-RETRY_AFTER));
        assert!(!is_current(MAX_AGE));
        assert!(!is_current(-RETRY_AFTER - 1));
        assert!(!is_current(-10 * 24 * 60 * 60));
    }
}
