//! Asks issuers whether a certificate has been revoked: fetches their lists, and asks their OCSP responders.
//!
//! What is fetched is signed, so plain HTTP will do, and what cannot be fetched or verified is no answer: then it is
//! not known whether the certificate has been revoked, which is never an endpoint's fault.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::certificate::{
    Answer, Certificate, Crl, Issuer, MAX_OCSP_BYTES, Unusable, ocsp_url, read_ocsp,
};
use crate::guard::Guard;
use crate::io::Http;
use crate::model::{RevocationCheck, Timestamp};
use crate::observation::{Fetched, Publication};

/// The largest list that is read, in bytes.
pub const MAX_CRL_BYTES: usize = 16 << 20;
/// Requests that are under way at a time.
const MAX_REQUESTS: usize = 32;
/// URLs whose answers are remembered; beyond that, the memory begins anew.
const MAX_REMEMBERED: usize = 10_000;
/// The same in bytes of all answers.
const MAX_REMEMBERED_BYTES: usize = 128 << 20;
/// After so long a list or an answer is fetched anew though it still holds, in seconds: issuers tell of a revocation
/// long before the answer before has ended.
const MAX_AGE: i64 = 60 * 60;
/// After so long what failed is tried again, in seconds.
const RETRY_AFTER: i64 = 60;

/// Asks, and remembers what was answered.
pub struct Revocations {
    http: Http,
    /// For URLs of certificates that are not of the inventory.
    guarded: Http,
    requests: Semaphore,
    known: Lock<HashMap<String, Known>>,
}

/// What is known of a URL. Whoever asks holds the lock, and the others wait for the answer.
#[derive(Clone, Default)]
struct Known {
    answer: Arc<Mutex<Option<Kept>>>,
    bytes: usize,
}

/// The answer to the last request.
#[derive(Clone)]
struct Kept {
    /// `None` where no answer could be used.
    document: Option<Arc<Document>>,
    ask_again: Timestamp,
}

/// Something that an issuer has published.
enum Document {
    Crl(Crl),
    Ocsp(Vec<u8>),
}

impl Document {
    fn read(publication: Publication, bytes: Vec<u8>) -> Result<Self, Unusable> {
        match publication {
            Publication::Crl => Crl::from_der(bytes).map(Self::Crl),
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

/// Of whom it is asked whether it has been revoked, and when.
#[derive(Clone, Copy)]
struct Question<'a> {
    leaf: &'a Certificate,
    issuer: &'a Issuer,
    is_stranger: bool,
    now: Timestamp,
}

impl Question<'_> {
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
    /// Gets ready to ask with this client. URLs in the certificates
    /// of strangers lead only to public addresses.
    pub fn new(http: Http) -> Self {
        Self {
            guarded: http.guarded_by(Arc::default()),
            http,
            requests: Semaphore::new(MAX_REQUESTS),
            known: Lock::default(),
        }
    }

    /// The same where URLs in the certificates of strangers lead where this guard lets through.
    pub fn guarded_by(self, guard: Guard) -> Self {
        Self {
            guarded: self.http.guarded_by(Arc::new(guard)),
            ..self
        }
    }

    /// What the issuer says of a certificate as of `now`, as far as it is to be asked and answers before the
    /// deadline: its lists in the order of the certificate, then its OCSP responder. A certificate of a stranger is one of
    /// an endpoint that is not in the inventory.
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
        // What the guard refuses a stranger is not refused to the inventory.
        let key = match question.is_stranger {
            true => format!("stranger {url}"),
            false => url.to_owned(),
        };
        let known = self.known(&key).answer;
        let now = question.now;
        let Ok(mut kept) = timeout_at(deadline, known.lock()).await else {
            tracing::info!("{url}: others have asked, and no answer came in time");
            return None;
        };
        if let Some(kept) = kept.as_ref().filter(|kept| now < kept.ask_again) {
            let document = kept.document.as_ref()?;
            let answer = question.answer(document);
            if let Err(why) = &answer {
                tracing::debug!("{url}: {why}");
            }
            return answer.ok();
        }
        let retry = later(now, RETRY_AFTER);
        let (new, why) = match self.fetch(url, by, question.is_stranger, deadline).await {
            Ok(document) => {
                self.weigh(&key, document.size());
                let document = Arc::new(document);
                match question.answer(&document) {
                    Ok(answer) => {
                        *kept = Some(Kept {
                            document: Some(document),
                            // What has ended, but for the clocks' difference, is not asked for each time.
                            ask_again: answer.until.min(later(now, MAX_AGE)).max(retry),
                        });
                        return Some(answer);
                    }
                    Err(why) => (Some(document), why.to_string()),
                }
            }
            Err(why) => (None, why),
        };
        tracing::info!("{url}: no new word of what has been revoked: {why}");
        // What was said before holds as long as it says. What says nothing of this certificate may tell of others.
        let before = kept.take().and_then(|kept| kept.document);
        let answer = before.as_ref().and_then(|old| question.answer(old).ok());
        let document = match answer {
            Some(_) => before,
            None => new.or(before),
        };
        *kept = Some(Kept {
            document,
            ask_again: retry,
        });
        answer
    }

    async fn fetch(
        &self,
        url: &str,
        by: Publication,
        is_stranger: bool,
        deadline: Instant,
    ) -> Result<Document, String> {
        let url = Url::parse(url).map_err(|e| format!("it is not a URL: {e}"))?;
        let limit = match by {
            Publication::Crl => MAX_CRL_BYTES,
            Publication::Ocsp => MAX_OCSP_BYTES,
        };
        let _turn = timeout_at(deadline, self.requests.acquire())
            .await
            .map_err(|_| "it was not its turn in time: too much is being fetched")?;
        let http = match is_stranger {
            true => &self.guarded,
            false => &self.http,
        };
        let answer = http.get(&url, None, limit, deadline).await;
        let answer = answer.map_err(|e| e.to_string())?;
        if answer.status != 200 {
            return Err(format!("HTTP status {}", answer.status));
        }
        Document::read(by, answer.body).map_err(|why| why.to_string())
    }

    fn known(&self, url: &str) -> Known {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED && !known.contains_key(url) {
            known.clear();
        }
        known.entry(url.to_owned()).or_default().clone()
    }

    /// Takes down how much is remembered of a URL; where all is too much, nothing else is remembered any more.
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
