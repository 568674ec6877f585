//! `/metrics`: the monitor's state in Prometheus' text format.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::report;
use crate::report::prometheus::{
    Exposition, Gathered, Metric, Pieces, gathered_endpoints, hosts, labels,
};

use crate::source::TargetFiles;
use crate::web::{self, whole};

use super::answer::{EXPOSITION, Response, answer_with, plain_text, retry_later, set};
use super::limiter::Limiter;
use super::plan::{Exposed, Plan};
use super::process;
use super::snapshot::{Current, Snapshot, VantageStatus};

/// Size of the pieces of text that are written and sent with one system call each. A piece fits
/// into one packet of the loopback interface, and is still in the CPU cache when it is sent.
const PIECE_BYTES: usize = 64 << 10;

/// Maximum concurrent scrapes that are being gathered. Each needs memory and a CPU core, which
/// probes need too.
const MAX_CONCURRENT: usize = 4;
/// Maximum concurrent scrapes, from the request to the last byte; further ones must try again.
const MAX_IN_FLIGHT: usize = 128;
/// Share of the connection slots that scrapes may use, as a divisor.
const CONNECTION_SHARE: usize = 4;
/// Size above which a response does not fit into the buffers of a connection, and stays in memory
/// until the client has read it.
const LARGE_BYTES: usize = 256 << 10;
/// Maximum concurrent responses of this size; further requests must try again.
const MAX_LARGE: usize = 8;

/// Limits of concurrent scrapes.
pub(super) struct Scrapes {
    limiter: Limiter,
    large: Arc<Semaphore>,
}

/// Permits of one scrape, held until its response has been sent.
struct Share {
    _place: OwnedSemaphorePermit,
    _large: Option<OwnedSemaphorePermit>,
}

impl Scrapes {
    /// Returns the limits for this number of connection slots.
    pub(super) fn new(max_connections: usize) -> Self {
        Self {
            limiter: Limiter::new(
                MAX_CONCURRENT,
                MAX_IN_FLIGHT.min(max_connections / CONNECTION_SHARE),
            ),
            large: Arc::new(Semaphore::new(MAX_LARGE)),
        }
    }

    /// Returns the permits for a response of this length; `None` if there are too many large
    /// responses.
    fn share(&self, place: OwnedSemaphorePermit, length: usize) -> Option<Share> {
        let large = match length > LARGE_BYTES {
            true => Some(self.large.clone().try_acquire_owned().ok()?),
            false => None,
        };
        Some(Share {
            _place: place,
            _large: large,
        })
    }
}

/// Returns the response to a scrape. The samples are gathered on a blocking thread. Compressed text
/// is written there too. Plain text is written while it is sent, so that slow clients hold no
/// complete text in memory.
pub(super) async fn metrics(
    current: Arc<Current>,
    scrapes: &Scrapes,
    headers: &HeaderMap,
) -> Response {
    let busy = || {
        let words = "too many concurrent scrapes; try again";
        retry_later(plain_text(StatusCode::SERVICE_UNAVAILABLE, words))
    };
    let Some(permit) = scrapes.limiter.acquire().await else {
        return busy();
    };
    let gzip = takes_gzip(headers);
    let gathered = tokio::task::spawn_blocking(move || {
        let pieces = exposition(&current);
        let gathered = match gzip {
            true => Text::Compressed(compress_pieces(pieces)?),
            false => Text::Plain(pieces),
        };
        std::io::Result::Ok((gathered, permit.into_waiting_permit()))
    });
    let Ok(Ok((gathered, place))) = gathered.await else {
        return plain_text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "cannot write the metrics",
        );
    };
    let Some(share) = scrapes.share(place, gathered.len()) else {
        return busy();
    };
    let mut response = answer_with(StatusCode::OK, EXPOSITION, gathered.body(share));
    set(&mut response, VARY, "accept-encoding");
    if gzip {
        set(&mut response, CONTENT_ENCODING, "gzip");
    }
    response
}

/// Text of a response.
enum Text {
    Compressed(Vec<u8>),
    Plain(Pieces),
}

impl Text {
    fn len(&self) -> usize {
        match self {
            Self::Compressed(bytes) => bytes.len(),
            Self::Plain(pieces) => pieces.left(),
        }
    }

    fn body(self, share: Share) -> web::Body {
        match self {
            Self::Compressed(bytes) => whole(Bytes::from_owner(Compressed {
                bytes,
                _share: share,
            })),
            Self::Plain(pieces) => Written::new(pieces, share).boxed_unsync(),
        }
    }
}

/// Compressed text, with its permits for as long as it is in memory.
struct Compressed {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Compressed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Body that is written while it is sent.
struct Written {
    pieces: Pieces,
    /// Sent buffers, which are used again: allocating new memory costs more than writing the text.
    spare: Arc<Mutex<Vec<String>>>,
    _share: Share,
}

impl Written {
    fn new(pieces: Pieces, share: Share) -> Self {
        Self {
            pieces,
            spare: Arc::default(),
            _share: share,
        }
    }
}

impl Body for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let mut text = lock(&self.spare).pop().unwrap_or_default();
        self.pieces.write(&mut text, PIECE_BYTES);
        let spare = self.spare.clone();
        let piece = Bytes::from_owner(Piece { text, spare });
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        let left = u64::try_from(self.pieces.left());
        left.map_or_else(|_| SizeHint::default(), SizeHint::with_exact)
    }
}

/// Piece of the text, whose buffer is used again.
struct Piece {
    text: String,
    spare: Arc<Mutex<Vec<String>>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.text.clear();
        lock(&self.spare).push(std::mem::take(&mut self.text));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns true if `Accept-Encoding` lists gzip with a nonzero quality (RFC 9110, section 12.5.3).
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).into_iter();
    let items = values
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    items.into_iter().any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let quality = parts.find_map(|p| p.strip_prefix("q="));
        is_gzip && quality.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0))
    })
}

pub(super) fn compress(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

fn compress_pieces(mut pieces: Pieces) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut text = String::new();
    while pieces.left() > 0 {
        text.clear();
        pieces.write(&mut text, PIECE_BYTES);
        encoder.write_all(text.as_bytes())?;
    }
    encoder.finish()
}

fn exposition(current: &Current) -> Pieces {
    let snapshot = current.snapshot();
    let [mut seen, mut counted, mut rest] = <[Exposition; 3]>::default();
    let results = || {
        snapshot
            .results
            .iter()
            .flat_map(|results| &results.endpoints)
    };
    let gathered = Gathered::new(results().map(|endpoint| &endpoint.lines));
    let gathered = Arc::new(gathered);
    gathered_endpoints(&mut seen, &gathered);
    let judged = results().map(|endpoint| &*endpoint.judged);
    hosts(&mut counted, &gathered, judged);
    requests(&mut rest, current);
    let elapsed = current.started.elapsed();
    vantages(&mut rest, &snapshot.vantages, elapsed);
    if let Some(is_up) = current.is_state_up() {
        rest.value(Metric::StateUp, u8::from(is_up));
    }
    current.counters.write(&mut rest);
    monitor(&mut rest, &snapshot, elapsed);
    process::write(&mut rest);
    let targets = &snapshot.runtime.target_files;
    let of_plan = snapshot.plan.exposed(|plan| expose(plan, targets));
    Pieces::new([
        Arc::new(seen),
        of_plan.certificates.clone(),
        Arc::new(counted),
        of_plan.sources.clone(),
        Arc::new(rest),
    ])
}

fn expose(plan: &Plan, targets: &TargetFiles) -> Exposed {
    let [mut certificates, mut sources] = <[Exposition; 2]>::default();
    let all = plan.watches.values().flat_map(|watch| {
        let kept = watch.kept.iter();
        kept.map(|kept| {
            (
                &*kept.loaded.name,
                &*kept.loaded.expected,
                &*watch.entry.notes,
            )
        })
    });
    report::prometheus::certificates(&mut certificates, all);
    how_sources_are(&mut sources, plan, targets);
    Exposed {
        certificates: Arc::new(certificates.done()),
        sources: Arc::new(sources.done()),
    }
}

/// Health of a source.
#[derive(Default)]
struct SourceHealth<'a> {
    is_up: Option<bool>,
    last_success: Option<i64>,
    /// Labels that all entries with the source have.
    labels: Option<BTreeMap<&'a str, &'a str>>,
}

/// Writes the health of the sources. A source of several entries is up if it is up for each of
/// them. It has the labels that all of them have, so that its alerts reach their owner.
fn how_sources_are(out: &mut Exposition, plan: &Plan, targets: &TargetFiles) {
    let mut all: BTreeMap<String, SourceHealth<'_>> = BTreeMap::new();
    for watch in plan.watches.values() {
        let Some(source) = watch.source() else {
            continue;
        };
        let health = all.entry(source).or_default();
        if let Some(is_up) = watch.up {
            health.is_up = Some(is_up && health.is_up.unwrap_or(true));
        }
        if let Some(at) = watch.last_success() {
            health.last_success = Some(health.last_success.map_or(at.0, |first| first.min(at.0)));
        }
        let own: BTreeMap<&str, &str> = report::prometheus::own(&watch.entry.notes).collect();
        match &mut health.labels {
            Some(labels) => labels.retain(|name, value| own.get(name) == Some(value)),
            none => *none = Some(own),
        }
    }
    for (path, file) in targets.states() {
        let health = all.entry(TargetFiles::source(path)).or_default();
        health.is_up = Some(file.failure.is_none());
        if let Some(at) = file.last_success {
            health.last_success = Some(at.0);
        }
    }
    let series = |source: &str, health: &SourceHealth<'_>| {
        let own = health.labels.iter().flatten();
        let own = own.map(|(name, value)| (*name, *value));
        labels(std::iter::once(("source", source)).chain(own))
    };
    let mut samples = out.begin(Metric::SourceUp);
    for (source, health) in &all {
        if let Some(is_up) = health.is_up {
            samples.put(&series(source, health), u8::from(is_up));
        }
    }
    let mut samples = out.begin(Metric::SourceLastSuccess);
    for (source, health) in &all {
        if let Some(at) = health.last_success {
            samples.put(&series(source, health), at);
        }
    }
}

fn requests(out: &mut Exposition, current: &Current) {
    let mut samples = out.begin(Metric::SourceRequests);
    for (source, status, count) in current.requests.counts() {
        let code = status.map_or_else(|| "error".to_owned(), |code| code.to_string());
        samples.put(&labels([("source", &*source), ("code", &code)]), count);
    }
}

/// Writes the health and the lag of the remote vantages.
fn vantages(out: &mut Exposition, vantages: &[VantageStatus], elapsed: Duration) {
    let mut samples = out.begin(Metric::VantageUp);
    for VantageStatus { vantage, is_up, .. } in vantages {
        if let Some(is_up) = is_up {
            let labels = labels([("vantage", vantage.as_str())]);
            samples.put(&labels, u8::from(*is_up));
        }
    }
    let mut samples = out.begin(Metric::VantageLag);
    for status in vantages {
        let labels = labels([("vantage", status.vantage.as_str())]);
        samples.put(&labels, status.lag(elapsed).as_secs_f64());
    }
}

/// Writes the health of the monitor itself.
fn monitor(out: &mut Exposition, snapshot: &Snapshot, elapsed: Duration) {
    let in_flight = snapshot.runtime.probes_in_flight();
    out.value(Metric::ProbesInFlight, in_flight);
    if let Some(duration) = snapshot.cycle.duration {
        out.value(Metric::CycleDuration, duration.as_secs_f64());
    }
    let interval = snapshot.runtime.inventory.defaults.interval;
    out.value(Metric::Interval, interval.as_secs_f64());
    let lag = snapshot.lag(elapsed);
    out.value(Metric::CycleLag, lag.as_secs_f64());
    let reload = &snapshot.reload;
    let succeeded = u8::from(reload.error.is_none() && reload.file_error.is_none());
    out.value(Metric::ConfigLastReloadSuccessful, succeeded);
    out.value(Metric::ConfigLastReloadSuccess, reload.succeeded.0);
    let version = labels([("version", env!("CARGO_PKG_VERSION"))]);
    out.begin(Metric::BuildInfo).put(&version, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_scrape_responses_are_limited_and_small_ones_pass() {
        let scrapes = Scrapes::new(1000);
        let share = async |length| {
            let permit = scrapes.limiter.acquire().await.unwrap();
            scrapes.share(permit.into_waiting_permit(), length)
        };
        let mut long = Vec::new();
        for _ in 0..MAX_LARGE {
            long.push(share(LARGE_BYTES + 1).await.unwrap());
        }
        assert!(share(LARGE_BYTES + 1).await.is_none());
        let mut all = vec![share(LARGE_BYTES).await.unwrap()];
        long.pop();
        assert!(share(LARGE_BYTES + 1).await.is_some());
        // Small responses are limited too, and a rejected scrape holds no permit.
        while all.len() + long.len() < MAX_IN_FLIGHT {
            all.push(share(1).await.unwrap());
        }
        assert!(scrapes.limiter.acquire().await.is_none());
        assert!(Scrapes::new(5).limiter.acquire().await.is_some());
    }

    #[test]
    fn gzip_is_used_only_if_accepted() {
        let takes = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            takes_gzip(&headers)
        };
        assert!(takes("gzip"));
        assert!(takes("deflate, GZIP;q=0.5"));
        assert!(!takes("gzip;q=0"));
        assert!(!takes("br, deflate"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
